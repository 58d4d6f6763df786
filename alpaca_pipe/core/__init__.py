"""What everything else is made of: examples, requests, files, errors. Imports nothing of ours, no torch, no network."""
