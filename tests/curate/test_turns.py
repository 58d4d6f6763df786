"""Conversations in curate: each learned answer is looked at, nothing is flattened, a person can edit one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.curate import dedup
from alpaca_pipe.curate.contamination import as_filter
from alpaca_pipe.curate.diversity import Diversity
from alpaca_pipe.curate.filter_config import Filters, first_reason
from alpaca_pipe.curate.grading.config import Grading
from alpaca_pipe.curate.review.decisions import Decision, Decisions, read_decisions, row_of
from alpaca_pipe.curate.review.editing import fields_of, texts_of
from alpaca_pipe.curate.review.overrides import coming
from alpaca_pipe.similarity.overlap import Overlap

FILE = Origin("imported", "chats.jsonl#1")


def chat(*texts: str, given: tuple[int, ...] = (), system: str = "") -> Example:
    """User and assistant in turn; given: numbers of messages that are not learned."""
    turns = [
        Message("assistant" if n % 2 else "user", text, n + 1 not in given)
        for n, text in enumerate(texts)
    ]
    return Example.of_messages(turns, FILE, system)


SOUND = (
    "Name three herbs for a soup.",
    "Thyme, parsley and lovage.",
    "And two more?",
    "Bay leaf and savory.",
)


def reason(row: Example) -> tuple[str, str] | None:
    return first_reason(row, Filters().active())


def test_a_sound_conversation_stays() -> None:
    assert reason(chat(*SOUND)) is None
    assert (
        reason(chat("Hi!", "Hello, what can I do?", "Name a herb for my soup.", "Thyme.")) is None
    )


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ("", "empty_output"),
        ("Sure, here is the code:\n```python\nx = 1", "code_fence"),
        ("As an AI language model, I cannot help with that.", "refusal"),
        ("And two more?", "output_is_instruction"),
    ],
)
def test_each_learned_answer_is_looked_at(answer: str, name: str) -> None:
    """Whichever it is; one that is not learned may be bad."""
    for place in (1, 3):
        texts = [*SOUND]
        texts[place] = answer if name != "output_is_instruction" else texts[place - 1]
        found = reason(chat(*texts))
        assert found is not None and found[0] == name
        assert found[1].startswith(f"answer {place // 2 + 1}: ")
        assert reason(chat(*texts, given=(place + 1,))) is None


def test_texts_that_are_not_learned_are_looked_at_for_broken_characters_and_people() -> None:
    broken = chat(SOUND[0], "Th\ufffdme.", *SOUND[2:], given=(2,))
    assert reason(broken) == ("control_characters", "the message 2 holds U+FFFD")
    person = chat("Write to anna.schmidt1974@gmail.com for me.", *SOUND[1:])
    found = reason(person)
    assert found is not None and found[0] == "personal_data"


def test_an_answer_of_tool_calls_alone_is_not_empty() -> None:
    call = {"type": "function", "function": {"name": "look", "arguments": "{}"}}
    turns = [
        Message("user", "What herbs are in the garden today?"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "thyme, lovage"),
        Message("assistant", "Thyme and lovage."),
    ]
    row = Example.of_messages(turns, FILE)
    assert reason(row) is None
    (one,) = row.exchanges()
    assert (one.example.instruction, one.example.input, one.example.output, one.number) == (
        "What herbs are in the garden today?",
        "thyme, lovage",
        "Thyme and lovage.",
        2,
    )


def test_length_counts_all_learned_answers_or_the_whole_row() -> None:
    row = chat(*SOUND, given=(2,))
    most = lambda **how: first_reason(row, Filters(length=how).active())
    assert most(most=4) is None and most(most=3) == (
        "length",
        "the output has 4 words, at most 3 wanted",
    )
    assert most(most=17, of="row") is None and most(most=16, of="row") is not None


def test_duplicates_are_told_by_all_questions() -> None:
    """The same greeting does not make two conversations one."""
    rows = [
        chat("Hello there, my friend!", "Hi.", "Name three herbs for soup.", "Thyme."),
        chat("Hello there, my friend!", "Hi.", "Who painted the ceiling in Rome?", "Michelangelo."),
    ]
    texts = [dedup.told_by(row, "task") for row in rows]
    from decimal import Decimal

    assert not dedup.met(texts, Decimal("0.7"), "unicode")
    assert dedup.met([*texts, texts[0]], Decimal("0.7"), "unicode").keys() == {2}


def test_contamination_is_found_in_every_exchange() -> None:
    text = "one two three four five six seven eight nine ten eleven twelve thirteen"
    found = as_filter(Overlap.of([("set#1", text)])).reason(chat(*SOUND[:3], text, given=(4,)))
    assert found is not None and found.startswith("answer 2: the output shares 13 words")


def test_diversity_counts_all_that_was_said() -> None:
    found = Diversity()
    found.add(chat(*SOUND))
    assert found.texts == ["Name three herbs for a soup.\nAnd two more?"]


def test_a_grade_is_asked_for_all_answers_together() -> None:
    row = chat(*SOUND, given=(2,))
    thought = Example.of_messages(
        [*row.messages[:3], replace(row.messages[3], reasoning="Hm.")], FILE
    )
    system, user = Grading().request(thought, frozenset()).messages
    asked = json.loads(user.content)
    assert asked["conversation"][1] == {"role": "assistant", "content": SOUND[1], "learned": False}
    assert "Hm." not in user.content and "one grade for all" in system.content
    single = Grading().request(Example.of("a", "", "b", FILE), frozenset()).messages
    assert "conversation" not in single[0].content


def test_a_person_reads_and_edits_message_by_message() -> None:
    row = chat(*SOUND, given=(2,), system="Be brief.")
    assert list(fields_of(texts_of(row))) == [
        "system",
        "1 user",
        "2 assistant (not learned)",
        "3 user",
        "4 assistant",
    ]
    texts = texts_of(row)
    assert row_of(texts, FILE) == row
    said = Decision(
        row.id, "edit", texts=texts | {"messages": texts["messages"].replace("Bay", "Curry")}
    )
    (one,) = coming([row], False, Decisions(None, (said,)))
    assert one.edited and one.example.id == said.to != row.id
    assert one.example.messages[3].text == "Curry leaf and savory."
    assert [m.learned for m in one.example.messages] == [True, False, True, True]
    assert one.example.origin.parents == (row.id,)


@pytest.mark.parametrize(
    "texts",
    [
        {"messages": "[]"},
        {"messages": "no JSON"},
        {"messages": '[{"role": "user"}]'},
        {"messages": "[3]"},
        {"messages": "[]", "output": "x"},
    ],
)
def test_an_edit_that_is_no_conversation_is_said(texts: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    file.write_text(json.dumps({"id": "e1-1", "verdict": "edit", "texts": texts}) + "\n")
    with pytest.raises(UserError, match="of this edit are"):
        read_decisions(file)


def test_an_edit_in_the_editor_keeps_what_a_message_has_beside_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alpaca_pipe.curate.review.editing import edited

    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\np = pathlib.Path(sys.argv[1])\np.write_text(p.read_text().replace('savory', 'mint'))\n"
    )
    import sys

    monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")
    call = {"type": "function", "function": {"name": "look", "arguments": "{}"}}
    before = chat(*SOUND, given=(2,))
    row = Example.of_messages(
        [before.messages[0], replace(before.messages[1], tool_calls=(call,)), *before.messages[2:]],
        FILE,
    )
    texts = edited(texts_of(row), _Silent())  # type: ignore[arg-type]
    assert texts is not None
    after = row_of(texts, FILE)
    assert after.messages[3].text == "Bay leaf and mint." and after.messages[:3] == row.messages[:3]


class _Silent:
    say: Callable[..., None] = staticmethod(lambda *texts: None)
    ask: Callable[..., str | None] = staticmethod(lambda question: None)
