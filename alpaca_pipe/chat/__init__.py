"""Talking to the tuned model: in a terminal, by one prompt, or line by line through a pipe. Nothing leaves this machine."""
