"""The scripted teacher, in its own process, asked through the client that real teachers are asked through."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rapidfuzz.distance import Indel

from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import digest_of, read_jsonl, write_jsonl
from alpaca_pipe.teachers.base import Fatal
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import open_teacher
from alpaca_pipe.teachers.scripted.scripted_replies import THINGS, ScriptedRow, _rows, answer_to
from alpaca_pipe.teachers.scripted.scripted_server import asked_of
from alpaca_pipe.teachers.scripted.scripted_teacher import recorded

ROW: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("instruction", "input", "output")},
    "required": ["instruction", "input", "output"],
}
ROWS = {
    "type": "object",
    "properties": {"rows": {"type": "array", "items": ROW, "minItems": 3, "maxItems": 3}},
}


def question(text: str, sample: int = 0, **decoding: Any) -> Request:
    return Request((PromptMessage("user", text),), decoding, sample)


def as_json(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "rows", "schema": schema}}


def ask(requests: Sequence[Request], log: Path, **fields: Any) -> list[Completion]:
    async def main() -> list[Completion]:
        table = TeacherTable(**{"kind": "rehearsed", "model": "gpt-4o-mini", **fields})
        async with open_teacher(table, log=log) as teacher:
            return list(await asyncio.gather(*(teacher.ask(request) for request in requests)))

    return asyncio.run(main())


def test_the_same_question_has_the_same_answer_and_another_draw_another(tmp_path: Path) -> None:
    asked = [
        question("Why?", seed=5),
        question("Why?", seed=5),
        question("Why?", 1, seed=5),
        question("Why?", seed=6),
        question("Why not?", seed=5),
    ]
    first, again, *others = ask(asked, tmp_path / "log", served=tmp_path / "served.jsonl")
    assert first == again
    assert len({first.text, *(other.text for other in others)}) == 4
    assert first.model_said == "gpt-4o-mini"
    served = list(read_jsonl(tmp_path / "served.jsonl"))
    assert len(served) == 5
    assert len({row["asked"] for row in served}) == 4
    assert sorted(row["sample"] for row in served) == [0, 0, 0, 0, 1]
    assert ask(asked[:1], tmp_path / "log") == [first]  # another process says the same


@pytest.mark.parametrize("dialect", ["chat", "completions"])
def test_a_list_is_continued_in_its_own_layout(dialect: str, tmp_path: Path) -> None:
    prompt = "Tasks:\n###\n1. Instruction: Sing.\n1. Input:\n<noinput>\n1. Output:\nLa.\n###\n2. Instruction:"
    whole, short = ask(
        [question(prompt, max_tokens=3000, stop=["\n20"]), question(prompt, max_tokens=40)],
        tmp_path / "log",
        dialect=dialect,
    )
    pieces = ("2. Instruction:" + whole.text).split("###\n")
    numbers = [
        int(found[1]) for piece in pieces if (found := re.match(r"(\d+)\. Instruction: ", piece))
    ]
    assert numbers == list(range(2, 20))
    assert (
        sum(f"{number}. Output:\n" in piece for number, piece in zip(numbers, pieces, strict=True))
        >= 15
    )
    assert (whole.finish, short.finish) == ("stop", "length")
    assert short.usage.tokens_out == 40
    assert whole.usage.tokens_out == -(-len(whole.text) // 4)


def test_a_schema_is_filled(tmp_path: Path) -> None:
    grade = {
        "type": "object",
        "properties": {
            "score": {"type": "integer", "minimum": 1, "maximum": 5},
            "verdict": {"enum": ["A", "B"]},
            "sure": {"type": "boolean"},
            "why": {"anyOf": [{"$ref": "#/$defs/text"}, {"type": "null"}]},
        },
        "$defs": {"text": {"type": "string"}},
    }
    rows, graded = ask(
        [
            question("rows", response_format=as_json(ROWS)),
            question("grade", response_format=as_json(grade)),
        ],
        tmp_path / "log",
    )
    assert len(json.loads(rows.text)["rows"]) == 3
    assert all(row.keys() == ROW["properties"].keys() for row in json.loads(rows.text)["rows"])
    answer = json.loads(graded.text)
    assert answer["score"] in range(1, 6)
    assert answer["verdict"] in ("A", "B")
    assert isinstance(answer["sure"], bool)
    assert isinstance(answer["why"], str)


@pytest.mark.parametrize(
    ("end", "pattern"),
    [
        ("1. Sing.\n2. Dance.\n3.", r" \S.+\n4\. \S"),
        ("Here is one.\nInstruction:", r" [A-Z].+"),
        ("Why?", r"[A-Z].+\."),
    ],
)
def test_a_plain_text_is_continued_as_it_began(end: str, pattern: str) -> None:
    texts = [answer_to(question(end, n).asked()) for n in range(5)]
    assert all(re.match(pattern, text) for text in texts)


def test_asked_for_one_task_it_writes_one_and_its_answer_is_prose() -> None:
    rows = {
        row.instruction
        for row in (next(_rows(random.Random(digest_of(asked(topic))))) for topic in THINGS)
    }
    assert {answer_to(asked(topic)) for topic in THINGS} == rows


def asked(topic: str) -> dict[str, Any]:
    return question(f"Write a task about {topic}.").asked()


def test_most_rows_are_new_and_some_are_junk() -> None:
    """The share that a novelty filter at 0.7 accepts of 300 rows; Indel similarity of words is ROUGE-L F."""
    kept: list[list[str]] = []
    stream = _rows(random.Random(1))
    rows: list[ScriptedRow] = [next(stream) for _ in range(300)]
    for row in rows:
        words = re.findall("[a-z0-9]+", row.instruction.lower())
        if all(Indel.normalized_similarity(words, other) <= 0.7 for other in kept):
            kept.append(words)
    assert 0.7 < len(kept) / len(rows) < 0.95
    assert any(not row.output for row in rows)
    assert any(row.input for row in rows)
    assert any(len(row.instruction.split()) < 3 for row in rows)


@pytest.mark.parametrize(
    "reply",
    [
        Completion(
            "Été \u2028 \U0001f999\n",
            "stop",
            Usage(3, 2, 1, 4, 5),
            model_said="gpt-0613",
            fingerprint="fp",
        ),
        Completion("cut", "length", Usage(3, 0, 0, 4, 0), model_said="m"),
        Completion("half", "content_filter", Usage(3, 0, 0, 4, 0), model_said="m"),
        Completion("", "content_filter", Usage()),
        Completion("too long", "refused", Usage()),
        Completion("I must not.", "refused", Usage(3, 0, 0, 4, 0), model_said="m"),
    ],
)
def test_recorded_replies_come_back_whole(reply: Completion, tmp_path: Path) -> None:
    asked = question("Why?", 3, seed=5, temperature=1.0, stop=["\n20"])
    write_jsonl(tmp_path / "lines.jsonl", [recorded(asked, reply)])
    (answer,) = ask([asked], tmp_path / "log", lines=tmp_path / "lines.jsonl")
    assert (answer.text, answer.finish, answer.usage, answer.model_said, answer.fingerprint) == (
        reply.text,
        reply.finish,
        reply.usage,
        reply.model_said,
        reply.fingerprint,
    )


def test_what_is_not_recorded_is_fatal_and_not_counted_as_served(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "lines.jsonl", [])
    with pytest.raises(
        Fatal, match="no reply to this request is recorded in lines.jsonl"
    ) as caught:
        ask(
            [question("Why?")],
            tmp_path / "log",
            lines=tmp_path / "lines.jsonl",
            served=tmp_path / "served.jsonl",
        )
    assert "teacher.lines" in caught.value.cure
    assert not (tmp_path / "served.jsonl").exists()


def talk(*contents: str) -> dict[str, Any]:
    """A recorded conversation that the user begins."""
    roles = ("user", "assistant")
    return {
        "messages": [
            {"role": roles[place % 2], "content": content} for place, content in enumerate(contents)
        ]
    }


def test_a_recorded_conversation_is_said_turn_by_turn(tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    write_jsonl(lines, [talk("Why?", "So.", "Say more.", "Because it is."), talk("Who?", "I.")])
    again = Request(
        (
            PromptMessage("user", "Why?"),
            PromptMessage("assistant", "So."),
            PromptMessage("user", "Say more."),
        ),
        {"max_tokens": 2},
    )
    first, other, cut = ask(
        [question("Why?", 3, temperature=0.2), question("Who?"), again],
        tmp_path / "log",
        lines=lines,
    )
    assert (first.text, first.finish, other.text) == ("So.", "stop", "I.")
    assert (cut.text, cut.finish) == ("Because ", "length")
    assert cut.usage.tokens_out == 2 and first.usage.tokens_in > 0
    with pytest.raises(Fatal, match="no reply to this request is recorded"):
        ask([question("What?")], tmp_path / "log", lines=lines)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([talk("Why?", "So."), {"text": "So."}], "line 2 is no recorded reply"),
        ([talk("Why?")], "line 1 is no recorded reply"),
        ([{"messages": ["Why?"]}], "line 1 is no recorded reply"),
        ([{"messages": [{"role": "user", "content": 7}]}], "line 1 is no recorded reply"),
        ([["Why?"]], "line 1 is no recorded reply"),
        (
            [talk("Why?", "So."), talk("Why?", "No.")],
            "line 2 begins like an earlier one, and answers otherwise",
        ),
    ],
)
def test_what_is_no_recording_is_told_before_anything_is_asked(
    rows: list[Any], said: str, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "lines.jsonl", rows)
    with pytest.raises(UserError, match=rf"lines\.jsonl: {said}"):
        ask([question("Why?")], tmp_path / "log", lines=tmp_path / "lines.jsonl")


def test_rows_of_a_recording_name_it_and_no_model(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "lines.jsonl", [talk("Why?", "So.")])
    table = TeacherTable(kind="rehearsed", model="us", lines=tmp_path / "lines.jsonl", price="free")
    assert table.author == "recorded replies of us"
    assert table.rehearsed().author == "a script in place of us"


def test_the_server_reads_back_what_was_asked() -> None:
    request = question("Why?", 2, seed=5, temperature=1.0, response_format=as_json(ROWS))
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "Why?"}],
        **request.decoding,
        "seed": 7,
    }
    assert asked_of(json.loads(json.dumps(body)), 2) == request.asked()


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            table = TeacherTable(kind="rehearsed", model="m", port=port)
            with pytest.raises(UserError, match=f"port {port} .* in use") as caught:
                async with open_teacher(table, log=tmp_path / "log"):
                    pass
            assert "teacher.port" in caught.value.cure

    asyncio.run(main())
