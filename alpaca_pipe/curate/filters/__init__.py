"""The filters of [curate], one module each or one for a few that look for the same thing. A new one is a module more:
filter_config.py finds it, and tests/curate/filter_samples/ holds a row that it drops and one that it lets pass."""
