"""Every entrant is asked the same prompts, round by round in turn, so that a cap which is reached ends all at the same place."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.loop import Generation
from alpaca_pipe.generate.novelty import Pool
from alpaca_pipe.generate.prompts.starting_pool import extended_of, grounds_of, known_of, seating_of
from alpaca_pipe.generate.replay.identity import asking
from alpaca_pipe.generate.replay.replay import NotStored, StoredTeacher
from alpaca_pipe.generate.stop_rules import Limits
from alpaca_pipe.generate.styles import style_of
from alpaca_pipe.ledger.budget import Caps, OverBudget
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.progress import Screen
from alpaca_pipe.teacher_comparison.entrants import Entrant
from alpaca_pipe.teachers.base import Teacher
from alpaca_pipe.teachers.factory import connect

STAGE = "contest"  # in the ledger
_ANY = 1_000_000_000  # rows: only the prompts are counted


@dataclass(frozen=True)
class ComparisonSetup:
    """What all are asked: the recipe's table and seed, and how many prompts."""

    config: GenerateConfig
    seed: int
    prompts: int

    def id(self, entrants: Sequence[Entrant]) -> str:
        """The same comparison has the same name, so that it goes on where it was, and its cap spans all its runs."""
        identity = self.config.identity()
        whole = [
            asking(identity),
            identity["round_size"],
            self.seed,
            self.prompts,
            sorted(map(digest_of, (entrant.teacher.identity() for entrant in entrants))),
        ]
        return f"contest-{digest_of(whole)[:12]}"


def generation_of(terms: ComparisonSetup, entrant: Entrant, teacher: Teacher) -> Generation:
    """Raises UserError where the style cannot ask this teacher, or seeds cannot be read."""
    config = terms.config
    style = style_of(config, entrant.teacher, teacher.takes)
    if entrant.teacher.speaks not in style.dialects:
        raise UserError(
            f"{entrant.name}: style {config.style} asks in chat, and this teacher only completes texts",
            "use kind: openai_chat, or dialect: chat",
        )
    rows, grounds = extended_of(config), grounds_of(config, style)
    pool = Pool(known_of(config, style, grounds, rows), config.likeness, config.words, style.ties)
    return Generation(
        seating_of(config, style, terms.seed, grounds),
        teacher,
        pool,
        Limits(_ANY, seats=terms.prompts),
        entrant.teacher.called,
        blind=True,
        examples=list(rows),
    )


async def stored(terms: ComparisonSetup, entrant: Entrant, journal: Journal) -> Generation:
    """As far as whole rounds of it are stored: no key, no server, nothing sent."""
    store = StoredTeacher(entrant.teacher.identity(), entrant.teacher.takes, journal)
    found = generation_of(terms, entrant, store)
    with contextlib.suppress(NotStored):
        while found.seats_left:
            await found.round()
    return found


async def ask(
    terms: ComparisonSetup,
    entrants: Sequence[Entrant],
    *,
    journal: Journal,
    caps: Caps,
    recipe: str,
    run: str,
    folder: Path,
    screen: Screen,
    stopping: Callable[[], bool],
) -> tuple[list[Generation], str]:
    """(what came of each, why it ended early). Where a cap is reached in the first round, that is raised."""
    before = [await stored(terms, entrant, journal) for entrant in entrants]
    async with contextlib.AsyncExitStack() as stack:
        generations: list[Generation] = []
        for place, (entrant, found) in enumerate(zip(entrants, before, strict=True)):
            if found.seats_left:
                teacher = await stack.enter_async_context(
                    connect(
                        entrant.teacher,
                        journal=journal,
                        caps=caps,
                        recipe=recipe,
                        run=run,
                        stage=STAGE,
                        log=folder / f"server-{place}.log",
                        stopping=stopping,
                        say=screen.say,
                    )
                )
                found = generation_of(terms, entrant, teacher)
            generations.append(found)
        total = terms.prompts * len(entrants)
        screen.start(total, "prompts", done=sum(len(found.seats) for found in before))
        while any(found.seats_left for found in generations):
            for entrant, found in zip(entrants, generations, strict=True):
                if not found.seats_left:
                    continue
                if stopping():
                    raise Stopped
                try:
                    await found.round()
                except OverBudget as reached:
                    if not all(each.seats for each in generations):
                        raise
                    return generations, str(reached)
                screen.at(sum(len(each.seats) for each in generations), entrant.name)
    return generations, ""
