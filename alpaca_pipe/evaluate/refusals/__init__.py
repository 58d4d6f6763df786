"""Requests of our own that a model should decline, each with one that looks like it and should be answered: prompts.jsonl (CC0);
and by which words an answer is told to decline (declines.py)."""
