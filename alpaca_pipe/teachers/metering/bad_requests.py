"""Whether a refused request (400) is an answer to its prompt, or a mistake that all of them share: a wrong model, a field
that is not taken, a key without money."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from alpaca_pipe.core.completion import Completion
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.base import Fatal

_TOO_MANY = 20  # refusals in a row that say the same are not about their prompts
_FIGURE = re.compile(
    r"\S*\d\S*"
)  # amounts, dates and names of requests differ from one refusal to the next
_CURE = (
    "check `teacher.model` and the decoding fields of the stage; a field that the model does not take goes into "
    "`teacher.refuses`"
)


class BadRequests:
    """Refusals that come before any answer are held while others are under way; where all are refused, that is Fatal."""

    def __init__(
        self,
        heard: bool,
        ended: Callable[[], UserError | None],
        *,
        in_a_row: bool = True,
        others: Callable[[int], bool] = lambda held: False,
    ) -> None:
        """heard: it has answered before.  others: whether, beside so many that are held, others are about to be asked.  in_a_row: replies come in the order of asking, more or less; those of a batch
        do not, and may bring all refusals together."""
        self._heard = heard
        self._ended = ended
        self._counts, self._others, self._held = in_a_row, others, 0
        self._under_way: set[Any] = set()  # whose outcome is not known yet
        self._news = asyncio.Event()  # set, and replaced, when those who are held may look again
        self._said, self._row = "", 0

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def begin(self, turn: Any) -> None:
        self._under_way.add(turn)

    def end(self, turn: Any) -> None:
        self._under_way.discard(turn)
        self.look_if_idle()

    def look_if_idle(self) -> None:
        """One who was about to ask, and did not, leaves too."""
        if not self._under_way:
            self.look()

    def look(self) -> None:
        """Wakes those who are held: it answered, or nothing new is sent, or nothing is under way."""
        self._news.set()
        self._news = asyncio.Event()

    def stored(self, completion: Completion) -> None:
        """An answer of an earlier run tells too that the teacher answers."""
        if not refused_unread(completion):
            self._answers()

    def answered(self, completion: Completion, turn: Any) -> None:
        """One that is stored now, whatever it is."""
        if not refused_unread(completion):
            self._row = 0
            self._answers()
        self.end(turn)

    async def weigh(self, completion: Completion, turn: Any) -> None:
        """Of a refused request: returns when it counts as an answer; raises Fatal where nothing but refusals came, or the
        same one again and again."""
        self._count(completion.text)
        self._held += 1
        try:
            self.end(turn)
            while not self._heard:
                if (ended := self._ended()) is not None:
                    raise ended
                if not self._under_way and not self._others(self._held):
                    raise Fatal(
                        f"the teacher refused every request so far: {completion.text or 'it gives no reason'}",
                        _CURE,
                    )
                await self._news.wait()
        finally:
            self._held -= 1
        if self._counts and self._row >= _TOO_MANY:
            raise self._ended() or Fatal(
                f"the teacher refused {self._row} requests in a row with the same words: "
                f"{completion.text or 'it gives no reason'}",
                "fix what they say (money, a limit of the key, a field), then run again",
            )

    def _count(self, reason: str) -> None:
        said = _FIGURE.sub("#", reason)
        self._row = self._row + 1 if said == self._said else 1
        self._said = said

    def _answers(self) -> None:
        if not self._heard:
            self._heard = True
            self.look()


def refused_unread(completion: Completion) -> bool:
    """A 400, or a request that always failed: not billed, unlike a refusal that the model wrote."""
    return completion.finish in ("refused", "failed") and not (
        completion.usage.tokens_in or completion.usage.tokens_out
    )
