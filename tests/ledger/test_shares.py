"""Shares: two machines never spend the same dollar, whatever happens in whatever order, and nothing is forgotten."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger import budget_shares
from alpaca_pipe.ledger.budget import Caps, OverBudget
from alpaca_pipe.ledger.budget_shares import BudgetShare
from alpaca_pipe.ledger.entries import Attempt, Short, Totals
from alpaca_pipe.ledger.machine import lease
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.statements.statement import print_statement
from alpaca_pipe.ledger.store.connection import machine_id, same_machine
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.store.merge_ledgers import union
from tests.ledger.conftest import Book

CAPS = Caps(total=10 * NANO, api=4 * NANO, gpu=8 * NANO)


def lend(
    journal: Journal,
    gpu: int | None = None,
    api: int | None = None,
    caps: Caps = CAPS,
    recipe: str = "alpaca",
    file: str = "alpaca.tar.zst",
) -> BudgetShare:
    return journal.write(
        lambda db: budget_shares.lend(
            db, caps, recipe, journal.machine, gpu=gpu, api=api, stage="train", file=file
        )
    ).result()


def events(journal: Journal, share: BudgetShare) -> set[str]:
    with journal.read() as db:
        return next(
            set(found) for one, found in budget_shares.lent_shares(db) if one.id == share.id
        )


def spent(journal: Journal, key: str, cost: int, caps: Caps, class_: str = "gpu") -> object:
    book = Book(journal)
    attempt = journal.reserve(
        key, cost, book.price, caps, recipe="alpaca", run="r", stage="train", class_=class_
    ).result()  # type: ignore[arg-type]
    if isinstance(attempt, Attempt):
        book.settle(attempt, cost)
    return attempt


def test_a_share_is_reserved_below_every_cap_and_no_time_ends_it(book: Book) -> None:
    share = lend(book.journal, gpu=5 * NANO, api=1 * NANO)
    assert book.journal.totals("alpaca") == Totals(open=6 * NANO, lent=6 * NANO)
    assert book.journal.recover("alpaca") == 0 and book.journal.unfinished() == []
    book.journal.write(lambda db: lease.recover(db, "alpaca", book.journal.machine)).result()
    assert book.journal.totals("alpaca").lent == 6 * NANO
    short = book.reserve("r1-a", 4 * NANO, CAPS)
    assert isinstance(short, Short) and (short.budget, short.lent, short.waiting) == (
        "budget.api",
        NANO,
        False,
    )
    assert "$1.00 lent to other machines" in str(OverBudget(short, Totals()))
    short = book.reserve("r1-a", 2 * NANO, Caps(everywhere=Caps(total=7 * NANO)))
    assert isinstance(short, Short) and short.budget == "workspace budget.total"
    book.journal.write(lambda db: budget_shares.come_back(db, share, "m2")).result()
    assert book.journal.totals("alpaca") == Totals()
    book.journal.check()


def test_all_that_is_left_goes_along_where_nothing_is_said(book: Book) -> None:
    book.settle(book.opened("r1-a", 3 * NANO), 3 * NANO)
    share = lend(book.journal)
    assert (share.gpu, share.api) == (7 * NANO, 0)  # of total 10, not of gpu 8
    with pytest.raises(
        UserError,
        match=r"nothing is left of budget.total \(\$10.00\) to share, \$7.00 is lent already",
    ):
        lend(book.journal)
    with pytest.raises(
        UserError, match=r"a share of \$1.00 does not fit: \$0.0000 is left of budget.total"
    ):
        lend(book.journal, gpu=0, api=NANO)
    with pytest.raises(
        UserError, match=r"a share of \$4.00 does not fit: \$1.00 is left of budget.api"
    ):
        lend(book.journal, gpu=0, api=4 * NANO, caps=Caps(api=4 * NANO))
    free = lend(book.journal, gpu=0)
    assert (free.gpu, free.api) == (0, 0)
    unbound = lend(book.journal, caps=Caps())
    assert (unbound.gpu, unbound.api, unbound.caps()) == (None, 0, Caps(api=0))


def test_the_other_machine_spends_its_share_and_not_more(book: Book, tmp_path: Path) -> None:
    share = lend(book.journal, gpu=5 * NANO)
    with Journal.open(tmp_path / "away.sqlite") as away:

        def caps() -> Caps:
            return Caps(share=budget_shares.caps_of(away.path, "alpaca"))

        assert caps().share is None
        assert away.write(lambda db: budget_shares.receive(db, share, {})).result()
        assert not away.write(lambda db: budget_shares.receive(db, share, {})).result()
        assert isinstance(spent(away, "l-1", 4 * NANO, caps()), Attempt)
        short = spent(away, "l-2", 2 * NANO, caps())
        assert isinstance(short, Short) and short.budget == "share.gpu"
        assert "pack a larger share where the recipe came from" in str(OverBudget(short, Totals()))
        short = spent(away, "r1-a", 1, caps(), "api")
        assert isinstance(short, Short) and short.budget == "share.api"
        away.write(lambda db: budget_shares.close(db, "alpaca")).result()
        assert isinstance(spent(away, "l-3", 1, caps()), Short)  # a dollar was left, and went back
        assert isinstance(spent(away, "l-4", 0, caps()), Attempt)
        with pytest.raises(UserError, match="its share went back with the results"):
            away.write(lambda db: budget_shares.receive(db, share, {})).result()
        second = lend(book.journal, gpu=2 * NANO)
        away.write(lambda db: budget_shares.receive(db, second, {})).result()
        assert isinstance(spent(away, "l-5", 2 * NANO, caps()), Attempt)
        assert isinstance(spent(away, "l-6", 1, caps()), Short)


def test_two_workspaces_of_one_machine_are_two_in_the_books(book: Book, tmp_path: Path) -> None:
    share = lend(book.journal, gpu=NANO)
    assert isinstance(spent(book.journal, "r1-a", 5, Caps()), Attempt)
    names = {book.journal.machine}
    for place in ("away", "there too"):  # with one pack
        with Journal.open(tmp_path / f"{place}.sqlite") as away:
            assert away.machine == book.journal.machine == machine_id()
            away.write(lambda db: budget_shares.receive(db, share, {})).result()
        with Journal.open(tmp_path / f"{place}.sqlite") as away:
            assert same_machine(away.machine, machine_id())
            names.add(away.machine)
            assert isinstance(spent(away, "r1-a", 7, Caps()), Attempt)  # the same request in all
            book.journal.write(lambda db, away=away: union(db, away, book.journal.path)).result()  # type: ignore[misc]
    assert len(names) == 3
    assert book.journal.totals("alpaca").settled == 19


def test_refused_where_it_does_not_belong(book: Book, tmp_path: Path) -> None:
    share = lend(book.journal, gpu=NANO)
    with pytest.raises(
        UserError, match="was made in this workspace - unpack it on the other machine"
    ):
        book.journal.write(lambda db: budget_shares.receive(db, share, {})).result()
    with Journal.open(tmp_path / "away.sqlite") as away:
        spent(away, "r1-a", 7, Caps())
        with pytest.raises(UserError, match="has runs of its own of a recipe called 'alpaca'"):
            away.write(lambda db: budget_shares.receive(db, share, {})).result()


def test_a_tighter_cap_is_met_by_both(book: Book) -> None:
    """The cap of the workspace lies below the recipe's: what is left of that one is what is lent."""
    share = lend(book.journal, caps=Caps(gpu=9, everywhere=Caps(total=5)))
    assert (share.gpu, share.api) == (5, 0)


