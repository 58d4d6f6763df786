"""Shapes as public repositories have them, each with made-up rows: what must be read of each, and what must not be."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.data.preferences import read_preferences
from alpaca_pipe.data.reading import ReadingNotes, read
from alpaca_pipe.data.shapes.columns import Columns
from tests.data.cures import printed_columns
from tests.data.test_reading import as_json, as_jsonl

Q, A = "Where does the night tram stop?", "At the harbour, by the clock."
Q2, A2 = "And on Sundays?", "Only at the old mill."
BAD, SYSTEM, CONTEXT = (
    "Trams cannot swim.",
    "You work for the tram line.",
    "Line 7 ends at the harbour.",
)
ONE, TWO = [Q, A], [Q, A, Q2, A2]
Row = dict[str, Any]


def user(text: Any, **more: Any) -> Row:
    return {"role": "user", "content": text, **more}


def gpt(text: Any, **more: Any) -> Row:
    return {"role": "assistant", "content": text, **more}


def human(*said: str) -> list[Row]:
    return [{"from": ("human", "gpt")[at % 2], "value": text} for at, text in enumerate(said)]


def text_of(example: Example) -> tuple[str, list[str]]:
    """(system, what is said); an answer that is not learned stands in brackets."""
    return example.system, [
        one.text if one.role != "assistant" or one.learned else f"({one.text})"
        for one in example.conversation()
    ]


def rows_of(path: Path, **options: Any) -> list[tuple[str, list[str]]]:
    return [text_of(one) for one in read(path, **options)]


# name -> (row, system, what is said)
READ: dict[str, tuple[Row, str, list[str]]] = {
    # columns
    "goal and reply": ({"request": Q, "reply": A}, "", ONE),
    "camel case": ({"userQuery": Q, "assistantResponse": A}, "", ONE),
    "blanks in keys": ({"User Question": Q, "Final Answer": A}, "", ONE),
    "passage": ({"passage": CONTEXT, "question": Q, "answer": A}, "", [f"{Q}\n\n{CONTEXT}", A]),
    "several contexts": (
        {"question": Q, "contexts": ["One.", "Two."], "answer": A},
        "",
        [f"{Q}\n\nOne.\n\nTwo.", A],
    ),
    "documents with titles": (
        {"question": Q, "documents": [{"title": "T", "text": "U"}], "answer": A},
        "",
        [f"{Q}\n\nT\nU", A],
    ),
    "an instruction and its question": (
        {"instruction": "Answer briefly.", "question": Q, "answer": A},
        "",
        [f"Answer briefly.\n\n{Q}", A],
    ),
    "input and context": (
        {"instruction": "Sum up.", "input": "One.", "context": "Two.", "output": A},
        "",
        ["Sum up.\n\nOne.\n\nTwo.", A],
    ),
    "context alone is the question": ({"Context": Q, "Response": A}, "", ONE),
    "the row once more as text": (
        {
            "instruction": Q,
            "input": "",
            "output": A,
            "text": f"### Instruction:\n{Q}\n### Response:\n{A}",
        },
        "",
        ONE,
    ),
    "the prompt once more": (
        {"instruction": Q, "output": A, "prompt": f"### Instruction:\n{Q}\n\n### Response:"},
        "",
        ONE,
    ),
    "a persona": ({"persona": SYSTEM, "prompt": Q, "response": A}, SYSTEM, ONE),
    "German keys": ({"Frage": Q, "Kontext": CONTEXT, "Antwort": A}, "", [f"{Q}\n\n{CONTEXT}", A]),
    "Chinese keys": ({"指令": Q, "输入": "", "输出": A}, "", ONE),
    "Japanese keys": ({"質問": Q, "回答": A}, "", ONE),
    "Russian keys": ({"Вопрос": Q, "Ответ": A}, "", ONE),
    "French keys with accents": ({"Question": Q, "Réponse": A}, "", ONE),
    "Hindi keys": ({"प्रश्न": Q, "उत्तर": A}, "", ONE),
    "two numbered messages": ({"role_1": "rider", "message_1": Q, "message_2": A}, "", ONE),
    "history as pairs": ({"prompt": Q2, "response": A2, "history": [[Q, A]]}, "", TWO),
    "history as turns": ({"query": Q2, "response": A2, "history": [user(Q), gpt(A)]}, "", TWO),
    "history as texts": ({"query": Q2, "response": A2, "history": [Q, A]}, "", TWO),
    "history as one text": (
        {"prompt": Q2, "response": A2, "history": f"Human: {Q}\nAssistant: {A}"},
        "",
        TWO,
    ),
    "a chat history and its last message": (
        {
            "preamble": SYSTEM,
            "chat_history": [{"role": "USER", "message": Q}, {"role": "CHATBOT", "message": A}],
            "message": Q2,
            "response": A2,
        },
        SYSTEM,
        TWO,
    ),
    "a better answer beside a draft": (
        {"instruction": Q, "output": BAD, "corrected_output": A},
        "",
        ONE,
    ),
    # choices
    "choices and the place of the answer": (
        {"question": Q, "choices": ["mill", "harbour"], "answer": 1},
        "",
        [f"{Q}\n\nA. mill\nB. harbour", "B. harbour"],
    ),
    "choices by letter": (
        {
            "question": Q,
            "choices": {"label": ["A", "B"], "text": ["mill", "harbour"]},
            "answerKey": "B",
        },
        "",
        [f"{Q}\n\nA. mill\nB. harbour", "B. harbour"],
    ),
    "choices in columns": (
        {"question": Q, "A": "mill", "B": "harbour", "C": "zoo", "D": "inn", "answer": "B"},
        "",
        [f"{Q}\n\nA. mill\nB. harbour\nC. zoo\nD. inn", "B. harbour"],
    ),
    "choices that bring their letters": (
        {"question": Q, "options": ["A) mill", "B) harbour"], "correct": "B"},
        "",
        [f"{Q}\n\nA. mill\nB. harbour", "B. harbour"],
    ),
    "wrong answers are no choices": (
        {"question": Q, "distractor1": "mill", "distractor2": "zoo", "correct_answer": A},
        "",
        ONE,
    ),
    # conversations
    "turns in speaker and text": (
        {"dialogue": [{"speaker": "Customer", "text": Q}, {"speaker": "Agent", "text": A}]},
        "",
        ONE,
    ),
    "author and context, as Google has them": (
        {
            "context": SYSTEM,
            "messages": [{"author": "user", "content": Q}, {"author": "bot", "content": A}],
        },
        SYSTEM,
        ONE,
    ),
    "pairs of texts": ({"conversation": [[Q, A], [Q2, A2]]}, "", TWO),
    "questions and answers in turn": (
        {"conversations": [{"question": Q, "answer": A}, {"question": Q2, "answer": A2}]},
        "",
        TWO,
    ),
    "a speaker a key": (
        {"messages": [{"system": SYSTEM}, {"user": Q}, {"assistant": A}]},
        SYSTEM,
        ONE,
    ),
    "turned round by datasets": (
        {"conversations": {"from": ["human", "gpt"], "value": [Q, A]}},
        "",
        ONE,
    ),
    "items one level down": ({"id": "x", "content": {"items": human(*TWO)}}, "", TWO),
    "messages that repeat the columns": (
        {"problem": Q, "solution": A, "messages": [user(Q), gpt(A)]},
        "",
        ONE,
    ),
    "messages that say more than the prompt": (
        {"prompt": Q, "messages": [user(Q), gpt(A), user(Q2), gpt(A2)]},
        "",
        TWO,
    ),
    "two users, two answers": (
        {"messages": [user(Q), user("Please."), gpt(A), gpt("Good night.")]},
        "",
        [Q, "Please.", A, "Good night."],
    ),
    "weight 0": (
        {"messages": [user(Q), gpt(BAD, weight=0), user(Q2), gpt(A)]},
        "",
        [Q, f"({BAD})", Q2, A],
    ),
    "loss false": (
        {"messages": [user(Q), gpt(BAD, loss=False), user(Q2), gpt(A)]},
        "",
        [Q, f"({BAD})", Q2, A],
    ),
    "masked": (
        {"messages": [user(Q), gpt(BAD, masked=True), user(Q2), gpt(A)]},
        "",
        [Q, f"({BAD})", Q2, A],
    ),
    "a pair without loss": (
        {
            "conversation": [
                {"input": Q, "output": BAD, "output_with_loss": False},
                {"input": Q2, "output": A},
            ]
        },
        "",
        [Q, f"({BAD})", Q2, A],
    ),
    "thought parts": (
        {
            "contents": [
                {"role": "user", "parts": [{"text": Q}]},
                {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": A}]},
            ]
        },
        "",
        ONE,
    ),
    # preferences
    "chosen and rejected by other names": (
        {"question": Q, "accepted": A, "rejected": BAD},
        "",
        ONE,
    ),
    "messages and a rejected response": (
        {"messages": [user(Q), gpt(A)], "rejected_response": BAD},
        "",
        ONE,
    ),
    "chosen and rejected turns": (
        {"prompt": [user(Q)], "chosen": [gpt(A)], "rejected": [gpt(BAD)]},
        "",
        ONE,
    ),
    "a winner by letter": (
        {"prompt": Q, "response_a": BAD, "response_b": A, "winner": "model_b"},
        "",
        ONE,
    ),
    "a winner by number": (
        {"instruction": Q, "input": "", "output_1": BAD, "output_2": A, "preference": 2},
        "",
        ONE,
    ),
    "two conversations and a winner": (
        {
            "conversation_a": [user(Q), gpt(BAD)],
            "conversation_b": [user(Q), gpt(A)],
            "winner": "model_b",
        },
        "",
        ONE,
    ),
    "ranked answers": (
        {
            "prompt": Q,
            "answers": [
                {"answer": BAD, "rank": 3},
                {"answer": A, "rank": 1},
                {"answer": "Hm.", "rank": 2},
            ],
        },
        "",
        ONE,
    ),
    "generations and ratings": (
        {"instruction": Q, "generations": [BAD, A], "ratings": [1, 5]},
        "",
        ONE,
    ),
    "answers and scores in columns": (
        {
            "question": {"full_text": Q},
            "answer_0": BAD,
            "answer_1": A,
            "score_0": -1.5,
            "score_1": 2,
        },
        "",
        ONE,
    ),
    "a prompt of Anthropic's with two answers": (
        {"prompt": f"\n\nHuman: {Q}\n\nAssistant:", "chosen": f" {A}", "rejected": f" {BAD}"},
        "",
        ONE,
    ),
    # several exchanges in one row, and annotation tools
    "a paragraph and its questions": (
        {
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [{"question": Q, "answers": [{"text": A, "answer_start": 3}]}],
                }
            ]
        },
        "",
        [f"{Q}\n\n{CONTEXT}", A],
    ),
    "fields and responses": (
        {
            "fields": {"prompt": Q},
            "responses": {"response": [{"value": A, "status": "submitted"}]},
            "suggestions": {"response": {"value": BAD}},
        },
        "",
        ONE,
    ),
    "fields and values of people": (
        {
            "fields": {"prompt": Q},
            "responses": [{"values": {"response": {"value": A}}, "status": "submitted"}],
        },
        "",
        ONE,
    ),
    "responses in columns": (
        {
            "prompt": Q,
            "response.responses": [A],
            "response.responses.status": ["submitted"],
            "response.suggestion": BAD,
        },
        "",
        ONE,
    ),
    "data and annotations": (
        {
            "data": {"prompt": Q},
            "annotations": [
                {
                    "was_cancelled": False,
                    "result": [{"from_name": "response", "value": {"text": [A]}}],
                }
            ],
        },
        "",
        ONE,
    ),
    "a call of an API and what came back": (
        {"request": {"messages": [user(Q)]}, "response": {"choices": [{"message": gpt(A)}]}},
        "",
        ONE,
    ),
    "a chat's own export": (
        {
            "title": "Trams",
            "current_node": "c",
            "mapping": {
                "a": {"message": None, "parent": None, "children": ["b"]},
                "b": {
                    "message": {"author": {"role": "user"}, "content": {"parts": [Q]}},
                    "parent": "a",
                    "children": ["c", "d"],
                },
                "c": {
                    "message": {"author": {"role": "assistant"}, "content": {"parts": [A]}},
                    "parent": "b",
                    "children": [],
                },
                "d": {
                    "message": {"author": {"role": "assistant"}, "content": {"parts": [BAD]}},
                    "parent": "b",
                    "children": [],
                },
            },
        },
        "",
        ONE,
    ),
    # rendered templates
    "ChatML": (
        {
            "text": f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{Q}<|im_end|>\n<|im_start|>assistant\n{A}<|im_end|>\n"
        },
        SYSTEM,
        ONE,
    ),
    "LLaMA 2": (
        {
            "text": f"<s>[INST] <<SYS>>\n{SYSTEM}\n<</SYS>>\n\n{Q} [/INST] {A} </s><s>[INST] {Q2} [/INST] {A2} </s>"
        },
        SYSTEM,
        TWO,
    ),
    "LLaMA 3": (
        {
            "text": f"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{Q}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n{A}<|eot_id|>"
        },
        "",
        ONE,
    ),
    "Gemma": (
        {
            "text": f"<bos><start_of_turn>user\n{Q}<end_of_turn>\n<start_of_turn>model\n{A}<end_of_turn>\n"
        },
        "",
        ONE,
    ),
    "Zephyr": (
        {"text": f"<|system|>\n{SYSTEM}</s>\n<|user|>\n{Q}</s>\n<|assistant|>\n{A}</s>"},
        SYSTEM,
        ONE,
    ),
    "Vicuna": ({"text": f"USER: {Q} ASSISTANT: {A}</s>USER: {Q2} ASSISTANT: {A2}</s>"}, "", TWO),
    "Alpaca": (
        {
            "text": f"Below is an instruction that describes a task.\n\n### Instruction:\n{Q}\n\n### Input:\n{CONTEXT}\n\n### Response:\n{A}"
        },
        "",
        [f"{Q}\n\n{CONTEXT}", A],
    ),
    "human and bot": ({"text": f"<human>: {Q}\n<bot>: {A}\n<human>: {Q2}\n<bot>: {A2}"}, "", TWO),
    "a prompt in LLaMA 2's template": (
        {"prompt": f"<s>[INST] {Q} [/INST]", "completion": f" {A}</s>"},
        "",
        ONE,
    ),
    "a prompt that is a conversation": (
        {
            "instruction": f"Human:{Q}\nAssistant:{A}\nHuman:{Q2}\nAssistant:",
            "input": "",
            "output": A2,
        },
        "",
        TWO,
    ),
    "an end token at an answer": ({"instruction": Q, "output": f"{A}<|eot_id|>"}, "", ONE),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_read(tmp_path: Path, name: str) -> None:
    row, system, said = READ[name]
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_jsonl([row, {"instruction": "Other.", "output": "Row."}]))
    assert rows_of(path) == [(system, said), ("", ["Other.", "Row."])]


def test_keys_in_any_order_and_case_read_the_same(tmp_path: Path) -> None:
    for name, (row, system, said) in READ.items():
        turned = {key.upper(): row[key] for key in reversed(row)}
        path = tmp_path / "a.jsonl"
        path.write_bytes(as_jsonl([turned, turned]))
        if name in ("input and context", "camel case", "choices in columns"):
            continue  # whose order is that of the columns, or whose names are told by their case
        if {"mapping", "current_node", "response.responses"} & row.keys():
            continue  # a format of one program
        assert rows_of(path)[0] == (system, said), name


# name -> (row, rule or part of the error)
NOT_READ: dict[str, tuple[Row, str]] = {
    "labelled as bad": ({"prompt": Q, "completion": BAD, "label": False}, "bad_answer"),
    "a tag of LLaMA-Factory": ({"conversations": human(Q, BAD), "kto_tag": False}, "bad_answer"),
    "not correct": ({"problem": Q, "generation": BAD, "is_correct": False}, "bad_answer"),
    "in words": ({"question": Q, "answer": BAD, "label": "undesirable"}, "bad_answer"),
    "row weight": ({"instruction": Q, "output": BAD, "weight": 0}, "do_not_learn"),
    "discarded": ({"instruction": Q, "output": BAD, "status": "discarded"}, "do_not_learn"),
    "deleted": ({"instruction": Q, "output": BAD, "is_deleted": True}, "do_not_learn"),
    "nothing to learn": ({"messages": [user(Q), gpt(BAD, weight=0)]}, "do_not_learn"),
    "discarded by the annotator": (
        {
            "fields": {"prompt": Q},
            "responses": [{"values": {"response": {"value": BAD}}, "status": "discarded"}],
        },
        "do_not_learn",
    ),
    "a discarded answer": (
        {"prompt": Q, "response": [{"value": BAD, "status": "discarded"}]},
        "do_not_learn",
    ),
    "cancelled": (
        {"data": {"prompt": Q}, "annotations": [{"result": [], "was_cancelled": True}]},
        "do_not_learn",
    ),
    "a tie": ({"prompt": Q, "response_a": A, "response_b": BAD, "winner": "tie"}, "turns"),
    "pictures": ({"messages": [user(Q), gpt(A)], "images": ["a.png"]}, "turns"),
    "tools": ({"messages": [user(Q), gpt(A)], "tools": [{"name": "clock"}]}, "turns"),
    "two systems": (
        {
            "system": SYSTEM,
            "messages": [{"role": "system", "content": "Be rude."}, user(Q), gpt(A)],
        },
        "turns",
    ),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_what_is_set_aside(tmp_path: Path, name: str) -> None:
    row, rule = NOT_READ[name]
    path, aside = tmp_path / "a.jsonl", list[Rejected]()
    path.write_bytes(as_jsonl([row, {"instruction": Q2, "output": A2}]))
    assert rows_of(path, aside=aside.append) == [("", [Q2, A2])]
    assert [one.rule for one in aside] == [rule] and aside[0].reason


# name -> (row, what is said of it); each is refused, and the cure that is printed is applied
REFUSED: dict[str, tuple[Row, str]] = {
    "a label that nobody knows": (
        {"question": Q, "answer": A, "label": "tram"},
        "'label' says 'tram'",
    ),
    "a context beside messages": (
        {"messages": [user(Q), gpt(A)], "context": CONTEXT},
        "'context' is not read",
    ),
    "a second question": ({"question": Q, "query": "SELECT 1", "answer": A}, "'query' is not read"),
    "a status of one's own": (
        {"instruction": Q, "output": A, "status": "maybe later"},
        "'status' says",
    ),
    "two systems": (
        {"instruction": Q, "output": A, "system": SYSTEM, "system_prompt": "Be rude."},
        "'system_prompt' is not read",
    ),
    "a history in which nobody speaks": (
        {"prompt": Q, "response": A, "history": "It was late."},
        "'history' is a text",
    ),
    "names that mean nothing": (
        {"foo": Q, "bar": A},
        "no row has the keys of instruction data; its keys: foo, bar",
    ),
    "names with blanks and commas": (
        {"What, in short": Q, "And then?": A},
        "its keys: What, in short, And then?",
    ),
    "an answer and a name": ({"foo": Q, "answer": A}, "its keys: foo, answer"),
    "two answers and no winner": (
        {"question": Q, "response_j": A, "response_k": BAD},
        "its keys: question, response_j",
    ),
    "speakers that nobody knows": (
        {"dialogue": [{"speaker": "A", "text": Q}, {"speaker": "B", "text": A}]},
        "in 'dialogue' speaks 'A'",
    ),
}


def cures(path: Path, **options: Any) -> Iterator[str]:
    """The errors of a file, what and cure."""
    try:
        list(read(path, **options))
    except UserError as error:
        yield str(error)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_the_cure_that_is_printed_works(tmp_path: Path, name: str) -> None:
    row, says = REFUSED[name]
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_jsonl([row, row]))
    error = next(cures(path))
    assert says in error and "--columns " in error
    found = rows_of(path, columns=Columns.of(Columns.parse(printed_columns(error))))
    assert len(found) == 2 and Q in found[0][1][0] and A in found[0][1][-1]


def test_what_is_left_unread_is_told_with_counts(tmp_path: Path) -> None:
    path, told = tmp_path / "a.jsonl", ReadingNotes()
    rows = [
        {"question": Q, "answer": A, "topic": "trams", "score": 3},
        {"question": Q2, "answer": A2, "topic": "", "score": 4},
        {"messages": [user(Q), gpt(A)], "note": "x"},
    ]
    path.write_bytes(as_jsonl(rows))
    list(read(path, told=told))
    assert told.summary() == {
        "shapes": [
            {
                "shape": "exchange",
                "rows": 2,
                "columns": {"instruction": "question", "output": "answer"},
            },
            {"shape": "conversation", "rows": 1, "columns": {"messages": "messages"}},
        ],
        "unread": {"score": 2, "topic": 1, "note": 1},
    }


def test_a_rejected_answer_stays_beside_the_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_jsonl([{"prompt": Q, "chosen": A, "rejected": BAD}]))
    [one] = read(path)
    assert one.origin.details["rejected"] == [{"role": "assistant", "content": BAD}]


# name -> (file name, what it holds, the rows); a file of one object
WHOLE: dict[str, tuple[Any, list[list[str]]]] = {
    "rows of a server": ({"rows": [{"row_idx": 0, "row": {"question": Q, "answer": A}}]}, [ONE]),
    "conversations of messages": (
        {"conversations": [{"id": 1, "messages": [user(Q), gpt(A)]}]},
        [ONE],
    ),
    "turns by id": ({"a": [user(Q), gpt(A)], "b": [user(Q2), gpt(A2)]}, [ONE, [Q2, A2]]),
    "columns of pandas": (
        {"question": {"0": Q, "1": Q2}, "answer": {"0": A, "1": A2}},
        [ONE, [Q2, A2]],
    ),
    "columns as lists": ({"question": [Q, Q2], "answer": [A, A2]}, [ONE, [Q2, A2]]),
    "split by pandas": ({"columns": ["question", "answer"], "index": [0], "data": [[Q, A]]}, [ONE]),
    "a table of pandas": (
        {"schema": {"fields": []}, "data": [{"index": 0, "question": Q, "answer": A}]},
        [ONE],
    ),
    "one conversation": ({"messages": [user(Q), gpt(A)]}, [ONE]),
    "one list of turns": ([user(Q), gpt(A)], [ONE]),
    "LMFlow's pairs": (
        {
            "type": "text2text",
            "instances": [{"input": Q, "output": A}, {"input": Q2, "output": A2}],
        },
        [ONE, [Q2, A2]],
    ),
    "LMFlow's conversations": (
        {"type": "conversation", "instances": [{"messages": [user(Q), gpt(A)]}]},
        [ONE],
    ),
}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", WHOLE)
def test_a_file_of_one_object(tmp_path: Path, name: str, indent: int | None) -> None:
    value, said = WHOLE[name]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=False), encoding="utf-8")
    assert [texts for _, texts in rows_of(path)] == said


def test_objects_one_behind_the_other(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(
        "\n".join(json.dumps({"question": q, "answer": a}, indent=2) for q, a in ((Q, A), (Q2, A2)))
    )
    assert [one.origin.source for one in read(path)] == ["a.json#1", "a.json#5"]


def test_one_message_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [
        "dialogue_id,turn,speaker,utterance",
        f'7,2,bot,"{A}"',
        f"8,1,user,{Q2}",
        f"7,1,user,{Q}",
        f"8,2,bot,{A2}",
    ]
    path.write_text("\n".join(lines))
    assert [said for _, said in rows_of(path)] == [ONE, [Q2, A2]]


def test_messages_that_name_what_they_answer(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [
        {"message_id": "r", "parent_id": None, "role": "prompter", "text": Q, "rank": None},
        {"message_id": "x", "parent_id": "r", "role": "assistant", "text": BAD, "rank": 1},
        {"message_id": "y", "parent_id": "r", "role": "assistant", "text": A, "rank": 0},
    ]
    path.write_bytes(as_jsonl(rows))
    assert rows_of(path) == [("", ONE)]


@pytest.mark.parametrize(
    "cells",
    [
        '[{""role"": ""user"", ""content"": ""%s""}, {""role"": ""assistant"", ""content"": ""%s""}]',
        "[{'role': 'user', 'content': '%s'}, {'role': 'assistant', 'content': '%s'}]",
    ],
)
def test_messages_in_a_cell(tmp_path: Path, cells: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'id,messages\n1,"{cells % (Q, A)}"\n')
    assert rows_of(path) == [("", ONE)]


def test_columns_map_anything(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        as_jsonl([{"Was": Q, "Titel": "T", "Mehr": "U", "Dann": A, "Wer": SYSTEM, "label": "x"}])
    )
    columns = Columns.of(
        Columns.parse("instruction=was,input=Titel,input=Mehr,output=Dann,system=Wer,unread=label")
    )
    assert rows_of(path, columns=columns) == [(SYSTEM, [f"{Q}\n\nT\n\nU", A])]
    with pytest.raises(UserError, match="no row of .* has 'Wass' - did you mean 'Was'"):
        list(
            read(
                path,
                columns=Columns.of(
                    {"instruction": "Wass", "output": "Dann", "unread": ("label", "Titel")}
                ),
            )
        )
    with pytest.raises(UserError, match="there is no part 'answer'"):
        Columns.of({"answer": "x"})
    with pytest.raises(UserError, match="'Was' does not say which column is what"):
        Columns.parse("Was")


def test_the_cases_beside_the_project(tmp_path: Path) -> None:
    """The files that went wrong once, where they stand beside the project."""
    root = Path(__file__).resolve().parents[2]
    check = root.parent / "shared" / "cases" / "check_formats.py"
    if not check.is_file():
        pytest.skip("../shared/cases is not beside the project")
    command = Path(sys.executable).with_name("alpaca-pipe")
    done = subprocess.run(
        [sys.executable, str(check), str(command)], text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_same_rows_from_json_and_jsonl(tmp_path: Path) -> None:
    rows = [{"question": Q, "answer": A}, {"messages": [user(Q2), gpt(A2)]}]
    (tmp_path / "a.json").write_bytes(as_json(rows))
    (tmp_path / "a.jsonl").write_bytes(as_jsonl(rows))
    assert rows_of(tmp_path / "a.json") == rows_of(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("scraped", "read_as"),
    [
        (f"<p>{A}</p>", A),
        ("<h3>Stops</h3><p>At the <em>mill</em>.</p>", "### Stops\n\nAt the *mill*."),
        ("<ol><li>One &amp; two</li><li>Three</li></ol>", "1. One & two\n2. Three"),
        ("<p>x<sup>2</sup> is 4</p>", "x^2 is 4"),
        ("At the mill.<br>By the clock.\nOr not.", "At the mill.\nBy the clock.\nOr not."),
        ("At the <b>mill</b> <span style='x'>today</span>.", "At the **mill** today."),
        ("First.<p>Then.</p>Last.", "First.\n\nThen.\n\nLast."),
        ("<hr><p>Rule</p>", "---\n\nRule"),
        ("Use `<br>` for a new line.", "Use `<br>` for a new line."),
        ("Write <b>so</b>: the tag makes it bold.", "Write <b>so</b>: the tag makes it bold."),
        (
            (
                '<pre><div class="bg-black"><span>python</span><button>Copy code</button></div><div>'
                '<code class="hljs language-python">x = 1 &lt; 2\n</code></div></pre>'
            ),
            "```python\nx = 1 < 2\n```",
        ),
        ("So:\n```python\nCopy code\nx = 1\n```", "So:\n```python\nx = 1\n```"),
        ("So:\n```\nbashCopy codels -l\n```", "So:\n```bash\nls -l\n```"),
        ("So:\n```phpCopy code\necho 1;\n```", "So:\n```php\necho 1;\n```"),
        ("One line.\n\nCopy9 chars / 2 words", "One line."),
        ("Press the button Copy code above it.", "Press the button Copy code above it."),
        ("```\nx = 'Copy code'\n```", "```\nx = 'Copy code'\n```"),
        ("<form><p>x</p></form>", "<form><p>x</p></form>"),
        ("If a < b and c > d, stop.", "If a < b and c > d, stop."),
        ("Call f<T>(x) first.", "Call f<T>(x) first."),
    ],
)
def test_html_of_a_chat_that_was_scraped(tmp_path: Path, scraped: str, read_as: str) -> None:
    """Shown text becomes Markdown; code, talk of tags and signs that only look like tags stay."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_jsonl([{"conversations": human(Q, scraped)}]))
    assert rows_of(path) == [("", [Q, read_as])]


