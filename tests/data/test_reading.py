"""Foreign rows in: every form and shape gives the same rows with their places, packed or not, named rightly or not."""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin, Rejected
from alpaca_pipe.data.publish import write_alpaca_json
from alpaca_pipe.data.reading import ReadingNotes, read

STANFORD = (
    "2eddafc6b977608d778aaab8dfc7e50e547b3af9826dfb9e909d9fc362e4a419"  # shared/data/README.md
)
ROWS = [
    {"instruction": "Add.", "input": "1, 2", "output": "3"},
    {"instruction": 'Say "hi"\nthere', "input": "", "output": "hi\u2028there 😀"},
    {"instruction": "Add.", "input": "1, 2", "output": "3"},
]


def texts(examples: list[Example]) -> list[tuple[str, str, str, str]]:
    return [(one.system, one.instruction, one.input, one.output) for one in examples]


def as_json(rows: list[Any]) -> bytes:
    return json.dumps(rows, indent=4).encode()


def as_jsonl(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_csv(rows: list[Any], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_parquet(rows: list[Any]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), out)
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    import pyarrow

    out = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(out, "zstd") as packer:
        packer.write(data)
    return bytes(out.getvalue())


FORMS: dict[str, Callable[[list[Any]], bytes]] = {
    "rows.json": as_json,
    "rows.jsonl": as_jsonl,
    "rows.csv": as_csv,
    "rows.parquet": as_parquet,
    "rows.tsv": lambda rows: as_csv(rows, "\t"),
    "semicolons.csv": lambda rows: as_csv(rows, ";"),
    "minified.json": lambda rows: json.dumps(rows).encode(),
    "bom.json": lambda rows: b"\xef\xbb\xbf" + as_json(rows),
    "bom.jsonl": lambda rows: b"\xef\xbb\xbf" + as_jsonl(rows),
    "bom.csv": lambda rows: b"\xef\xbb\xbf" + as_csv(rows),
    "crlf.jsonl": lambda rows: as_jsonl(rows).replace(b"\n", b"\r\n"),
    "a-row-a-line.json": lambda rows: ("[" + ",\n".join(map(json.dumps, rows)) + "]\n").encode(),
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstd,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "two gzip members": lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]),
}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(tmp_path: Path, form: str, packing: str) -> None:
    """Under a name that says nothing: the content tells."""
    path = tmp_path / "rows"
    path.write_bytes(PACKED[packing](FORMS[form](ROWS)))
    if form == "rows.parquet" and packing != "plain":
        with pytest.raises(UserError, match="Parquet inside .* - unpack it first"):
            list(read(path))
        return
    found = list(read(path))
    assert texts(found) == [("", row["instruction"], row["input"], row["output"]) for row in ROWS]
    assert found[2].id == f"{found[0].id}#2" and found[0].origin.kind == "imported"


@pytest.mark.parametrize(
    "form, places",
    [
        ("rows.json", [2, 7, 12]),
        ("rows.jsonl", [1, 2, 3]),
        ("rows.csv", [2, 3, 5]),
        ("rows.parquet", [1, 2, 3]),
    ],
)
def test_each_row_knows_its_place(tmp_path: Path, form: str, places: list[int]) -> None:
    path = tmp_path / form
    path.write_bytes(FORMS[form](ROWS))
    assert [one.origin.source for one in read(path)] == [f"{form}#{place}" for place in places]


def test_a_raw_line_separator_does_not_end_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"instruction": "a\u2028b\u2029c\x85d\x0ce", "output": "x"}\n'.replace("\x0c", "\\f"),
        encoding="utf-8",
    )
    [one] = read(path)
    assert one.instruction == "a\u2028b\u2029c\x85d\x0ce" and one.origin.source == "a.jsonl#1"


def test_null_input_is_no_input(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"instruction": "Hi", "input": null, "output": "x", "text": 1}\n\n \n')
    assert [one.input for one in read(path)] == [""]


