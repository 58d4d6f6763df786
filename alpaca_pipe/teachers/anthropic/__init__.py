"""Anthropic's own protocol, as a dialect."""
