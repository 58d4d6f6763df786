"""The table [curate]: which rows come in, which are kept, and how many of those are held out."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WrapValidator

from alpaca_pipe.core.config_table import Added, Exact, ExistingPath, Knob, Table
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import shipped
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.curate.filter_config import Filters
from alpaca_pipe.curate.grading.config import Grading
from alpaca_pipe.curate.pieces import MaybeSplitLong
from alpaca_pipe.curate.review.decisions import ByHand, Decisions
from alpaca_pipe.data.dataset_info import columns_beside
from alpaca_pipe.data.shapes.columns import Columns
from alpaca_pipe.data.source_kinds import Format, HubId, Turns
from alpaca_pipe.similarity.words import LEAST_INSIDE, Words

GENERATED = "generate/examples.jsonl"  # what it reads where no `from` is given
READING = 5  # the version of how foreign rows are read: another one reads `from` again

Engine = Literal["local", "ray"]
On = Literal["task", "instruction", "input", "output", "row", "instruction+input"]
Keep = Literal["first", "best"]


class Duplicates(Table):
    """What is compared, and which row of a group stays."""

    on: On = Field(
        "task",
        description="what likeness compares. task: the instruction, and where there is one also the input, each of which must "
        "be alike; instruction, input, output: that alone; row: all its texts; instruction+input: both as one text",
    )
    keep: Keep = Field(
        "first",
        description="which row of a group of duplicates stays: the first, or the best (the highest grade; without grades, the longest output)",
    )
    minhash_from: int | None = Field(
        None,
        ge=1,
        description="from so many rows on, duplicates are searched by MinHash; each is verified, a few are missed. Default: every duplicate is found, for any number of rows",
    )


def _hub_or_path(value: Any, path: Any) -> Any:
    return HubId.of(value) if isinstance(value, str) and value.startswith("hub:") else path(value)


Source = Annotated[ExistingPath, WrapValidator(_hub_or_path), PlainSerializer(str)]


class Contamination(Table):
    """Evaluation sets, and how much of them a row may hold."""

    sets: tuple[Source, ...] = Field(
        min_length=1,
        description="files or folders of rows, plain text (.txt: a text a line), "
        "hub:owner/name:test",
    )
    ngram: int = Field(
        13,
        ge=LEAST_INSIDE,
        le=100,
        description="length of a run of words that a row must not share with them",
    )


def _listed(value: Any) -> Any:
    """`[FILE, ...]` as the table that it stands for."""
    named = [value] if isinstance(value, str | Path) else value
    return (
        {"sets": tuple(named)}
        if isinstance(named, list | tuple)
        else value | {"sets": tuple(value["sets"])}
        if isinstance(value, dict) and isinstance(value.get("sets"), list)
        else value
    )


MaybeContamination = Annotated[
    Contamination | None,
    BeforeValidator(_listed, json_schema_input_type=Contamination | list[str] | str | None),
]


def _columns(value: Any) -> Any:
    """Each part with a list of columns; checked, so that a wrong part is told with the recipe's line."""
    if not isinstance(value, dict):
        return value
    named = {
        str(part): (keys,) if isinstance(keys, str) else tuple(keys) for part, keys in value.items()
    }
    try:
        Columns.of(named)
    except UserError as error:
        raise ValueError(f"{error.what.removeprefix('columns: ')} - {error.cure}") from None
    return named


ColumnNames = Annotated[
    dict[str, tuple[str, ...]],
    BeforeValidator(_columns, json_schema_input_type=dict[str, str | list[str]]),
]


def _several_instructions(value: int | None) -> int | None:
    if value == 1:
        raise ValueError("1 would drop every row: write 0 for none, or 2 and more")
    return value


