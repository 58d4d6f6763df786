"""Two machines, one budget: whatever is packed, spent, forged, given up and killed in whatever order, the sums hold."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.pack.import_results import give_up
from alpaca_pipe.recipe.schema import Recipe, load_recipe
from tests.attack.examples import EXAMPLES
from tests.attack.forging import sealed, taken_apart
from tests.ledger.rows import MINI
from tests.pack.places import CATALOG, GREETING, Place
from tests.pack.test_kill import killed_at

TOTAL, API = 10 * NANO, 4 * NANO  # as tests/pack/places.py has them
dollars = st.integers(1, 300).map(lambda cents: cents / 100)
anything: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["../x", "{}", "lent", "correction", "released", "sh"])
)


@cache
def begun(stage: int) -> Path:
    """home/ and away/ at the beginning of a road: 0 the first step is made, 1 packed, 2 unpacked there, 3 spent there and packed
    for the way back."""
    folder = Path(tempfile.mkdtemp(prefix="packs-"))
    if stage:
        shutil.copytree(begun(stage - 1), folder, dirs_exist_ok=True)
    home, away = Place(folder / "home"), Place(folder / "away")
    os.environ.setdefault("TOY_COUNTS", os.devnull)
    if stage == 0:
        Place.home(folder / "home").run(until="sow")
        Place.away(folder / "away")
    elif stage == 1:
        home.pack(gpu=3 * NANO, api=2 * NANO)
    elif stage == 2:
        away.unpack(home.folder / "field.tar.zst")
    else:
        away.ask("first", 0.5)
        away.results(replies=True)
    return folder


class TwoMachines(RuleBasedStateMachine):
    """A home that lends, and a machine that spends. Each command may be killed before any act on the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="two-"))
        self.home, self.away = Place(self.folder / "home"), Place(self.folder / "away")
        self.asked, self.least = 0, 0

    @initialize(stage=st.sampled_from([0, 1, 2, 3, 3]))
    def anywhere_on_the_road(self, stage: int) -> None:
        shutil.copytree(begun(stage), self.folder, dirs_exist_ok=True)

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pack(self) -> Path:
        return self.home.folder / "field.tar.zst"

    @property
    def results(self) -> Path:
        return self.away.folder / "field-results.tar.zst"

    def tried(self, work: Any, killed: int | None) -> bool:
        """Whether a command was done; one that is refused is refused in a sentence."""
        if killed is not None:
            killed_at(killed, work)
            return False
        try:
            work()
        except UserError as error:
            assert error.what
            return False
        return True

    def asks(self, place: Place, dollars: float) -> None:
        """A paid request, under all caps that hold there."""
        self.asked += 1
        key, cost = f"r1-{place.folder.name}{self.asked}", round(dollars * NANO)
        reply = Completion("text", "stop", Usage(1, 0, 0, 1))
        with place.at(), Journal.open(place.workspace.ledger) as journal:
            caps = place.workspace.caps(recipe_of(place.folder / "field.yaml"))
            got = journal.reserve(
                key, cost, MINI, caps, recipe="field", run=key[3:], stage="sow"
            ).result()
            if isinstance(got, Attempt):
                journal.settle(got, reply, cost, request=GREETING, teacher={}).result()

    kills = st.none() | st.integers(0, 60)

    @rule(cost=dollars)
    def home_asks(self, cost: float) -> None:
        self.asks(self.home, cost)

    @precondition(lambda self: (self.away.folder / "field.yaml").exists())
    @rule(cost=dollars)
    def away_asks(self, cost: float) -> None:
        self.asks(self.away, cost)

    @rule(gpu=st.integers(0, 6), api=st.integers(0, 4), killed=kills)
    def home_packs(self, gpu: int, api: int, killed: int | None) -> None:
        self.tried(lambda: self.home.pack(gpu=gpu * NANO, api=api * NANO), killed)

    @precondition(lambda self: self.pack.exists())
    @rule(killed=kills)
    def away_unpacks(self, killed: int | None) -> None:
        self.tried(lambda: self.away.unpack(self.pack), killed)

    @precondition(lambda self: (self.away.folder / "runs").exists())
    @rule(killed=kills)
    def away_packs(self, killed: int | None) -> None:
        self.tried(lambda: self.away.results(replies=True), killed)

    @precondition(lambda self: self.results.exists())
    @rule(killed=kills)
    def home_unpacks(self, killed: int | None) -> None:
        self.tried(lambda: self.home.unpack(self.results), killed)

    @precondition(lambda self: self.pack.exists())
    @rule()
    def home_gives_up(self) -> None:
        def work() -> None:
            with self.home.at():
                give_up(str(self.pack), None, self.home.workspace)

        self.tried(work, None)

    @precondition(lambda self: self.results.exists())
    @rule(data=st.data())
    def a_forger_comes(self, data: st.DataObject) -> None:
        parts = taken_apart(self.results, self.folder / "parts")
        rows = parts.rows("books.jsonl")
        if not rows:
            return
        row = rows[data.draw(st.integers(0, len(rows) - 1))]["row"]
        row[data.draw(st.sampled_from(sorted(row)))] = data.draw(anything)
        parts.files["books.jsonl"] = b"".join(json.dumps(one).encode() + b"\n" for one in rows)
        file = sealed(parts, self.folder / "forged.tar.zst")
        home = Place(self.folder / "copy")
        shutil.rmtree(home.folder, ignore_errors=True)
        shutil.copytree(self.home.folder, home.folder)
        before, spent = rows_of(home), home.totals().settled
        done = self.tried(lambda: home.unpack(file), None)
        after = rows_of(home)
        assert before <= after and (done or before == after)
        assert home.totals().settled >= spent

    @invariant()
    def no_cap_is_passed_and_nothing_settled_is_lost(self) -> None:
        spent: dict[tuple[str, str], int] = {}
        for place in (self.home, self.away):
            if not place.workspace.ledger.exists():
                continue
            with place.at(), Journal.open(place.workspace.ledger) as journal:
                spent |= {
                    (entry.name, entry.class_): entry.nanodollars
                    for entry in journal.entries()
                    if entry.kind == "settled"
                }
                if place is self.home:
                    here = journal.totals()
                    assert here.spent + here.open <= TOTAL and here.settled >= self.least
                    self.least = here.settled
        assert sum(spent.values()) <= TOTAL
        assert sum(cost for (_, class_), cost in spent.items() if class_ == "api") <= API


@cache
def _read(text: str, file: Path) -> Recipe:
    return load_recipe(str(file), CATALOG)


def recipe_of(file: Path) -> Recipe:
    """As it stands there, read once: what changes is its share, which is in the ledger."""
    return replace(_read(file.read_text(), file), files=(file,))


def rows_of(place: Place) -> set[str]:
    with place.at(), Journal.open(place.workspace.ledger) as journal:
        journal.check()
        return set(map(str, journal.entries()))


def test_two_machines_whatever_is_forged_or_killed() -> None:
    run_state_machine_as_test(
        TwoMachines,
        settings=settings(
            max_examples=EXAMPLES if EXAMPLES > 1000 else 6,
            stateful_step_count=8,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