def test_instances_that_are_not_to_be_learned(tmp_path: Path) -> None:
    """SQuAD's questions without an answer, and what stands there in its place; a pair that is labelled as bad."""
    asked = {"question": Q, "answers": [{"text": A}], "is_impossible": False}
    nothing = {
        "question": Q2,
        "answers": [],
        "is_impossible": True,
        "plausible_answers": [{"text": BAD}],
    }
    whole = {"data": [{"paragraphs": [{"context": CONTEXT, "qas": [asked, nothing]}]}]}
    path, told = tmp_path / "squad.json", ReadingNotes()
    path.write_text(json.dumps(whole))
    assert rows_of(path, told=told) == [("", [f"{Q}\n\n{CONTEXT}", A])]
    assert told.summary()["remarks"] == {"an instance is left out (do_not_learn)": 1}
    pairs = [{"question": Q, "answer": A}, {"question": Q, "answer": BAD, "label": False}]
    path.write_bytes(as_jsonl([{"qa_pairs": pairs}]))
    assert rows_of(path) == [("", ONE)]


SHORT = ["3", "10", "true", "False", "0", "yes", "1.5", "-1", "12345", "a text of some length"]


@pytest.mark.parametrize("prompt", ["What is 2+1?", "7", "true"])
@pytest.mark.parametrize(("chosen", "rejected"), list(permutations(SHORT, 2)))
def test_answers_that_look_like_numbers_or_flags_are_answers(
    tmp_path: Path, prompt: str, chosen: str, rejected: str
) -> None:
    """They were refused with "the row does not have the keys of instruction data", after the tune."""
    (tmp_path / "p.jsonl").write_text(
        json.dumps({"prompt": prompt, "chosen": chosen, "rejected": rejected}) + "\n"
    )
    (pair,) = read_preferences(tmp_path / "p.jsonl")
    sides = [pair.prompt[0].text, pair.chosen[0].text, pair.rejected[0].text]
    assert sides == [prompt, chosen, rejected]
    (row,) = read(tmp_path / "p.jsonl")
    assert (row.instruction, row.output) == (prompt, chosen)