class CurateConfig(Table):
    """Which rows are kept, and how many of them are held out from training."""

    also: ClassVar[Mapping[str, str]] = {
        "similarity_threshold": "likeness",
        "tokenizer": "words",
        "skip_invalid": "keep_going",
        "max_rows": "first",
        "test_size": "held_out",
    }

    source: Source | None = Field(
        None,
        alias="from",
        description="rows to use instead of what generate made: a file or a folder (JSON, JSONL, CSV, Parquet, "
        "a saved dataset; packed or not), or hub:owner/name",
    )
    format: Format | None = Field(
        None, description="of `from`, where it is not told by its content"
    )
    keep_going: bool = Field(
        False,
        description="rows of `from` that cannot be read are rejected with a reason, instead of an error",
    )
    turns: Turns = Field(
        "all",
        description="of a conversation of several exchanges: all of them, the first, or the row is rejected (refuse)",
    )
    split_long: Annotated[MaybeSplitLong, Added()] = Field(
        None,
        description="conversations of `from` with more tokens are cut in pieces where a user speaks; pieces of one are held out "
        "together. null: none is cut",
    )
    columns: ColumnNames = Field(
        {},
        description="what the columns of `from` are, where their names do not say it: {instruction: query, "
        "input: [title, body], unread: score}",
    )
    split: str | None = Field(
        None,
        description="which split of `from`, where it holds several: train, test, a sheet, or what a column `split` says",
    )
    filters: Filters = Field(
        "default",
        description="filter: true, false, or its settings; or none, "  # type: ignore[assignment]
        "stanford, default, or a list of names",
    )
    same_answer: Annotated[int | None, AfterValidator(_several_instructions), Added()] = Field(
        None,
        ge=0,
        description="rows whose answer, of five words or more, stands under so many different instructions, and under more "
        "than one in 1,000, are dropped: it answers none of them (a gateway's words, an error). 0: none is. Default: 3 for "
        "what generate made, 0 for `from`",
    )
    contamination: MaybeContamination = Field(
        None,
        description="evaluation sets whose texts must not be in any row: a list of files or "
        "hub ids, or a table with its settings",
    )
    grade: Grading | None = Field(
        None, description="a teacher's grade for each row that no filter drops"
    )
    repair: bool = Field(
        True,
        description='repair what is safe to repair: "No input" in words, invisible characters, a next '
        "task in the output, the instruction in the input",
    )
    likeness: Exact = Field(
        Decimal("0.7"),
        gt=0,
        le=1,
        description="the later of two rows is a duplicate if the ROUGE-L F of their instructions is above this (0.7: Self-Instruct, sec. 2); 1 keeps all",
    )
    words: Words = Field(
        "unicode",
        description="what likeness compares: words of any script; rouge-score's a-z and 0-9; or these with its stemmer (rouge-stem)",
    )
    duplicates: Duplicates = Field(
        Duplicates(), description="what is compared for duplicates, and which row of a group stays"
    )
    decisions: ByHand = Field(
        Decisions(),
        description="what a person decided about single rows (`alpaca-pipe review`): a file; "
        "default: decisions.jsonl beside the recipe; false: none",
        json_schema_extra={"default": None},
    )
    diversity: bool = Field(
        True,
        description="measure how varied the kept rows are: verbs and objects, lengths, nearest rows",
    )
    first: int | None = Field(None, ge=1, description="use only the first so many rows")
    engine: Annotated[Engine, Knob()] = Field(
        "local",
        description="local: one machine, memory grows with the instructions alone; ray: "
        "the same rows out, by the cluster that RAY_ADDRESS names, or one on this machine",
    )
    held_out: int = Field(
        16, ge=0, description="rows kept away from training, to evaluate on: the lowest id hashes"
    )

    def identity(self) -> dict[str, Any]:
        """Decisions by what they mean; where none counts, nothing, as if there were no such key."""
        answer = super().identity()
        del answer["decisions"]
        for name in ("columns", "split"):
            if not answer[name]:
                del answer[name]
        if self.source:
            answer["reading"] = READING
            if isinstance(self.source, Path) and (beside := columns_beside(self.source)):
                answer["dataset_info"] = {part: list(keys) for part, keys in beside.items()}
        else:
            answer["turns"] = "refuse"  # as it stood before foreign rows were conversations
        return answer | ({"decisions": self.decisions.identity()} if self.decisions else {})

    def shares(self) -> tuple[str, ...]:
        """The base, whose tokenizer counts."""
        return ("base",) if self.split_long and not self.split_long.tokenizer else ()

    def brings(self) -> tuple[Ingredient, ...]:
        data = (
            (
                Ingredient(
                    "data", self.source if isinstance(self.source, HubId) else self.source.name
                ),
            )
            if self.source
            else ()
        )
        judge = self.grade.teacher if self.grade and self.grade.teacher != "same" else None
        return (*data, *(one._replace(kind="judge") for one in (judge.brings() if judge else ())))

    def rehearsed(self) -> Self:
        """A set on the hub is not fetched for it: rows of our own stand in its place."""
        own = "systems/chats.json" if self.split_long else "alpaca.jsonl"
        on_hub = isinstance(self.source, HubId)
        standing_in = shipped("seed_tasks") / own if on_hub else self.source
        return self.model_copy(
            update={
                "source": standing_in,
                **({"columns": {}, "format": None, "split": None} if on_hub else {}),
                "held_out": min(self.held_out, 4),
                "first": min(self.first or 500, 500),
                "grade": self.grade and self.grade.rehearsed(),
                "decisions": Decisions(),
                "same_answer": 0,  # a scripted teacher says the same few sentences again and again
                "split_long": self.split_long and self.split_long.rehearsed(),
            }
        )
