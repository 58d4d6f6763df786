"""What lies on the table before the first prompt: seeds, grounds, rows that are extended, and what is known already."""

from __future__ import annotations

from collections.abc import Sequence

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import file_digest, read_jsonl
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.prompts.sampling import Seating
from alpaca_pipe.generate.prompts.topics import TOPICS
from alpaca_pipe.generate.seeds.seeds import Seed, read_seeds
from alpaca_pipe.generate.sources.context import of_documents, of_file, of_rows
from alpaca_pipe.generate.sources.earlier_rows import ROWS
from alpaca_pipe.generate.sources.ground import Ground
from alpaca_pipe.generate.styles.base import Style


def known_of(
    config: GenerateConfig, style: Style, grounds: Sequence[Ground], rows: Sequence[Example]
) -> list[Example]:
    """What a new instruction must differ from, to begin with."""
    if not style.novel:
        return []
    seeds = [seed.example for seed in read_seeds(config.seeds)] if style.seeded else []
    return [*seeds, *(ground.example for ground in grounds if ground.example), *rows]


def seating_of(
    config: GenerateConfig, style: Style, seed: int, grounds: Sequence[Ground]
) -> Seating:
    """A run that extends another one sits on other chairs: with the same seed it would ask the same again."""
    ours: int | str = f"{seed} {file_digest(config.extend)[:16]}" if config.extend else seed
    return Seating(
        style,
        ours,
        _shown_seeds(config, style),
        config.round_size,
        config.shown,
        grounds,
        config.times,
        _topics(config, style),
    )


def _topics(config: GenerateConfig, style: Style) -> tuple[str, ...]:
    """Of a model for one domain, the seeds' own; of any other, everything under the sun."""
    own = (
        dict.fromkeys(seed.topic for seed in read_seeds(config.seeds) if seed.topic)
        if config.domain and style.seeded
        else {}
    )
    return tuple(own) or TOPICS


def grounds_of(config: GenerateConfig, style: Style) -> Sequence[Ground]:
    if not style.grounded:
        return ()
    if config.documents:
        return of_documents(config.documents, config.passage)
    if config.rows is None:
        return of_rows(seed.example for seed in read_seeds(config.seeds))
    return (
        of_rows(map(Example.from_row, read_jsonl(config.rows)))
        if config.rows.name == ROWS
        else of_file(config.rows, config.per_source)
    )


def extended_of(config: GenerateConfig) -> Sequence[Example]:
    return [Example.from_row(row) for row in read_jsonl(config.extend)] if config.extend else []


def _shown_seeds(config: GenerateConfig, style: Style) -> list[Seed]:
    usable = style.usable(read_seeds(config.seeds)) if style.seeded else []
    if style.seeded and len(usable) < config.shown:
        raise UserError(
            f"generate: {config.shown} seeds are to be shown, and {config.seeds.name} has {len(usable)} that "
            f"style {style.name} can show{style.shows}",
            "write more seeds, or lower generate.shown",
        )
    return usable
