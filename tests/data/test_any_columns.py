"""Rows of any keys and values: rows of ours or a sentence, and no text is lost without a word."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.data.reading import ReadingNotes, read
from alpaca_pipe.data.shapes.columns import Columns
from tests.data.cures import printed_columns
from tests.data.test_shapes import NOT_READ, READ, REFUSED

KEYS = [
    "instruction",
    "input",
    "output",
    "response",
    "prompt",
    "completion",
    "question",
    "answer",
    "query",
    "context",
    "document",
    "system",
    "system_prompt",
    "history",
    "messages",
    "conversations",
    "chosen",
    "rejected",
    "label",
    "weight",
    "status",
    "choices",
    "options",
    "reasoning",
    "tools",
    "images",
    "text",
    "content",
    "instances",
    "data",
    "id",
    "category",
    "score",
    "topic",
    "title",
    "note",
    "winner",
    "response_a",
    "response_b",
    "ranked",
    "answers",
    "generations",
    "ratings",
    "persona",
    "Antwort",
    "问题",
    "segments",
    "fields",
    "responses",
    "annotations",
    "train",
    "correct",
    "kto_tag",
    "output_1",
    "foo",
    "bar",
    *[
        "sql_prompt",
        "sql_context",
        "generated_solution",
        "expected_answer",
        "source",
        "target",
        "title",
        "task",
        "knowledge",
        "hint",
        "constraints",
        "reference",
    ],
    *[
        "code",
        "reasoning_content",
        "chat_history",
        "dialogue_context",
        "conversation",
        "dialog",
        "turns",
        "persona",
        "split",
        "quality",
        "rating",
        "use",
    ],
    *[
        "winner_model_a",
        "winner_model_b",
        "original_question",
        "raw_response",
        "labelling_prompt",
        "judge_prompt",
        "gold",
        "ideal",
        "ctx_a",
        "ctxs",
    ],
    *[
        "option_a",
        "option_b",
        "choice1",
        "choice2",
        "chat",
        "data_source",
        "meta_instruction",
        "preamble",
        "rejected_response",
        "loss_mask",
        "is_user",
    ],
]


class Words:
    """Texts of which each is found again."""

    def __init__(self) -> None:
        self.count = 0

    def next(self) -> str:
        self.count += 1
        return f"word{self.count}word of a text"


def values(words: Words, kind: str) -> Any:
    said = words.next
    made: dict[str, Any] = {
        "text": lambda: said(),
        "html": lambda: f"<p>{said()}</p>",
        "marked": lambda: f"<|im_start|>user\n{said()}<|im_end|>\n<|im_start|>assistant\n",
        "transcript": lambda: f"Human: {said()}\nAssistant: {said()}",
        "empty": lambda: "",
        "null": lambda: None,
        "nan": lambda: float("nan"),
        "number": lambda: 7,
        "zero": lambda: 0,
        "false": lambda: False,
        "true": lambda: True,
        "good": lambda: "good",
        "texts": lambda: [said(), said()],
        "numbers": lambda: [1, 2],
        "turns": lambda: [
            {"role": "user", "content": said()},
            {"role": "assistant", "content": said()},
        ],
        "unfinished": lambda: [{"from": "human", "value": said()}],
        "odd turns": lambda: [{"role": "stranger", "content": said()}, {"role": 3}, 4, None],
        "pairs": lambda: [[said(), said()]],
        "object": lambda: {"text": said()},
        "objects": lambda: [{"a": said()}, {"b": 1}],
        "rows": lambda: [{"input": said(), "output": said()}],
        "nothing": list,
        "packed": lambda: json.dumps([{"role": "user", "content": said()}]),
        "broken": lambda: '[{"role": "user"',
    }
    return made[kind]()


KINDS = [
    "text",
    "html",
    "marked",
    "transcript",
    "empty",
    "null",
    "nan",
    "number",
    "zero",
    "false",
    "true",
    "good",
    "texts",
    "numbers",
    "turns",
    "unfinished",
    "odd|turns",
    "pairs",
    "object",
    "objects",
    "rows",
    "nothing",
    "packed",
    "broken",
]


@st.composite
def files(draw: st.DrawFn) -> list[dict[str, Any]]:
    words = Words()
    kind = st.sampled_from(["text"] * len(KINDS) + [kind.replace("|", " ") for kind in KINDS])
    return [
        {
            key: values(words, draw(kind))
            for key in draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=6))
        }
        for _ in range(draw(st.integers(1, 3)))
    ]


def texts_of(example: Example) -> str:
    """All that a row of ours holds, its origin among it."""
    return json.dumps(example.to_row(), ensure_ascii=False)


def marks(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (
            word
            for word in value.replace("<p>", " ").replace("\n", " ").split()
            if word.startswith("word")
        )
    elif isinstance(value, list):
        for one in value:
            yield from marks(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from marks(one)


@settings(
    max_examples=int(os.environ.get("ALPACA_PIPE_EXAMPLES", "300")),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(files())
def test_no_text_is_lost_without_a_word(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "rows.jsonl"
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    told, aside = ReadingNotes(), list[Rejected]()
    try:
        found = list(read(path, keep_going=True, told=told, aside=aside.append))
    except UserError as error:
        assert error.cure or "\n" in str(error)
        return
    held = "".join(
        [*map(texts_of, found), *(json.dumps(one.to_row(), ensure_ascii=False) for one in aside)]
    )
    summary = told.summary()
    said = " ".join([*summary.get("unread", {}), *summary.get("remarks", {})])
    for row in rows:
        for key, value in row.items():
            lost = [mark for mark in marks(value) if mark not in held]
            assert not lost or key in said or any(word in said for word in TOLD), (
                key,
                row,
                summary,
            )


# Remarks that say of a text that it was not taken, without naming its key.
TOLD = (
    "of several answers the first is read",
    "a last turn that nobody answers is cut",
    "of a turn is left unread",
    "of an instance is left unread",
    "of several ranked answers",
)


@settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(files())
def test_a_cure_leads_on(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    """What a sentence says to add to the command is understood, and the same sentence does not come again."""
    path = tmp_path_factory.mktemp("any") / "rows.jsonl"
    path.write_text(json.dumps(rows[0], ensure_ascii=False) + "\n", encoding="utf-8")
    named: dict[str, tuple[str, ...]] = {}
    seen: set[str] = set()
    for _ in range(8):
        try:
            list(read(path, columns=Columns.of(named)))
            return
        except UserError as error:
            said = str(error)
        assert said not in seen, (said, rows[0], named)
        seen.add(said)
        if not (cure := printed_columns(said)):
            return
        for part, keys in Columns.parse(cure).items():
            named[part] = tuple(dict.fromkeys((*named.get(part, ()), *keys)))
    raise AssertionError((rows[0], seen))


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands inside a value."""
    if at:
        yield at
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, one in inner:
        yield from places(one, (*at, key))


