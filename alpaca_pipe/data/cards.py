"""Dataset and model cards: a README.md whose head the Hub and `load_dataset` read, and whose body a person reads."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.core.screen import visible
from alpaca_pipe.data.card_licence import CardLicence, licence_of
from alpaca_pipe.data.commercial_use import as_chapter, brought
from alpaca_pipe.data.markdown import as_text, fenced

Fact = tuple[str, str]  # what, figure; one line of a card's table

_FILES = {
    "json": "`alpaca_data.json`: all rows in Stanford's shape (instruction, input, output)",
    "jsonl": "`examples.jsonl`: all rows, one a line, with id and origin",
    "datasets": "`data/*.parquet`: the same columns by split",
    "parquet": "`examples.parquet`: all rows, the same columns",
    "openorca": "`openorca.jsonl`: all rows (id, system_prompt, question, response)",
    "sharegpt": "`sharegpt.json`: all rows as conversations (from, value)",
    "messages": "`messages.jsonl`: all rows as OpenAI's messages (role, content)",
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_TEACHERS = "alpaca_pipe_teachers: "  # a key of our own in the head: what a push is checked against


def dataset_card(
    counts: Mapping[str, int],
    kinds: Mapping[str, int],
    teacher: str,
    forms: Collection[str],
    with_system: int = 0,
    made_by: str = "",
    terms: Mapping[str, Any] | None = None,
) -> str:
    """The card of a published dataset. No recipe's name: several recipes may share the step that seals it.

    counts: "rows" (all) and rows per split; kinds: rows per origin (seed, generated, imported); teacher: who wrote the
    generated rows (several: with ", " between), or ""; with_system: rows with a system text, which alpaca_data.json cannot
    hold; made_by: the hash of the recipe's part that made it (the step's identity);
    terms: what the recipe brings in and what was accepted, as its lock keeps it.
    """
    splits = [name for name in counts if name != "rows"]
    notes, bound = _binding(kinds, teacher, brought(terms or {}))
    licence = licence_of(bound)
    head = [
        f"license: {licence.name}",
        "task_categories: [text-generation]",
        "tags: [instruction-tuning, alpaca]",
    ]
    if teacher:
        head.append(f"{_TEACHERS}{json.dumps(teacher.split(', '))}")
    if "datasets" in forms and splits:
        head += ["configs:", "- config_name: default", "  data_files:"]
        head += [f"  - split: {name}\n    path: data/{name}.parquet" for name in splits]
    facts = [
        ("rows", str(counts["rows"])),
        *((f"rows in `{name}`", str(counts[name])) for name in splits),
        *((f"rows {kind}", str(number)) for kind, number in kinds.items()),
        ("teacher", as_text(teacher) if teacher else "none: no row was generated"),
    ]
    if made_by:
        facts.append(("hash of the recipe that made it", made_by))
    lost = (
        [f"{with_system} rows have a `system` text, which `alpaca_data.json` cannot hold."]
        if with_system
        else []
    )
    return "\n".join(
        [
            *_head(head),
            "# Instruction data",
            "",
            *_table(facts),
            "",
            *(f"- {_FILES[form]}" for form in forms),
            *lost,
            "",
            "```python",
            "from datasets import load_dataset",
            'load_dataset("path/of/this/folder")',
            "```",
            "",
            *_licence(licence, notes, bound, terms or {}),
            "",
        ]
    )


def teachers_of(card: str) -> tuple[str, ...]:
    """The models that wrote rows, as the head of a dataset's card names them."""
    line = next(
        (line for line in card.split("\n---")[0].splitlines() if line.startswith(_TEACHERS)), ""
    )
    return tuple(json.loads(line.removeprefix(_TEACHERS))) if line else ()


def _binding(
    kinds: Mapping[str, int], teacher: str, brings: Sequence[Ingredient]
) -> tuple[list[str], list[Ingredient]]:
    """Where the rows' terms come from, in sentences; and whose terms they are."""
    notes = []
    named = [name for name in teacher.split(", ") if name]
    bound = list(_teachers(named, brings)) if kinds.get("generated") else []
    if kinds.get("generated"):
        notes.append(
            f"The generated rows were written by {as_text(teacher) if teacher else 'a teacher model'}: the terms of that model and "
            "of its provider say what they may be used for."
        )
        bound = bound or [Ingredient("teacher", "a teacher model that nobody named")]
    bound += [one for one in brings if one.kind in ("data", "judge")]
    if kinds.get("imported"):
        notes.append("The imported rows keep the licence of the file that they came from.")
        bound += (
            []
            if any(one.kind == "data" for one in bound)
            else [Ingredient("data", "the imported rows")]
        )
    return notes, bound


