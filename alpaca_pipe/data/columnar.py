"""Rows of Arrow's kin: Parquet, Feather and bare Arrow files, and the folders that `datasets` saves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError, first_line
from alpaca_pipe.data.archives import AnyFile
from alpaca_pipe.data.records import Found, Record
from alpaca_pipe.data.shapes.keys import name_of
from alpaca_pipe.data.shapes.ranked import is_low_good
from alpaca_pipe.data.splits import chosen_split

_BATCH = 500  # rows of a table in memory at a time


def parquet_rows(path: AnyFile) -> Iterator[Found]:
    """The rows of a Parquet file; at: the row's number."""
    from pyarrow import parquet

    try:
        with path.open("rb") as stream, parquet.ParquetFile(stream) as file:
            columns = _worth_reading(file.schema_arrow)
            yield from _numbered(file.iter_batches(batch_size=_BATCH, columns=columns))
    except (ValueError, OSError, KeyError) as error:
        raise UserError(
            f"{path}: not a whole Parquet file: {first_line(error)}", "fetch it again"
        ) from None


def arrow_rows(path: AnyFile) -> Iterator[Found]:
    """The rows of a bare Arrow file or stream, or of a Feather file."""
    import pyarrow

    try:
        with path.open("rb") as stream:
            mark = stream.read(6)
            stream.seek(0)
            if mark.startswith(b"FEA1"):
                from pyarrow import feather

                yield from _numbered(feather.read_table(stream).to_batches(_BATCH))
            elif mark == b"ARROW1":
                with pyarrow.ipc.open_file(stream) as file:
                    yield from _numbered(
                        file.get_batch(at) for at in range(file.num_record_batches)
                    )
            else:
                with pyarrow.ipc.open_stream(stream) as file:
                    yield from _numbered(file)
    except (ValueError, OSError, KeyError) as error:
        raise UserError(
            f"{path}: not a whole Arrow file: {first_line(error)}", "write it again"
        ) from None


def saved_rows(path: Path, split: str | None) -> Iterator[Found]:
    """The rows of a folder that `Dataset.save_to_disk` made; of several splits the one that is meant."""
    import datasets

    try:
        found = datasets.load_from_disk(str(path))
        if isinstance(found, datasets.DatasetDict):
            name = next(iter(found), "")
            if len(found) != 1 or split:
                name = chosen_split(found, split, f"{path}: the dataset")
            found = found[name]
        yield from table_rows(found)
    except (ValueError, OSError, KeyError, TypeError) as error:  # Arrow's own are kinds of these
        raise UserError(
            f"{path}: `datasets` cannot read this folder: {first_line(error)}", "save it again"
        ) from None


def table_rows(dataset: Any) -> Iterator[Found]:
    """The rows of an opened Dataset."""
    yield from _numbered(dataset.with_format("arrow").iter(_BATCH))


def _worth_reading(schema: Any) -> list[str] | None:
    """All columns but those of numbers by the hundred (embeddings, token ids) under a name that means nothing to us."""
    from pyarrow import types

    def is_vector(kind: Any) -> bool:
        several = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        return bool(
            several and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type))
        )

    def says(name: str) -> bool:
        return bool(name_of(name).meaning) or is_low_good(name)

    kept = [one.name for one in schema if says(one.name) or not is_vector(one.type)]
    return kept if len(kept) < len(schema) else None


def _numbered(batches: Iterable[Any]) -> Iterator[Found]:
    number = 0
    for batch in batches:
        batch.validate(full=True)  # a damaged offset would be followed out of the file's memory
        coded = [one.name for one in batch.schema if _is_json(one.type)]
        short = {
            one.name: _shortest(batch, one.name) for one in batch.schema if _is_short(one.type)
        }
        for place, value in enumerate(batch.to_pylist()):
            number += 1
            value.update((name, texts[place]) for name, texts in short.items())
            for name in coded:
                if isinstance(value[name], str):
                    value[name] = json.loads(value[name])
            yield Record(number, value)


def _is_short(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_float32(kind))


def _shortest(batch: Any, name: str) -> list[float | None]:
    """Numbers of 32 bits as anybody writes them: 0.1, not 0.10000000149011612."""
    import pyarrow

    texts = batch.column(name).cast(pyarrow.string()).to_pylist()
    return [None if text is None else float(text) for text in texts]


def _is_json(kind: Any) -> bool:
    """Arrow's JSON type: `datasets` writes a column so where its values are of several kinds."""
    return getattr(kind, "extension_name", "") == "arrow.json"
