"""Two runs side by side, from what lies on disk: what was asked otherwise, which rows went and came, what it cost, what it
brought."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.run_names import PastRun
from alpaca_pipe.ledger.pricing.token_prices import CLASSES
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.plan import differences
from alpaca_pipe.report.bought import cost_of, in_parts, keys_behind
from alpaca_pipe.report.run_files import RunFiles, StageFiles, left
from alpaca_pipe.report.scores import Score, scores
from alpaca_pipe.teachers.config import TeacherTable


@dataclass(frozen=True)
class Change:
    """A key of the recipe; None: it has none there."""

    key: str
    was: Any
    now: Any


@dataclass(frozen=True)
class StepPair:
    """word: same, other, gone or new; why: what the identities have otherwise, a sentence each. minutes: None where the step was
    not sealed."""

    kind: str
    word: str
    why: tuple[str, ...]
    minutes: tuple[float | None, float | None]


@dataclass(frozen=True)
class Rows:
    """Rows as curate kept them (or generate, where curate has not run), by their ids."""

    was: int
    now: int
    same: int

    @property
    def gone(self) -> int:
        return self.was - self.same

    @property
    def came(self) -> int:
        return self.now - self.same


@dataclass(frozen=True)
class Bought:
    """What the rows of a run rest on. nanodollars: what their replies cost when they were bought, whichever run paid; None
    where the ledger is not here.  prices: model -> $ per million tokens by class, as they were used.  this_run: nano-dollars
    that this very run has spent, settled and lost."""

    requests: int
    nanodollars: int | None
    this_run: int | None
    tokens_in: int
    tokens_out: int
    models: tuple[str, ...]
    prices: Mapping[str, Mapping[str, str]]
    kept: int

    @property
    def each(self) -> float | None:
        """Nano-dollars for a kept row."""
        return self.nanodollars / self.kept if self.nanodollars is not None and self.kept else None


@dataclass(frozen=True)
class RunComparison:
    """first and second: as they were named. rules: stage -> rule -> rows that it dropped in each."""

    first: PastRun
    second: PastRun
    changes: tuple[Change, ...]
    steps: tuple[StepPair, ...]
    rows: Rows
    rules: Mapping[str, Mapping[str, tuple[int, int]]]
    bought: tuple[Bought, Bought]
    scores: tuple[Score, ...]
    not_compared: str  # why there is no paired score; "" where there is

    def to_row(self) -> dict[str, Any]:
        bought = [asdict(one) | {"a_kept_row": one.each} for one in self.bought]
        return {
            "first": self.first.name,
            "second": self.second.name,
            "changes": [asdict(one) for one in self.changes],
            "steps": [asdict(one) for one in self.steps],
            "rows": asdict(self.rows) | {"gone": self.rows.gone, "came": self.rows.came},
            "rules": {
                kind: {rule: list(pair) for rule, pair in rules.items()}
                for kind, rules in self.rules.items()
            },
            "bought": bought,
            "scores": [one.to_row() for one in self.scores],
            "not_compared": self.not_compared,
        }


def beside(first: PastRun, second: PastRun, workspace: Any) -> RunComparison:
    """Never raises for what is missing on the disk; what cannot be compared says so."""
    one, other = (left(workspace, run.recipe, run.row) for run in (first, second))
    kinds = list(dict.fromkeys([*one.steps, *other.steps]))
    ids = [_kept(found) for found in (one, other)]
    found, why = scores(one.step("evaluate"), other.step("evaluate"))
    return RunComparison(
        first,
        second,
        tuple(_changes(one.config, other.config)),
        tuple(_pair(kind, one.step(kind), other.step(kind)) for kind in kinds),
        Rows(len(ids[0]), len(ids[1]), len(ids[0] & ids[1])),
        dict(_rules(one, other)),
        (_bought(one, len(ids[0])), _bought(other, len(ids[1]))),
        found,
        why,
    )


def _changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    one, other = flat_config(was), flat_config(now)
    for key in dict.fromkeys([*one, *other]):
        if key != "name" and one.get(key) != other.get(key):
            yield Change(key, one.get(key), other.get(key))


def flat_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """`table.key` -> value, of a run's recipe."""
    return dict(_flat(_of_its_kind(config)))


