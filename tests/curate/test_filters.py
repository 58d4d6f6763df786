"""Each filter: a row that it objects to, with its words, and a near miss that it lets pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.curate.filters import ALL, OFF, Filters, first_objection

LOOP = "The bakery sells bread and cakes in the small town. " * 4


def row(instruction: str = "Name the capital of France.", input: str = "", output: str = "Paris.") -> Example:
    return Example.of(instruction, input, output, Origin("generated", "r1-0"))


CASES = {
    "min_words": [
        (row("Name a color."), "the instruction has 3 words, at least 4 wanted"),
        (row("Name a warm color."), None)],
    "max_words": [
        (row("word " * 151), "the instruction has 151 words, at most 150 wanted"),
        (row("word " * 150), None)],
    "media": [
        (row("Describe the following picture in detail."),
         "the instruction says 'picture', which a text model can neither see nor make"),
        (row("Go  to the store and describe it."), None),  # two blanks: Stanford's own pattern
        (row("Describe a picturesque village in Spain."), None)],
    "write_a_program": [
        (row("Write a program that sorts a list."), "the instruction starts with 'Write a program'"),
        (row("Write a programme for a concert."), "the instruction starts with 'Write a program'"),  # as Stanford
        (row("Please Write a program that sorts."), None)],
    "punctuation_start": [
        (row("(Name) the capital of France"), "the instruction starts with '('"),
        (row("Name (only) the capital of France"), None)],
    "ascii_start": [
        (row("Être ou ne pas être: who said it?"), "the instruction starts with 'Ê', which is not ASCII"),
        (row("Who said: être ou ne pas être?"), None)],
    "empty_output": [
        (row(output=" \n"), "the output is empty"),
        (row(output="<noinput>"), "the output only says '<noinput>'"),
        (row(output="No output required."), "the output only says 'No output required.'"),
        (row(output="N/A"), "the output only says 'N/A'"),
        (row(output="None."), None),  # which is an answer
        (row(output="No errors were found."), None),
        (row(output="0"), None)],
    "control_characters": [
        (row(output="Paris\x03."), "the output holds U+0003"),
        (row(input="caf\ufffd"), "the input holds U+FFFD"),
        (row(output="one\ttwo\r\nthree\u2028four"), None)],
    "leaked_task": [
        (row(output="Paris.\n##\n18. Instruction: Identify the noun."),
         "the output holds the next task: '18. Instruction: Identify the noun.'"),
        (row(output="Paris.\n\n### Instruction:\nName a river."), "the output holds the next task: '### Instruction:'"),
        (row("Write a task for a model.", output="Instruction: Fill the mug."), None),
        (row(output="See section 4. Instruction: is a word."), None)],
    "refusal": [
        (row(output="Sorry, this task involves a visual output which the model cannot generate."),
         "the output declines: 'Sorry, this task involves a visual output which the model...'"),
        (row(output="I'm sorry, but I can't assist with that."),
         "the output declines: 'I'm sorry, but I can't assist'"),
        (row(output="As an AI language model, I do not have access to that."),
         "the output declines: 'As an AI language model, I do not'"),
        (row(output="No output as GPT models cannot draw."), "the output declines: 'No output as GPT models cannot'"),
        (row("Write an apology to a customer.", output="I'm sorry that your order was late. We cannot undo it."), None),
        (row("Say that you can wait no longer.", output="I can't wait to see the sea!"), None),
        (row("What can language models not do?", output="A language model cannot see."), None)],
    "output_is_input": [
        (row("Correct the sentence below, please.", "He go home.", "He go home. "), "the output is the input again"),
        (row("Put the sentence in title case.", "he goes home", "He Goes Home"), None),
        (row("Say nothing at all, please.", "", ""), None)],
    "output_is_instruction": [
        (row("Create a looping list.", output="Create a looping list."), "the output is the instruction again"),
        (row("Create a looping list.", output="create a looping list"), None)],
    "code_fence": [
        (row(output="```python\nprint(1)"), "the output has 1 code fences, one is not closed"),
        (row(output="```python\nprint(1)\n```"), None),
        (row(output="Write ``` to open a block."), None)],
    "repetition": [
        (row(output=LOOP), "72% of the output repeats itself, at most 50% wanted"),
        (row(output="1. Tea\n2. Milk\n3. Milk\n4. Milk\n5. Milk"),
         "60% of the output repeats itself, at most 50% wanted"),
        (row(output="1. Tea\n2. Milk\n3. Bread\n4. Milk"), None),
        (row(output="Oh come back. " * 5), None),  # under 30 words: a refrain
        (row(output="\n".join(f"{n} x 6 = {n * 6}" for n in range(1, 11))), None)],
    "truncated": [
        (row(output="It is the largest country in the region, and its economy is based on"), None),  # on: "come on"
        (row(output="It is the largest country of the whole region, and people come to see the"),
         "the output stops in mid-sentence, at 'the'"),
        (row(output="The red fox and the brown bear were seen in the woods, by the river,"),
         "the output stops in mid-sentence, at 'river,'"),
        (row(output="1. bread and butter for the morning of the day\n2. tea\n3. of"), None),
        (row("Which article is missing?", output="the"), None)],
}


def objection(example: Example, name: str) -> tuple[str, str] | None:
    only = Filters.model_validate({one.__name__: one.__name__ == name for one in ALL})
    return first_objection(example, only.rules())


def test_every_filter_has_a_row_that_triggers_it_and_a_near_miss() -> None:
    assert list(CASES) == [one.__name__ for one in ALL]
    for name, cases in CASES.items():
        assert {bool(words) for _, words in cases} == {True, False}, name


@pytest.mark.parametrize(("name", "example", "words"), [
    (name, example, words) for name, cases in CASES.items() for example, words in cases])
def test_objection(name: str, example: Example, words: str | None) -> None:
    assert objection(example, name) == ((name, words) if words else None)


def test_the_first_objection_counts() -> None:
    assert first_objection(row("Draw it.", output=""), Filters().rules()) == (
        "min_words", "the instruction has 2 words, at least 4 wanted")


def test_switches_and_settings() -> None:
    assert [rule.name for rule in Filters().rules()] == [one.__name__ for one in ALL if one not in OFF]
    some = Filters.model_validate({"min_words": {"least": 2}, "media": False, "ascii_start": True})
    assert first_objection(row("Draw pictures."), some.rules()) is None
    assert first_objection(row("Était-ce lui?"), some.rules()) == (
        "ascii_start", "the instruction starts with 'É', which is not ASCII")
    assert some.identity() | {"min_words": {"least": 2}, "media": None, "ascii_start": {}} == some.identity()


def test_true_is_the_same_as_the_defaults_written_out() -> None:
    assert Filters.model_validate({"repetition": {"most": 0.5}}).identity() == Filters().identity()
    assert Filters.model_validate({"repetition": True}).identity() == Filters().identity()


@pytest.mark.parametrize("wrong", [
    {"min_wrods": True}, {"min_words": {"leest": 2}}, {"min_words": {"least": "2"}}, {"min_words": {"least": -1}},
    {"min_words": 2}, {"media": {"least": 1}}])
def test_a_wrong_setting_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Filters.model_validate(wrong)


@given(st.builds(row, st.text(), st.text(), st.text()))
def test_any_text_is_answered_with_one_line_or_none(example: Example) -> None:
    for one in ALL:
        reason = one(example)
        assert reason is None or (reason and "\n" not in reason)
