"""Requests that may be billed and brought no reply (a time-out, a connection that broke, a body that is none): a teacher that
is paid is asked few until it has answered, and few in a row that bring nothing are enough to stop for a while."""

from __future__ import annotations

FEW = 4  # in flight before the first answer; in a row that are enough


class InVain:
    """Of one teacher. careful: it is paid.  row: of these since its last reply; at_risk: nano-dollars that they may cost."""

    def __init__(self, careful: bool) -> None:
        self._careful, self._heard, self._shaky = careful, 0, False
        self.row = self.at_risk = 0

    def room(self, limit: int) -> int:
        """How many may be in flight at once: `limit` as soon as it has answered; after a stop more with each answer."""
        if not self._careful or (self._heard and not self._shaky):
            return limit
        return max(1, min(limit, FEW * max(1, self._heard) - self.row))

    def spoke(self) -> None:
        """It answered, if only that it refuses a request: nobody is billed."""
        self._heard += 1

    def good(self) -> None:
        """A whole reply."""
        self.spoke()
        self.row = self.at_risk = 0

    def lost(self, nanodollars: int) -> bool:
        """One more; answers whether it is time to stop."""
        self.row += 1
        self.at_risk += nanodollars
        return self.row >= FEW

    def stop(self) -> int:
        """Answers how often it had answered since the last stop."""
        heard, self._heard, self._shaky = self._heard, 0, True
        return heard
