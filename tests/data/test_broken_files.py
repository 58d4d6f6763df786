"""Malformed inputs of every kind: a sentence with the place and a cure, never anything else; or set aside with reasons."""

from __future__ import annotations

import contextlib
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.example import Rejected
from alpaca_pipe.data.preferences import read_preferences
from alpaca_pipe.data.reading import read
from alpaca_pipe.data.records import LONGEST
from tests.data.test_reading import ROWS, as_csv, as_json, as_jsonl, as_parquet, zstd

GOOD = '{"instruction": "a", "output": "b"}'


def told(path: Path) -> list[str]:
    """What the errors say, without the path; each has a cure."""
    with pytest.raises(UserError) as caught:
        list(read(path))
    errors = caught.value.errors if isinstance(caught.value, UserErrors) else (caught.value,)
    assert all(error.cure for error in errors)
    return [error.what.removeprefix(str(path)) for error in errors]


@pytest.mark.parametrize(
    "text, where, says",
    [
        ("", "", "the file is empty"),
        ("\n \n", "", "no rows"),
        ("[]", "", "no rows"),
        (f"[\n{GOOD}\n{GOOD}]", ":3:", "Expecting ','"),
        (f'[\n{GOOD},\n{{"instruction', ":3:", "not JSON: Unterminated string"),
        (f"[\n{GOOD},\n{GOOD}", ":3:", "the list is not closed"),
        (f"[\n{GOOD},\n{GOOD[:-1]},\n{GOOD}]", ":4:", "not JSON"),
        ('[\n\n"text"]', ":3:", "a text, not an object"),
        (f"[{GOOD}]\n[]", ":2:", "after the end"),
        ("[" * 100_000, ":1:", "nested"),
        ("{" * 3 + '"a":' * 5, ":1:", "not JSON"),
        ('{"a":' * 100_000, ":1:", "nested"),
        (r'[{"instruction": "a \ud83d", "output": "b"}]', ":1:", "surrogate"),
        ("[{'instruction': 'a', 'output': 'b'}]", ":1:", "a Python repr (single quotes), not JSON"),
        ("{'instruction': 'a', 'output': 'b'}\n", ":1:", "a Python repr (single quotes), not JSON"),
        (json.dumps(GOOD), ":1:", "a text that holds JSON: it was encoded twice"),
        (json.dumps([GOOD]), ":1:", "a text that holds JSON: it was encoded twice"),
        (json.dumps({"conversations": "[{}]"}), ":1:", "turn 1 of 'conversations' has no 'role'"),
        (json.dumps({"conversations": "[{"}), "", "no row has the keys of instruction data"),
        (json.dumps({"data": [1]}, indent=1), "", "instruction data; its keys: data"),
        ('{"a": {"instruction": "a", "output": "b"},\n"b": {"instruction": ', ":2:", "not JSON"),
        (f"{GOOD}{GOOD}", ":1:", "a second value begins at column 36"),
        (f"{GOOD}\n{GOOD[:17]}", ":2:", "not JSON: Unterminated string"),
        (
            f'{GOOD}\n{{"instruction": "a\tb", "output": ""}}',
            ":2:",
            "not JSON: Invalid control character",
        ),
        (f'{GOOD}\n{{"instruction": "a\0b", "output": ""}}', ":2:", "NUL bytes"),
        (
            '{"text": "a", "url": "b"}',
            "",
            "no row has the keys of instruction data; its keys: text, url",
        ),
        ('{"instrucctions": "a", "output": "b"}', "", "no row has the keys of instruction data"),
        ("instruction,output\na\n", ":2:", "the row has 1 cells, the header names 2"),
        ("instruction,output\na,b\nc,d,e\n", ":3:", "the row has 3 cells, the header names 2"),
        ('instruction,output\na,b\n"c,d\n', ":3:", "not CSV: unexpected end of data"),
        ('instruction,output\na,"b"c\n', ":2:", "not CSV"),
        ("instruction,output\n", "", "no rows"),
        ("just some text\nand more", "", "neither JSON nor CSV"),
        ("null", ":1:", "null, not an object"),
        ("x,y\n1,2\n", "", "no row has the keys of instruction data; its keys: x, y"),
        ("some text, and more\nof it", "", "neither JSON nor CSV"),
    ],
)
def test_a_broken_text(tmp_path: Path, text: str, where: str, says: str) -> None:
    path = tmp_path / "broken"
    path.write_text(text, encoding="utf-8")
    found = told(path)
    assert len(found) == 1 and found[0].startswith(where) and says in found[0]


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: as_json(ROWS).decode().encode("utf-16"), "UTF-16"),
        (lambda: as_jsonl(ROWS).decode().encode("utf-16-le"), "UTF-16"),
        (lambda: as_csv(ROWS).decode().encode("utf-16-be"), "UTF-16"),
        (lambda: b"\0" * 5000, "NUL bytes: it is damaged"),
        (lambda: bytes(range(256)) * 40, "a binary file"),
        (lambda: b"PK\x03\x04" + b"x" * 99, "a zip archive"),
        (lambda: b"\x89PNG\r\n\x1a\n" + b"x" * 99, "a picture"),
        (lambda: b"SQLite format 3\0" + b"x" * 99, "an SQLite database"),
        (lambda: as_parquet(ROWS)[:-9], "not a whole Parquet file"),
        (lambda: b"PAR1", "not a whole Parquet file"),
        (
            lambda: as_parquet([{"instruction": "a", "output": {"a": 1, "b": 2}}]),
            ", row 1: 'output' is an object, not a text",
        ),
        (
            lambda: as_parquet([{"instruction": "a", "output": b"b"}]),
            ", row 1: 'output' is bytes, not a text",
        ),
        (
            lambda: as_parquet([{"text": "a"}]),
            "no row has the keys of instruction data; its keys: text",
        ),
        (lambda: gzip.compress(as_parquet(ROWS)), "Parquet inside gzip"),
        (lambda: gzip.compress(b""), "the file is empty"),
        (lambda: gzip.compress(as_json(ROWS))[:5], "breaks off"),
        (lambda: b"\x1f\x8bnonsense", "the gzip file breaks off or is damaged here"),
        (lambda: zstd(as_json(ROWS))[:12], "breaks off"),
        (
            lambda: '[{"instruction": "é", "output": ""}]'.encode("latin1"),
            ":1: not UTF-8: byte 0xe9",
        ),
        (lambda: "instruction,output\né,b\n".encode("latin1"), ":2: not UTF-8: byte 0xe9"),
        (
            lambda: b'{"instruction": "a", "output": "b"}\n{"instruction": "\xe9", "output": ""}',
            ":2: not UTF-8 at byte 18 of the line (0xe9)",
        ),
        (lambda: b"\xff\xfe" + b"a" * 50, "UTF-16"),
    ],
)
def test_broken_bytes(tmp_path: Path, make: Callable[[], bytes], says: str) -> None:
    path = tmp_path / "broken"
    path.write_bytes(make())
    found = told(path)
    assert len(found) == 1 and says in found[0]


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
@pytest.mark.parametrize("write", [as_json, as_jsonl, as_csv])
def test_a_packed_file_that_breaks_off(
    tmp_path: Path, pack: Callable[[bytes], bytes], write: Callable[[list[object]], bytes]
) -> None:
    """What was read before the break is not taken for the whole."""
    path = tmp_path / "broken"
    path.write_bytes(
        pack(
            write(
                [
                    row | {"input": f"{n} {n * n * 7919 % 100003}"}
                    for n in range(3000)
                    for row in ROWS[:1]
                ]
            )
        )[:-9]
    )
    for keep_going in (False, True):
        with pytest.raises(
            UserError, match=r"broken(:\d+)?: the .* file breaks off or is damaged here"
        ):
            list(read(path, keep_going=keep_going))


