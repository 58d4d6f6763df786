"""Rows before a person: in the terminal or a page; what was decided, and how it overrides the rules."""
