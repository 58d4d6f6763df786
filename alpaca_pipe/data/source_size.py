"""About how many rows will come in, before any is read."""

from __future__ import annotations

from pathlib import Path

from alpaca_pipe.data.source_kinds import HubId

_BYTES_A_ROW = 430  # of the released 52K
UNCOUNTED = 10_000  # of a dataset that is not fetched yet: said wherever it is used
_PACKED = 3  # times as many rows in as many bytes of a packed file


def rows_expected(source: Path | HubId, first: int | None = None) -> int:
    """About how many rows a source holds, by its size; of what is not here the first so many, or UNCOUNTED."""
    if isinstance(source, HubId):
        return first or UNCOUNTED
    files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
    return max(
        1,
        sum(
            path.stat().st_size
            * (_PACKED if path.suffix in (".gz", ".zst", ".parquet", ".bz2", ".xz") else 1)
            for path in files
        )
        // _BYTES_A_ROW,
    )
