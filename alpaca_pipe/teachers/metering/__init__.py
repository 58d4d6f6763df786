"""Tokens become money: reserved before a request is sent, settled with its reply, never past a cap."""
