"""[train] at a provider that tunes its own models: the rows go there, the weights stay there."""
