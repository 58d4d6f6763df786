"""When a request that keeps failing ends the run, and what is said then."""

from __future__ import annotations

from alpaca_pipe.core.completion import Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.teachers.base import Failure
from alpaca_pipe.teachers.openai.error_mapping import without_keys
from alpaca_pipe.teachers.ratelimit.limiter import LONGEST_ASKED

_SHOWN = 60  # characters of a prompt, enough to find it by


class AskedInVain(UserError):
    """One request that failed as often as it may."""


def giving_up(
    failure: Failure, failures: int, lost: int, most: int, key: str, request: Request
) -> UserError | None:
    """What the run ends with after the n-th failure of a request; None where it is tried again. lost: nano-dollars that its
    tries may be billed."""
    too_long = failure.retry_after is not None and failure.retry_after > LONGEST_ASKED
    if failure.retry and failures < most and not too_long:
        return None
    if too_long:
        often = f"and asks to wait {failure.retry_after:.0f} seconds"
    elif failures > 1:
        often = f"{failures} times"
    else:
        often = "once" if failure.retry else "once, and trying again would not help"
    if failure.sent == "no":  # whatever was to be asked
        return UserError(
            f"the teacher failed {often}: {failure.what}",
            "see that it is up, and that `teacher.base_url` and the proxy are "
            "right, then run the same command again: every stored reply is kept",
        )
    begins = without_keys(request.messages[-1].content if request.messages else "")[:_SHOWN]
    billed = f"; up to {shown(lost)} may be billed for it, and is counted as spent" if lost else ""
    return AskedInVain(
        f"the teacher failed at a request {often}: {failure.what} (request {key}, '{begins}'){billed}",
        "run the same command later: every stored reply is kept and nothing is asked twice; where it is always this "
        "request, raise `teacher.max_attempts`, or change the seed or the prompt that it is made of",
    )
