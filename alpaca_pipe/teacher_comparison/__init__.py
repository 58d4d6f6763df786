"""Which teacher is worth its price: several are asked the same, under one cap, and what came is held side by side."""
