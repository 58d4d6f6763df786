"""The machine that a run is billed for: found, leased, metered, its energy counted."""
