"""The day on which prices and models' lives are looked up: today in UTC, or ALPACA_PIPE_TODAY, to see what another day brings."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime

from alpaca_pipe.core.errors import UserError

VARIABLE = "ALPACA_PIPE_TODAY"


def today() -> date:
    """Raises UserError where the variable holds no day."""
    said = os.environ.get(VARIABLE)
    if not said:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise UserError(
            f"the environment variable {VARIABLE} holds no day: '{said}'",
            "write it like 2026-12-01, or unset it",
        ) from None
