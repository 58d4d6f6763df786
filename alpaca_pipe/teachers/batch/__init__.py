"""Requests by file: submitted once, polled, and their replies given to whoever asked."""
