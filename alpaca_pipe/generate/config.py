"""The table `generate:` of a recipe."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from alpaca_pipe.core.config_table import Exact, ExistingPath, Knob, Table
from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.generate.parsing.numbered_list import Bugs
from alpaca_pipe.generate.seeds.seeds import SeedFile
from alpaca_pipe.generate.sources.earlier_rows import ROWS, Extended
from alpaca_pipe.generate.stop_rules import Limits
from alpaca_pipe.similarity.words import Words

VERSION = 3  # of the stage: raised when its output changes

StyleName = Literal[
    "alpaca", "documents", "alpaca-2023", "two-step", "self-instruct", "evol", "orca"
]

_OWN_DEFAULTS: dict[str, dict[str, Any]] = {
    "alpaca-2023": {"max_tokens": 3072, "words": "rouge"},
    "self-instruct": {"shown": 8, "temperature": 0.7, "words": "rouge"},
    "orca": {"max_tokens": 2048, "times": 1},
    "evol": {"times": 1},
}
_ONLY_OF = {
    "domain": ("alpaca", "documents", "two-step"),
    "tasks": ("alpaca", "documents"),
    "bugs": ("alpaca-2023",),
    "documents": ("documents",),
    "passage": ("documents",),
    "rows": ("evol", "orca"),
    "depth": ("evol",),
    "times": ("documents", "evol", "orca"),
}


def _several(value: Any) -> Any:
    """One is as good as a list of one; the tuple because a table's own validators end JSON mode."""
    return (
        tuple(value) if isinstance(value, list) else (value,) if isinstance(value, str) else value
    )


Documents = Annotated[tuple[ExistingPath, ...], BeforeValidator(_several)]


class GenerateConfig(Table):
    """What is asked, and when it is enough."""

    style: StyleName = Field(
        "alpaca",
        description="alpaca: several tasks a request, as JSON, of the kinds that the rows so "
        "far lack; documents: tasks that a passage of your own files answers; alpaca-2023: as Stanford "
        "asked; two-step: an instruction, then its answer, for small models; self-instruct: the "
        "original's steps; evol: rows made harder or turned to something else; orca: rows answered "
        "anew, step by step",
    )
    seeds: SeedFile = Field(
        "alpaca",
        validate_default=True,
        description="JSONL of seed tasks, or the name of shipped ones",
    )
    domain: str | None = Field(
        None,
        min_length=1,
        description="styles alpaca, documents and two-step: what the model is for, in "
        "a few words; said in each prompt, and the topics are then those of the seeds alone",
    )
    extend: Extended = Field(
        None,
        description="RECIPE@DATE, or a path to examples.jsonl: these rows stand first, count, and "
        "are known; the prompts are other ones than theirs",
    )
    count: int = Field(ge=1, description="rows to accept, at least: the last round is kept whole")
    round_size: int = Field(
        16,
        ge=1,
        le=50_000,
        description="prompts that are asked before their replies are read; bounds "
        "how many can be in flight",
    )
    shown: int = Field(3, ge=1, description="seed tasks in each prompt")
    tasks: int = Field(
        4, ge=1, le=50, description="styles alpaca and documents: tasks asked for in one request"
    )
    documents: Documents = Field(
        (),
        description="style documents: files and folders (txt, md, html, pdf, "
        "docx) whose passages are asked about",
    )
    passage: int = Field(
        250, ge=40, le=4000, description="style documents: words of a passage, at most"
    )
    rows: Extended = Field(
        None,
        description="styles evol and orca: the rows that are reworked: RECIPE@DATE, or a file of any "
        "form; null: the seeds",
    )
    depth: int = Field(
        1,
        ge=1,
        le=8,
        description="style evol: how often a row can have evolved; from 2 on, rows of earlier "
        "rounds evolve further",
    )
    times: int | None = Field(
        None,
        ge=1,
        description="styles documents, evol, orca: how often each passage or row is used; "
        "null: as often as needed, in orca and evol 1",
    )
    bugs: Bugs = Field(
        Bugs(), description="style alpaca-2023: those of Stanford's code, each a switch"
    )
    max_tokens: int = Field(
        1024,
        ge=16,
        description="of a reply; in style two-step, of an answer; in alpaca-2023 3072, in orca 2048",
    )
    temperature: float | None = Field(1.0, ge=0, le=2, description="null: the teacher's own")
    likeness: Exact = Field(
        Decimal("0.7"),
        gt=0,
        le=1,
        description="ROUGE-L F with a known instruction above which a new "
        "one is dropped (0.7: Self-Instruct, sec. 2)",
    )
    words: Words = Field(
        "unicode",
        description="what likeness compares: words of any script, or rouge-score's a-z and 0-9; "
        "in style alpaca-2023 rouge",
    )
    max_requests: int | None = Field(
        None, ge=1, description="stop there with the rows that were accepted"
    )
    max_candidates: int | None = Field(
        None,
        ge=1,
        description="stop once so many tasks were read, whatever became of them; "
        "the last round is kept whole",
    )
    pilot: Annotated[int, Knob()] = Field(
        20,
        ge=1,
        description="prompts after which the forecast is made anew from the "
        "replies; a middle forecast past the budget then stops the run",
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_style(cls, given: Any) -> Any:
        return (
            _OWN_DEFAULTS.get(str(given.get("style")), {}) | given
            if isinstance(given, dict)
            else given
        )

    @model_validator(mode="after")
    def _keys_belong_to_the_style(self) -> Self:
        for name, styles in _ONLY_OF.items():
            if (
                self.style not in styles
                and name in self.model_fields_set
                and getattr(self, name) not in (None, ())
            ):
                raise ValueError(
                    f"style {self.style} has no '{name}' - take it out, or use style: {' or '.join(styles)}"
                )
        if self.style == "documents" and not self.documents:
            raise ValueError(
                "style documents asks about your own files - name them: documents: [FOLDER]"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """Marks the style whose replies are read otherwise than in 2026-11: the steps of all others stay what they were."""
        return super().identity() | ({"instances": 2} if self.style == "self-instruct" else {})

    def brings(self) -> tuple[Ingredient, ...]:
        return (Ingredient("data", self.rows.name),) if self.rows and self.rows.name != ROWS else ()

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
