"""`alpaca-pipe ledger reconcile FILE`: our books against the provider's own.

A file whose rows name our attempts is compared line by line (by_attempt.py), another by day and line item (by_day.py).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo, echo_json
from alpaca_pipe.ledger.money import NANO, exactly
from alpaca_pipe.ledger.reconcile import by_attempt, by_day
from alpaca_pipe.ledger.reconcile.by_attempt import FAULTS, AttemptComparison
from alpaca_pipe.ledger.reconcile.provider_exports import ProviderBooks, read_books
from alpaca_pipe.ledger.statements.statement import aligned
from alpaca_pipe.ledger.store.journal import Journal

_CENT = Fraction(NANO, 100)  # a line of a day: providers round and cut days their own way
_AGREES = ("equal", *FAULTS)  # the others are lost or under way here
_SHOWN = 10  # attempts that are named one by one


@dataclass(frozen=True)
class Tolerance:
    """What may differ: nano-dollars, or (of_theirs) a share of the provider's amount."""

    amount: Fraction
    of_theirs: bool = False

    @classmethod
    def read(cls, text: str) -> Tolerance:
        """`0.01` are dollars, `0.5%` is a share. Raises UserError."""
        try:
            figure = Decimal(text.strip().removeprefix("$").removesuffix("%"))
        except InvalidOperation:
            figure = Decimal(-1)
        if not figure.is_finite() or figure < 0:
            raise UserError(
                f"the tolerance '{text}' is neither dollars nor a percentage",
                "write it like 0.01 or 0.5%",
            )
        return (
            cls(Fraction(figure) / 100, True)
            if text.strip().endswith("%")
            else cls(Fraction(figure) * NANO)
        )

    @property
    def words(self) -> str:
        """As the end of a sentence: "within $0.01 a line"."""
        if self.of_theirs:
            return f"within {float(self.amount * 100):g}% of each line"
        return (
            f"within ${float(self.amount / NANO):g} a line" if self.amount else "to the nano-dollar"
        )


@dataclass(frozen=True)
class Reconciliation:
    """What came out. text: for people. faults: each a sentence; empty where the books agree. found: line by line.
    written: rows by kind. agreed: how closely
    they agree; empty where nothing was compared."""

    text: tuple[str, ...]
    faults: tuple[str, ...]
    found: tuple[AttemptComparison, ...] = ()
    written: tuple[tuple[str, int], ...] = ()
    agreed: str = ""

    @property
    def findings(self) -> Counter[str]:
        return Counter(compared.finding for compared in self.found)

    def to_row(self) -> dict[str, Any]:
        return {
            "agree": not self.faults,
            "faults": self.faults,
            "findings": dict(self.findings),
            "written": dict(self.written),
            "text": self.text,
        }


def print_reconciliation(
    path: Path,
    file: Path,
    tolerance: str | None = None,
    write: bool = False,
    complete: bool = False,
    as_json: bool = False,
) -> None:
    """Prints both books side by side. Raises UserError where they differ by more than the tolerance."""
    allowed = Tolerance.read(tolerance) if tolerance is not None else None
    done = reconcile(path, file, allowed, write=write, complete=complete)
    if as_json:
        echo_json(done.to_row())
    else:
        echo("\n".join(done.text))
    if done.faults:
        raise UserError(
            f"the books differ: {'; '.join(done.faults)}",
            "look at the lines above; --tolerance sets what may differ, --write enters what the file says "
            "about single attempts",
        )
    if done.agreed and not as_json:
        echo(done.agreed)


def reconcile(
    path: Path,
    file: Path,
    tolerance: Tolerance | None = None,
    *,
    write: bool = False,
    complete: bool = False,
) -> Reconciliation:
    """Holds the ledger at `path` against a provider's file.

    tolerance: of each line; by default a cent by day, nothing line by line.  write: enter what the file says about
    attempts that were lost or that differ; after that they agree.  complete: the file holds all that the provider
    charged on its days.  Raises UserError: no ledger, a file that cannot be used, `write` where it names no attempt.
    """
    if not path.exists():
        raise UserError(
            f"there is no ledger at {path}", "run a recipe first, or name the workspace with --runs"
        )
    books = read_books(file)
    if complete and books.partial:
        raise UserError(
            f"{file} is not complete: it says that there are more pages",
            "add them (has_more, next_page)",
        )
    if write and books.rows and not books.by_attempt:
        raise UserError(
            f"{file} names no attempt of ours, so there is nothing that could be entered",
            "leave --write out, or export the books with the X-Client-Request-Id of each request",
        )
    allowed = tolerance or Tolerance(Fraction(0) if books.by_attempt else _CENT)
    with Journal.open(path, read_only=not write) as journal:
        if not books.rows and not books.providers:
            done = _empty(journal, file)
        elif books.by_attempt:
            done = _line_by_line(journal, books, file, allowed, write, complete)
        else:
            done = _day_by_day(journal, books, allowed)
        if write:
            journal.check()
    return done


def _empty(journal: Journal, file: Path) -> Reconciliation:
    settled = journal.totals(class_="api").settled
    faults = (
        (f"{file.name} holds no charges, the ledger has ${exactly(settled)}",) if settled else ()
    )
    return Reconciliation((f"{file.name} holds no charges",), faults)


