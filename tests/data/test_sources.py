"""Sources of several files: folders, archives and workbooks with their splits; dataset_info.json; Arrow's own forms."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Rejected
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.data.reading import read
from alpaca_pipe.data.splits import split_of
from tests.data.test_reading import as_csv, as_jsonl, as_parquet

ROWS = [{"question": f"Where is stop {n}?", "answer": f"At mile {n}."} for n in range(3)]
TEST = [{"question": "Where is the end?", "answer": "In the sea."}]


def asked(source: Path, **options: Any) -> list[str]:
    return [one.instruction for one in read(source, **options)]


@pytest.mark.parametrize(
    "name, split",
    [
        ("train.jsonl", "train"),
        ("data/train-00000-of-00002.parquet", "train"),
        ("rows_test.csv", "test"),
        ("test/part-1.jsonl", "test"),
        ("validation.json.gz", "validation"),
        ("dev.tsv", "validation"),
        ("my/train-set/rows.jsonl", "train"),
        ("rows.jsonl", ""),
        ("latest.jsonl", ""),
        ("training_manual.jsonl", "train"),
        ("contest.json", ""),
    ],
)
def test_the_split_that_a_name_tells(name: str, split: str) -> None:
    assert split_of(name) == split


def test_of_a_folder_with_splits_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train-00000-of-00002.jsonl").write_bytes(as_jsonl(ROWS[:1]))
    (tmp_path / "data" / "train-00001-of-00002.jsonl").write_bytes(as_jsonl(ROWS[1:]))
    assert len(asked(tmp_path)) == 3
    (tmp_path / "data" / "test.jsonl").write_bytes(as_jsonl(TEST))
    with pytest.raises(UserError, match="holds the splits test, train, .* --split train"):
        asked(tmp_path)
    assert asked(tmp_path, split="train") == [row["question"] for row in ROWS]
    assert asked(tmp_path, split="test") == ["Where is the end?"]
    with pytest.raises(UserError, match="has no split 'dev'; it has test, train"):
        asked(tmp_path, split="dev")
    with pytest.raises(UserError, match="the file holds no splits"):
        asked(tmp_path / "data" / "test.jsonl", split="test")


SPLIT_ROWS = [
    {"question": f"What is {place}?", "answer": f"The number {place}.", "Split": split}
    for place, split in enumerate(["train", "test", "validation", "train", "", "dev"])
]


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "parquet", "zip", "folder"])
def test_the_split_that_a_column_names(tmp_path: Path, form: str) -> None:
    file = tmp_path / f"rows.{form}"
    if form in ("jsonl", "folder", "zip"):
        file = tmp_path / "all" / "rows.jsonl"
        file.parent.mkdir()
        file.write_bytes(as_jsonl(SPLIT_ROWS))
    elif form == "json":
        file.write_text(json.dumps(SPLIT_ROWS))
    elif form == "csv":
        lines = [",".join(row.values()) for row in SPLIT_ROWS]
        file.write_text("\n".join(["question,answer,Split", *lines]))
    else:
        pa = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pa.Table.from_pylist(SPLIT_ROWS), file)
    if form == "zip":
        with zipfile.ZipFile(tmp_path / "rows.zip", "w") as packed:
            packed.write(file, "rows.jsonl")
        file = tmp_path / "rows.zip"
    if form == "folder":
        file = file.parent
    aside: list[Rejected] = []
    assert asked(file, split="train", aside=aside.append) == ["What is 0?", "What is 3?"]
    assert {one.rule for one in aside} == {"other_split"} and len(aside) == 4
    assert "'Split' is 'test', and 'train' is asked for" in {one.reason for one in aside}
    assert asked(file, split="validation") == ["What is 2?", "What is 5?"]
    assert asked(file, split="test") == ["What is 1?"]
    with pytest.raises(
        UserError, match="no row is of the split 'spring'; they name train, .*'train'"
    ):
        asked(file, split="spring")


def test_objects_behind_each_other_are_not_read_whole_where_a_split_is_asked_for(
    tmp_path: Path,
) -> None:
    file = tmp_path / "rows.json"
    file.write_text("\n".join(json.dumps(row, indent=1) for row in SPLIT_ROWS))
    assert asked(file, split="test") == ["What is 1?"]
    file.write_text("\n".join(json.dumps(row, indent=1) for row in ROWS))
    with pytest.raises(UserError, match="holds no splits, and no row of it names one"):
        asked(file, split="test")


def test_files_beside_a_split_are_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(as_jsonl(ROWS))
    (tmp_path / "test.jsonl").write_bytes(as_jsonl(TEST))
    with pytest.raises(UserError, match="holds the splits the rest, test"):
        asked(tmp_path)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2"])
def test_an_archive_is_read_as_the_folder_that_it_holds(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    files = {
        "a/one.jsonl": as_jsonl(ROWS[:1]),
        "a/two.jsonl": as_jsonl(ROWS[1:]),
        "README.md": b"no",
    }
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as box:
            for name, data in files.items():
                box.writestr(name, data)
    else:
        with tarfile.open(path, f"w:{kind.partition('.')[2]}") as tape:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tape.addfile(info, io.BytesIO(data))
    found = list(read(path))
    assert [one.origin.source for one in found] == [
        "a/one.jsonl#1",
        "a/two.jsonl#1",
        "a/two.jsonl#2",
    ]
    assert [one.instruction for one in found] == [row["question"] for row in ROWS]


def test_archives_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.zip"
    with zipfile.ZipFile(path, "w") as box:
        box.writestr("notes.txt", "no rows")
    with pytest.raises(UserError, match="the archive holds no rows"):
        asked(path)
    path.write_bytes(b"PK\x03\x04" + b"x" * 99)
    with pytest.raises(UserError, match="a zip archive"):
        asked(path)
    with zipfile.ZipFile(path, "w") as box:
        box.writestr("train.parquet", as_parquet(ROWS))
        box.writestr("test.parquet", as_parquet(TEST))
    with pytest.raises(UserError, match="holds the splits test, train"):
        asked(path)
    assert len(asked(path, split="train")) == 3


def test_a_workbook(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Stops"
    sheet.append(["Question", "Answer", None])
    for row in ROWS:
        sheet.append([row["question"], row["answer"]])
    sheet.append([])
    sheet.append(["How many?", 3])
    book.create_sheet("Empty")
    path = tmp_path / "rows.xlsx"
    book.save(path)
    found = list(read(path))
    assert [one.output for one in found] == [*(row["answer"] for row in ROWS), "3"]
    assert found[-1].origin.source == "rows.xlsx#6"
    book.create_sheet("Test").append(["Question", "Answer"])
    book["Test"].append(["Where is the end?", "In the sea."])
    book.save(path)
    with pytest.raises(UserError, match="holds the splits Stops, Test, .* --split Stops"):
        asked(path)
    assert asked(path, split="Test") == ["Where is the end?"]
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(UserError, match="zip archive|not a whole workbook"):
        asked(path)


@pytest.mark.parametrize("form", ["file", "stream", "feather"])
def test_bare_arrow(tmp_path: Path, form: str) -> None:
    import pyarrow
    from pyarrow import feather

    table, path = pyarrow.Table.from_pylist(ROWS), tmp_path / "rows"
    if form == "feather":
        feather.write_feather(table, path)
    else:
        open_writer = pyarrow.ipc.new_file if form == "file" else pyarrow.ipc.new_stream
        with pyarrow.OSFile(str(path), "wb") as out, open_writer(out, table.schema) as writer:
            writer.write_table(table)
    assert asked(path) == [row["question"] for row in ROWS]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="not a whole Arrow file"):
        asked(path)


def test_values_that_a_reader_of_json_has_guessed(tmp_path: Path) -> None:
    """JSON in a column of Arrow's JSON type, days as dates: they come out as they were written."""
    import datetime

    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "rows.parquet"
    days = [datetime.datetime(1969, 7, 20), datetime.datetime(1969, 7, 20, 20, 17)]
    answers = pyarrow.array(['"Blue"', "7"], pyarrow.string()).cast(pyarrow.json_())
    parquet.write_table(
        pyarrow.table({"instruction": ["a", "b"], "input": days, "output": answers}), path
    )
    assert [(one.input, one.output) for one in read(path)] == [
        ("1969-07-20", "Blue"),
        ("1969-07-20T20:17:00", "7"),
    ]