def damaged(value: Any, at: tuple[Any, ...], put: Any) -> Any:
    """A copy with something else at a place; GONE takes it out."""
    key, *rest = at
    if isinstance(value, dict):
        pairs = {**value, key: damaged(value[key], tuple(rest), put) if rest else put}
        return {name: one for name, one in pairs.items() if one is not GONE}
    items = [
        damaged(one, tuple(rest), put) if rest and at == key else put if at == key else one
        for at, one in enumerate(value)
    ]
    return [one for one in items if one is not GONE]


GONE = object()
PUT = [
    GONE,
    None,
    "",
    "a text",
    7,
    0.5,
    True,
    [],
    {},
    [None],
    ["a", "b"],
    [["a"]],
    {"a": 1},
    [{"a": 1}],
    "[1, 2]",
    "<p>a</p>",
]
PUBLIC = Path(__file__).with_name("public_shapes.jsonl")
WHOLE_ROWS = [
    *(row for row, _, _ in READ.values()),
    *(row for row, _ in (*NOT_READ.values(), *REFUSED.values())),
    *(json.loads(line)["row"] for line in PUBLIC.open(encoding="utf-8")),
]


@settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.data())
def test_a_row_that_is_damaged_anywhere(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever stands at any place of a row of a known shape: rows, or a sentence with a cure."""
    row = data.draw(st.sampled_from(WHOLE_ROWS))
    for _ in range(data.draw(st.integers(1, 2))):
        if there := list(places(row)):
            row = damaged(row, data.draw(st.sampled_from(there)), data.draw(st.sampled_from(PUT)))
    path = tmp_path_factory.mktemp("any") / "rows.jsonl"
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n{}\n", encoding="utf-8")
    try:
        list(read(path, keep_going=data.draw(st.booleans())))
    except UserError as error:
        assert " - " in str(error)
