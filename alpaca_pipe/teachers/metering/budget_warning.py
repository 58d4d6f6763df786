"""Says once a run that four fifths of a budget are used, and once why batches get smaller then."""

from __future__ import annotations

from collections.abc import Callable

from alpaca_pipe.ledger.budget import WARN_AT, Caps
from alpaca_pipe.ledger.entries import Short
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.store.journal import Journal

_LOOKS = 25  # by as many parts of the smallest cap that were newly reserved


class BudgetWarning:
    """Looks at the balances each time that a 25th of the smallest cap was newly reserved, and at the first request."""

    def __init__(
        self,
        journal: Journal,
        caps: Caps,
        recipe: str,
        say: Callable[[str], None],
        by_batch: bool = False,
    ) -> None:
        self._journal, self._recipe, self._say = journal, recipe, say
        self._caps = list(caps.over("api"))
        self._part = min((cap.nanodollars for cap in self._caps), default=0) // _LOOKS
        self._unseen = self._part
        self._by_batch = by_batch  # online, room comes back within seconds

    def reserved(self, ceiling: int) -> None:
        """One more attempt is reserved."""
        if not self._caps:
            return
        self._unseen += ceiling
        if self._unseen < self._part:
            return
        self._unseen = 0
        for cap in list(self._caps):
            held = self._journal.totals(
                None if cap.everywhere else self._recipe, cap.run, class_=cap.class_
            )
            if (held.spent + held.open) * 100 >= WARN_AT * cap.nanodollars:
                lost = f", {shown(held.lost)} lost until reconciled" if held.lost else ""
                self._say(
                    cap.nearly_used(
                        f"{shown(held.settled)} settled{lost}, "
                        f"{shown(held.open)} held by what is in flight or lent",
                    )
                )
                self._caps.remove(cap)

    def no_room(self, short: Short) -> None:
        """A request waits for room."""
        if not self._by_batch:
            return
        self._by_batch = False
        self._say(
            f"{short.budget} has no room for more requests at once, for each is reserved at the most that it may cost "
            f"({shown(short.ceiling)}): the others wait until a batch is back, and batches get smaller as the cap nears; "
            "with a higher cap they go together"
        )
