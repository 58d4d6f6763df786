"""Seed tasks: read from a file, and appended to it."""
