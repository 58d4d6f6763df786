"""What everything costs: dated prices, an append-only journal in integer nano-dollars, and caps that hold."""
