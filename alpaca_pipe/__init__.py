"""alpaca-pipe: from seed tasks to a tuned instruction model, with a ledger that knows every cent."""

__version__ = "0.1.0"