def test_a_saved_dataset_and_its_splits(tmp_path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    whole = datasets.Dataset.from_list([{**row, "other": n} for n, row in enumerate(ROWS)])
    whole.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": whole}).save_to_disk(tmp_path / "split")
    datasets.DatasetDict({"train": whole, "test": whole.select([0])}).save_to_disk(
        tmp_path / "splits"
    )
    wanted = [("", row["instruction"], row["input"], row["output"]) for row in ROWS]
    for name in ("one", "split", "splits/train"):
        assert texts(list(read(tmp_path / name))) == wanted
    with pytest.raises(
        UserError, match="the dataset holds the splits train, test, .* --split train"
    ):
        list(read(tmp_path / "splits"))
    assert len(list(read(tmp_path / "splits" / "test", "datasets"))) == 1
    assert len(list(read(tmp_path / "splits", split="test"))) == 1
    (next((tmp_path / "one").glob("*.arrow"))).write_bytes(b"no")
    with pytest.raises(UserError, match="cannot read this folder"):
        list(read(tmp_path / "one"))


def test_a_folder_of_files_of_one_form(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    (folder / "data").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "README.md").write_text("not rows")
    (folder / "dataset_info.json").write_text("{}")
    (folder / ".hidden" / "x.jsonl").write_text("no")
    (folder / "data" / "b.parquet").write_bytes(as_parquet(ROWS[1:]))
    (folder / "data" / "a.parquet").write_bytes(as_parquet(ROWS[:1]))
    found = list(read(folder))
    assert [one.origin.source for one in found] == [
        "data/a.parquet#1",
        "data/b.parquet#1",
        "data/b.parquet#2",
    ]
    (folder / "all.jsonl").write_bytes(as_jsonl(ROWS[:2]))
    with pytest.raises(
        UserError, match="files of 2 forms: jsonl, parquet - name one file, or say with format"
    ):
        list(read(folder))
    assert len(list(read(folder, "jsonl"))) == 2 and len(list(read(folder, "parquet"))) == 3
    with pytest.raises(UserError, match="no file of the form csv"):
        list(read(folder, "csv"))


@pytest.mark.parametrize(
    "row, wanted",
    [
        (
            {"instruction": "a", "response": "b", "context": "c", "category": "x"},
            ("", "a", "c", "b"),
        ),
        ({"instruction": "a", "response": "b"}, ("", "a", "", "b")),
        ({"prompt": "a", "completion": "b", "system": "s"}, ("s", "a", "", "b")),
        ({"prompt": "a", "response": "b"}, ("", "a", "", "b")),
        ({"question": "a", "answer": "b", "id": 3}, ("", "a", "", "b")),
        ({"system_prompt": "s", "question": "a", "response": "b"}, ("s", "a", "", "b")),
        ({"query": "a", "response": "b"}, ("", "a", "", "b")),
        ({"problem": "a", "solution": "b"}, ("", "a", "", "b")),
        ({"input": "a", "output": "b"}, ("", "a", "", "b")),
        (
            {"instruction": "a", "output": "b", "messages": None, "system": None, "history": []},
            ("", "a", "", "b"),
        ),
        ({"messages": None, "prompt": "a", "completion": "b"}, ("", "a", "", "b")),
        (
            {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
            ("", "a", "", "b"),
        ),
        (
            {
                "conversations": [
                    {"from": "system", "value": "s"},
                    {"from": "human", "value": "a"},
                    {"from": "gpt", "value": "b"},
                ]
            },
            ("s", "a", "", "b"),
        ),
        (
            {
                "system": "s",
                "conversations": [
                    {"role": "user", "content": "a"},
                    {"role": "assistant", "content": "b"},
                ],
            },
            ("s", "a", "", "b"),
        ),
        (
            {
                "messages": [
                    {"role": "system", "content": "s"},
                    {"role": "user", "content": "a"},
                    {"role": "assistant", "content": "b"},
                ]
            },
            ("s", "a", "", "b"),
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "!"}],
                    },
                    {"role": "assistant", "content": "b", "weight": 1},
                ]
            },
            ("", "a!", "", "b"),
        ),
        (
            {
                "prompt": [{"role": "user", "content": "a"}],
                "completion": [{"role": "assistant", "content": "b"}],
            },
            ("", "a", "", "b"),
        ),
    ],
)
def test_every_shape(tmp_path: Path, row: dict[str, Any], wanted: tuple[str, ...]) -> None:
    lines, table = tmp_path / "a.jsonl", tmp_path / "a.parquet"
    lines.write_bytes(as_jsonl([row, row]))
    assert texts(list(read(lines))) == [wanted, wanted]
    if "history" not in row and "a!" not in wanted:  # what a column of one type can hold
        table.write_bytes(as_parquet([row, row]))
        assert texts(list(read(table))) == [wanted, wanted]


