"""A filter of the user's own: a function of a row that answers why it is dropped, or None."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from alpaca_pipe.core.errors import UserError, first_line
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.own_function import OwnFunction

SECONDS = 10  # for one row: a filter that needs longer would need a day for 10,000


class _TooLong(BaseException):
    """Not an Exception, so that the user's own `except Exception` does not swallow it."""


@dataclass(frozen=True)
class OwnFilter:
    """Calls the function on a row as a dict: id, instruction, input, output, system, messages (a conversation's, else empty)
    and origin. What it prints goes to the error stream, beside our own output. Raises UserError, which names the row, where it
    raises, answers something else, or takes longer than 10 seconds."""

    named: OwnFunction

    def __call__(self, example: Example) -> str | None:
        function = self.named.load
        try:
            with contextlib.redirect_stdout(sys.stderr), _at_most(SECONDS):
                said = function(_row(example))
        except _TooLong:
            raise self._fault(example, f"took longer than {SECONDS} s") from None
        except (Exception, SystemExit) as error:  # noqa: BLE001  it is the user's code
            told = f"raised {type(error).__name__}: {first_line(error)}"
            raise self._fault(example, told) from None
        if said is None or (isinstance(said, str) and said.strip()):
            return said and " ".join(said.split())
        raise self._fault(example, f"answered {said!r:.60}, neither None nor a reason in words")

    def _fault(self, example: Example, what: str) -> UserError:
        where = f"row {example.id} ({example.origin.source})"
        return UserError(
            f"the filter {self.named.called} {what} at {where}",
            "fix it and run again: nothing was lost",
        )


def _row(example: Example) -> dict[str, Any]:
    return {"system": "", "messages": []} | example.to_row()


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raises _TooLong inside after so long; off the main thread, where no signal can be set, it waits."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(
        signal, "setitimer"
    ):
        yield
        return

    def end(number: int, frame: object) -> None:
        raise _TooLong

    before: Callable[..., Any] | int | None = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