def test_all_bad_rows_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(
        '{"instruction": "a", "output": {}}\n{"xs": "a", "output": ""}\n'
        f'{GOOD}\n[1]\n{{broken\n{{"instruction": null, "output": ""}}\n'
    )
    found = told(path)
    assert [text.split(" ")[0] for text in found] == [":1:", ":2:", ":4:", ":5:", ":6:"]
    assert found[0] == ":1: 'output' is an object, not a text"
    assert "does not have the keys" in found[1] and "not JSON" in found[3]
    path.write_text("{broken\n" * 5000)
    (once,) = told(path)  # of the twenty that are told at most
    assert once.startswith(f":1 and 19 more, to {path}:20: not JSON")


def test_several_bad_elements_of_one_list(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    lines = (
        json.dumps(ROWS, indent=4)
        .replace('"1, 2"', "1, 2")
        .replace('"output": "hi', '"output": {}, "more": "hi')
    )
    path.write_text(lines)
    assert [text.split(" ")[0] for text in told(path)] == [":4:", ":7:", ":14:"]


@pytest.mark.parametrize(
    "text, kept, aside",
    [
        (
            f'{GOOD}\n{{broken\n{GOOD}\n"x"\n{{"instruction": null, "output": ""}}\n{GOOD}',
            3,
            ["{broken", "x", '{"instruction": null, "output": ""}'],
        ),
        (f"[\n{GOOD},\n{GOOD[:-1]},\n{GOOD}\n]", 2, [GOOD[:-1]]),
        (f"[\n{GOOD}\n{GOOD},\n{GOOD}\n]", 3, [""]),
        (f"[\n{GOOD},\n{GOOD},\n{GOOD[:9]}", 2, [GOOD[:9]]),
        (f"[\n  {GOOD},\n  nonsense,\n  {GOOD}\n]\n", 2, ["nonsense"]),
        ("instruction,output\na,b\nc\nd,e,f\ng,h\n", 2, ['["c"]', '["d", "e", "f"]']),
    ],
)
def test_bad_rows_are_set_aside(tmp_path: Path, text: str, kept: int, aside: list[str]) -> None:
    path, dropped = tmp_path / "rows", list[Rejected]()
    path.write_text(text)
    assert len(list(read(path, keep_going=True, aside=dropped.append))) == kept
    assert [one.what for one in dropped] == aside
    assert all(
        one.rule == "unreadable" and one.reason and one.source.startswith("rows#")
        for one in dropped
    )
    with pytest.raises(UserErrors):
        list(read(path))


def test_latin_bytes_are_set_aside_row_by_row(tmp_path: Path) -> None:
    for name, data in (
        ("a.jsonl", b'%s\n{"instruction": "\xe9", "output": ""}\n%s'),
        ("a.json", b'[%s,\n{"instruction": "\xe9", "output": ""},\n%s]'),
    ):
        path, aside = tmp_path / name, list[Rejected]()
        path.write_bytes(data % (GOOD.encode(), GOOD.encode()))
        assert len(list(read(path, keep_going=True, aside=aside.append))) == 2
        assert len(aside) == 1 and aside[0].source == f"{name}#2" and "not UTF-8" in aside[0].reason
        json.dumps(aside[0].to_row(), ensure_ascii=False).encode()


def test_a_list_that_cannot_be_told_apart_is_never_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(f"[{GOOD}, {GOOD[:-1]}, {GOOD}, {GOOD}]")
    with pytest.raises(UserError, match="a.json:1, row 2: not JSON"):
        list(read(path, keep_going=True))


def test_a_row_among_others_on_its_line_is_told_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    bad = json.dumps({"x": 1})
    path.write_text(f"[{GOOD}, {GOOD}, {bad},\n{bad}, {GOOD}, {bad}]")
    with pytest.raises(UserErrors) as error:
        list(read(path))
    places = [str(one).split(": ")[0].removeprefix(str(path)) for one in error.value.errors]
    assert places == [":1, row 3", ":2", ":2, row 6"]
    aside: list[Rejected] = []
    list(read(path, keep_going=True, aside=aside.append))
    assert [one.source for one in aside] == ["a.json#1", "a.json#2", "a.json#2"]  # as it was


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"instruction": "a', "Unterminated string starting at column 17"),
        ('{"instruction": "a\tb"}', "Invalid control character at column 19"),
    ],
)
def test_a_sentence_has_each_word_once(tmp_path: Path, line: str, what: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"{GOOD}\n{line}\n")
    with pytest.raises(UserErrors, match=what):
        list(read(path))


