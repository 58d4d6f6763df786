"""Seed tasks: the few rows, written by people, that every prompt shows to the teacher."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, ValidationInfo

from alpaca_pipe.core.config_table import from_recipe
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import shipped

Filled = Annotated[str, Field(min_length=1, pattern=r"\S")]


class SeedRow(BaseModel):
    """One line of a seed file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    instruction: Filled
    input: str = ""
    output: Filled
    topic: str = ""  # a noun; the style two-step asks for more tasks by topic
    classification: bool = False  # the output is one of a few labels
    source: str = ""  # file#start-end that it was drafted from
    drafted_by: str = ""  # the model that wrote it, where a person only confirmed it
    comment: str = ""  # for people; nothing reads it


@dataclass(frozen=True)
class Seed:
    """details of its origin: source and drafted_by, where a teacher drafted it."""

    example: Example
    topic: str
    classification: bool


def read_seeds(path: Path) -> tuple[Seed, ...]:
    """All rows of a JSONL or CSV file. Raises UserErrors with file and line of everything that is wrong."""
    seeds: list[Seed] = []
    errors: list[UserError] = []
    for number, read in _rows(path):
        try:
            row = read()
        except ValidationError as error:
            errors += _explained(error, f"{path}:{number}")
        else:
            drafted = {"source": row.source, "drafted_by": row.drafted_by}
            origin = Origin(
                "seed",
                f"{path.name}#{number}",
                details={name: said for name, said in drafted.items() if said},
            )
            seeds.append(
                Seed(
                    Example.of(row.instruction, row.input, row.output, origin),
                    row.topic,
                    row.classification,
                )
            )
    if errors:
        raise UserErrors(errors)
    if not seeds:
        raise UserError(
            f"{path}: it holds no seed task",
            'write one JSON object a line: {"instruction": ..., "output": ...}',
        )
    return tuple(seeds)


def _rows(path: Path) -> Iterator[tuple[int, Callable[[], SeedRow]]]:
    """(line, how to read the row that begins there): CSV with a head line where the file is called so, else JSONL."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 text: {error}", "save it as UTF-8, one JSON object a line"
        ) from None
    if path.suffix.lower() != ".csv":
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                for row in _of_line(line):
                    yield number, row
        return
    lines = csv.DictReader(
        io.StringIO(text, newline=""),
        restkey="more columns than the head",
        delimiter=delimiter_of(text),
    )
    number = 2
    for cells in lines:
        if any(cells.values()):
            yield number, partial(_of_cells, cells)
        number = lines.line_num + 1


def _of_line(line: str) -> Iterator[Callable[[], SeedRow]]:
    """How to read the seeds of a line: one of ours, or Self-Instruct's, whose instances are a seed each."""
    if '"instances"' in line and (found := _of_instances(line)):
        yield from (partial(SeedRow.model_validate, row) for row in found)
    else:
        yield partial(SeedRow.model_validate_json, line)


def _of_instances(line: str) -> list[dict[str, Any]]:
    """The rows of a line of Self-Instruct's seed_tasks.jsonl: {"instruction", "instances": [{"input", "output"}],
    "is_classification", "name", "id"}; [] where it is none."""
    try:
        task = json.loads(line)
    except (ValueError, RecursionError):
        return []
    if not isinstance(task, dict) or not isinstance(task.get("instances"), list):
        return []
    own = {key: value for key, value in task.items() if key not in _THEIRS}
    if "is_classification" in task:
        own["classification"] = task["is_classification"]
    return [{**own, **one} for one in task["instances"] if isinstance(one, dict)]


_THEIRS = ("id", "name", "instances", "is_classification")  # what the original says beside


def delimiter_of(text: str) -> str:
    """Of a CSV, by its head line: spreadsheets write semicolons where the comma belongs to numbers."""
    head = text.partition("\n")[0]
    return ";" if head.count(";") > head.count(",") else ","


def _of_cells(cells: Mapping[str, str | None]) -> SeedRow:
    """A cell that is not there is an empty one; `classification` is true or false in words."""
    given: dict[str, Any] = {name: value or "" for name, value in cells.items()}
    said = str(given.get("classification", "")).strip().lower()
    if said in _SAID:
        given["classification"] = _SAID[said]
    return SeedRow.model_validate(given)


_SAID = {"": False, "false": False, "no": False, "0": False, "true": True, "yes": True, "1": True}


def _explained(error: ValidationError, where: str) -> Iterator[UserError]:
    for item in error.errors():
        key = ".".join(map(str, item["loc"]))
        match item["type"]:
            case "json_invalid":
                yield UserError(
                    f"{where}: not a JSON object: {item['ctx']['error']}",
                    "write one whole JSON object a line",
                )
            case "extra_forbidden":
                yield UserError(
                    f"{where}: {key}: unknown key", did_you_mean(key, SeedRow.model_fields)
                )
            case "missing":
                yield UserError(f"{where}: {key}: it is missing", f"add the {key} to this row")
            case "string_too_short" | "string_pattern_mismatch":
                yield UserError(f"{where}: {key}: it is empty", "write it, or remove the row")
            case _:
                yield UserError(
                    f"{where}: {key or 'the row'}: {item['msg']}",
                    "see seed_tasks/alpaca.jsonl for the form",
                )


def _seed_file(value: object, info: ValidationInfo) -> Path:
    """The name of shipped seeds, or a path as every other one in a recipe."""
    names = {file.stem: file for file in shipped("seed_tasks").glob("*.jsonl")}
    if isinstance(value, str) and value in names:
        return names[value]
    path = from_recipe(value, info)
    if not path.is_file():
        raise ValueError(
            f"no such file: {path}, and no shipped seeds of that name - {did_you_mean(str(value), names)}"
        )
    return path


SeedFile = Annotated[Path, PlainValidator(_seed_file, json_schema_input_type=str)]