@pytest.mark.parametrize("text", SHORT)
@pytest.mark.parametrize(
    "keys", [("prompt", "completion"), ("instruction", "output"), ("question", "answer")]
)
def test_an_exchange_of_short_texts_is_one(
    tmp_path: Path, text: str, keys: tuple[str, str]
) -> None:
    for said in ([text, "an answer"], ["a question?", text], [text, text]):
        (tmp_path / "p.jsonl").write_text(json.dumps(dict(zip(keys, said, strict=True))) + "\n")
        (row,) = read(tmp_path / "p.jsonl")
        assert [row.instruction, row.output] == said


@pytest.mark.parametrize("text", ["[2, 4]", "[[1], [2]]", "[true, null]"])
def test_an_answer_that_is_a_list_of_no_texts_stays_as_it_is(tmp_path: Path, text: str) -> None:
    """`[2, 4]` was read as the answer 2."""
    row = {"prompt": "Sort them.", "chosen": text, "rejected": "none"}
    (tmp_path / "p.jsonl").write_text(json.dumps(row) + "\n")
    (pair,) = read_preferences(tmp_path / "p.jsonl")
    assert [one.text for one in pair.chosen] == [text]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"prompt": "2+1?", "chosen": 3, "rejected": 4}, "'chosen' is 3, which is no text"),
        (
            {"prompt": "2+1?", "chosen": True, "rejected": False},
            "'chosen' is true, which is no text",
        ),
        (
            {"prompt": "q?", "response_a": "x", "response_b": "z", "chosen": "1", "rejected": "2"},
            "'rejected' is '2' beside 'chosen', '1': places or flags, and no answers",
        ),
        (
            {"prompt": "q?", "left": "x", "right": "z", "chosen": "left", "rejected": "right"},
            "'chosen' is 'left' and 'rejected' 'right': names of columns, and no answers",
        ),
    ],
)
def test_places_and_flags_are_no_answers(tmp_path: Path, row: dict[str, Any], why: str) -> None:
    """The second answer was read as `2`, and the chosen one as the first."""
    (tmp_path / "p.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=re.escape(why)):
        list(read_preferences(tmp_path / "p.jsonl"))