def _of_its_kind(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Earlier versions wrote down the keys of all kinds of teacher, whichever was asked."""
    teacher = config.get("teacher") or {}
    table = TeacherTable.chosen(teacher)
    known = {field.alias or name for name, field in table.model_fields.items()}
    if table is TeacherTable or not teacher.keys() - known:
        return config
    return {**config, "teacher": {key: value for key, value in teacher.items() if key in known}}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _pair(kind: str, one: StageFiles, other: StageFiles) -> StepPair:
    why: tuple[str, ...] = ()
    minutes = tuple(step.done["seconds"] / 60 if step.sealed else None for step in (one, other))
    if not one.folder or not other.folder:
        word = "gone" if one.folder else "new" if other.folder else "not run"
    elif one.folder.name == other.folder.name:
        word = "same"
    elif one.identity and other.identity:
        word, why = "other", tuple(differences(one.identity, other.identity))
    else:
        word, why = "other", ("its identity is gone",)
    return StepPair(kind, word, why, (minutes[0], minutes[1]))


def _kept(found: RunFiles) -> set[str]:
    step = found.step("curate") if found.step("curate").sealed else found.step("generate")
    return {row["id"] for row in step.rows("examples.jsonl") if row.get("id")}


def _rules(one: RunFiles, other: RunFiles) -> Iterator[tuple[str, dict[str, tuple[int, int]]]]:
    for kind in ("generate", "curate"):
        was, now = (found.step(kind).summary.get("rejected") or {} for found in (one, other))
        if was or now:
            names = sorted(
                {*was, *now}, key=lambda rule: (-max(was.get(rule, 0), now.get(rule, 0)), rule)
            )
            yield kind, {rule: (was.get(rule, 0), now.get(rule, 0)) for rule in names}


def _bought(found: RunFiles, kept: int) -> Bought:
    generate, grade = (
        found.step("generate").summary,
        found.step("curate").summary.get("grade") or {},
    )
    asked = [generate, grade]
    cost, prices, this = _by_the_ledger(found, keys_behind(found))
    return Bought(
        sum(one.get("requests", 0) for one in asked),
        cost,
        this,
        sum(one.get("tokens_in", 0) for one in asked),
        sum(one.get("tokens_out", 0) for one in asked),
        tuple(generate.get("models") or ()),
        prices,
        kept,
    )


def _by_the_ledger(
    found: RunFiles, keys: Sequence[str]
) -> tuple[int | None, dict[str, Mapping[str, str]], int | None]:
    """What these requests have cost, all attempts of each; at which prices; and what the run itself has spent."""
    if not found.ledger.is_file():
        return None, {}, None
    prices: dict[str, str] = {}
    try:
        with Journal.open(found.ledger, read_only=True) as journal:
            with journal.read() as db:
                cost = cost_of(db, keys)
                for part in in_parts(keys):
                    marks = ",".join("?" * len(part))
                    prices |= dict(
                        db.execute(
                            f"{_PRICES} WHERE request IN ({marks}) AND e.kind = 'settled'", part
                        )
                    )
            this = journal.totals(found.recipe, run=str(found.run.get("run", ""))).spent
    except UserError:
        return None, {}, None
    return cost, dict(_readable(prices.values())), this


_PRICES = (
    "SELECT DISTINCT prices.id, prices.price FROM entries AS e JOIN prices ON prices.id = e.price"
)


def _readable(prices: Any) -> Iterator[tuple[str, Mapping[str, str]]]:
    import json

    for text in prices:
        price = json.loads(text)
        yield (
            price["model"],
            {name: price["per_million"][name] for name in CLASSES if name in price["per_million"]},
        )
