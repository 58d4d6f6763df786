"""Each filter: a row that it objects to, with its words, and a near miss that it lets pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.curate.filter_config import NAMES, SETS, Filters, first_objection
from alpaca_pipe.curate.filters import ALL, OFF
from alpaca_pipe.data.stanford_rules import objection as objection_of

LOOP = "The bakery sells bread and cakes in the small town. " * 4


def own(**texts: str) -> Example:
    """A row that was imported."""
    return Example.of(
        "Name the place, please.",
        texts.get("input", ""),
        texts["output"],
        Origin("imported", "mine.json#1"),
    )


def row(
    instruction: str = "Name the capital of France.", input: str = "", output: str = "Paris."
) -> Example:
    return Example.of(instruction, input, output, Origin("generated", "r1-0"))


CASES = {
    "min_words": [
        (row("Name a color."), "the instruction has 3 words, at least 4 wanted"),
        (row("Name a warm color."), None),
    ],
    "max_words": [
        (row("word " * 151), "the instruction has 151 words, at most 150 wanted"),
        (row("word " * 150), None),
    ],
    "media": [
        (
            row("Describe the following picture in detail."),
            "the instruction says 'picture', which a text model can neither see nor make",
        ),
        (row("Go  to the store and describe it."), None),  # two blanks: Stanford's own pattern
        (row("Describe a picturesque village in Spain."), None),
    ],
    "write_a_program": [
        (
            row("Write a program that sorts a list."),
            "the instruction starts with 'Write a program'",
        ),
        (
            row("Write a programme for a concert."),
            "the instruction starts with 'Write a program'",
        ),  # as Stanford
        (row("Please Write a program that sorts."), None),
    ],
    "punctuation_start": [
        (row("(Name) the capital of France"), "the instruction starts with '('"),
        (row("Name (only) the capital of France"), None),
    ],
    "ascii_start": [
        (
            row("Être ou ne pas être: who said it?"),
            "the instruction starts with 'Ê', which is not ASCII",
        ),
        (row("Who said: être ou ne pas être?"), None),
    ],
    "empty_output": [
        (row(output=" \n"), "the output is empty"),
        (row(output="<noinput>"), "the output only says '<noinput>'"),
        (row(output="No output required."), "the output only says 'No output required.'"),
        (row(output="N/A"), "the output only says 'N/A'"),
        (row(output="None."), None),  # which is an answer
        (row(output="No errors were found."), None),
        (row(output="0"), None),
    ],
    "control_characters": [
        (row(output="Paris\x03."), "the output holds U+0003"),
        (row(input="caf\ufffd"), "the input holds U+FFFD"),
        (row(output="one\ttwo\r\nthree\u2028four"), None),
    ],
    "garbage": [
        (
            row(output="Paris." + "\u0326" * 9),
            "the output holds 9 combining marks in a row, U+0326 first",
        ),
        (row(output="Vie\u0323\u0302t Nam"), None),
    ],
    "leaked_task": [
        (
            row(output="Paris.\n##\n18. Instruction: Identify the noun."),
            "the output holds the next task: '18. Instruction: Identify the noun.'",
        ),
        (
            row(output="Paris.\n\n### Instruction:\nName a river."),
            "the output holds the next task: '### Instruction:'",
        ),
        (row("Write a task for a model.", output="Instruction: Fill the mug."), None),
        (
            row(
                "Write two tasks for a model.",
                output="1. Instruction: Fill the mug.\n2. Instruction: Empty it.",
            ),
            None,
        ),
        (row(output="See section 4. Instruction: is a word."), None),
    ],
    "refusal": [
        (
            row(
                output="Sorry, this task involves a visual output which the model cannot generate."
            ),
            "the output declines: 'Sorry, this task involves a visual output which the model...'",
        ),
        (
            row(output="I'm sorry, but I can't assist with that."),
            "the output declines: 'I'm sorry, but I can't assist with that'",
        ),
        (
            row(output="As an AI language model, I do not have access to that."),
            "the output declines: 'As an AI language model, I do not'",
        ),
        (
            row(output="No output as GPT models cannot draw."),
            "the output declines: 'No output as GPT models cannot'",
        ),
        (
            row(output="<nooutput> - A sculpture cannot be made by a language model."),
            "the output declines: 'nooutput> - A sculpture cannot be made by a language model'",
        ),
        (
            row(output="This kind of request cannot be fulfilled by text alone."),
            "the output declines: 'This kind of request cannot be fulfil'",
        ),
        (
            row("Book a table for two.", output="I cannot book a table for two."),
            "the output declines: 'I cannot book'",
        ),
        (
            row(output="You are asking for a picture, which cannot be made here."),
            "the output declines: 'You are asking for a picture, which cannot'",
        ),
        (
            row(
                "Write an apology to a customer.",
                output="I'm sorry that your order was late. We cannot undo it.",
            ),
            None,
        ),
        (row("Write a reply to a request.", output="I'm sorry, but I can't help with that."), None),
        (row("Say that you can wait no longer.", output="I can't wait to see the sea!"), None),
        (
            row(
                "What is printed by this code?",
                output="No output is printed, because the model is empty.",
            ),
            None,
        ),
        (row("What can language models not do?", output="A language model cannot see."), None),
    ],
    "output_is_input": [
        (
            row(
                "Rewrite the sentence in the past tense.",
                "He goes home early.",
                "He goes home early. ",
            ),
            "the output is the input again",
        ),
        (row("Design a bridge for this.", "N/A", "N/A"), "the output is the input again"),
        (
            row(
                "Correct the sentence below, please.", "He goes home early.", "He goes home early."
            ),
            None,
        ),  # it was right
        (row("Edit the sentence if needed.", "He goes home early.", "He goes home early."), None),
        (
            row("Sort these words by their letters.", "ant, bee, cat, dog", "ant, bee, cat, dog"),
            None,
        ),
        (row("Rewrite the noun in the plural.", "sheep", "sheep"), None),
        (row("Put the sentence in title case.", "he goes home", "He Goes Home"), None),
        (row("Say nothing at all, please.", "", ""), None),
    ],
    "output_is_instruction": [
        (
            row("Create a looping list.", output="Create a looping list."),
            "the output is the instruction again",
        ),
        (row("Create a looping list.", output="create a looping list"), None),
    ],
    "instruction_in_input": [
        (
            row("Translate the word below.", "Please translate the word below: tree"),
            "the input holds the instruction again",
        ),
        (row("Translate the word below.", "translate the words below"), None),
        (row("Translate this word.", "translate this word"), None),
    ],
    "hidden_link": [
        (
            row("Summarize the article.", "https://news.site/2020/10/the-long-story"),
            "what lies behind 'https://news.site/2020/10/the-long-story' is not here",
        ),
        (
            row("Name the bird.", "Photo: www.birds.site/robin.jpg"),
            "what lies behind 'www.birds.site/robin.jpg' is not here",
        ),
        (
            row("Summarize this page: https://news.site/2020/10/the-long-story"),
            "what lies behind 'https://news.site/2020/10/the-long-story' is not here",
        ),
        (
            row("Rate the layout of this site.", "example.com"),
            "what lies behind 'example.com' is not here",
        ),
        (row("Give the domain of this URL.", "https://news.site/2020/10/the-long-story"), None),
        (
            row("Write Python code that fetches this.", "https://news.site/2020/10/the-long-story"),
            None,
        ),
        (row("What kind of firm is this?", "www.amazon.com"), None),
        (
            row(
                "Summarize the text below.",
                "See https://news.site/2020/10/story. It tells how the two rivers met in the "
                "valley, and what the people there made of it in the end.",
            ),
            None,
        ),
        (row("Write to this address.", "anna@example.com"), None),
    ],
    "attachment": [
        (
            row("Describe the picture.", "[Photo of a red door]"),
            "the input says '[Photo of a red door]', which is not here",
        ),
        (row("Describe the scene.", "![alt](pic)"), "the input says '![alt](', which is not here"),
        (
            row("Sum it up in a line.", "<attached document>"),
            "the input says '<attached document>', which is not here",
        ),
        (
            row("Sum it up in a line.", "[Article about trains]"),
            "the input says '[Article about trains]', which is not here",
        ),
        (row("What is seen in it?", "door.png"), "the input says 'door.png', which is not here"),
        (row("Fill in the letter.", "Dear [Name], thank you."), None),
        (row("Close the tags in this HTML.", '<img src="door.png">'), None),
        (row("Correct this text.", "I sent you a photo (of a door) and a letter."), None),
    ],
    "media_request": [
        (
            row("Design a new logo for a bakery.", output="A loaf in a circle."),
            "the instruction says 'Design a new logo', which a text model cannot make",
        ),
        (
            row("Paint a red door on a house.", output="A red door."),
            "the instruction says 'Paint a', which a text model cannot make",
        ),
        (
            row("Create a bar chart of the sales.", output="[chart]"),
            "the instruction says 'Create a bar chart', which a text model cannot make",
        ),
        (row("Create a bar chart of the sales.", output="May | 4\nJune | 2"), None),
        (row("Design a logo as SVG code.", output="<svg></svg>"), None),
        (row("Describe a logo for a bakery."), None),
        (row("Create a title for a painting."), None),
        (row("Generate a character sketch of a nurse."), None),
        (row("Draw a conclusion from the facts."), None),
    ],
    "code_fence": [
        (row(output="```python\nprint(1)"), "the output has 1 code fences, one is not closed"),
        (row(output="```python\nprint(1)\n```"), None),
        (row(output="Write ``` to open a block."), None),
    ],
    "repetition": [
        (
            row(output=LOOP + "The bakery closes in the evening and opens in the morning."),
            "60% of the output repeats itself, at most 50% wanted",
        ),
        (
            row(output="The answer is the sea, " + "and the sea is the answer, " * 6),
            "the output ends in a loop: 'and the sea is the answer,'",
        ),
        (row(output="Tea. " + "no " * 40), "the output ends in a loop: 'no'"),
        (row("Write the lyrics of a song.", output="Oh come back to me now. " * 9), None),
        (row(output="Oh come back. " * 5), None),  # under 30 words
        (row(output="[" + "0, 1, " * 40 + "0]"), None),
        (row(output="\n".join(f"{n} x 6 = {n * 6}" for n in range(1, 11))), None),
    ],
    "repeated_items": [
        (
            row("List four drinks.", output="1. Tea\n2. Milk\n3. Water\n4. Milk"),
            "a list in the output says 'milk' twice",
        ),
        (
            row("Name four drinks.", output="Tea, milk, water, and milk."),
            "a list in the output says 'milk' twice",
        ),
        (row("List three drinks.", output="1. Tea\n2. Milk\n3. Milk"), None),
        (row("Give the steps of the dance.", output="1. Left\n2. Right\n3. Turn\n4. Left"), None),
        (
            row(
                "Name the drink that is not milk.", "milk, milk, milk, tea", "milk, milk, milk, tea"
            ),
            None,
        ),
        (row("Plan two dinners.", output="Monday\n- Rice\n- Beans\nTuesday\n- Rice\n- Fish"), None),
    ],
    "truncated": [
        (
            row(output="It is the largest country in the region, and its economy is based on"),
            None,
        ),  # on: "come on"
        (
            row(output="It is the largest country of the whole region, and people come to see the"),
            "the output stops in mid-sentence, at 'the'",
        ),
        (
            row(output="The red fox and the brown bear were seen in the woods, by the river,"),
            "the output stops in mid-sentence, at 'river,'",
        ),
        (row(output="1. bread and butter for the morning of the day\n2. tea\n3. of"), None),
        (row(output="The bridge was built in 20"), "the output stops in mid-sentence, at 'in 20'"),
        (
            row(output="It will be held on May 4, 20"),
            "the output stops in mid-sentence, at 'May 4, 20'",
        ),
        (row(output="The total cost of it is $"), "the output stops in mid-sentence, at '$'"),
        (
            row(
                output="They found some good friends and a quiet house that they were glad to live with"
            ),
            None,
        ),
        (row(output="There are four fives in 21"), None),
        (row("Which article is missing?", output="the"), None),
    ],
    "wrong_arithmetic": [
        (row("Calculate 12 + 7 * 3.", output="57"), "12 + 7 * 3 makes 33, the output says 57"),
        (row("What is 15% of 60?", output="It is 8."), "15% of 60 makes 9, the output says 8"),
        (
            row("Find the average of the numbers below.", "4, 6, 8", "The average is 7."),
            "the mean of 4, 6, 8 makes 6, the output says 7",
        ),
        (
            row("Find the median of 9, 1 and 4.", output="5"),
            "the median of 9, 1 and 4 makes 4, the output says 5",
        ),
        (
            row("How much is the fare?", output="Two tickets: 2 x $3.50 = $6.50."),
            "2 x $3.50 makes 7, the output says $6.50",
        ),
        (row("Calculate 12 + 7 * 3.", output="12 + 7 * 3 = 33"), None),
        (row("Calculate 2 / 3.", output="0.67"), None),
        (row("Calculate 2 / 3.", output="0.666"), None),
        (row("Calculate 1 / 4 of it.", output="1 / 4 = 25%"), None),
        (row("Calculate 101 + 11 in binary.", output="1000"), None),
        (row("Find the mistake.", output="2 + 2 = 5"), None),
        (row("Solve for x.", "2x + 3 = 7", "2x + 3 = 7, so x = 2"), None),
        (row("Add 2 to 3.", output="five"), None),
    ],
    "personal_data": [
        (
            own(output="Write to greta.lindqvist@posteo.de."),
            "the output holds an e-mail address that may be somebody's",
        ),
        (
            own(output="Call (415) 867-4391."),
            "the output holds a telephone number that may be somebody's",
        ),
        (
            own(output="Call +44 20 7123 8847."),
            "the output holds a telephone number that may be somebody's",
        ),
        (row(output="Write to greta.lindqvist@posteo.de."), None),  # generated: no one's
        (own(output="Write to greta@example.com or info@posteo.de."), None),
        (own(output="Call (415) 555-0134, 123-456-7890 or 1-800-356-9377."), None),
        (own(output="It is 415.8674391 miles, on 2020-11-12."), None),
    ],
    "language": [
        (
            row(output="Det er en rolig by ved havet, og der bor mange mennesker om sommeren."),
            "the output is in 'da', not in 'en'",
        ),
        (
            row(
                "Translate it into Danish.",
                output="Det er en rolig by ved havet, og der bor mange mennesker.",
            ),
            None,
        ),
        (
            row(
                "Copy the text.",
                "Det er en rolig by ved havet i Danmark.",
                "Det er en rolig by ved havet i Danmark.",
            ),
            None,
        ),
        (row(output="It is a quiet town by the sea, and many people live there in summer."), None),
    ],
    "length": [
        (row(output="One two three four."), "the output has 4 words, at most 3 wanted"),
        (row(output="One two three."), None),
    ],
}
SET = {"length": {"most": 3}}  # what a case needs beside `true`


def objection(example: Example, name: str) -> tuple[str, str] | None:
    only = Filters.model_validate(
        {one: SET.get(name, True) if one == name else False for one in NAMES}
    )
    return first_objection(example, only.rules())


def test_every_filter_has_a_row_that_triggers_it_and_a_near_miss() -> None:
    assert tuple(CASES) == NAMES
    for name, cases in CASES.items():
        assert {bool(words) for _, words in cases} == {True, False}, name


@pytest.mark.parametrize(
    ("name", "example", "words"),
    [(name, example, words) for name, cases in CASES.items() for example, words in cases],
)
def test_objection(name: str, example: Example, words: str | None) -> None:
    if name == "language":
        pytest.importorskip("py3langid")
    assert objection(example, name) == ((name, words) if words else None)


def test_the_first_objection_counts() -> None:
    assert first_objection(row("Draw it.", output=""), Filters().rules()) == (
        "min_words",
        "the instruction has 2 words, at least 4 wanted",
    )


def test_switches_and_settings() -> None:
    assert [rule.name for rule in Filters().rules()] == [
        one.__name__ for one in ALL if one not in OFF
    ]
    some = Filters.model_validate({"min_words": {"least": 2}, "media": False, "ascii_start": True})
    assert first_objection(row("Draw pictures."), some.rules()) is None
    assert first_objection(row("Était-ce lui?"), some.rules()) == (
        "ascii_start",
        "the instruction starts with 'É', which is not ASCII",
    )
    assert (
        some.identity() | {"min_words": {"least": 2}, "media": None, "ascii_start": {}}
        == some.identity()
    )


def test_true_is_the_same_as_the_defaults_written_out() -> None:
    assert Filters.model_validate({"repetition": {"most": 0.5}}).identity() == Filters().identity()
    assert Filters.model_validate({"repetition": True}).identity() == Filters().identity()


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_wrods": True},
        {"min_words": {"leest": 2}},
        {"min_words": {"least": "2"}},
        {"min_words": {"least": -1}},
        {"min_words": 2},
        {"media": {"least": 1}},
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Filters.model_validate(wrong)


@given(st.builds(row, st.text(), st.text(), st.text()))
def test_any_text_is_answered_with_one_line_or_none(example: Example) -> None:
    for one in ALL:
        if one.__name__ == "language":
            continue  # loads a model; has its own test
        reason = one(example)
        assert reason is None or (reason and "\n" not in reason)


@pytest.mark.parametrize(
    ("written", "on"),
    [
        ("none", set()),
        ("stanford", SETS["stanford"]),
        ("default", SETS["default"]),
        (["refusal", "media"], {"refusal", "media"}),
        ("refusal, media", {"refusal", "media"}),
        (["stanford", "refusal"], {*SETS["stanford"], "refusal"}),
        ([], set()),
    ],
)
def test_named_sets(written: object, on: set[str]) -> None:
    assert {rule.name for rule in Filters.model_validate(written).rules()} == on
    assert Filters.model_validate("default").identity() == Filters().identity()


def test_an_unknown_name_has_a_suggestion() -> None:
    with pytest.raises(
        ValidationError, match="no filter and no set is called 'refusals' - did you mean 'refusal'?"
    ):
        Filters.model_validate("refusals")


def test_stanfords_set_is_stanfords_own_rules_in_their_order() -> None:
    """data/stanford_rules.py has the reference's decisions; both must drop the same instructions."""
    rules = Filters.model_validate("stanford").rules()
    for example in (
        row(text)
        for text in (
            "Draw it.",
            "word " * 151,
            "Describe a map of it.",
            "Write a program, please.",
            "'Tis the season: explain it.",
            "Était-ce lui, ce soir?",
            "Name a warm color.",
        )
    ):
        said, own_words = first_objection(example, rules), objection_of(example.instruction)
        assert (said and said[1]) == (own_words and own_words[1])


def test_a_language_is_named_in_a_word() -> None:
    assert Filters.model_validate({"language": "da"}).identity()["language"] == {
        "wanted": "da",
        "certain": 0.99,
    }


def test_length_in_tokens(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    own_tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"one": 0, "two": 1, "?": 2}, unk_token="?")
    )
    own_tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    own_tokenizer.save(str(tmp_path / "tokenizer.json"))
    filters = Filters.model_validate_json(
        '{"length": {"most": 3, "of": "output", "tokenizer": "tokenizer.json"}}',
        context={"folder": tmp_path},
    )
    [rule] = [rule for rule in filters.rules() if rule.name == "length"]
    assert rule.objection(row(output="one two one")) is None
    assert rule.objection(row(output="one, two")) is None
    assert rule.objection(row(output="one, two, ")) == "the output has 4 tokens, at most 3 wanted"
    assert str(tmp_path) not in json.dumps(filters.identity())
