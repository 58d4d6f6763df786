"""A fuse for sustained failure: a teacher that fails at most of what it is asked is left alone for a while, then tried with
one request at a time; when that fails again and again, the run stops. What is stored stays. Failures that may be billed are
enough when they are few (in_vain.py)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.teachers.ratelimit.in_vain import InVain

LEAST, SHARE = 20, 0.5  # attempts, and the share of them that failed
PAUSES = (5.0, 10.0, 20.0, 40.0, 60.0)  # seconds before each probe
PAID_PAUSES = (5.0, 20.0, 60.0)  # where each probe may be billed
_LAST, _WITHIN = 50, 60.0  # attempts that are looked at, and how old they may be (seconds)
_GLANCE = 0.2  # seconds


class CircuitBreaker:
    """Closed: all may be sent. Open: nothing, for a pause. Half-open: one probe, whose end closes or opens it."""

    def __init__(
        self, say: Callable[[str], None] = lambda sentence: None, *, careful: bool = False
    ) -> None:
        """careful: the teacher is paid."""
        self._say = say
        self._vain = InVain(careful)
        self._ends: deque[tuple[float, bool]] = deque(maxlen=_LAST)
        self._until: float | None = None  # open until then
        self._paid = False  # whether a few that are paid opened it last
        self._pauses: tuple[float, ...] = PAUSES
        self._probing = False
        self._failed_probes = 0
        self._why = ""

    def room(self, limit: int) -> int:
        """How many may be in flight at once, at most `limit`; while it is open, `wait` decides."""
        return limit if self._until is not None else self._vain.room(limit)

    def wait(self, now: float) -> float:
        """Seconds until one may be sent. UserError when probing was in vain."""
        if self._until is None:
            return 0.0
        if self._failed_probes >= len(self._pauses):
            raise self._given_up()
        return _GLANCE if self._probing else max(0.0, self._until - now)

    def sent(self) -> bool:
        """One is sent; answers whether it is a probe."""
        if self._until is None:
            return False
        self._probing = True
        return True

    def ended(self, good: bool, probe: bool, now: float, why: str = "", lost: int = 0) -> None:
        """lost: nano-dollars that a failed one may be billed."""
        enough = bool(lost) and self._vain.lost(lost)
        if good:
            self._vain.good()
        if self._until is not None:
            # What was sent before the pause says nothing where half of it failed; where nothing came, it says all.
            if probe or (good and self._paid):
                self._probing &= not probe
                self._probed(good, now, why)
            return
        self._ends.append((now, good))
        if enough:
            self._stop_paying(now, why)
        elif not good:
            self._look(now, why)

    def spoke(self, probe: bool) -> None:
        """It refused a request, which is an answer; who asked may wait long for what that means."""
        self._vain.spoke()
        if probe and self._until is not None:
            self._probing = False
            self._close()

    def withdrawn(self, probe: bool) -> None:
        """One ended without a word about the teacher."""
        self._probing &= not probe

    def _look(self, now: float, why: str) -> None:
        while self._ends and now - self._ends[0][0] > _WITHIN:
            self._ends.popleft()
        failed = sum(not good for _, good in self._ends)
        if len(self._ends) >= LEAST and failed > SHARE * len(self._ends):
            self._paid, self._pauses, self._failed_probes = False, PAUSES, 0
            self._until, self._why = now + PAUSES[0], why
            self._say(
                f"the teacher failed at {failed} of the last {len(self._ends)} attempts ({why}): nothing is sent for "
                f"{PAUSES[0]:.0f} s, then one request at a time until it answers"
            )

    def _stop_paying(self, now: float, why: str) -> None:
        """Where it has answered little since it was last stopped, that goes on where it was."""
        again = self._vain.stop() < LEAST and self._paid
        self._failed_probes = self._failed_probes + 1 if again else 0
        self._paid, self._pauses = True, PAID_PAUSES
        pause = PAID_PAUSES[min(self._failed_probes, len(PAID_PAUSES) - 1)]
        self._until, self._why = now + pause, why
        if self._failed_probes < len(PAID_PAUSES):
            self._say(
                f"the last {self._vain.row} requests brought no reply ({why}), and may be billed at up to "
                f"{shown(self._vain.at_risk)} together: nothing is sent for {pause:.0f} s, then one request at a time until "
                "it answers"
            )

    def _probed(self, good: bool, now: float, why: str) -> None:
        if good:
            self._close()
            return
        self._failed_probes, self._why = self._failed_probes + 1, why
        self._until = now + self._pauses[min(self._failed_probes, len(self._pauses) - 1)]

    def _close(self) -> None:
        self._until = None
        self._vain.row = self._vain.at_risk = 0
        self._ends.clear()
        self._say("the teacher answers again")

    def _given_up(self) -> UserError:
        pauses, vain = len(self._pauses), self._vain
        again = (
            "then run the same command again: every stored reply is kept and nothing is asked twice"
        )
        if not self._paid:
            billed = f"; up to {shown(vain.at_risk)} of it may be billed" if vain.at_risk else ""
            return UserError(
                f"the teacher fails again and again, after {pauses} pauses too: {self._why}{billed}",
                f"look whether its provider reports an outage, {again}",
            )
        return UserError(
            f"{vain.row} requests in a row brought no reply, after {pauses} pauses too: {self._why}; up to "
            f"{shown(vain.at_risk)} may be billed for them, and is counted as spent",
            "look whether its provider reports an outage, whether `teacher.base_url` is that of its API, and whether one reply "
            f"is done within `teacher.timeout`, {again}; `alpaca-pipe ledger reconcile` frees what was not billed",
        )
