"""`alpaca-pipe seeds draft`: a teacher drafts seed tasks from notes, and a person decides on each.

Nothing is bought twice and nothing decided is asked again: the requests are the same each time and answered from the store, the
decisions are on the disk, and the drafts without one come back. Only what was confirmed enters the seed file.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from alpaca_pipe.core import own_loop
from alpaca_pipe.core.completion import Completion
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.generate.novelty import Pool
from alpaca_pipe.generate.seeds.seed_file import append, check_ours, still_the_templates
from alpaca_pipe.generate.seeds.seeds import SeedRow, read_seeds
from alpaca_pipe.ledger.budget import Caps, ceiling_of
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.interrupts import asked_to_stop, plain_disk_errors
from alpaca_pipe.recipe.locks import held
from alpaca_pipe.recipe.missing_ledger import refuse_missing_ledger
from alpaca_pipe.start.draft_log import DraftLog
from alpaca_pipe.start.draft_review import Person, Quit
from alpaca_pipe.start.seed_prompts import (
    TASKS,
    Drafted,
    DraftRequest,
    drafts_of,
    id_of,
    passages_of,
    question,
)
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import connect
from alpaca_pipe.teachers.past_its_end import refuse_past_its_end

if TYPE_CHECKING:
    from rich.console import Console

    from alpaca_pipe.recipe.schema import Recipe
    from alpaca_pipe.recipe.workspace import Workspace

STAGE = "seeds"  # in the ledger
_TURNS = 4  # how often each passage is asked about, at most
_YIELD = (
    2  # drafts of a reply that a person is likely to see: of three, one is unsound or like another
)
_TYPICAL = 350  # tokens of a reply of three short tasks, for the price that is said beforehand
_LIKENESS = Decimal("0.7")


@dataclass
class Session:
    """One call of the command, the recipe's lock held."""

    recipe: Recipe
    workspace: Workspace
    console: Console
    journal: Journal
    want: int
    stopping: Callable[[], bool]
    person: Person | None  # None: every sound draft is taken
    dropped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        generate = self.recipe.stages["generate"]
        self.file: Path = generate.seeds  # type: ignore[attr-defined]
        self.domain: str = generate.domain or ""  # type: ignore[attr-defined]
        teacher: TeacherTable = self.recipe.tables["teacher"]
        self.teacher = teacher.online()
        refuse_past_its_end(self.teacher)
        self.price = self.teacher.priced()
        self.decisions = DraftLog(self.workspace.of(self.recipe.name))

    def go(self, notes: Sequence[Path]) -> None:
        """Asks and puts before the person, until as many are confirmed as are wanted. Raises UserError, Stopped."""
        check_ours(self.file)
        grounds = passages_of(notes)
        seeds = read_seeds(self.file)
        own = {seed.example.id for seed in seeds}
        pool = Pool(
            (seed.example for seed in seeds if not seed.example.origin.details.get("drafted_by")),
            _LIKENESS,
            "unicode",
        )
        most = _TURNS * len(grounds)
        number, fault = 0, None
        while (
            (missing := self.want - self.decisions.confirmed) > 0
            and number < most
            and fault is None
        ):
            count = min(max(1, -(-missing // _YIELD)), most - number)
            batch = [
                question(at, grounds, self.domain, self.teacher.takes)
                for at in range(number, number + count)
            ]
            number += count
            self._say_price(batch)
            replies, fault = self._ask(batch)
            for asked, reply in zip(batch, replies, strict=True):
                drafts, rejected = (
                    drafts_of(asked, reply, pool, self.teacher.author) if reply else ([], [])
                )
                self.dropped.update(one.rule for one in rejected)
                for draft in drafts:
                    if self.decisions.confirmed < self.want and draft.id not in self.decisions:
                        self._decide(draft, own)
        if fault:
            raise fault
        if self.decisions.confirmed < self.want:
            self._say(
                f"{most} requests brought no more out of these notes; name more of them with --from"
            )

    def close(self) -> None:
        """What there is now, and what was left out on the way."""
        seeds = read_seeds(self.file)
        left = len(still_the_templates(seeds))
        told = f"; {left} of them are still the template's" if left else ""
        self._say(
            f"{self.decisions.confirmed} of {self.want} drafts confirmed; {_short(self.file)} holds {len(seeds)} seed tasks{told}"
        )
        if self.dropped:
            why = ", ".join(f"{rule} {count}" for rule, count in self.dropped.most_common())
            self._say(f"not shown: {why}")
        spent = self.journal.totals(self.recipe.name, stage=STAGE)
        lost = f", {shown(spent.lost)} lost" if spent.lost else ""
        paper = " (simulated: a script answers, nothing is paid)"
        self._say(
            f"spent on drafts so far: {shown(spent.settled)}{lost}{paper if self.teacher.kind == 'rehearsed' else ''}"
        )

    def _decide(self, draft: Drafted, own: set[str]) -> None:
        if (
            draft.id in own
        ):  # it was appended, and the process killed before the decision was on the disk
            self.decisions.make(draft.id, "yes", source=draft.row.source)
            return
        if (
            became := self.decisions.becoming(draft.id)
        ) in own:  # so was the row that an editor made of it
            self.decisions.make(draft.id, "edited", source=draft.row.source, became=became)
            return
        if self.stopping():
            raise Stopped
        where = f"{self.decisions.confirmed + 1} of {self.want}"
        row: SeedRow | None = self.person.decide(draft, where) if self.person else draft.row
        if row is None:
            self.decisions.make(draft.id, "no", source=draft.row.source)
            return
        if row != draft.row:
            self.decisions.intend(draft.id, id_of(row))
        append(self.file, [row])
        own.add(id_of(row))
        self.decisions.make(
            draft.id,
            "yes" if row == draft.row else "edited",
            source=draft.row.source,
            became=id_of(row),
        )

    def _say_price(self, batch: Sequence[DraftRequest]) -> None:
        """Before anything is sent: how many are new, what they will cost, and what they can cost at most."""
        new = [
            asked.request
            for asked in batch
            if self.journal.stored(asked.request.key(self.teacher.identity())) is None
        ]
        stored = (
            f", {len(batch) - len(new)} more are answered from the store"
            if len(new) < len(batch)
            else ""
        )
        if not new:
            return
        asking = f"{len(new)} request{'s' if len(new) > 1 else ''} to {self.teacher.author} for up to {TASKS} drafts each"
        if self.price.free:
            self._say(f"{asking}: free{stored}")
            return
        letters = sum(len(message.content) for request in new for message in request.messages)
        each = self.price.per_million
        likely = round(
            1000
            * (
                letters / 4 * float(each["uncached_in"])
                + len(new) * _TYPICAL * float(each["visible_out"])
            )
        )
        self._say(
            f"{asking}: about {shown(likely)}, at most "
            f"{shown(sum(ceiling_of(request, self.price) for request in new))}{stored}{self._left()}"
        )

    def _left(self) -> str:
        cap = next(self._caps().over("api"), None)
        if cap is None:
            return "; the recipe has no budget"
        spent = self.journal.totals(None if cap.everywhere else self.recipe.name, class_=cap.class_)
        return f"; {cap.key} has {shown(max(0, cap.nanodollars - spent.spent - spent.open))} left of {shown(cap.nanodollars)}"

    def _caps(self) -> Caps:
        return self.workspace.caps(self.recipe)

    def _ask(
        self, batch: Sequence[DraftRequest]
    ) -> tuple[list[Completion | None], BaseException | None]:
        """The replies in their order, None where there is none; and the first reason why not. What came is kept and shown."""
        stored = [
            self.journal.stored(asked.request.key(self.teacher.identity())) for asked in batch
        ]
        if all(stored):
            return list(stored), None
        return own_loop.run(self._send(batch))

    async def _send(
        self, batch: Sequence[DraftRequest]
    ) -> tuple[list[Completion | None], BaseException | None]:
        own = self.workspace.of(self.recipe.name)
        run = f"seeds-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
        async with connect(
            self.teacher,
            journal=self.journal,
            caps=self._caps(),
            recipe=self.recipe.name,
            run=run,
            stage=STAGE,
            log=own / "server.log",
            stopping=self.stopping,
            say=self._say,
        ) as teacher:
            came = await asyncio.gather(
                *(teacher.ask(asked.request) for asked in batch), return_exceptions=True
            )
        replies = [reply if isinstance(reply, Completion) else None for reply in came]
        return replies, next((reply for reply in came if isinstance(reply, BaseException)), None)

    def _say(self, sentence: str) -> None:
        self.console.print(f"  {sentence}")


def draft(
    recipe: Recipe,
    workspace: Workspace,
    console: Console,
    notes: Sequence[Path],
    want: int,
    yes: bool,
) -> None:
    """Drafts seed tasks from notes (files, folders) into the recipe's own seed file, until `want` are confirmed in all.

    yes: every sound draft is taken, for scripts. Raises UserError; Stopped after Ctrl-C: the same call goes on.
    """
    for name in ("generate", "teacher"):
        if name not in recipe.everything():
            raise UserError(
                f"{recipe.name}: drafting seed tasks needs a table '{name}:'",
                f"add '{name}:' to the recipe",
            )
    if recipe.tables["teacher"].speaks != "chat":
        raise UserError(
            f"{recipe.name}: drafts are asked for in chat, and this teacher only completes texts",
            "use kind: openai_chat, or dialect: chat",
        )
    if missing := next((path for path in notes if not path.exists()), None):
        raise UserError(f"{missing}: no such file or folder", "name your notes with --from")
    refuse_missing_ledger(workspace)
    own = workspace.of(recipe.name)
    with (
        plain_disk_errors(workspace.root),
        held(own / ".lock", str(own)),
        Journal.open(workspace.ledger) as journal,
    ):
        if lost := journal.recover(recipe.name):
            console.print(
                f"  {lost} requests were in flight when an earlier run died; they count as lost"
            )
        with asked_to_stop() as stopping:
            session = Session(
                recipe,
                workspace,
                console,
                journal,
                want,
                stopping.is_set,
                None if yes else Person(console, ask=_interruptible(stopping.is_set)),
            )
            try:
                session.go(notes)
            except Quit:
                console.print("  what was not decided comes back with the same command")
            except KeyboardInterrupt:
                raise Stopped from None
            session.close()


def _short(path: Path) -> str:
    """As seen from here, where it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _interruptible(stopping: Callable[[], bool]) -> Callable[[str], str]:
    """Python's own input, which Ctrl-C must end at once: there is nothing in flight that could be lost."""
    import signal

    def ask(prompt: str) -> str:
        if stopping():
            raise Stopped
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return input(prompt)
        finally:
            signal.signal(signal.SIGINT, before)

    return ask
