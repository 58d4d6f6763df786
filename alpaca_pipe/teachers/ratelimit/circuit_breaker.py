"""A fuse for sustained failure: a teacher that fails at most of what it is asked is left alone for a while, then tried with
one request at a time; when that fails again and again, the run stops. What is stored stays."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from alpaca_pipe.core.errors import UserError

LEAST, SHARE = 20, 0.5  # attempts, and the share of them that failed
PAUSES = (5.0, 10.0, 20.0, 40.0, 60.0)  # seconds before each probe
_LAST, _WITHIN = 50, 60.0  # attempts that are looked at, and how old they may be (seconds)
_GLANCE = 0.2  # seconds


class CircuitBreaker:
    """Closed: all may be sent. Open: nothing, for a pause. Half-open: one probe, whose end closes or opens it."""

    def __init__(self, say: Callable[[str], None] = lambda sentence: None) -> None:
        self._say = say
        self._ends: deque[tuple[float, bool]] = deque(maxlen=_LAST)
        self._until: float | None = None  # open until then
        self._probing = False
        self._failed_probes = 0
        self._why = ""

    def wait(self, now: float) -> float:
        """Seconds until one may be sent. UserError when probing was in vain."""
        if self._until is None:
            return 0.0
        if self._failed_probes >= len(PAUSES):
            raise UserError(
                f"the teacher fails again and again, after {len(PAUSES)} pauses too: {self._why}",
                "look whether its provider reports an outage, then run the same command again: every stored "
                "reply is kept and nothing is asked twice",
            )
        return _GLANCE if self._probing else max(0.0, self._until - now)

    def sent(self) -> bool:
        """One is sent; answers whether it is a probe."""
        if self._until is None:
            return False
        self._probing = True
        return True

    def ended(self, good: bool, probe: bool, now: float, why: str = "") -> None:
        if self._until is not None:
            if probe:
                self._probing = False
                self._probed(good, now, why)
            return
        self._ends.append((now, good))
        if good:
            return
        while self._ends and now - self._ends[0][0] > _WITHIN:
            self._ends.popleft()
        failed = sum(not good for _, good in self._ends)
        if len(self._ends) >= LEAST and failed > SHARE * len(self._ends):
            self._until, self._failed_probes, self._why = now + PAUSES[0], 0, why
            self._say(
                f"the teacher failed at {failed} of the last {len(self._ends)} attempts ({why}): nothing is sent for "
                f"{PAUSES[0]:.0f} s, then one request at a time until it answers"
            )

    def withdrawn(self, probe: bool) -> None:
        """One ended without a word about the teacher."""
        self._probing &= not probe

    def _probed(self, good: bool, now: float, why: str) -> None:
        if good:
            self._until = None
            self._ends.clear()
            self._say("the teacher answers again")
            return
        self._failed_probes, self._why = self._failed_probes + 1, why
        self._until = now + PAUSES[min(self._failed_probes, len(PAUSES) - 1)]
