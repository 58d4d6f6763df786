"""Where grounds come from: passages of a user's documents, or rows that exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.generate.sources.caps import capped
from alpaca_pipe.generate.sources.ground import Ground
from alpaca_pipe.generate.sources.passages import chunks


def of_documents(paths: Sequence[Path], words: int) -> tuple[Ground, ...]:
    """The passages of all files, at most so many words each; the same one in two files is one ground. Raises UserErrors."""
    found = {
        " ".join(chunk.text.split()): chunk for chunk in reversed(chunks(paths, words))
    }  # the first of several stays
    return tuple(
        Ground(
            chunk.text,
            f"{chunk.file}#{chunk.start}-{chunk.end}",
            {"file": chunk.file, "start": chunk.start, "end": chunk.end},
        )
        for chunk in reversed(found.values())
    )


def of_file(file: Path, caps: int | Mapping[str, int] | None = None) -> tuple[Ground, ...]:
    """The rows of a file or folder of any form, of each file at most so many. Raises UserErrors where one cannot be read, or holds more than one exchange."""
    from alpaca_pipe.data.reading import read

    refused: list[Rejected] = []
    rows = [*read(file, aside=refused.append)]
    if refused:
        first = refused[0]
        raise UserError(
            f"{file}: {len(refused):,} rows cannot be reworked, the first at {first.source}: {first.reason}",
            f"take them out first: alpaca-pipe curate {file.name} -o clean/",
        )
    return of_rows(capped(rows, caps) if caps else rows)


def of_rows(rows: Iterable[Example]) -> tuple[Ground, ...]:
    """Rows with an instruction, each as a ground of its own, known by its id. Raises UserError for conversations: a style
    reworks one question."""
    every = list(rows)
    if several := [row for row in every if row.messages]:
        raise UserError(
            f"{len(several):,} of {len(every):,} rows are conversations, the first {several[0].id} from "
            f"{several[0].origin.source or several[0].origin.kind}, and a style reworks one question",
            "take the first exchange of each: alpaca-pipe curate FILE --turns first -o firsts/",
        )
    return tuple(of_row(row) for row in every if row.instruction.strip())


def of_row(row: Example) -> Ground:
    return Ground(task_of(row.instruction, row.input), row.id, example=row)


def task_of(instruction: str, input_: str) -> str:
    """What somebody would ask in a chat."""
    return f"{instruction}\n\n{input_}" if input_.strip() else instruction


def generation_of(row: Example) -> int:
    """How many rows it is away from a ground: 0 for one that was not made of another one."""
    return int(row.origin.details.get("generation", 0))
