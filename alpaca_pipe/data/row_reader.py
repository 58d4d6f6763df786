"""Foreign rows as ours: each row by the shape that accounts for most of its text, and what it leaves unread is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.example import Example, Message, Origin, Rejected
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.data.records import kept_text, kind_of
from alpaca_pipe.data.shapes.base import (
    About,
    NoneBetter,
    NotARow,
    NotHeld,
    NotWanted,
    Shape,
    ShapeFit,
)
from alpaca_pipe.data.shapes.columns import Columns
from alpaca_pipe.data.shapes.exchange import SEVERAL
from alpaca_pipe.data.shapes.known_shapes import fits
from alpaca_pipe.data.shapes.layout import Column, Layout, Signature, signature_of
from alpaca_pipe.data.shapes.layout import kind_of as kind_of_value
from alpaca_pipe.data.shapes.rendering import is_clean, unframed
from alpaca_pipe.data.shapes.transcript import NoTurns
from alpaca_pipe.data.shapes.turns import spelled
from alpaca_pipe.data.shapes.unread import (
    MAY_ASK,
    check_unread,
    may_be_else,
    no_shape,
    rival_answer,
)
from alpaca_pipe.data.shapes.values import unpacked
from alpaca_pipe.data.shapes.verdicts import BAD_ANSWER, check_wanted, verdict_columns
from alpaca_pipe.data.source_kinds import Turns
from alpaca_pipe.data.split_column import SplitColumn

TURNS = "turns"  # the rule under which a sound row is set aside that ours cannot hold
_SPOKEN = ("conversation", "tree")  # shapes whose answers were said in a chat


@dataclass
class _Plan:
    """How rows with one signature are read."""

    layout: Layout
    options: Sequence[tuple[Shape, ShapeFit]]
    said_of_it: list[Column]  # labels, weights and states
    plain: (
        tuple[str, str, str, str] | None
    )  # keys of instruction, input, output and system, where that is all there is
    rows: Counter[int] = field(default_factory=Counter)  # option -> rows read by it


class RowReader:
    """Reads the rows of one source. Each row by its own shape; a plan is made once for all rows that look alike."""

    def __init__(
        self,
        columns: Columns | None = None,
        turns: Turns = "all",
        split: SplitColumn | None = None,
    ) -> None:
        """split: only rows that name this one in a column."""
        self.columns, self._turns = columns or Columns(), turns
        self.split = split
        self._plans: dict[Signature, _Plan] = {}
        self.remarks: Counter[str] = Counter()
        self._passed: Counter[str] = Counter()

    def read(self, value: Any, source: str) -> list[Example | Preference | Rejected]:
        """The rows of ours; Rejected for one that is sound and not held, or says that it is not to be learned. Raises NotARow."""
        plain = isinstance(value, dict) and not self.split
        if plain and (example := self._plain(value, source)):
            return [example]
        found: list[Example | Preference | Rejected] = []
        for one in self.judged(value, source):
            if isinstance(one, Preference):
                found.append(self._to_tune(one, source))
            else:
                found.append(one)
        return found

    def _plain(self, row: Mapping[str, Any], source: str) -> Example | None:
        """The row, where it is one exchange in columns of clean text: nine rows of ten, and by far the fastest way."""
        plan = self._plan(row)
        if plan.plain is None:
            return None
        asking, giving, answering, steering = plan.plain
        asked, answer = row[asking], row[answering]
        given = row[giving] if giving else ""
        system = row[steering] if steering else ""
        if not is_clean(asked, given, answer, system):
            return None
        plan.rows[0] += 1
        return Example.of(asked, given, answer, Origin("imported", source), system)

    def judged(self, value: Any, source: str) -> Iterator[Example | Preference | Rejected]:
        """As `read`, preferences as they are."""
        row = self._row(value)
        try:
            yield from self._of_row(row, source)
        except NotHeld as reason:
            rule = self._rule_of(reason)
            yield Rejected(kept_text(value), rule, str(reason), source, kind="imported")
        except NotWanted as said:
            rule, why = said.args
            yield Rejected(kept_text(value), rule, why, source, kind="imported")

    def _rule_of(self, reason: NotHeld) -> str:
        """Under which a row is set aside that ours cannot hold."""
        return TURNS

    def _row(self, value: Any) -> Mapping[str, Any]:
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            raise NotARow(
                "the row is a text that holds JSON: it was encoded twice",
                "decode it once: jq -c fromjson FILE > FIXED",
            )
        if isinstance(value, list) and kind_of_value(value) in ("objects", "texts", "lists"):
            return {"messages": value}
        if not isinstance(value, dict):
            raise NotARow(
                f"the row is {kind_of(value)}, not an object",
                'write {"instruction": ..., "input": ..., "output": ...}',
            )
        return value

    def _of_row(
        self, row: Mapping[str, Any], source: str, around: Mapping[str, Any] = {}
    ) -> Iterator[Example | Preference | Rejected]:
        """around: what stands about a row that is wrapped in another; its split may."""
        self._check_columns(row)
        plan = self._plan(row)
        if not plan.options and (inner := self._unwrapped(row)) is not None:
            yield from self._of_row(inner, source, {**row, **around})
            return
        if self.split:
            self.split.check({**row, **around})
        if not plan.options:
            raise no_shape(row, plan.layout, self.columns)
        about = About(source, self.columns.roles, self.columns.turns)
        try:
            at, found, about = self._best(row, plan, about)
        except NoTurns:
            if (inner := self._unwrapped(row)) is not None:
                yield from self._of_row(inner, source, {**row, **around})
                return
            raise no_shape(row, plan.layout, self.columns) from None
        fit = plan.options[at][1]
        said_of_it = [one for one in plan.said_of_it if one.key not in fit.read]
        label = check_wanted(row, said_of_it, about, self.split is not None)
        check_unread(row, plan.layout, fit, said_of_it, found, self.columns)
        plan.rows[at] += 1
        for one in found:
            if isinstance(one, Example):
                one = unframed(one, about, plan.options[at][0].name in _SPOKEN)
                if label is not None:
                    yield self._labelled(one, label, source, about)
                    continue
                one = self._by_turns(one)
            yield one
        if about.remarks:
            self.remarks.update(about.remarks)
        if about.passed:
            self._passed.update(about.passed)

    def _plan(self, row: Mapping[str, Any]) -> _Plan:
        signature = signature_of(row)
        plan = self._plans.get(signature)
        if plan is None:
            given = self.columns.of_row(row)
            layout = Layout.of(signature, given)
            options = fits(layout)
            if needed := {key for key, (meaning, _) in given.items() if meaning != "meta"}:
                options = [
                    (shape, fit) for shape, fit in options if self._reads(fit, needed, layout)
                ]
            said_of_it = verdict_columns(layout)
            plain = None if said_of_it or self.columns.only else _plain_keys(layout, options)
            plan = self._plans[signature] = _Plan(layout, options, said_of_it, plain)
        return plan

    def _reads(self, fit: ShapeFit, needed: set[str], layout: Layout) -> bool:
        said = {one.key for one in verdict_columns(layout)}
        empty = {one.key for one in layout.columns if one.kind == "empty"}
        return needed - said - empty <= fit.read

    def _check_columns(self, row: Mapping[str, Any]) -> None:
        """Raises NotARow where the shape was named, and the row lacks what it needs."""
        if self.columns.only:
            for key, (meaning, _) in self.columns.parts.items():
                if key not in row and meaning in ("instruction", "output", "messages"):
                    raise NotARow(
                        f"the row has no '{key}'",
                        did_you_mean(key, map(str, row)) or "write it in quotes",
                    )

    def keys(self) -> set[str]:
        """Every key that a row had."""
        return {key for signature in self._plans for key, _ in signature}

    def _unwrapped(self, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The one object of the row that is a row by itself: {"row_idx": 0, "row": {...}}, {"id": 1, "content": {...}}.
        Raises NotHeld where the hub's viewer cut its texts."""
        if isinstance(cut := row.get("truncated_cells"), list) and cut:
            raise NotHeld(f"'truncated_cells' says that not all of it is there: {cut[0]}")
        held = [value for value in map(unpacked, row.values()) if isinstance(value, dict)]
        inner = [value for value in held if self._is_row(value)]
        return inner[0] if len(inner) == 1 else None

    def _is_row(self, value: Mapping[str, Any]) -> bool:
        found = fits(Layout.of(signature_of(value), self.columns.of_row(value)))
        return any(shape.name != "transcript" for shape, _ in found) or "text" in value

    def _best(
        self, row: Mapping[str, Any], plan: _Plan, about: About
    ) -> tuple[int, list[Example | Preference], About]:
        """(the option that leaves least of what belongs to the row and reads most of its text, what it reads, what it says)."""
        if len(plan.options) == 1:
            shape, fit = plan.options[0]
            return 0, list(shape.rows(row, fit, about)), about
        best: tuple[int, int, int, list[Example | Preference], About] | None = None
        fault: Exception | None = None
        for at, (shape, fit) in enumerate(plan.options):
            own = replace(about, remarks=Counter(about.remarks) if about.remarks else Counter())
            try:
                found = list(shape.rows(row, fit, own))
            except NoneBetter:
                raise
            except (NotARow, NotHeld, NotWanted, NoTurns) as error:
                fault = error if isinstance(error, NotWanted) else fault or error
                continue
            size = sum(map(_size, found))
            left = sum(one.belongs for one in plan.layout.unread(fit.read))
            if best is None or (-left, size) > best[:2]:
                best = -left, size, at, found, own
        if best is None:
            assert fault is not None
            raise fault
        return best[2:]

    def _labelled(
        self, one: Example, label: bool, source: str, about: About
    ) -> Example | Preference | Rejected:
        if not label:
            why = "its answer is labelled as a bad one"
            return Rejected(one, BAD_ANSWER, why, source, kind="imported")
        about.say("an answer is labelled as a good one")
        return self._by_turns(one)

    def _to_tune(self, pair: Preference, source: str) -> Example | Rejected:
        """The row to tune on; the rejected side stays beside it in its origin."""
        about = About(source)
        kept = [one.to_row() for one in pair.rejected]
        origin = replace(pair.origin, details={**pair.origin.details, "rejected": kept})
        try:
            one = replace(pair, origin=origin).example()
            assert one is not None
            one = self._by_turns(unframed(one, about, False))
        except NotHeld as reason:
            return Rejected(str(pair.to_row()), TURNS, str(reason), source, kind="imported")
        self.remarks["of two answers the chosen one is learned"] += 1
        self.remarks.update(about.remarks)
        return one

    def _by_turns(self, one: Example) -> Example:
        """What becomes of several exchanges, as the recipe wants it. Raises NotHeld."""
        if not one.messages or self._turns == "all":
            return one
        roles = [said.role for said in one.messages]
        exchanges = roles.count("user")
        if exchanges == 1:
            return one
        if self._turns == "refuse":
            raise NotHeld(
                f"the conversation goes on ({spelled(roles)}), and one exchange is wanted"
            )
        end = next(
            at for at, role in enumerate(roles) if role == "assistant" and "user" in roles[:at]
        )
        origin = replace(one.origin, details={**one.origin.details, "exchanges": exchanges})
        first: Sequence[Message] = one.messages[: end + 1]
        try:
            return Example.of_messages(first, origin, one.system)
        except ValueError as error:
            raise NotHeld(f"of its first exchange: {error}") from None

    def forget(self) -> None:
        """What was counted so far: the same rows come again."""
        self.remarks.clear()
        self._passed.clear()
        for plan in self._plans.values():
            plan.rows.clear()

    def shapes(self) -> list[dict[str, Any]]:
        """Which shapes were read: {"shape", "rows", "columns": part -> keys}, the most frequent first."""
        counts: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
        for plan in self._plans.values():
            for at, rows in plan.rows.items():
                shape, fit = plan.options[at]
                parts = tuple((part, " + ".join(fit.keys(part))) for part in sorted(fit.parts))
                counts[shape.name, parts] += rows
        return [
            {"shape": name, "rows": rows, "columns": dict(parts)}
            for (name, parts), rows in counts.most_common()
        ]

    def unread(self) -> dict[str, int]:
        """Key -> rows in which it held something that was not read."""
        counts = Counter(self._passed)
        for plan in self._plans.values():
            said = {one.key for one in plan.said_of_it}
            for at, rows in plan.rows.items():
                for column in plan.layout.unread(plan.options[at][1].read | said):
                    counts[column.key] += rows
        return dict(counts.most_common())


def _plain_keys(
    layout: Layout, options: Sequence[tuple[Shape, ShapeFit]]
) -> tuple[str, str, str, str] | None:
    """The keys of an exchange that has no more than them."""
    if len(options) != 1 or options[0][0].name != "exchange":
        return None
    fit = options[0][1]
    if fit.parts.keys() - {"instruction", "input", "output", "system"}:
        return None
    if fit.parts["output"][0].plain in SEVERAL:
        return None
    if may_be_else(fit.parts["instruction"][0]) or rival_answer(layout, fit):
        return None
    if len(fit.keys("input")) > 1 or any(
        one.belongs or one.plain in MAY_ASK for one in layout.unread(fit.read)
    ):
        return None
    return fit.key("instruction"), fit.key("input"), fit.key("output"), fit.key("system")


def _size(one: Example | Preference) -> int:
    """Characters of text that a reading holds."""
    if isinstance(one, Preference):
        sides = (*one.prompt, *one.chosen, *one.rejected, *one.answer)
        return len(one.system) + len(one.input) + sum(len(said.text) for said in sides)
    if one.messages:
        return len(one.system) + sum(len(said.text) + len(said.reasoning) for said in one.messages)
    return len(one.system) + len(one.instruction) + len(one.input) + len(one.output)
