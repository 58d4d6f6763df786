"""How many examples a property of this folder is tried on: few on every day, thousands by `make test-all`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("ALPACA_PIPE_EXAMPLES", "40"))
many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# A property that runs a whole ledger, a pack or a command for each example: a quarter of them on every day.
some = settings(many, max_examples=EXAMPLES if EXAMPLES > 1000 else max(10, EXAMPLES // 4))
