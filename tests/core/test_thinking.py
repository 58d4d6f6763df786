"""What a model wrote, told apart from its thinking and its template's marks: made-up replies after public reports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.thinking import answer_of, template_mark, written

TASKS = '{"tasks": [{"instruction": "Name a bird.", "input": "", "output": "A wren."}]}'
DRAFT = '{"instruction": "X", "input": "", "output": "x"}'


@pytest.mark.parametrize(
    "reply",
    [
        f"<think>try {DRAFT} no</think>{TASKS}",
        f"try {DRAFT} no\n</think>\n\n{TASKS}",  # the opening mark stood in the prompt
        f"<think>\n</think>\n{TASKS}",
        f"<THINK>try {DRAFT}</THINK> {TASKS}",
        f"<thinking>try {DRAFT} no</thinking>{TASKS}",
        f"<thought>try {DRAFT} no</thought>{TASKS}",
        f"<think>a <think> within {DRAFT}</think> b</think>{TASKS}",
        f"<think>I write a <think> tag first, {DRAFT}</think>{TASKS}",
        f"<think>try ```json\n{DRAFT}\n``` no</think>{TASKS}",
        f"<think>try ```json\n{DRAFT}\n no</think>{TASKS}",
        f"[THINK]try {DRAFT}[/THINK]{TASKS}",
        f"<|START_THINKING|>try {DRAFT}<|END_THINKING|>{TASKS}",
        f"<|channel|>analysis<|message|>try {DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{TASKS}<|return|>",
        f"<|channel|>analysis<|message|>try {DRAFT}<|channel|>final <|constrain|>json<|message|>{TASKS}",
        f"<|start|>assistant<|channel|>final<|message|>{TASKS}",
        f"analysisWe try {DRAFT}assistantfinal{TASKS}",
        f"<|channel>thought\ntry {DRAFT}<channel|>{TASKS}",
        f"<|im_start|>assistant\n<think>try {DRAFT}</think>\n{TASKS}<|im_end|>",
        f"◁think▷try {DRAFT}◁/think▷{TASKS}",
        f"<reasoning>try {DRAFT}</reasoning>\n<answer>{TASKS}</answer>",
        f"<think>try {DRAFT}</think><answer>{TASKS}</answer>",
        f"<think>one</think><think>two {DRAFT}</think>{TASKS}",
        f"Thinking...\ntry {DRAFT}\n...done thinking.\n{TASKS}",
    ],
)
def test_thinking_is_never_data(reply: str) -> None:
    said = written(reply)
    assert said.answer == TASKS
    assert said.thought or "final" in reply or "<|im_end|>" in reply


@pytest.mark.parametrize(
    "reply",
    [
        f"<think>I was cut off in the middle of {DRAFT}",
        "<think>nothing but thoughts</think>",
        "<|channel|>analysis<|message|>nothing but thoughts",
        "  <think>\n",
    ],
)
def test_a_reply_of_thoughts_alone_has_no_answer(reply: str) -> None:
    assert written(reply).answer == "" and written(reply).thought


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("Paris.<|im_end|>", "Paris."),
        ("Paris.</s>", "Paris."),
        ("Paris.\n</s>\n", "Paris."),
        ("Paris.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nAnd Rome?", "Paris."),
        ("Paris.<|im_end|>\n<|im_start|>user\nAnd Rome?", "Paris."),
        ("Paris.<end_of_turn>\n<start_of_turn>user\nmore", "Paris."),
        ("Paris.<｜end▁of▁sentence｜>", "Paris."),
        ("<|im_start|>assistant\nParis.<|im_end|>", "Paris."),
        ("Paris. [/INST] more", "Paris."),
        (f"{TASKS}<|im_end|>", TASKS),
        (f"{TASKS}</s>", TASKS),
    ],
)
def test_a_mark_of_a_template_ends_an_answer(reply: str, answer: str) -> None:
    assert answer_of(reply) == answer and written(reply).mark


@pytest.mark.parametrize(
    "text",
    [
        TASKS,
        '{"tasks": [{"instruction": "What does <think> mean?", "input": "", "output": "It opens; </think> closes."}]}',
        "The tag `<think>` opens a thought, and `</think>` closes it.",
        'Write "</think>" to end it.',
        "```html\n<think>kept</think>\n```",
        "It costs <s>$10</s> $5 today.",
        "<s>old</s>",
        "Compare a < b with b > c, and [1] with [2].",
        "analysis of variance: the assistant finally answers",
        "<p>Thinking aloud</p>",
        "",
        "   ",
        "<html><body>hi</body></html>",
        "Use <answer>42</answer> in XML.",
    ],
)
def test_what_is_about_marks_stays_as_it_is(text: str) -> None:
    assert answer_of(text) == text


def test_where_a_mark_stands_in_a_row() -> None:
    assert template_mark("Say it <|im_end|> again") == "<|im_end|>"
    assert template_mark("a </think> b") == "</think>"
    assert template_mark("struck <s>out</s>, and `<|im_end|>` quoted") == ""


@given(st.text(), st.text())
def test_whatever_stands_before_a_thought_s_end_is_not_in_the_answer(
    thought: str, answer: str
) -> None:
    for mark in ("<think>", "</think>", "`", "<", "[", "|", "\u25c1", "\uff5c"):
        thought, answer = thought.replace(mark, ""), answer.replace(mark, "")
    assert written(f"<think>{thought}</think>{answer}").answer == answer.strip()


@given(st.text())
def test_it_never_raises_and_does_it_once(text: str) -> None:
    once = answer_of(text)
    assert isinstance(once, str) and isinstance(template_mark(text), str)
