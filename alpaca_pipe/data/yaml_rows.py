"""YAML: one document that holds rows, as InstructLab's qna.yaml does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from alpaca_pipe.core.guarded_yaml import load_yaml
from alpaca_pipe.data.compression import BreaksOff
from alpaca_pipe.data.records import LONGEST, Found, Record, Unreadable


def yaml_rows(data: Iterable[bytes]) -> Iterator[Found]:
    """The items of a list, else the whole document as one row. At most LONGEST bytes."""
    try:
        whole = b"".join(data)
        if len(whole) > LONGEST:
            yield Unreadable(
                1,
                f"a YAML file of more than {LONGEST >> 20} MiB",
                "write one JSON object a line",
                ends=True,
            )
            return
        document: Any = load_yaml(
            whole.decode("utf-8-sig"), as_written=True, most=LONGEST, most_nodes=LONGEST
        )
    except (UnicodeDecodeError, BreaksOff, ValueError) as error:
        what = str(error).strip().split("\n")[0]
        yield Unreadable(
            1, f"not YAML: {what}", "fix it, or write one JSON object a line", ends=True
        )
        return
    rows = document if isinstance(document, list) else [document]
    for number, row in enumerate(rows, 1):
        yield Record(number, row)
