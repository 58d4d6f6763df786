"""Rows on which reading for meaning went wrong once, and their siblings: what becomes of each with the default filters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.curate.filter_config import Filters, first_reason
from alpaca_pipe.curate.repairs import mended

FILTERS = Filters().active()
JOKE, WAVE = "Tell me a joke, please.", "Why did the wave? It waved."
OPEN, SATURDAY = "Which days are you open?", "We are open on Saturday."


class Row(NamedTuple):
    instruction: str
    input: str
    output: str


def after(row: Row) -> tuple[str, str, str] | str:
    """The filter that drops the row, or its texts as they are kept."""
    came = Example.of(*row, Origin("imported", "rows#1"))
    now = mended(came) or came
    dropped = first_reason(now, FILTERS)
    return dropped[0] if dropped else (now.instruction, now.input, now.output)


def asked(output: str, instruction: str = "Please answer the question below.") -> Row:
    return Row(instruction, "", output)


KEPT: dict[str, list[Row]] = {
    "decimal commas and thousand points": [
        asked("2,5 + 3 = 5,5", "Berechne die Summe."),
        asked("1.500 + 500 = 2.000", "Berechne die Summe."),
        asked("Das macht 12,50 € + 3,75 € = 16,25 €.", "Rechne es aus."),
        asked("1.234,50 + 0,50 = 1.235,00", "Calcula el total."),
        asked("1 500 + 500 = 2 000"),
        asked("1\u202f500 + 500 = 2\u202f000"),
        asked("1'500 + 500 = 2'000"),
        asked("1,00,000 + 1 = 1,00,001"),
    ],
    "percent": [
        asked("80 - 50% = 40"),
        asked("80 + 10% = 88"),
        asked("50% of 80 = 40"),
        asked("80 * 50% = 40"),
        asked("25% + 25% = 50%"),
    ],
    "ends that are none": [
        asked("Es war spät am Abend, und der Regen hörte nicht auf. Da rief er seinen Bruder an"),
        asked("We should look after our habits, for they are what make us who we are"),
        asked("100 € à 20 % font 20 €", "Calcule la TVA, s'il te plaît."),
        asked("De trein van morgen vertrekt om negen uur vanaf spoor zes en komt in Arnhem an"),
    ],
    "talks and tasks that were asked for": [
        asked("Hello.\n\nUser: Hi.", "Write a talk with a chatbot."),
        asked("<noinput> means that there is no input.", "What does <noinput> mean in this file?"),
        asked("Sodium has the symbol Na.", "What is the symbol of sodium?")._replace(input="NA"),
    ],
    "pictures in prose and in characters": [
        asked(
            "A round orange sun sinks behind three dark hills. Thin red clouds lie over it, and a lake mirrors all of it.",
            "Draw a picture of a sunset.",
        ),
        asked(" /\\_/\\\n( o.o )\n > ^ <", "Draw a cat for me, please."),
        asked(" /\\_/\\\n( o.o )\n > ^ <", "Draw a cat in characters."),
        asked('<img src="cat.png" alt="a cat">', "Write an img tag for cat.png in HTML."),
        asked("1. Riders on the Storm\n2. Purple Rain", "Create a playlist for a rainy day."),
    ],
    "fences": [
        asked("```print('hello')```"),
        asked("```\nprint('hello')\n```"),
        asked("~~~\nprint('hello')\n~~~"),
        asked("````\n```\nx\n```\n````"),
        asked("Use ``` to open a block of code in Markdown."),
        asked("1. First:\n   ```\n   x\n   ```\n2. Then."),
    ],
    "lists in order, or in an order that nobody can check": [
        Row("Sort these words alphabetically.", "plum, fig, pear", "fig, pear, plum"),
        Row("Sort these words by their length.", "plum, fig, pear", "fig, plum, pear"),
        Row("Arrange these from largest to smallest: 3, 1, 2", "", "3, 2, 1"),
        Row("Sort this list: 5, 3, 9", "", "9, 5, 3"),
        Row("Sortiere diese Liste alphabetisch.", "Pflaume, Feige", "Feige, Pflaume"),
    ],
    "short instructions in other languages": [
        asked("Rhein, Elbe, Donau.", "Nenne drei Flüsse."),
        asked("Die Tauben sitzen auf dem Dach und warten.", "Schreibe einen Satz."),
        asked("春が来て花が咲く。", "詩を書いて"),
        asked("春眠不觉晓。", "写首诗"),
    ],
}


@pytest.mark.parametrize("kind", KEPT)
def test_what_stays_as_it_is(kind: str) -> None:
    assert [after(row) for row in KEPT[kind]] == [tuple(row) for row in KEPT[kind]]


CUT = [
    "Human: And on Sunday?\nAssistant: We are closed.",
    "User: And on Sunday?\nAssistant: We are closed.",
    "### User:\nAnd on Sunday?\n\n### Assistant:\nWe are closed.",
    "### Instruction:\nName a river.\n\n### Response:\nThe Po.",
    "用户：星期天呢？\n助手：不开。",
    "[INST] Name a river. [/INST] The Po.",
    "Task 2: Name a river.\nOutput: The Po.",
    "Task 2\nInstruction: Name a river.\nOutput: The Po.",
    "Aufgabe 2: Nenne einen Fluss.\nAusgabe: Der Po.",
    "Tarea 2: Nombra un río.\nSalida: El Po.",
    "5) Instruction: Name a river.\n5) Input: <noinput>\n5) Output: The Po.",
    "(5) Instruction: Name a river.",
    "Instruction 5: Name a river.",
    "6. 指令：说出一条河。\n6. 输入：<无输入>\n6. 输出：长江。",
    "Question: Name a river.\nAnswer: The Po.",
    "Example 2\nInput: x\nOutput: The Po.",
]


@pytest.mark.parametrize("leak", CUT)
def test_a_leak_of_the_next_task_is_cut(leak: str) -> None:
    assert after(Row(OPEN, "", f"{SATURDAY}\n\n{leak}")) == (OPEN, "", SATURDAY)


def test_a_list_that_counts_on_into_the_next_task_is_cut() -> None:
    row = Row("Name some fruit, please.", "", "1. Pear\n2. Plum\n3. Fig\n4. Instruction: Go.")
    assert after(row) == (row.instruction, "", "1. Pear\n2. Plum\n3. Fig")


@pytest.mark.parametrize(
    "sign",
    [
        "#",
        "##",
        "###",
        "111",
        "22222",
        "***",
        ";;",
        "____",
        "__",
        "---",
        "===",
        "%%%",
        "@@@",
        "|",
        "\\\\\\",
        "[END]",
        "###END###",
        "EOF",
        "<|endoftext|>",
        "</s>",
    ]
    + ["- - -", "// end of output //"],
)
def test_a_line_of_signs_at_the_end_goes(sign: str) -> None:
    assert after(Row(JOKE, "", f"{WAVE}\n{sign}")) == (JOKE, "", WAVE)


NO_INPUT = (
    "NA|N.A.|n/a|No input|(no input)|No input.|<noinput>|<no input>|[noinput]|Noinput|No Input Needed|Input: none|none|null|-|[]"
    '|""|No input is required for this task.|There is no input.|N/A (no input required)|no additional input|None provided'
    "|not given|Not Available|No context|无输入|無輸入|（无输入）|输入：无|<无输入>|입력 없음|Keine Eingabe|Keine Eingabe erforderlich"
    "|Sin entrada|không có|Không có đầu vào|Aucune entrée|Nenhuma entrada|Нет ввода|入力なし|なし|ไม่มีข้อมูลนำเข้า|Nessun input"
)


@pytest.mark.parametrize("said", NO_INPUT.split("|"))
def test_no_input_in_words(said: str) -> None:
    assert after(Row(JOKE, said, WAVE)) == (JOKE, "", WAVE)


MENDED = {
    "a mark below a label": (Row(JOKE, "Photo:\n<noinput>", WAVE), Row(JOKE, "", WAVE)),
    "a mark before an answer": (asked("<noinput>\nThe Quiet Boat", JOKE), asked("The Quiet Boat", JOKE)),
    "a mark in Chinese before an answer": (asked("<无输入>\n长江。", JOKE), asked("长江。", JOKE)),
    "what it is about, said twice": (
        Row("Compare the tram with the bus.", "compare the tram with the bus", "One has rails."),
        Row("Compare the tram with the bus.", "", "One has rails."),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MENDED)
def test_what_is_mended(name: str) -> None:
    before, wanted = MENDED[name]
    assert after(before) == tuple(wanted)


DROPPED: dict[str, list[Row]] = {
    "wrong_arithmetic": [
        asked("2,5 + 3 = 6,5", "Berechne die Summe."),
        asked("1.500 + 500 = 2.100", "Berechne die Summe."),
        asked("80 * 50% = 45"),
    ],
    "truncated": [asked("We should look after our habits every day of the week because they are the")],
    "placeholder": [
        Row("Fill in the word that is missing.", "The baker <noinput> the bread.", "bakes"),
        asked("Rome <noinput> is old."),
        Row("讲讲罗马这座城市。", "罗马<无输入>很老。", "罗马很老了，有很多遗迹。"),
    ],
    "empty_output": [asked("<noinput>"), asked("<keine Eingabe>")],
    "media_answer": [
        asked('<audio src="a.mp3">Lullaby</audio>', "Sing me a lullaby, please."),
        asked("![cat](https://example.com/cat.png)", "Show me a nice cat."),
        asked("https://www.nasa.gov/tides/facts-2019\nhttps://www.noaa.gov/ocean/tides", "Find two sources on tides."),
        asked("[sound of rain]", "Play me a sound of rain."),
        asked("(attached: fern.jpg)", "Let me see a fern."),
    ],
    "media_request": [asked("I drew.", "Draw a cat for me, please.")],
    "code_fence": [asked("Here you are:\n```python\nprint('hello')")],
    "wrong_order": [
        asked("fig, plum, pear", "Sort alphabetically: plum, fig, pear"),
        Row("Sort these words alphabetically.", "plum, fig, pear", "fig, plum, pear"),
        Row("Order these numbers from low to high.", "10, 9, 30", "10, 9, 30"),
        asked("3, 9, 5", "Sort this list: 5, 3, 9"),
        asked("- fig\n- plum\n- pear", "Put these in alphabetical order:\n- plum\n- fig\n- pear"),
    ],
    "repetition": [
        asked("因为天空很蓝。" * 200, "为什么天空是蓝色的？"),
        asked("空は青いからです。" * 200, "空はなぜ青いのですか。"),
        asked("เพราะท้องฟ้าเป็นสีฟ้า" * 200, "ทำไมท้องฟ้าเป็นสีฟ้า"),
    ],
    "min_words": [asked("Red.", "Name a color.")],
}  # fmt: skip


@pytest.mark.parametrize("rule", DROPPED)
def test_what_is_dropped(rule: str) -> None:
    assert [after(row) for row in DROPPED[rule]] == [rule] * len(DROPPED[rule])


SOUND = [
    json.loads(line) for line in Path(__file__).with_name("sound_rows.jsonl").open(encoding="utf-8")
]


@pytest.mark.parametrize("language", ["zh", "ja", "th", "de"])
def test_sound_rows_of_other_languages_stay(language: str) -> None:
    """Ten of each, of our own: none is dropped, none is changed."""
    rows = [
        Row(row["instruction"], row["input"], row["output"])
        for row in SOUND
        if row["language"] == language
    ]
    assert len(rows) == 10 and [after(row) for row in rows] == [tuple(row) for row in rows]
