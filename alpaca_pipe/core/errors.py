"""What a person is told when something is wrong: one sentence what, one sentence what to do."""

from __future__ import annotations

from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend. Shown without a traceback; the process exits with code 2.

    what: one sentence naming the place and the fault.  cure: one sentence saying what to do.
    """

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(f"{what} - {cure}" if cure else what)
        self.what = what
        self.cure = cure


class UserErrors(UserError):
    """All the errors of one input at once, in the order of their lines. what: a line each; cure: each once."""

    def __init__(self, errors: Iterable[UserError]) -> None:
        self.errors = tuple(errors)
        Exception.__init__(self, "\n".join(str(error) for error in self.errors))
        self.what = "\n".join(error.what for error in self.errors)
        self.cure = "; ".join(dict.fromkeys(error.cure for error in self.errors if error.cure))


def first_line(error: BaseException) -> str:
    """What a library's error says, short enough for a sentence of ours."""
    return str(error).strip().split("\n")[0] or type(error).__name__


class Stopped(Exception):
    """The run was asked to stop (Ctrl-C, SIGTERM, budget); what was under way is stored and resumes."""
