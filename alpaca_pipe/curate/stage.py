"""[curate] keeps the examples to which no filter objects and which are not told twice; holds some of them out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from pydantic import Field

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import file_digest, read_jsonl
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.core.table import Exact, ExistingPath
from alpaca_pipe.curate.filters import Filters
from alpaca_pipe.curate.judge import judged
from alpaca_pipe.curate.split import held_out_ids
from alpaca_pipe.recipe.stage import Bench, Estimate, Known, Outcome, Stage, StageConfig
from alpaca_pipe.similarity.words import Words

if TYPE_CHECKING:
    from datasets import Dataset

GENERATED = "generate/examples.jsonl"


class Config(StageConfig):
    """Which rows are kept, and how many of them are held out from training."""

    source: ExistingPath | None = Field(
        None, alias="from", description="a JSON list or JSONL of rows, in place of what generate made")
    filters: Filters = Field(Filters(), description="filter: true, false, or its settings")
    repair: bool = Field(True, description="an input that only says that there is none becomes empty")
    likeness: Exact = Field(Decimal("0.7"), gt=0, le=1, description="ROUGE-L F of two instructions above which the "
                            "later row is a duplicate (0.7: Self-Instruct, sec. 2); 1 keeps all")
    words: Words = Field("unicode", description="what likeness compares: words of any script, or "
                                               "rouge-score's a-z and 0-9")
    first: int | None = Field(None, ge=1, description="judge only the first so many rows")
    held_out: int = Field(16, ge=1, description="rows kept away from training, to evaluate on: the lowest id hashes")

    def rehearsed(self) -> Self:
        return self.model_copy(update={"held_out": min(self.held_out, 4), "first": min(self.first or 500, 500)})


def estimate(config: Config, tables: Mapping[str, Any], known: Known) -> Estimate:
    if config.source:
        if "generate" in tables:
            raise UserError("curate: it reads 'from', so what generate: makes would be paid for and not used",
                            "take one of them out")
        rows = max(1, config.source.stat().st_size // _BYTES_A_ROW)
    else:
        rows = getattr(tables.get("generate"), "count", 0)
    rows = min(rows, config.first or rows)
    rules = len(config.filters.rules())
    return Estimate(Range.about(_START_MINUTES + rows * _MINUTES_A_ROW, 2),
                    f"about {rows:,} rows past {rules} filters and a search for duplicates (likeness above "
                    f"{config.likeness}); {config.held_out} held out")


_BYTES_A_ROW = 430  # of the released 52K
_START_MINUTES = 0.05  # importing datasets
_MINUTES_A_ROW = 8e-6  # the released 52K took 26 s on one core of a busy machine, 2026-11


def run(config: Config, bench: Bench) -> Outcome:
    """Writes examples, rejected and repaired rows, and the kept ones again as train and held_out.

    Summary: read = kept + the sum of rejected; kept = train + held_out; repaired is a part of read.
    """
    rows = _rows(config, bench)
    rejected: Counter[str] = Counter()
    kept: list[str] = []
    repaired = 0
    bench.progress.start(len(rows), "rows")
    with (_writer(bench.folder / "examples.jsonl") as keep, _writer(bench.folder / "rejected.jsonl") as drop,
          _writer(bench.folder / "repaired.jsonl") as mend):
        for number, row in enumerate(judged(_streamed(rows), config.filters.rules(), config.repair,
                                            config.likeness, config.words), 1):
            if row.before:
                repaired += 1
                mend({"rule": row.repair, "before": row.before.to_row(), "after": row.example.to_row()})
            if row.rejected:
                rejected[row.rejected.rule] += 1
                drop(row.rejected.to_row())
            else:
                kept.append(row.example.id)
                keep(row.example.to_row())
            if number % 500 == 0:
                bench.progress.at(number)
                bench.stop_here()
    bench.progress.at(len(rows), f"{len(kept)} kept")
    _check_enough(len(kept), rejected, config)
    _split(bench.folder, held_out_ids(kept, config.held_out))
    return Outcome({"read": len(rows), "kept": len(kept), "repaired": repaired,
                    "rejected": dict(rejected.most_common()),
                    "train": len(kept) - config.held_out, "held_out": config.held_out})


def _rows(config: Config, bench: Bench) -> Dataset:
    """What is judged, memory-mapped: the named file, or what generate accepted; of either the first so many."""
    from alpaca_pipe.data.alpaca import read_alpaca
    from alpaca_pipe.data.arrow import open_examples, to_arrow

    if config.source:
        rows = to_arrow(read_alpaca(config.source), bench.scratch, file_digest(config.source)[:32])
    elif GENERATED in bench.inputs:
        rows = open_examples(bench.inputs[GENERATED], bench.scratch)
    else:
        raise UserError("curate: there are no rows to judge", "add a table 'generate:', or 'from: FILE' to 'curate:'")
    return rows.select(range(min(config.first, len(rows)))) if config.first else rows


def _streamed(rows: Dataset) -> Iterator[Any]:
    from alpaca_pipe.data.arrow import stream

    return stream(rows)


def _check_enough(kept: int, rejected: Counter[str], config: Config) -> None:
    if kept > config.held_out:
        return
    why = ", ".join(f"{rule} {count}" for rule, count in rejected.most_common())
    raise UserError(f"curate: {kept} rows were kept ({f'dropped: {why}' if why else 'none was dropped'}), and "
                    f"{config.held_out} of them are to be held out, which leaves none to train on",
                    "raise generate.count, loosen curate.filters or curate.likeness, or lower curate.held_out"
                    f"{f' below {kept}' if kept > 1 else ''}")


def _split(folder: Path, held_out: frozenset[str]) -> None:
    with _writer(folder / "train.jsonl") as train, _writer(folder / "held_out.jsonl") as held:
        for row in read_jsonl(folder / "examples.jsonl"):
            (held if row["id"] in held_out else train)(row)


class _Write(Protocol):
    def __call__(self, row: Any) -> object: ...


@contextmanager
def _writer(path: Path) -> Iterator[_Write]:
    """Row by row, so that memory does not grow with them; what an interrupted run left is written anew."""
    with path.open("w", encoding="utf-8", newline="\n") as out:
        yield lambda row: out.write(json.dumps(row, ensure_ascii=False) + "\n")


STAGE = Stage("curate", version=1, config=Config, reads=(f"{GENERATED}?",), estimate=estimate, run=run)