def human(*said: str) -> list[dict[str, str]]:
    return [{"from": ("human", "gpt")[place % 2], "value": text} for place, text in enumerate(said)]


@pytest.mark.parametrize(
    "turns, rule, reason",
    [
        (human("a"), "turns", "the conversation is user, not a question and its answer"),
        ([{"from": "gpt", "value": "a"}], "turns", "is assistant, not a question"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
            "turns",
            "a part of type 'image_url'",
        ),
        (
            [
                {"role": "user", "content": "a"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "b", "train": False},
                        {"type": "text", "text": "c"},
                    ],
                },
            ],
            "turns",
            "in parts of which some are to be learned and some not",
        ),
        (
            [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}],
            "do_not_learn",
            "no answer in it is to be learned",
        ),
    ],
)
def test_what_a_row_cannot_hold_is_set_aside_with_its_reason(
    tmp_path: Path, turns: list[Any], rule: str, reason: str
) -> None:
    path, aside = tmp_path / "a.json", list[Rejected]()
    path.write_bytes(as_json([{"conversations": human("q", "a")}, {"conversations": turns}]))
    assert texts(list(read(path, aside=aside.append))) == [("", "q", "", "a")]
    [dropped] = aside
    assert (
        dropped.rule == rule and reason in dropped.reason and dropped.source.startswith("a.json#")
    )
    assert json.loads(str(dropped.what)) == {"conversations": turns}
    assert dropped.to_row()["origin"]["kind"] == "imported"


def said(example: Example) -> list[tuple[str, str, bool]]:
    return [(one.role, one.text, one.is_learned) for one in example.conversation()]


def test_a_conversation_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(
        as_json(
            [
                {"conversations": human("a", "b", "c", "d")},
                {"conversations": human("a", "b", "c")},
                {"conversations": [{"from": "gpt", "value": "hello"}, *human("a", "b")]},
                {"conversations": human("a", "b") + [{"from": "gpt", "value": "more"}]},
            ]
        )
    )
    told = ReadingNotes()
    found = [said(one) for one in read(path, told=told)]
    exchange = [("user", "a", False), ("assistant", "b", True)]
    assert found == [
        [*exchange, ("user", "c", False), ("assistant", "d", True)],
        exchange,
        [("assistant", "hello", False), *exchange],
        [*exchange, ("assistant", "more", True)],
    ]
    assert told.summary()["remarks"] == {
        "a last turn that nobody answers is cut": 1,
        "an answer before the first question is not learned": 1,
    }


def test_one_exchange_where_that_is_asked_for(tmp_path: Path) -> None:
    path, aside = tmp_path / "a.json", list[Rejected]()
    path.write_bytes(
        as_json([{"conversations": human("a", "b", "c", "d")}, {"conversations": human("a", "b")}])
    )
    found = list(read(path, turns="first", aside=aside.append))
    assert [one.origin.details for one in found] == [{"exchanges": 2}, {}] and not aside
    assert texts(found) == [("", "a", "", "b")] * 2
    assert len(list(read(path, turns="refuse", aside=aside.append))) == 1
    assert [one.reason for one in aside] == [
        "the conversation goes on (user, assistant, user, assistant), and one exchange is wanted"
    ]


def test_a_format_is_forced(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_jsonl([ROWS[0] | {"question": "q", "answer": "a"}]))
    with pytest.raises(UserError, match="'question' is not read.* --columns unread=question"):
        list(read(path))
    assert [one.instruction for one in read(path, "alpaca")] == ["Add."]
    assert [one.instruction for one in read(path, "question-answer")] == ["q"]
    with pytest.raises(UserError, match="a.jsonl:1: the row has no 'messages'"):
        list(read(path, "messages"))
    path.write_bytes(as_jsonl(ROWS))
    assert len(list(read(path, "json"))) == len(list(read(path, "jsonl"))) == 3


def test_the_first_rows_alone_are_read(tmp_path: Path) -> None:
    path, aside = tmp_path / "a.jsonl", list[Rejected]()
    path.write_bytes(as_jsonl([ROWS[0]]) + b"{broken\n" + as_jsonl(ROWS[1:]) + b"{broken")
    found = list(read(path, keep_going=True, first=3, aside=aside.append))
    assert len(found) == 2 and len(aside) == 1
    with pytest.raises(UserError, match="a.jsonl:2: not JSON"):
        list(read(path, first=3))


