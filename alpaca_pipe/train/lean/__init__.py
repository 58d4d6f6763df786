"""A layer's arithmetic in fp32 on a CPU with fewer passes over memory and less kept for the backward pass; same numbers."""
