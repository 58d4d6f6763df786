"""The table `generate:` of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticKnownError

from alpaca_pipe.core.config_table import Added, Exact, ExistingPath, Knob, Table
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.generate.parsing.numbered_list import Bugs
from alpaca_pipe.generate.seeds.seeds import SeedFile
from alpaca_pipe.generate.sources.earlier_rows import ROWS, Extended, Reworked
from alpaca_pipe.generate.stop_rules import Limits
from alpaca_pipe.generate.style_registry import style_class, style_names
from alpaca_pipe.similarity.words import Words

VERSION = 3  # of the stage: raised when its output changes


class OfSomeStyles:
    """Marks a key that only some styles have: those whose `keys` name it."""


def _known(name: str) -> str:
    if name in style_names():
        return name
    *others, last = map(repr, style_names())
    raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})


StyleName = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(style_names())})
]


def _several(value: Any) -> Any:
    """One is as good as a list of one; the tuple because a table's own validators end JSON mode."""
    return (
        tuple(value) if isinstance(value, list) else (value,) if isinstance(value, str) else value
    )


PerSource = (
    Annotated[int, Field(ge=1)]
    | Annotated[dict[str, Annotated[int, Field(ge=1)]], Field(min_length=1)]
)
Documents = Annotated[tuple[ExistingPath, ...], BeforeValidator(_several)]


