"""The lines that the judgement on some rows comes to, for the files of the stage."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alpaca_pipe.curate.diversity import Diversity
from alpaca_pipe.curate.judgement import Judged
from alpaca_pipe.curate.pieces import WHOLE

_encode = json.JSONEncoder(ensure_ascii=False).encode
_ID = '{"id": "'


def line_of(row: Any) -> bytes:
    """A row as a line of a .jsonl file."""
    return (_encode(row) + "\n").encode()


def id_of(line: bytes) -> str:
    """The id of a row that `line_of` wrote."""
    found: str = json.JSONDecoder().raw_decode(line.decode(), len(_ID) - 1)[0]
    return found


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    with path.open("wb") as out:
        out.writelines(map(line_of, rows))


@dataclass
class CurationCounts:
    """rejected, repairs: rows by rule. kept: ids, in order; wholes: of those that are pieces, the conversation's id. varied:
    None where it is not measured."""

    rejected: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    repaired: int = 0
    kept: list[str] = field(default_factory=list)
    wholes: dict[str, str] = field(default_factory=dict)
    varied: Diversity | None = None

    def add(self, other: CurationCounts) -> None:
        self.rejected.update(other.rejected)
        self.repairs.update(other.repairs)
        self.repaired += other.repaired
        self.kept += other.kept
        self.wholes.update(other.wholes)
        if self.varied and other.varied:
            self.varied.update(other.varied)

    def summary(self, held_out: int) -> dict[str, Any]:
        return {
            "kept": len(self.kept),
            "repaired": self.repaired,
            "repairs": dict(self.repairs.most_common()),
            "rejected": dict(self.rejected.most_common()),
            "train": len(self.kept) - held_out,
            "held_out": held_out,
        }


@dataclass
class Outputs:
    """examples, rejected, repaired: whole lines. dropped: (rule, reason, id) of each dropped row."""

    examples: bytes
    rejected: bytes
    repaired: bytes
    dropped: list[tuple[str, str, str]]
    counts: CurationCounts

    @property
    def rows(self) -> int:
        return len(self.counts.kept) + len(self.dropped)


def outputs_of(rows: Iterable[Judged], varied: bool) -> Outputs:
    """Of these rows, in their order."""
    counts = CurationCounts(varied=Diversity() if varied else None)
    examples, rejected, repaired = list[bytes](), list[bytes](), list[bytes]()
    dropped: list[tuple[str, str, str]] = []
    for row in rows:
        if row.before:
            counts.repaired += 1
            counts.repairs.update(row.repair.split(", "))
            mended = {
                "rule": row.repair,
                "before": row.before.to_row(),
                "after": row.example.to_row(),
            }
            repaired.append(line_of(mended))
        if row.rejected:
            counts.rejected[row.rejected.rule] += 1
            rejected.append(line_of(row.rejected.to_row()))
            dropped.append((row.rejected.rule, row.rejected.reason, row.example.id))
        else:
            counts.kept.append(row.example.id)
            if whole := row.example.origin.details.get(WHOLE):
                counts.wholes[row.example.id] = str(whole)
            examples.append(line_of(row.example.to_row()))
            if counts.varied:
                counts.varied.add(row.example)
    return Outputs(b"".join(examples), b"".join(rejected), b"".join(repaired), dropped, counts)