def _line_by_line(
    journal: Journal,
    books: ProviderBooks,
    file: Path,
    tolerance: Tolerance,
    write: bool,
    complete: bool,
) -> Reconciliation:
    found = by_attempt.compare(journal, books, complete)
    written, before = (
        by_attempt.write(journal, found, file.name) if write else (Counter[str](), frozenset[str]())
    )
    entered = {compared.name for compared in found if write and compared.writes} - before
    beyond = [
        compared
        for compared in found
        if compared.finding in FAULTS
        and compared.name not in entered
        and _past(compared.theirs - compared.ours, compared.theirs, tolerance)
    ]
    by_line: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 4)
    for compared in found:
        line = by_line[compared.day or "-", compared.model or "-"]
        for place, amount in enumerate((1, compared.theirs, compared.ours, compared.lost)):
            line[place] += amount
    rows = [["day", "model", "attempts", "theirs", "ours", "difference", "lost here (at most)"]]
    rows += [
        [*key, f"{count:,}", *_dollars(theirs, ours, theirs - ours, lost)]
        for key, (count, theirs, ours, lost) in sorted(by_line.items())
    ]
    text = aligned(rows, left=2)
    counts = Counter(compared.finding for compared in found)
    text.append(
        "; ".join(f"{count:,} {finding}" for finding, count in counts.most_common())
        + _other_rows(books)
    )
    text += [
        f"  {odd.name}: {odd.finding}, theirs ${exactly(odd.theirs)}, ours ${exactly(odd.ours)}"
        for odd in beyond[:_SHOWN]
    ]
    if len(beyond) > _SHOWN:
        text.append(f"  and {len(beyond) - _SHOWN:,} more")
    if before:
        text.append(
            f"left as they are: {_attempts(len(before))} that an earlier bill corrected; an attempt is corrected "
            "once, from the final bill"
        )
    if write:
        rows_of = [f"{count:,} {kind}" for kind, count in sorted(written.items())]
        text.append(f"written: {', '.join(rows_of) or 'nothing'}")
    faults = Counter(compared.finding for compared in beyond)
    said = [f"{_attempts(count)}: {finding}" for finding, count in faults.items()]
    if again := sum(compared.name in before for compared in beyond):
        said.append(
            f"{_attempts(again)} corrected before: nothing was written for {'it' if again == 1 else 'them'}"
        )
    return Reconciliation(
        tuple(text),
        tuple(said),
        tuple(found),
        tuple(sorted(written.items())),
        _agreed(
            tolerance,
            sum(
                compared.finding not in _AGREES and compared.name not in entered
                for compared in found
            ),
            bool(written),
        )
        if found
        else "",
    )


def _day_by_day(journal: Journal, books: ProviderBooks, tolerance: Tolerance) -> Reconciliation:
    sides = by_day.compare(journal, books)
    beyond = by_day.unexplained(sides.shares, tolerance.amount, tolerance.of_theirs)
    rows = [["day", "line item", "theirs", "ours", "difference", "lost here (at most)", ""]]
    for share in sides.shares:
        past = _past(share.difference, share.theirs, tolerance)
        verdict = "differs" if share in beyond else "explained by what is lost" if past else ""
        rows.append(
            [
                share.day,
                share.item,
                *_dollars(share.theirs, share.ours, share.difference, share.lost),
                verdict,
            ]
        )
    text = aligned(rows, left=2)
    if sides.strangers:
        total = sum(sides.strangers.values())
        text.append(
            f"left out: ${exactly(total)} for what this ledger never asked for: {', '.join(sides.strangers)}"
        )
    if sides.elsewhere:
        others = (f"{provider} ${exactly(amount)}" for provider, amount in sides.elsewhere.items())
        text.append(f"not in this file's scope: {', '.join(others)}")
    if books.partial:
        text.append("the file says that there are more pages: its days may be cut short")
    text += [line] if (line := _other_rows(books).lstrip("; ")) else []
    return Reconciliation(
        tuple(text),
        tuple(f"{share.day} {share.item} by ${exactly(share.difference)}" for share in beyond),
        agreed=_agreed(tolerance) if sides.shares else "",
    )


def _agreed(tolerance: Tolerance, apart: int = 0, written: bool = False) -> str:
    """The last sentence where nothing is beyond the tolerance. apart: attempts that are lost or under way here."""
    return (
        f"{'with these rows ' if written else ''}the books agree {tolerance.words}"
        f"{f', apart from {_attempts(apart)} lost or under way here' if apart else ''}"
    )


def _attempts(count: int) -> str:
    return f"{count:,} attempt{'' if count == 1 else 's'}"


def _past(difference: int, theirs: int, tolerance: Tolerance) -> bool:
    return abs(difference) > (
        tolerance.amount * abs(theirs) if tolerance.of_theirs else tolerance.amount
    )


def _other_rows(books: ProviderBooks) -> str:
    others = dict(books.left_out)
    if books.by_attempt and (nameless := sum(not row.name for row in books.rows)):
        others["rows without the name of an attempt"] = nameless
    return "".join(f"; {count:,} {what} left out" for what, count in others.items())


def _dollars(*amounts: int) -> list[str]:
    return [exactly(amount) if amount else "0" for amount in amounts]