def _licence(
    licence: CardLicence,
    notes: Sequence[str],
    bound: Sequence[Ingredient],
    terms: Mapping[str, Any],
) -> list[str]:
    """Whose terms bind it, and what they say to selling. It names them; it does not judge them."""
    why = ["", licence.why] if licence.why else []
    return ["## Licence", "", *notes, *why, "", *as_chapter(bound, terms.get("accepted"))]


def _teachers(named: Sequence[str], brings: Sequence[Ingredient]) -> Iterator[Ingredient]:
    """Those who wrote the rows, each with the recipe's words about it and not about another. A provider may call it by a longer
    name, with a date; whom the recipe names and no reply does is told too."""
    known = [one for one in brings if one.kind == "teacher"]
    for name in named:
        said = next((one.said for one in known if _is_called(name, one.name)), "")
        yield Ingredient("teacher", name, said)
    yield from (
        one for one in known if one.said and not any(_is_called(name, one.name) for name in named)
    )


def _is_called(name: str, model: str) -> bool:
    """By a provider: as the recipe has it, or with a date after it; gpt-4o-mini is no gpt-4."""
    rest = name.removeprefix(model)
    return name.startswith(model) and (
        not rest or re.fullmatch(r"[-@:]\d{4}[\d-]*", rest) is not None
    )


def model_card(
    base: str,
    method: str,
    prompt: str,
    facts: Sequence[Fact],
    checks: Sequence[Fact],
    terms: Mapping[str, Any] | None = None,
) -> str:
    """The card of an exported model. base: its name for others; a hub's id stands in the head too. prompt: one rendered prompt as the model expects it; facts: what went in;
    checks: what was measured after reloading from disk; terms: as in `dataset_card`."""
    bound = terms or {}
    licence = licence_of(brought(bound), weights=True)
    return "\n".join(
        [
            *_head(
                [
                    "library_name: transformers",
                    *([f"base_model: {base}"] if _HUB_ID.fullmatch(base) else []),
                    "pipeline_tag: text-generation",
                    f"license: {licence.name}",
                    "tags: [instruction-tuning, alpaca]",
                ]
            ),
            f"# {as_text(base)}, tuned ({method})",
            "",
            *_table(facts),
            "",
            "## Checked after reloading from disk",
            "",
            *_table(checks),
            "",
            "## Prompt",
            "",
            "The tokenizer's `chat_template` writes it; one blank line more is another prompt.",
            "",
            *fenced(prompt),
            "",
            "```python",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            'model = AutoModelForCausalLM.from_pretrained("path/of/this/folder")',
            'tokenizer = AutoTokenizer.from_pretrained("path/of/this/folder")',
            "```",
            "",
            *_licence(
                licence,
                ["Two bind this model: the base's licence, and the terms of the training rows."],
                brought(bound),
                bound,
            ),
            "",
        ]
    )


def adapter_card(
    base: str,
    facts: Sequence[Fact],
    files: Sequence[Fact],
    terms: Mapping[str, Any] | None = None,
) -> str:
    """The card of an adapter that travels without its base. base: its name for others; files: (name, sha256)."""
    bound = terms or {}
    licence = licence_of(brought(bound), weights=True)
    known = bool(_HUB_ID.fullmatch(base))
    return "\n".join(
        [
            *_head(
                [
                    "library_name: peft",
                    *([f"base_model: {base}"] if known else []),
                    "pipeline_tag: text-generation",
                    f"license: {licence.name}",
                    "tags: [instruction-tuning, alpaca]",
                ]
            ),
            f"# An adapter for {as_text(base)}",
            "",
            *_table(facts),
            "",
            "`alpaca-pipe chat FOLDER` and `alpaca-pipe serve FOLDER` put it onto its base. So does PEFT:",
            "",
            "```python",
            "from peft import PeftModel",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            f'base = AutoModelForCausalLM.from_pretrained("{base if known else "folder/of/the/base"}")',
            'model = PeftModel.from_pretrained(base, "path/of/this/folder")',
            'tokenizer = AutoTokenizer.from_pretrained("path/of/this/folder")',
            "```",
            "",
            "The tokenizer's `chat_template` writes the prompt as in training.",
            "",
            "## Files",
            "",
            *_table([(name, f"sha256 {digest}") for name, digest in files]),
            "",
            *_licence(
                licence,
                ["Two bind this adapter: the base's licence, and the terms of the training rows."],
                brought(bound),
                bound,
            ),
            "",
        ]
    )


def _head(lines: Sequence[str]) -> list[str]:
    return ["---", *lines, "---", ""]


def _table(facts: Sequence[Fact]) -> list[str]:
    return [
        "| | |",
        "|---|---|",
        *(f"| {what} | {_cell(figure)} |" for what, figure in facts),
    ]


def _cell(figure: str) -> str:
    """What is not escaped yet is on one line, without a bar that would end its cell and without HTML."""
    line = " ".join(visible(figure).split()).replace("<", "&lt;")
    return re.sub(r"(?<!\\)\|", r"\|", line)
