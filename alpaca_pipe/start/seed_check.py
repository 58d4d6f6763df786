"""`alpaca-pipe seeds FILE`: whether seed tasks can be read, repeat each other, and are as varied as they should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from math import comb
from pathlib import Path

from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.screen import echo_json, new_console
from alpaca_pipe.core.word_count import words
from alpaca_pipe.generate.forecast.simulation import RequestTiming, Workload, imagine, rows_of
from alpaca_pipe.generate.prior import TASK_LIST, LogNormal
from alpaca_pipe.generate.seeds.seed_file import still_the_templates
from alpaca_pipe.generate.seeds.seeds import Seed, read_seeds
from alpaca_pipe.similarity.rouge import Index

_LIKENESS = Decimal(
    "0.7"
)  # that of novelty: what is nearer could not have been generated beside the other
_SHOWN, _TASKS = 3, 4  # seeds in a prompt, and what it asks for: the defaults of style alpaca
_ORDER = Workload(
    1,
    1,
    _TASKS,
    0,
    None,
    0,
    (1, 1),
    (1, 1),
    (1 << 20, 1 << 20),
    (0, 0),
    0,
    RequestTiming(LogNormal(1, 0.1), LogNormal(1, 0.1), 1),
)
# Of Self-Instruct's 175: 25 are classification, about 50 have no input.
_CLASSIFICATION, _WITHOUT_INPUT = (0.05, 0.4), (0.15, 0.8)
_OPENINGS = 0.2  # share of the commonest first word: above, a teacher copies it


def print_check(path: Path, as_json: bool = False) -> None:
    """Says what is there and what to expect of it. Raises UserErrors for rows that cannot be used or repeat others."""

    seeds = read_seeds(path)
    said, repeated = (
        [*_balance(seeds), *_template(seeds), *_to_expect(len(seeds))],
        list(_repeated(seeds, path)),
    )
    if as_json:
        echo_json(
            {"seeds": len(seeds), "said": said, "repeated": [str(error) for error in repeated]}
        )
    for line in () if as_json else said:
        new_console(highlight=False, soft_wrap=True).print(line)
    if repeated:
        raise UserErrors(repeated)


def _repeated(seeds: Sequence[Seed], path: Path) -> Iterator[UserError]:
    index = Index(_LIKENESS, "unicode")
    for seed in seeds:
        instruction, place = seed.example.instruction, seed.example.origin.source.partition("#")[2]
        near = index.blocked(instruction)
        if near is None:
            index.add(place, instruction)
        elif near.score == 1:
            yield UserError(
                f"{path}:{place}: the instruction of line {near.id} again",
                "remove one of them, or reword it",
            )
        else:
            yield UserError(
                f"{path}:{place}: ROUGE-L {float(near.score):.2f} like line {near.id}, at most {_LIKENESS} "
                "wanted",
                "use another verb or another task; nothing as like as this will be generated",
            )


def _balance(seeds: Sequence[Seed]) -> Iterator[str]:
    count = len(seeds)
    kinds = {
        "classification": sum(seed.classification for seed in seeds),
        "without an input": sum(not seed.example.input for seed in seeds),
        "questions": sum(seed.example.instruction.rstrip().endswith("?") for seed in seeds),
        "with a topic": sum(bool(seed.topic) for seed in seeds),
    }
    yield f"{count} seed tasks: " + ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    for kind, (least, most) in (
        ("classification", _CLASSIFICATION),
        ("without an input", _WITHOUT_INPUT),
    ):
        if not least <= kinds[kind] / count <= most:
            yield (
                f"note: {kinds[kind] / count:.0%} are {kind}; Self-Instruct's 175 have "
                f"{'14 %' if kind == 'classification' else '29 %'}, and the teacher repeats the mixture that it is shown"
            )
    word, often = Counter(words(seed.example.instruction)[0].lower() for seed in seeds).most_common(
        1
    )[0]
    if count >= 10 and often / count > _OPENINGS:
        yield f"note: {often} of {count} begin with '{word}'; the teacher will begin like that too"


def _template(seeds: Sequence[Seed]) -> Iterator[str]:
    """Which rows are not the user's own yet."""
    left = [seed.example.origin.source.partition("#")[2] for seed in still_the_templates(seeds)]
    if left:
        yield (
            f"note: {len(left)} of {len(seeds)} are still the template's (line{'s' if len(left) > 1 else ''} "
            f"{', '.join(left)}); replace them by tasks of your own"
        )


def _to_expect(count: int) -> Iterator[str]:
    """How many different prompts so many seeds make and what those bring, against 10, 30 and 100."""
    if count < _SHOWN:
        yield f"at least {_SHOWN} seeds are needed, to show {_SHOWN} in each prompt"
    yield (
        f"to expect of a chat model of today, {_SHOWN} of them in each prompt and {_TASKS} tasks asked for (an estimate, measured "
        "with other seeds), before the same prompt comes again:"
    )
    teachers = imagine(TASK_LIST, _ORDER)
    for seeds in sorted({10, 30, 100, count}):
        prompts = comb(seeds, _SHOWN)
        rows = rows_of(prompts, teachers, seeds)
        yield (
            f"  {seeds:>4} seeds{', yours' if seeds == count else ''}: {prompts:,} different prompts, about {_two(rows.p50)} rows "
            f"({_two(rows.p10)} to {_two(rows.p90)} in 8 of 10 cases)"
        )


def _two(value: float) -> str:
    """To two digits: nobody knows more."""
    return f"{int(float(f'{value:.1e}')):,}"
