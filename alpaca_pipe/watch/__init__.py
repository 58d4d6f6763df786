"""A run while it goes on, as a page of this machine: rows, money, stages, rate and losses, from what lies on disk."""
