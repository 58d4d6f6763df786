"""Rows in: how fast each form of the released 52K is read, judged row by row and laid down as Arrow, and in what memory."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from alpaca_pipe.data.reading import read
from tests.bench.table import publish
from tests.data.test_reading import as_csv, as_json, as_jsonl, as_parquet, zstd

MEASURE = """
import json, sys, time
from pathlib import Path
import datasets  # its import is not what is measured
from alpaca_pipe.curate.inputs import HowToRead, imported
peak = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) // 1024
before, began = peak(), time.perf_counter()
came = imported(Path(sys.argv[1]), HowToRead(), Path(sys.argv[2]), lambda number: None)
print(json.dumps([len(came.rows), time.perf_counter() - began, peak() - before]))
"""


def measured(path: Path, scratch: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(scratch)],
        text=True,
        capture_output=True,
        check=True,
    )
    rows, seconds, megabytes = json.loads(done.stdout)
    return {
        "form": path.name,
        "MB": round(path.stat().st_size / 1e6, 1),
        "rows": rows,
        "seconds": round(seconds, 2),
        "rows/s": round(rows / seconds),
        "memory MB": megabytes,
    }


def test_forms(tmp_path: Path, data: Path) -> None:
    (tmp_path / "scratch").mkdir()
    rows = [
        {"instruction": one.instruction, "input": one.input, "output": one.output}
        for one in read(data / "alpaca_data.json.gz")
    ]
    talks = [
        {
            "conversations": [
                {"from": "human", "value": f"{row['instruction']}\n{row['input']}"},
                {"from": "gpt", "value": row["output"]},
            ]
        }
        for row in rows
    ]
    files = {
        "list.json": as_json(rows),
        "one-line.json": json.dumps(rows).encode(),
        "lines.jsonl": as_jsonl(rows),
        "table.csv": as_csv(rows),
        "table.parquet": as_parquet(rows),
        "sharegpt.json": as_json(talks),
    }
    files |= {
        "lines.jsonl.gz": gzip.compress(files["lines.jsonl"]),
        "lines.jsonl.zst": zstd(files["lines.jsonl"]),
    }
    table = []
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        found = measured(tmp_path / name, tmp_path / "scratch")
        assert found["rows"] == 52_002
        table.append(found)
    publish("formats", table)


@pytest.mark.slow
def test_half_a_gigabyte(tmp_path: Path, data: Path) -> None:
    """The 52K again and again, each time with another number in the instruction; the files are not kept."""
    (tmp_path / "scratch").mkdir()
    rows = list(read(data / "alpaca_data.json.gz"))
    lines, whole = tmp_path / "half-a-gigabyte.jsonl", tmp_path / "half-a-gigabyte.json"
    with lines.open("w", encoding="utf-8") as out:
        copy = 0
        while out.tell() < 500_000_000:
            out.writelines(
                json.dumps(
                    {
                        "instruction": f"{row.instruction} ({copy})",
                        "input": row.input,
                        "output": row.output,
                    },
                    ensure_ascii=False,
                )
                + "\n"
                for row in rows
            )
            copy += 1
    with (
        whole.open("w", encoding="utf-8") as out,
        lines.open(encoding="utf-8", newline="\n") as source,
    ):
        out.write("[")
        out.writelines(
            ("," if place else "") + line.rstrip("\n") for place, line in enumerate(source)
        )
        out.write("]")
    table = [measured(path, tmp_path / "scratch") for path in (lines, whole)]
    for path in (lines, whole):
        path.unlink()
    publish("formats_half_a_gigabyte", table)
