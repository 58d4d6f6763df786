"""Gemini's own protocol, as a dialect."""