def test_what_datasets_makes_of_a_file_reads_as_the_file(tmp_path: Path) -> None:
    """It takes days for timestamps, and a column with one number among texts for JSON; its Parquet and its folders read as
    the JSONL does."""
    datasets = pytest.importorskip("datasets")
    for name, answers in {"days": ["1969-07-20", "1970-01-01"], "mixed": ["Blue", 7]}.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(as_jsonl([{"question": f"{a}?", "answer": a} for a in answers]))
        found = datasets.load_dataset(
            "json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
        )
        found.to_parquet(tmp_path / f"{name}.parquet")
        found.save_to_disk(tmp_path / name)
        for made in (path, tmp_path / f"{name}.parquet", tmp_path / name):
            assert [one.output for one in read(made)] == [str(a) for a in answers]


def test_columns_of_numbers_are_not_carried_along(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(as_parquet([{**row, "vector": [0.5] * 8} for row in ROWS]))
    assert asked(path) == [row["question"] for row in ROWS]


@pytest.mark.parametrize("written", ["1.10", "010", "1e3", "0x1F", "1969-07-20", "12:30", "1_000"])
def test_a_number_in_yaml_is_the_text_that_stands_there(tmp_path: Path, written: str) -> None:
    path = tmp_path / "rows.yaml"
    path.write_text(f"- instruction: Which one is it?\n  output: {written}\n", encoding="utf-8")
    assert [one.output for one in read(path)] == [written]


def test_yaml_of_instructlab(tmp_path: Path) -> None:
    path = tmp_path / "qna.yaml"
    path.write_text(
        "version: 3\ndomain: trams\ndocument_outline: stops\nseed_examples:\n"
        "  - context: Line 7 ends at the harbour.\n    questions_and_answers:\n"
        "      - question: Where does it end?\n        answer: |\n          At the harbour.\n"
        "      - question: Which line?\n        answer: Line 7.\n"
        "document: {repo: x, commit: y, patterns: ['*.md']}\n"
    )
    assert [(one.instruction, one.input, one.output) for one in read(path)] == [
        ("Where does it end?", "Line 7 ends at the harbour.", "At the harbour.\n"),
        ("Which line?", "Line 7 ends at the harbour.", "Line 7."),
    ]
    path.write_text("seed_examples: [")
    with pytest.raises(UserError, match="qna.yaml:1: not YAML"):
        asked(path)


def test_the_columns_that_a_dataset_info_names(tmp_path: Path) -> None:
    info = {
        "stops": {
            "file_name": "stops.json",
            "columns": {"prompt": "ask", "query": "about", "response": "tell", "system": "as"},
        },
        "talks": {
            "file_name": "talks.json",
            "formatting": "sharegpt",
            "columns": {"messages": "talk"},
            "tags": {
                "role_tag": "by",
                "content_tag": "words",
                "user_tag": "rider",
                "assistant_tag": "driver",
            },
        },
        "pairs": {
            "file_name": "pairs.json",
            "ranking": True,
            "columns": {"prompt": "ask", "chosen": "this", "rejected": "that"},
        },
    }
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    (tmp_path / "stops.json").write_text(
        json.dumps([{"ask": "q", "about": "c", "tell": "a", "as": "s"}])
    )
    talk = [{"by": "rider", "words": "q"}, {"by": "driver", "words": "a"}]
    (tmp_path / "talks.json").write_text(json.dumps([{"talk": talk}]))
    (tmp_path / "pairs.json").write_text(json.dumps([{"ask": "q", "this": "a", "that": "b"}]))
    for name in ("stops", "talks", "pairs"):
        [one] = read(tmp_path / f"{name}.json")
        assert (one.instruction, one.output) == ("q", "a"), name
        assert [one] == list(read(tmp_path, split=name))
    with pytest.raises(UserError, match="names 3 datasets: stops, talks, pairs - .*--split stops"):
        asked(tmp_path)


@pytest.mark.parametrize(
    "text", ["sep=;\nquestion;answer\nq;a\n", "question|answer\nq|a\n", "wer;was\nq;a\n"]
)
def test_csv_with_another_mark(tmp_path: Path, text: str) -> None:
    from alpaca_pipe.data.shapes.columns import Columns

    path = tmp_path / "rows.csv"
    path.write_text(text)
    columns = (
        Columns.of({"instruction": "wer", "output": "was"}) if text.startswith("wer") else None
    )
    assert [(one.instruction, one.output) for one in read(path, columns=columns)] == [("q", "a")]


def test_csv_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(as_csv([{"Where is it?": "At the mill.", "And now?": "There."}]))
    with pytest.raises(
        UserError, match="the header names no columns .* - the first line names the columns"
    ):
        asked(path)


def test_a_split_about_a_wrapped_row_and_names_that_only_begin_alike(tmp_path: Path) -> None:
    row = {"instruction": "Name a river.", "output": "The Rhine."}
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"split": s, "row": row}) + "\n" for s in ("train", "test")))
    assert len(list(read(file, split="train"))) == 1
    file.write_text(
        "".join(json.dumps({"split": s, **row}) + "\n" for s in ("train_prefs", "train_sft"))
    )
    assert len(list(read(file, split="train_prefs"))) == 1
    with pytest.raises(UserError, match="train_prefs"):
        list(read(file, split="train"))


def test_a_split_by_column_is_looked_for_in_all_files_of_a_folder(tmp_path: Path) -> None:
    """The first file holds none of it: that is said only where no other does."""
    for name, split in (("a", "test"), ("b", "train")):
        rows = [
            {"instruction": f"Say {name}{n}.", "output": f"It is {n}.", "split": split}
            for n in range(3)
        ]
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
    assert [one.instruction for one in read(tmp_path, split="train")] == [
        "Say b0.",
        "Say b1.",
        "Say b2.",
    ]
    with pytest.raises(UserError, match="no row is of the split 'dev'; they name test, train"):
        list(read(tmp_path, split="dev"))