@pytest.mark.parametrize("read_rows", [read, read_preferences])
def test_who_may_set_rows_aside_is_told_how(tmp_path: Path, read_rows: Any) -> None:
    """Only where the reader has the key, and where it would help."""
    path = tmp_path / "a.jsonl"
    path.write_text(f'{GOOD}\n{{"x": 1}}\n')
    for keep_going, hint in ((False, True), (None, False)):
        with pytest.raises(UserErrors) as error:
            list(read_rows(path, keep_going=keep_going))
        assert ("--keep-going" in error.value.cure) is hint
    cut_off = tmp_path / "a.json"
    cut_off.write_text(
        f"[{GOOD}, {GOOD[:-1]}, {GOOD}, {GOOD}]"
    )  # nothing behind it can be told apart
    with pytest.raises(UserErrors) as error:
        list(read_rows(cut_off, keep_going=False))
    assert "--keep-going" not in error.value.cure


def test_folders_and_names(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("no")
    assert told(tmp_path / "empty") == [": the folder holds no rows"] == told(tmp_path / "other")
    assert told(tmp_path / "absent") == [": cannot be read: No such file or directory"]


def test_each_row_of_a_mixed_file_by_its_own_shape(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        f'{GOOD}\n{{"input": "a", "output": "b"}}\n{{"question": "a", "answer": "b"}}\n{{"x": 1}}'
    )
    assert told(path) == [
        ":4: the row does not have the keys of instruction data; its keys: x",
    ]
    aside: list[Rejected] = []
    assert len(list(read(path, keep_going=True, aside=aside.append))) == 3 and len(aside) == 1


@settings(
    max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.binary(max_size=60)
    | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.text('[]{}",:\\ \n\tad1', max_size=40).map(str.encode),
    st.sampled_from(
        [
            b"",
            b"[",
            b"{",
            b'{"instruction": "a", "output": "b"}\n',
            b"[" + GOOD.encode() + b",",
            b"instruction,output\n",
            b"PAR1",
            b"\x1f\x8b",
            b"\x28\xb5\x2f\xfd",
            b"BZh9",
            b"\xfd7zXZ\x00",
        ]
    ),
    st.booleans(),
)
def test_any_bytes_are_rows_or_a_user_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, start: bytes, keep: bool
) -> None:
    path = tmp_path_factory.mktemp("any") / "x"
    path.write_bytes(start + data)
    with contextlib.suppress(UserError):
        list(read(path, keep_going=keep))


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.lists(
        st.sampled_from(
            [GOOD, GOOD[:-1], "nonsense", "7", "[", GOOD + GOOD, '{"instruction": "é"']
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([5, 80, 4096]),
)
def test_a_bad_element_costs_no_good_one(elements: list[str], size: int) -> None:
    """A row a line: each good line that follows a comma is found again behind any bad ones."""
    from alpaca_pipe.data.json_rows import json_list
    from alpaca_pipe.data.records import Record

    data = ("[\n" + ",\n".join([*elements, GOOD]) + "\n]").encode()
    found = list(json_list(data[at : at + size] for at in range(0, len(data), size)))
    good = [
        one
        for one in found
        if isinstance(one, Record) and one.value == {"instruction": "a", "output": "b"}
    ]
    assert len(good) >= elements.count(GOOD) + 1


MEASURE = """
import sys
from pathlib import Path
from typing import Any
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.preferences import read_preferences
from alpaca_pipe.data.reading import read
peak = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) // 1024
before = peak()
try:
    print(sum(1 for _ in read(Path(sys.argv[1]))))
except UserError as error:
    print(error.what.removeprefix(sys.argv[1]))
print(peak() - before)
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="the peak of memory is read from /proc"
)
@pytest.mark.parametrize(
    "start, piece, end, says",
    [
        (
            b'{"instruction": "',
            b"word " * 2000,
            b'", "output": "x"}',
            ":1: the row is longer than 16 MiB",
        ),
        (
            b'[{"instruction": "',
            b"word " * 2000,
            b'", "output": "x"}]',
            ":1: the row is longer than 16 MiB",
        ),
        (
            b"[" + GOOD.encode(),
            b"," + (b'{"instruction": "' + b"w" * 5000 + b'", "output": "b"}'),
            b"]",
            "40001",
        ),
        (b"instruction,output\n", b"word " * 2000, b"", ":2: not CSV"),
    ],
    ids=["one row", "one row of a list", "a list on one line", "one cell"],
)
def test_a_line_of_200_megabytes(
    tmp_path: Path, start: bytes, piece: bytes, end: bytes, says: str
) -> None:
    """Rows or a sentence, in memory that is bounded by the longest row allowed, not by the line."""
    path = tmp_path / "line"
    with path.open("wb") as out:
        out.write(start)
        for _ in range(200_000_000 // len(piece) if b"{" not in piece else 40_000):
            out.write(piece)
        out.write(end)
    assert path.stat().st_size > 190_000_000
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], text=True, capture_output=True, check=True
    )
    path.unlink()
    answer, megabytes = done.stdout.splitlines()
    assert answer.startswith(says) and int(megabytes) < 8 * (LONGEST >> 20)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "instruction,output,output\nWhere is it?,Here.,There.\n", "the header names 'output' twice"),
        ("a.jsonl", '{"instruction": "a b", "output": "c", "output": "d"}\n', "the key 'output' twice"),
        ("a.json", '[{"instruction": "a b", "output": "c", "output": "d"}]', "the key 'output' twice"),
        ("a.jsonl", '{"messages": [{"role": "user", "content": "a", "content": "b"}]}\n', "the key 'content' twice"),
    ],
)  # fmt: skip
def test_of_two_values_under_one_name_none_is_lost(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=says):
        list(read(tmp_path / name))


def test_a_table_in_markdown(tmp_path: Path) -> None:
    path = tmp_path / "rows.md"
    path.write_text("| instruction | output |\n|:---|---:|\n| Where is it? | Here. |\n")
    assert [(one.instruction, one.output) for one in read(path)] == [("Where is it?", "Here.")]
