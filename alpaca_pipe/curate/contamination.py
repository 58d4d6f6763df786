"""Contamination: rows that hold what an evaluation asks or answers, so that a good score would mean nothing. What counts as held:
similarity/overlap.py, over each row's instruction (with its input), its input and its output."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.curate.config import Contamination
from alpaca_pipe.curate.filter_config import ActiveFilter
from alpaca_pipe.data.compression import chunks
from alpaca_pipe.data.file_formats import rows_of
from alpaca_pipe.data.hub import hub_rows
from alpaca_pipe.data.records import Beside, Found, Record
from alpaca_pipe.data.shapes import exchange
from alpaca_pipe.data.shapes.layout import Layout, signature_of
from alpaca_pipe.data.source_files import files_of
from alpaca_pipe.data.source_kinds import HubId
from alpaca_pipe.data.tabular import csv_rows
from alpaca_pipe.similarity.overlap import Overlap

RULE = "contamination"


def as_filter(found: Overlap) -> ActiveFilter:
    return ActiveFilter(RULE, found.reason, "all_answers")


def overlap(how: Contamination) -> Overlap:
    """Reads the evaluation sets. Raises UserError for what cannot be read: a row that is passed over would go unnoticed."""
    return Overlap.of(chain.from_iterable(map(_texts, how.sets)), how.ngram)


def _texts(source: Path | HubId) -> Iterator[tuple[str, str]]:
    """(place, text) of each text of an evaluation set, whatever its keys are called."""
    for name, found in _found(source):
        if isinstance(found, Beside):
            continue
        if not isinstance(found, Record):
            raise UserError(f"{source}:{found.at}: {found.what}", found.cure)
        for text in _strings(found.value):
            yield f"{name}#{found.at}", text


def _found(source: Path | HubId) -> Iterator[tuple[str, Found]]:
    if isinstance(source, HubId):
        yield from ((str(source), one) for one in hub_rows(source))
        return
    bare = source.name.removesuffix(".gz").removesuffix(".zst").lower()
    if source.is_file() and bare.endswith((".txt", ".md")):
        lines = b"".join(chunks(source)).decode("utf-8-sig", "replace").split("\n")
        yield from ((source.name, Record(number, line)) for number, line in enumerate(lines, 1))
        return
    if source.is_file() and bare.endswith((".csv", ".tsv")):
        yield from (
            (source.name, one)
            for one in csv_rows(chunks(source), "\t" if bare.endswith(".tsv") else ",")
        )
        return
    for path, name, form in files_of(source, every_split=True):
        yield from ((name, one) for one in rows_of(path, form))


def _strings(value: Any) -> Iterator[str]:
    """Every text of a row. An instruction and the input that it works on are one text: without it, it is a template."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)
    elif isinstance(value, dict):
        fit = exchange.fit(Layout.of(signature_of(value)))
        inputs = fit.keys("input") if fit else ()
        both = [fit.key("instruction"), *inputs] if fit and inputs else []
        if both:
            yield "\n".join(str(value[key]) for key in both)
        for key, one in value.items():
            if key not in both and key not in ("id", "system"):
                yield from _strings(one)