@pytest.mark.parametrize("size", [7, 64, 1000])
@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    rows=st.lists(st.tuples(st.text(), st.text(), st.text()), min_size=1, max_size=6),
    indent=st.sampled_from([None, 0, 4]),
    ascii=st.booleans(),
)
def test_a_list_reads_the_same_wherever_it_is_cut(
    size: int, rows: list[tuple[str, ...]], indent: int | None, ascii: bool
) -> None:
    from alpaca_pipe.data.json_rows import json_list
    from alpaca_pipe.data.records import Record

    values = [dict(zip(("instruction", "input", "output"), row, strict=True)) for row in rows]
    data = json.dumps(values, indent=indent, ensure_ascii=ascii).encode("utf-8")
    found = list(json_list(data[at : at + size] for at in range(0, len(data), size)))
    assert [one.value for one in found if isinstance(one, Record)] == values and len(found) == len(
        values
    )


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=4))
def test_written_as_stanford_writes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    path = tmp_path_factory.mktemp("out") / "alpaca_data.json"
    write_alpaca_json(path, (Example.of(*row, Origin("seed")) for row in rows))
    wanted = [dict(zip(("instruction", "input", "output"), row, strict=True)) for row in rows]
    assert path.read_text() == json.dumps(wanted, indent=4)


def test_the_52k_comes_out_byte_for_byte(tmp_path: Path, data: Path) -> None:
    rows = list(read(data / "alpaca_data.json.gz"))
    assert len(rows) == 52_002 and rows[0].origin.source == "alpaca_data.json.gz#2"
    write_alpaca_json(tmp_path / "out.json", rows)
    assert hashlib.sha256((tmp_path / "out.json").read_bytes()).hexdigest() == STANFORD


def test_other_real_files(data: Path) -> None:
    assert len(list(read(data / "datasets" / "self_instruct_5k.jsonl.gz"))) == 5000
    assert len(list(read(data / "datasets" / "alpaca_gpt4_en_1k.json.gz"))) == 999
    talks = list(read(data / "datasets" / "sharegpt_dummy_conversation.json.gz"))
    assert len(talks) == 500 and sum(bool(one.messages) for one in talks) > 100
    assert (
        len(list(read(data / "datasets" / "sharegpt_dummy_conversation.json.gz", turns="first")))
        == 500
    )


@pytest.mark.parametrize("first", [1, 120, 200, 201, 300, 400, None])
@pytest.mark.parametrize("files", [1, 3])
def test_as_many_rows_are_counted_as_are_read(
    tmp_path: Path, first: int | None, files: int
) -> None:
    """`read as exchange: 200 rows` stood beside `read: 120`."""
    rows = [
        {"question": f"Q {n}?", "answer": f"A {n}.", "note": f"n {n}"} for n in range(300 // files)
    ]
    for number in range(files):
        (tmp_path / f"{number}.jsonl").write_bytes(as_jsonl(rows))
    told = ReadingNotes()
    source = tmp_path if files > 1 else tmp_path / "0.jsonl"
    found = list(read(source, first=first, told=told))
    assert len(found) == min(first or 300, 300)
    said = told.summary()
    assert sum(one["rows"] for one in said["shapes"]) == len(found)
    assert said["unread"] == {"note": len(found)}


def test_what_every_text_ends_with_is_found_in_more_rows_than_are_wanted(tmp_path: Path) -> None:
    rows = [{"instruction": f"Say {n}.", "output": f"{n}\n\n###\n\n"} for n in range(50)]
    (tmp_path / "few.jsonl").write_bytes(as_jsonl(rows))
    whole = [one.output for one in read(tmp_path / "few.jsonl")]
    assert [one.output for one in read(tmp_path / "few.jsonl", first=3)] == whole[:3]


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_number_of_few_bits_is_read_as_it_is_written(tmp_path: Path, kind: str) -> None:
    import pyarrow
    from pyarrow import parquet

    numbers = pyarrow.array([0.5, 0.1, 1e20], pyarrow.float64()).cast(kind)
    table = pyarrow.table({"instruction": ["One?", "Two?", "Three?"], "output": numbers})
    path = tmp_path / "rows.parquet"
    parquet.write_table(table, path)
    assert [one.output for one in read(path)] == ["0.5", "0.1", "1e+20"]


def test_a_number_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"instruction": "How many?", "output": 1e400}\n', encoding="utf-8")
    with pytest.raises(UserError, match="too large"):
        list(read(path))