@pytest.mark.parametrize(("told", "counts"), [(None, (0, 5)), (2, (2, 0)), (0, (0, 0))])
def test_a_share_that_is_given_up(book: Book, told: int | None, counts: tuple[int, int]) -> None:
    share = lend(book.journal, gpu=3, api=2)
    book.journal.write(lambda db: budget_shares.give_up(db, share, told)).result()
    totals = book.journal.totals("alpaca")
    assert ((totals.settled, totals.lost), totals.open, totals.lent) == (counts, 0, 0)
    with pytest.raises(UserError, match="was given up already"):
        book.journal.write(lambda db: budget_shares.give_up(db, share, 0)).result()
    assert book.journal.write(
        lambda db: budget_shares.come_back(db, share, "m2")
    ).result()  # it came all the same
    assert not book.journal.write(lambda db: budget_shares.come_back(db, share, "m2")).result()
    assert book.journal.totals("alpaca") == Totals()
    book.journal.check()


def test_it_is_shown_apart(book: Book, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    share = lend(book.journal, gpu=3 * NANO)
    book.opened("r1-a", 1 * NANO)
    for by in (None, "day", "class", "machine"):
        print_statement(path, "alpaca", by)  # type: ignore[arg-type]
        said = capsys.readouterr().out
        assert "$3.00" in said and "lent" in said, said
    assert (
        f"lent with alpaca.tar.zst: $3.00 for the machine, until its results are unpacked (or `alpaca-pipe unpack {share.id} --give-up`)"
        in said
    )
    print_statement(path, None, None, as_json=True)
    assert f'"id": "{share.id}"' in capsys.readouterr().out


class Away:
    """Another machine: its ledger, the shares that it has, and what it was told to send."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.open: list[BudgetShare] = []
        self.closed: list[BudgetShare] = []

    def left(self, known: set[str], recipe: str | None, class_: str | None) -> int:
        """What was spent or is held here and is not in the books at home yet."""
        return sum(
            entry.nanodollars - entry.frees
            for entry in self.journal.entries(recipe)
            if class_ in (None, entry.class_) and entry.name + entry.kind not in known
        )


RECIPES = ("vet", "law")
OWN = Caps(total=100, api=60, gpu=80, everywhere=Caps(total=150, gpu=120))


class Machines(RuleBasedStateMachine):
    """A laptop and two rented machines, two recipes, and everything that can happen between them."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.home = Journal.open(self.folder / "home.sqlite")
        self.away = [Away(Journal.open(self.folder / f"away{n}.sqlite")) for n in (1, 2)]
        for number, away in enumerate(self.away):
            away.journal.machine = (
                f"away-{number}"  # as a workspace is called that a pack was unpacked in
            )
        self.running: list[tuple[Journal, Attempt]] = []
        self.sent: list[BudgetShare] = []
        self.count = 0

    def teardown(self) -> None:
        for journal in (self.home, *(away.journal for away in self.away)):
            journal.check()
            journal.close()
        shutil.rmtree(self.folder)

    @rule(
        where=st.sampled_from([0, 1, 2]),
        amount=st.integers(0, 70),
        recipe=st.sampled_from(RECIPES),
        class_=st.sampled_from(["api", "gpu"]),
    )
    def reserve(self, where: int, amount: int, recipe: str, class_: Any) -> None:
        journal = self.home if where == 0 else self.away[where - 1].journal
        if where == 0 or any(
            share.recipe == recipe
            for share in (*self.away[where - 1].open, *self.away[where - 1].closed)
        ):
            self._reserve(journal, where, amount, recipe, class_)

    @rule(where=st.sampled_from([0, 1, 2]), recipe=st.sampled_from(RECIPES))
    def spend_all(self, where: int, recipe: str) -> None:
        """Whoever may, takes what it gets, down to the last nano-dollar."""
        for class_ in ("gpu", "api"):
            for amount in (64, 32, 16, 8, 4, 2, 1):
                before = len(self.running)
                self.reserve(where, amount, recipe, class_)
                for journal, attempt in self.running[before:]:
                    Book(journal).settle(attempt, attempt.ceiling)
                del self.running[before:]

    def _reserve(self, journal: Journal, where: int, amount: int, recipe: str, class_: Any) -> None:
        self.count += 1
        caps = OWN if where == 0 else Caps(share=budget_shares.caps_of(journal.path, recipe))
        got = journal.reserve(
            f"r1-{self.count}",
            amount,
            Book(journal).price,
            caps,
            recipe=recipe,
            run="run",
            stage="s",
            class_=class_,
        ).result()
        if isinstance(got, Attempt):
            self.running.append((journal, got))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        journal, attempt = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        match data.draw(st.sampled_from(["settle", "lose", "release"])):
            case "settle":
                Book(journal).settle(attempt, data.draw(st.integers(0, attempt.ceiling)))
            case "lose":
                journal.lose(attempt).result()
            case _:
                journal.release(attempt).result()

    @rule(
        recipe=st.sampled_from(RECIPES),
        gpu=st.one_of(st.none(), st.integers(0, 90)),
        api=st.integers(0, 30),
    )
    def pack(self, recipe: str, gpu: int | None, api: int) -> None:
        with suppress(UserError):  # nothing is left
            self.sent.append(lend(self.home, gpu, api, OWN, recipe))

    @precondition(lambda self: self.sent)
    @rule(where=st.sampled_from([0, 1]), data=st.data())
    def unpack(self, where: int, data: st.DataObject) -> None:
        share, away = self.sent.pop(data.draw(st.integers(0, len(self.sent) - 1))), self.away[where]
        away.journal.write(lambda db: budget_shares.receive(db, share, {})).result()
        away.open.append(share)

    @rule(where=st.sampled_from([0, 1]), recipe=st.sampled_from(RECIPES), arrives=st.booleans())
    def pack_results(self, where: int, recipe: str, arrives: bool) -> None:
        """All runs of the recipe have ended there; the file arrives now, later (with the next one), or never."""
        away = self.away[where]
        for journal, attempt in [
            one for one in self.running if one[0] is away.journal and one[1].recipe == recipe
        ]:
            journal.lose(attempt).result()
            self.running.remove((journal, attempt))
        mine = away.journal.write(lambda db: budget_shares.close(db, recipe)).result()
        away.closed += [share for share in away.open if share.recipe == recipe]
        away.open = [share for share in away.open if share.recipe != recipe]
        if arrives and mine:
            self.arrive(away, mine)

    def arrive(self, away: Away, mine: list[BudgetShare]) -> None:
        def work(db: Any) -> None:
            union(db, away.journal, self.home.path)
            for share in mine:
                budget_shares.come_back(db, share, away.journal.machine)

        self.home.write(work).result()

    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """Of a machine that still works, or of a pack that nobody unpacked: all of it may be spent there yet."""
        with self.home.read() as db:
            out = budget_shares.out(db)
        if out:
            share = data.draw(st.sampled_from(out))
            told = 0 if share in self.sent else None
            self.home.write(lambda db: budget_shares.give_up(db, share, told)).result()
            self.sent = [one for one in self.sent if one.id != share.id]

    @invariant()
    def no_dollar_is_spent_twice(self) -> None:
        if not hasattr(self, "home"):
            return
        known = {entry.name + entry.kind for entry in self.home.entries()}
        for recipe in (None, *RECIPES):
            for class_ in (None, "api", "gpu"):
                cap = getattr(OWN if recipe else OWN.everywhere, class_ or "total")
                held = self.home.totals(recipe, class_=class_)  # type: ignore[arg-type]
                assert cap is None or held.spent + held.open <= cap
                here = held.spent + held.open - held.lent - self.unknown(recipe, class_)
                assert (
                    cap is None
                    or here + sum(away.left(known, recipe, class_) for away in self.away) <= cap
                )

    def unknown(self, recipe: str | None, class_: str | None) -> int:
        """What counts as lost at home because a share was given up: what was spent of it is counted at the other machine."""
        return sum(
            entry.nanodollars
            if entry.kind == "lost"
            else -entry.frees
            if entry.kind == "reconciled"
            else 0
            for entry in self.home.entries(recipe)
            if budget_shares.is_share(entry.request) and class_ in (None, entry.class_)
        )

    @rule()
    def all_come_home(self) -> None:
        """The merged books are the sum of all machines' own."""
        for where in (0, 1):
            for recipe in RECIPES:
                self.pack_results(where, recipe, True)
        own = [entry for entry in self.home.entries() if not budget_shares.is_share(entry.request)]
        parts = {
            entry.name + entry.kind: entry.nanodollars
            for away in self.away
            for entry in away.journal.entries()
        }
        here = {
            entry.name + entry.kind: entry.nanodollars
            for entry in own
            if entry.machine == self.home.machine
        }
        assert {entry.name + entry.kind: entry.nanodollars for entry in own} == parts | here
        assert self.home.totals().lent == sum(share.amount for share in self.sent)


TestMachines = Machines.TestCase
TestMachines.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
