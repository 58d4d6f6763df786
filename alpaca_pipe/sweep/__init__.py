"""[sweep] one recipe as many points: planned, run in turn under one cap, and read as one table."""
