"""Data files that were cut off, tipped over or made up: rows, or one sentence, whatever they are packed with."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import tarfile
import zipfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attack.commands import call
from tests.attack.examples import some

ROWS = [
    {
        "instruction": f"Name colour {number} that many people like.",
        "input": "",
        "output": "Blue is one that very many people like.",
    }
    for number in range(5)
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


@cache
def wholes() -> dict[str, bytes]:
    """A file of each kind, by its name."""
    import openpyxl
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.Table.from_pylist(ROWS)
    columns, arrow, zipped, tape, book = (io.BytesIO() for _ in range(5))
    parquet.write_table(table, columns)
    with pyarrow.ipc.new_file(arrow, table.schema) as out:
        out.write_table(table)
    with zipfile.ZipFile(zipped, "w") as box:
        box.writestr("a.jsonl", LINES)
    with tarfile.open(fileobj=tape, mode="w:gz") as tar:
        info = tarfile.TarInfo("a.jsonl")
        info.size = len(LINES)
        tar.addfile(info, io.BytesIO(LINES))
    workbook = openpyxl.Workbook()
    workbook.active.append(list(ROWS[0]))
    for row in ROWS:
        workbook.active.append(list(row.values()))
    workbook.save(book)
    return {
        "a.jsonl": LINES,
        "a.json": json.dumps(ROWS).encode(),
        "a.tsv": b"instruction\toutput\n" + 3 * b"Name a colour that many like\tBlue is one\n",
        "a.jsonl.gz": gzip.compress(LINES, mtime=0),
        "a.jsonl.bz2": bz2.compress(LINES),
        "a.jsonl.xz": lzma.compress(LINES),
        "a.jsonl.zst": pyarrow.compress(LINES, codec="zstd", asbytes=True),
        "a.parquet": columns.getvalue(),
        "a.arrow": arrow.getvalue(),
        "a.zip": zipped.getvalue(),
        "a.tar.gz": tape.getvalue(),
        "a.xlsx": book.getvalue(),
    }


NAMES = sorted(
    ["a.jsonl", "a.json", "a.tsv", "a.jsonl.gz", "a.jsonl.bz2", "a.jsonl.xz", "a.jsonl.zst"]
    + ["a.parquet", "a.arrow", "a.zip", "a.tar.gz", "a.xlsx"]
)


def read(folder: Path, name: str, data: bytes) -> str:
    os.chdir(folder)
    (folder / name).write_bytes(data)
    code, said = call("similarity", name)
    assert code in (0, 2) and "a bug in alpaca-pipe" not in said, said
    return said


def damaged(data: bytes, seed: int) -> bytes:
    chance, found = random.Random(seed), bytearray(data)
    how = chance.randrange(4)
    if how == 0:
        return bytes(found[: chance.randrange(len(found) + 1)])
    if how == 1:
        for _ in range(chance.choice([1, 3, 20])):
            found[chance.randrange(len(found))] = chance.randrange(256)
    elif how == 2:
        return chance.randbytes(chance.randrange(200))
    else:
        at = chance.randrange(len(found))
        found[at:at] = chance.randbytes(chance.randrange(1, 30))
    return bytes(found)


@some
@given(st.sampled_from(NAMES), st.integers(0, 2**32))
def test_any_damage_is_read_past_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, seed: int
) -> None:
    read(tmp_path_factory.mktemp("damaged"), name, damaged(wholes()[name], seed))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_cut_off_anywhere(tmp_path: Path, name: str) -> None:
    whole = wholes()[name]
    assert "a fault" not in read(tmp_path, name, whole)
    for share in (0.3, 0.7, 0.95):
        read(tmp_path, name, whole[: int(len(whole) * share)])


def test_a_damaged_offset_is_not_followed(tmp_path: Path) -> None:
    """Arrow reads a batch as it lies; where a text begins is checked before it is looked at."""
    import pyarrow

    table = pyarrow.table({"instruction": ["q" * 40] * 3, "output": ["r" * 40] * 3})
    out = io.BytesIO()
    with pyarrow.ipc.new_file(out, table.schema) as stream:
        stream.write_table(table)
    offsets = b"".join(number.to_bytes(4, "little") for number in (0, 40, 80, 120))
    assert out.getvalue().count(offsets) == 2
    wrong = offsets[:4] + (1 << 30).to_bytes(4, "little") + offsets[8:]
    said = read(tmp_path, "a.arrow", out.getvalue().replace(offsets, wrong))
    assert "not a whole Arrow file" in said


def test_a_bad_byte_in_a_header_is_kept_in_the_log(tmp_path: Path) -> None:
    os.chdir(tmp_path)
    (tmp_path / "a.tsv").write_bytes(b"instr\xc1ction\toutp\xc1t\nName\tBlue\n")
    code, said = call("curate", "a.tsv", "-o", "out")
    assert code == 2 and "a bug in alpaca-pipe" not in said, said
