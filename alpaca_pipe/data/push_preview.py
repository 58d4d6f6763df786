"""What `push` would send: the files with their sizes, whose terms are to be accepted, and the card. The network is not asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

from alpaca_pipe.data.cards import teachers_of
from alpaca_pipe.data.hub import card_in, check_name
from alpaca_pipe.data.terms import terms_of


def preview(
    folder: Path,
    name: str,
    *,
    accepted: Collection[str] = (),
    private: bool = True,
    kind: Literal["dataset", "model"] = "dataset",
    rows_card: Path | None = None,
) -> Iterator[str]:
    """Lines for a terminal; arguments as of push_to_hub. Raises UserError for a name that is none, and where there is no card."""
    check_name(name, kind)
    card = card_in(folder)
    files = {
        file.relative_to(folder).as_posix(): file.stat().st_size
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not _hidden(file.relative_to(folder))
    }
    seen = "private" if private else "public"
    yield f"{name}: a {seen} {kind} of {len(files)} files, {sum(files.values()):,} bytes; nothing is sent"
    for file, size in files.items():
        yield f"  {size:>15,}  {file}"
    for teacher in teachers_of((rows_card or card).read_text(encoding="utf-8")):
        if teacher not in accepted:
            yield f"to be accepted first: {teacher}: {terms_of(teacher)} (--accept {teacher})"
    yield ""
    yield card.read_text(encoding="utf-8").rstrip()


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
