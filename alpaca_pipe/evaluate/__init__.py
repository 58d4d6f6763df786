"""[evaluate] the base model against the tuned one on held-out rows, beside two controls that a real gain must beat."""
