"""[align]: the tuned model is trained further on what is preferred to what."""