class GenerateConfig(Table):
    """How the teacher is asked, and when there are enough rows."""

    also: ClassVar[Mapping[str, str]] = {
        "similarity_threshold": "likeness",
        "tokenizer": "words",
        "num_examples": "shown",
        "passes": "times",
        "chunk_size": "passage",
    }

    style: StyleName = Field(
        "alpaca",
        description="how tasks are asked for: see the styles",
    )
    seeds: SeedFile = Field(
        "alpaca",
        validate_default=True,
        description="JSONL of seed tasks, or the name of shipped ones",
    )
    domain: Annotated[str | None, OfSomeStyles()] = Field(
        None,
        min_length=1,
        description="styles alpaca, documents and two-step: what the model is for, in a few words; part of each prompt, and the topics are then only those of the seeds",
    )
    prompt: Annotated[ExistingPath | None, Added()] = Field(
        None,
        description="a Jinja file in the place of the style's own words; its replies are read as the style reads them",
    )
    extend: Extended = Field(
        None,
        description="RECIPE@DATE, or a path to examples.jsonl: these rows come first, count towards `count`, and new rows must differ from them; the prompts are new ones",
    )
    count: int = Field(ge=1, description="rows to accept, at least: the last round is kept whole")
    round_size: int = Field(
        16,
        ge=1,
        le=50_000,
        description="prompts that are sent before their replies are read; limits how many can be in flight",
    )
    shown: int = Field(3, ge=1, description="seed tasks in each prompt")
    tasks: Annotated[int, OfSomeStyles()] = Field(
        4, ge=1, le=50, description="styles alpaca and documents: tasks asked for in one request"
    )
    documents: Annotated[Documents, OfSomeStyles()] = Field(
        (),
        description="style documents: files and folders (txt, md, html, pdf, "
        "docx) whose passages are asked about",
    )
    passage: Annotated[int, OfSomeStyles()] = Field(
        250, ge=40, le=4000, description="style documents: words of a passage, at most"
    )
    rows: Annotated[Reworked, OfSomeStyles()] = Field(
        None,
        description="styles constitutional, evol, orca and react: the rows to rework: RECIPE@DATE, or a file or folder in any format; null: the seeds",
    )
    per_source: Annotated[PerSource | None, OfSomeStyles(), Added()] = Field(
        None,
        description="at most so many rows of each file of `rows`, or of the files that are named: {cot: 150, t0: 200}, without their endings; null: all",
    )
    depth: Annotated[int, OfSomeStyles()] = Field(
        1,
        ge=1,
        le=8,
        description="style evol: how often a row can have evolved; from 2 on, rows of earlier "
        "rounds evolve further",
    )
    times: Annotated[int | None, OfSomeStyles()] = Field(
        None,
        ge=1,
        description="styles constitutional, documents, evol, orca: how often each passage or row is used; "
        "null: as often as needed, in constitutional, orca and evol 1",
    )
    principles: Annotated[ExistingPath | None, OfSomeStyles(), Added()] = Field(
        None,
        description="style constitutional: a YAML list of principles, of which one is drawn for each row; null: ours",
    )
    bugs: Annotated[Bugs, OfSomeStyles()] = Field(
        Bugs(), description="style alpaca-2023: those of Stanford's code, each a switch"
    )
    max_tokens: int = Field(
        1024,
        ge=16,
        description="tokens in a reply; in style two-step, in an answer; default in alpaca-2023 3072, in orca 2048",
    )
    temperature: float | None = Field(
        1.0,
        ge=0,
        le=2,
        description="null: the teacher's default; unset, and the teacher takes none: left out",
    )
    likeness: Exact = Field(
        Decimal("0.7"),
        gt=0,
        le=1,
        description="a new instruction is dropped if its ROUGE-L F with a known one is above this (0.7: Self-Instruct, sec. 2)",
    )
    words: Words = Field(
        "unicode",
        description="what likeness compares: words of any script, or rouge-score's a-z and 0-9; "
        "in style alpaca-2023 rouge",
    )
    max_requests: int | None = Field(
        None, ge=1, description="stop after so many requests, with the rows accepted so far"
    )
    max_candidates: int | None = Field(
        None,
        ge=1,
        description="stop after so many tasks were read, accepted or not; the last round is kept whole",
    )
    pilot: Annotated[int, Knob()] = Field(
        20,
        ge=1,
        description="prompts after which the forecast is calculated again from the replies; if its middle is above the budget, the run stops",
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_style(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("style") not in style_names():
            return given
        return {**style_class(given["style"]).defaults, **given}

    @model_validator(mode="after")
    def _keys_belong_to_the_style(self) -> Self:
        own = style_class(self.style)
        for name in self.of_some_styles():
            given = name in self.model_fields_set and getattr(self, name) not in (None, ())
            if given and name not in own.keys:
                having = [one for one in style_names() if name in style_class(one).keys]
                raise ValueError(
                    f"style {self.style} has no '{name}' - remove it, or use style: {' or '.join(having)}"
                )
        for name, sentence in own.needs.items():
            if not getattr(self, name):
                raise ValueError(sentence)
        if self.per_source and (self.rows is None or self.rows.name == ROWS):
            raise ValueError(
                "per_source caps the files of rows, and none is named - name a file or a folder in rows"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """With the mark of a style whose replies are read otherwise than before, and of caps that count otherwise: the steps of
        all others stay what they were."""
        answer = {**super().identity(), **style_class(self.style).marks}
        if self.per_source and self.rows:
            from alpaca_pipe.generate.sources.caps import were_pooled

            if were_pooled(self.rows):
                answer["capped"] = "by file"
        return answer

    @classmethod
    def of_some_styles(cls) -> tuple[str, ...]:
        """The keys that only some styles have."""
        marked = (
            (name, any(isinstance(mark, OfSomeStyles) for mark in field.metadata))
            for name, field in cls.model_fields.items()
        )
        return tuple(name for name, is_one in marked if is_one)

    def brings(self) -> tuple[Ingredient, ...]:
        return (Ingredient("data", self.rows.name),) if self.rows and self.rows.name != ROWS else ()

    def temperature_for(self, takes: frozenset[str]) -> float | None:
        """None where nobody asked for one and the teacher takes none; one that the recipe names is sent or refused."""
        unasked = "temperature" not in self.model_fields_set and "temperature" not in takes
        return None if unasked else self.temperature

    @property
    def many_turns(self) -> bool:
        """Whether its rows are conversations of several turns."""
        return bool(style_class(self.style).many_turns)

    @property
    def limits(self) -> Limits:
        return Limits(self.count, self.max_requests, self.max_candidates)

    def rehearsed(self) -> Self:
        return self.model_copy(
            update={
                "count": min(self.count, 24),
                "round_size": min(self.round_size, 8),
                "extend": None,
            }
        )
