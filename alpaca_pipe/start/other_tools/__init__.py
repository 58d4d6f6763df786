"""Configs of other trainers, read as recipes of ours: what each key becomes, and what has no counterpart."""
