"""Says once a run that four fifths of a budget are used, and once why batches get smaller then."""

from __future__ import annotations

from collections.abc import Callable

from alpaca_pipe.ledger.budget import WARN_AT, Cap, Caps
from alpaca_pipe.ledger.entries import Short, Totals
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.store.journal import Journal

_LOOKS = 25  # by as many parts of the smallest cap that were newly reserved or owed


class BudgetWarning:
    """Looks at the balances at the first request, each time that a 25th of the smallest cap was newly reserved or newly owed, and
    where no request is sent any more.

    Used is what is surely owed: settled, lost until reconciled, lent. What is in flight is reserved at the most that it may cost,
    mostly many times its cost: counted as used it would be four fifths of a small cap in a run's first second."""

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

    def moved(self, amount: int) -> None:
        """So much is newly reserved, or newly owed."""
        if not self._caps:
            return
        self._unseen += amount
        if self._unseen < self._part:
            return
        self._unseen = 0
        for cap in list(self._caps):
            held = self._held(cap)
            if (held.spent + held.lent) * 100 >= WARN_AT * cap.nanodollars:
                self._nearly(cap, held)

    def no_room(self, short: Short) -> None:
        """A request waits for room; or none can be sent any more, and a cap that is reached is nearly used too."""
        if not short.waiting:
            for cap in [cap for cap in self._caps if cap.key == short.budget]:
                self._nearly(cap, self._held(cap))
        if not self._by_batch or not short.waiting:
            return
        self._by_batch = False
        self._say(
            f"{short.budget} has no room for more requests at once, for each is reserved at the most that it may cost "
            f"({shown(short.ceiling)}): the others wait until a batch is back, and batches get smaller as the cap nears; "
            "with a higher cap they go together"
        )

    def _held(self, cap: Cap) -> Totals:
        return self._journal.totals(
            None if cap.everywhere else self._recipe, cap.run, class_=cap.class_
        )

    def _nearly(self, cap: Cap, held: Totals) -> None:
        lost = f", {shown(held.lost)} lost until reconciled" if held.lost else ""
        lent = f", {shown(held.lent)} lent to another machine" if held.lent else ""
        flying = held.open - held.lent
        more = f"; {shown(flying)} more at most for what is in flight" if flying else ""
        self._caps.remove(cap)
        self._say(cap.nearly_used(f"{shown(held.settled)} settled{lost}{lent}{more}"))
