"""What is mended, under a new id that names its parent; what cannot be mended safely is left as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.curate.detectors.invisible import cleaned
from alpaca_pipe.curate.detectors.next_task import leaked_header
from alpaca_pipe.curate.repairs import mended, repaired

ORIGIN = Origin("generated", "r1-7", ("e1-seed",), {"place": "0/1/2"})


def row(
    input: str = "", output: str = "Knock, knock.", instruction: str = "Tell me a joke, please."
) -> Example:
    return Example.of(instruction, input, output, ORIGIN)


@pytest.mark.parametrize(
    "input",
    [
        "No input",
        "<noinput>",
        "NOINPUT",
        "N/A",
        "n / a",
        "None.",
        '"<noinput>"',
        "`<noinput>`",
        "[No Input]",
        "(no input)",
        "No input required.",
        "\\<noinput\\>",
        "No input was given",
        "Not applicable",
        " <noinputs>,",
        "NA",
        "Input: none",
        "无输入",
        "入力なし",
        "입력 없음",
        "Keine Eingabe",
        "Sin entrada",
        "Aucune entrée",
        "Sem entrada",
        "Нет входных данных",
        "không có",
        "لا يوجد إدخال",
    ],
)
def test_spellings_of_nothing(input: str) -> None:
    after = mended(row(input))
    assert after and after.input == "" and after.id == row().id
    assert after.origin == Origin(
        "generated", "r1-7", (row(input).id,), {"place": "0/1/2", "repair": "no_input"}
    )


@pytest.mark.parametrize(
    "input",
    [
        "",
        "No",
        "Nonesuch",
        "He was <noinput>",
        "No input, no output",
        "none of them",
        "N/A and other abbreviations",
        "<image>",
        ".",
        "Nada",
        "The keine",
        "不",
    ],
)
def test_near_misses_stay(input: str) -> None:
    assert mended(row(input)) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("one\u200btwo", "onetwo"),
        ("any\u00adbody", "anybody"),
        ("\ufeffYes", "Yes"),
        ("a\x00b\x07", "ab"),
        ("one\x0btwo", "one\ntwo"),
        ("\x93Yes\x94, it\x92s", "“Yes”, it’s"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("Next \u200eSteps", "Next Steps"),
        ("I \u2764\ufe0f it", "I \u2764\ufe0f it"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        (
            "\u0e44\u0e17\u0e22\u200b\u0e44\u0e17\u0e22",
            "\u0e44\u0e17\u0e22\u200b\u0e44\u0e17\u0e22",
        ),
        ("one\ttwo\r\nthree", "one\ttwo\r\nthree"),
        ("caf\ufffd", "caf\ufffd"),
    ],
)
def test_characters_that_nobody_sees(before: str, after: str) -> None:
    assert cleaned(before) == after
    assert (mended(row(output=before)) or row(output=before)).output == after


@given(st.text())
def test_cleaning_takes_out_no_letter_and_is_done_once(text: str) -> None:
    once = cleaned(text)
    assert cleaned(once) == once
    if "\x1b" not in text:
        assert [letter for letter in once if letter.isalnum() and letter.isascii()] == [
            letter for letter in text if letter.isalnum() and letter.isascii()
        ]


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        ("Paris.\n##\n18. Instruction: Name a noun.\n18. Input:\n<noinput>", "Paris."),
        ("Paris.\n\n\n6. Instruction: Name a noun.", "Paris."),
        ("Paris.\n111 \n6. Instruction: Name a noun.", "Paris."),
        ("- Paris\n- Rome\n***\n\n6. Instruction: Name a noun.", "- Paris\n- Rome"),
    ],
)
def test_a_next_task_is_cut_off(output: str, kept: str) -> None:
    after = mended(row(output=output))
    assert after and after.output == kept and after.origin.details["repair"] == "next_task"


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        ("Paris.\n\n5) Instruction: Name a noun.", "Paris."),
        ("Paris.\n\n**Instruction 2:** Name a noun.", "Paris."),
        ("Paris.\n\nNext task: Name a noun.", "Paris."),
        ("Paris.\n\nTask 2: Name a river.\nOutput: The Po.", "Paris."),
        ("Paris.\n\nInput: Italy\nOutput: Rome.", "Paris."),
        ("Paris.\n\nHuman: And on Sunday?\nAssistant: Paris.", "Paris."),
        ("Paris.\n\n### Human: And then?", "Paris."),
        ("1. Pear\n2. Plum\n3. Fig\n4. Instruction: Name a noun.", "1. Pear\n2. Plum\n3. Fig"),
    ],
)
def test_a_next_task_under_another_header_is_cut_off(output: str, kept: str) -> None:
    after = mended(row(output=output, instruction="Name the capital of France."))
    assert after and after.output == kept and after.origin.details["repair"] == "next_task"


@pytest.mark.parametrize(
    "row",
    [
        row(output="Human: Hi.\n\nAssistant: Hello."),
        row(output="Hello.\n\nUser: Hi.", instruction="Write a talk with a chatbot."),
        row(output="Add them.\n\nInput: a\nOutput: b", instruction="Write an algorithm, please."),
        row(output="Take flour.\n\nInstructions:\n1. Mix it."),
        row(output="Task 1: Wash.\nTask 2: Dry.", instruction="Name the tasks of the day."),
    ],
)
def test_what_only_looks_like_a_next_task_stays(row: Example) -> None:
    assert mended(row) is None and leaked_header(row) == ""


@pytest.mark.parametrize(
    "line", ["#", "##", "111", "***", ";;", "____", "---", "// end of output //"]
)
def test_a_line_between_two_tasks_that_was_left_goes(line: str) -> None:
    after = mended(row(output=f"Knock, knock.\n{line}"))
    assert (
        after and after.output == "Knock, knock." and after.origin.details["repair"] == "separator"
    )


@pytest.mark.parametrize(
    ("output", "instruction"),
    [
        ("| a |\n|---|\n| b |\n---", "Tell me a joke, please."),
        ("Sincerely,\n____", "Write the end of a letter."),
        ("12\n111", "Tell me a joke, please."),
        ("It is:\n***", "Draw a pattern of stars."),
        ("x = 1;\n}", "Tell me a joke, please."),
    ],
)
def test_a_line_that_belongs_there_stays(output: str, instruction: str) -> None:
    assert mended(row(output=output, instruction=instruction)) is None


@pytest.mark.parametrize(
    ("input", "output", "after"),
    [
        ("Photo:\n<noinput>", "A cat.", ("", "A cat.")),
        ("Photo: <noinput>", "A cat.", ("", "A cat.")),
        ("", "<noinput>\nThe Quiet Boat", ("", "The Quiet Boat")),
        ("", "<noinput>\nOutput: Rain.", ("", "Rain.")),
        ("The poem\n\nNoinput", "Rain.", ("The poem", "Rain.")),
    ],
)
def test_a_mark_for_no_input_goes(input: str, output: str, after: tuple[str, str]) -> None:
    found = mended(row(input, output))
    assert found and (found.input, found.output) == after


def test_a_conversation_is_mended_turn_by_turn() -> None:
    told = (
        Message("user", "Name the capital of France."),
        Message("assistant", "Paris.\n\nHuman: And Italy?"),
        Message("user", "And of Italy?"),
        Message("assistant", "Rome.\n##", learned=False),
        Message("user", "And of\u200b Spain?"),
        Message("assistant", "Madrid.\n##"),
    )
    found = mended(Example.of_messages(told, ORIGIN, "Be brief.\u200b"))
    assert found and found.system == "Be brief."
    assert [one.text for one in found.messages] == [
        "Name the capital of France.",
        "Paris.",
        "And of Italy?",
        "Rome.\n##",
        "And of Spain?",
        "Madrid.",
    ]
    assert found.origin.details["repair"] == "next_task, invisible, separator"


@pytest.mark.parametrize(
    "output",
    [
        "6. Instruction: Name a noun.",
        "It is the\n6. Instruction: Name a noun.",
        "count = 6;\n#end-p1\n6. Instruction: Name a noun.",
        "```\ncode.\n6. Instruction: Name a noun.",
        "It was all built in 20\n##\n6. Instruction: Name a noun.",
    ],
)
def test_where_cutting_is_not_safe_nothing_is_cut(output: str) -> None:
    after = mended(row(output=output))
    assert after is None or after.output != "" and "Instruction" in after.output


def test_an_instruction_said_again_in_the_input_goes() -> None:
    after = mended(row("Tell me a joke, please. About cats."))
    assert (
        after
        and after.input == "About cats."
        and after.origin.details["repair"] == "instruction_again"
    )
    assert (mended(row("Please tell me a joke, please.")) or row("-")).input == ""
    assert (mended(row("Question: Tell me a joke, please?")) or row("-")).input == ""
    assert mended(row("Old people tell me a joke, please, each day.")) is None


def test_a_row_may_need_several() -> None:
    after = mended(row("No\u200b input", "Knock.\n##\n2. Instruction: Name a noun."))
    assert after and (after.input, after.output) == ("", "Knock.")
    assert after.origin.details["repair"] == "invisible, no_input, next_task"
    assert mended(after) is None


def test_ids_stay_unique() -> None:
    rows = [row(""), row("N/A"), row("none")]
    after = [(example.id.removeprefix(row("").id), before) for example, before in repaired(rows)]
    assert after == [("", None), ("#2", rows[1]), ("#3", rows[2])]


def test_a_sound_row_gives_way_to_a_repaired_one_before_it() -> None:
    assert [example.id for example, _ in repaired([row("N/A"), row("")])] == [
        row("").id,
        f"{row('').id}#2",
    ]


@pytest.mark.parametrize(
    "output",
    [
        "<think>He wants a joke.</think>Knock, knock.",
        "He wants a joke.</think>\nKnock, knock.",
        "Knock, knock.<|im_end|>",
        "Knock, knock.</s>",
        "<|channel|>analysis<|message|>A joke.<|end|><|start|>assistant<|channel|>final<|message|>Knock, knock.",
    ],
)
def test_thinking_and_template_marks_are_no_part_of_an_answer(output: str) -> None:
    after = mended(row(output=output))
    assert after and after.output == "Knock, knock." and after.id == row().id
    assert after.origin.details["repair"] == "thinking"


def test_thoughts_alone_are_left_to_the_objections() -> None:
    assert mended(row(output="<think>He wants a joke.")) is None
