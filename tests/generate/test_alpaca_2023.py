"""Stanford's procedure, decision for decision: against a plain re-implementation of the reference, with its own library."""

from __future__ import annotations

import random
import re
import string
from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from alpaca_pipe.core.completion import Completion, Finish, Usage
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.generate.novelty import Pool
from alpaca_pipe.generate.parsing.numbered_list import Bugs, until_stop
from alpaca_pipe.generate.parsing.reply import Draft, Rejection
from alpaca_pipe.generate.seeds.seeds import Seed
from alpaca_pipe.generate.styles.alpaca_2023 import STOPS, Alpaca2023
from alpaca_pipe.generate.styles.base import Seat

NONE = Bugs(misnumbered=False, stop_at_20=False, hash_in_output=False, any_number=False)
SEEDS = tuple(
    Seed(Example.of(instruction, input_, output, Origin("seed")), "", False)
    for instruction, input_, output in (
        ("Name a  river:\n", "", "The Nile"),
        ("Add the numbers.", "2 and 3", "5"),
        ("Say hello", "", "Hello"),
    )
)
SEAT = Seat(0, 0, SEEDS, ())


def style(bugs: Bugs | None = None) -> Alpaca2023:
    return Alpaca2023(
        3072,
        1.0,
        frozenset({"max_tokens", "temperature", "top_p", "stop", "logit_bias"}),
        bugs or Bugs(),
        True,
    )


def reply(text: str, finish: Finish = "stop") -> Completion:
    return Completion(text, finish, Usage(10, visible_out=10))


# ---- the reference, as plainly as it can be said


def reference_pieces(text: str, finish: str) -> list[tuple[str, str, str]]:
    """post_process_gpt3_response: the tasks of a reply that pass the filters."""
    media = [
        "image",
        "images",
        "graph",
        "graphs",
        "picture",
        "pictures",
        "file",
        "files",
        "map",
        "maps",
        "draw",
        "plot",
        "go to",
        "video",
        "audio",
        "music",
        "flowchart",
        "diagram",
    ]
    found = []
    pieces = ("4. Instruction:" + text).split("###")
    for place, piece in enumerate(pieces):
        if place == len(pieces) - 1 and finish == "length":
            continue
        parts = re.split(rf"{place + 4}\.\s+(Instruction|Input|Output):", piece)
        if len(parts) != 7:
            continue
        instruction, input_, output = parts[2].strip(), parts[4].strip(), parts[6].strip()
        input_ = "" if input_.lower() == "<noinput>" else input_
        if len(instruction.split()) <= 3 or len(instruction.split()) > 150:
            continue
        if any(re.search(rf"\b({word})\b", instruction, re.IGNORECASE) for word in media):
            continue
        if instruction.startswith("Write a program"):
            continue
        if instruction[0] in string.punctuation or not instruction[0].isascii():
            continue
        found.append((instruction, input_, output))
    return found


@dataclass
class ReferencePool:
    """The novelty loop with rouge_score itself, all against all."""

    known: list[list[str]]

    def __post_init__(self) -> None:
        self.scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)

    def lets_in(self, instruction: str) -> bool:
        tokens = self.scorer._tokenizer.tokenize(instruction)
        scores = [rouge_scorer._score_lcs(tokens, known).fmeasure for known in self.known]
        if scores and max(scores) > 0.7:
            return False
        self.known.append(tokens)
        return True


def a_reply(chance: random.Random) -> tuple[str, Finish]:
    """What a model might write, often wrong in one of the ways in which real ones are."""
    words = [
        *"abcdefghij",
        "name",
        "list",
        "write",
        "rivers",
        "cities",
        "poem",
        "the",
        "the",
        "of",
        "map",
        "ünder",
        '"so"',
    ]
    text = ""
    for number in range(4, chance.randint(5, 20)):
        said = number if chance.random() > 0.01 else number + 1
        instruction = " ".join(chance.choices(words, k=chance.randint(2, 12)))
        if chance.random() < 0.1:
            instruction = f"Write a program {instruction}"
        input_ = chance.choice(
            ["<noinput>", "<NoInput>", *["some text here"] * 20, "### a heading", ""]
        )
        output = " ".join(chance.choices(words, k=chance.randint(0, 9)))
        output += " in 2020." if chance.random() < 0.02 else ""
        head = f" {instruction}" if number == 4 else f"{said}. Instruction: {instruction}"
        middle = f"\n{said}. Input:\n{input_}\n" if chance.random() > 0.01 else "\n"
        between = chance.choice(["###\n"] * 60 + ["##\n", "\n", "### \n###\n"])
        text += f"{head}{middle}{said}. Output:\n{output}\n{between}"
    return text, chance.choice(["stop", "stop", "length"])


def test_two_thousand_rows_are_decided_as_the_reference_decides_them() -> None:
    """Kept or not, row for row, through stops, parser, filters and novelty: ties and repeats of all shapes among them."""
    chance = random.Random(5)
    ours, theirs = (
        Pool((seed.example for seed in SEEDS), Decimal("0.7"), "rouge", "doubles"),
        ReferencePool([]),
    )
    for seed in SEEDS:
        theirs.lets_in(seed.example.instruction)
    judged = kept = 0
    while judged < 2000:
        text, finish = a_reply(chance)
        cut, stopped = until_stop(text, STOPS)
        expected = [
            row
            for row in reference_pieces(cut, "stop" if stopped else finish)
            if theirs.lets_in(row[0])
        ]
        found = []
        for place, piece in enumerate(style().parse(SEAT, reply(text, finish))):
            judged += 1
            if (
                isinstance(piece, Draft)
                and not style().rejection(SEAT, piece)
                and not isinstance(ours.judge(piece, f"{judged}/{place}"), Rejection)
            ):
                found.append((piece.instruction, piece.input, piece.output))
        assert found == expected, text
        kept += len(found)
    assert 300 < kept < 1900


@pytest.mark.parametrize(
    "words, known, kept",
    [(9, 11, False), (10, 10, True), (11, 9, False), (7, 13, False), (20, 20, True)],
)
def test_exact_ties_fall_as_the_reference_s_doubles_do(words: int, known: int, kept: bool) -> None:
    common = 7 * (words + known) // 20
    first = [f"w{place}" for place in range(known)]
    second = first[:common] + [f"x{place}" for place in range(words - common)]
    faithful, strict = (Pool([], Decimal("0.7"), "rouge", ties) for ties in ("doubles", "exact"))  # type: ignore[arg-type]
    reference = ReferencePool([])
    for pool in (faithful, strict):
        pool.judge(Draft(" ".join(first)), "a")
    reference.lets_in(" ".join(first))
    assert reference.lets_in(" ".join(second)) == kept
    assert (not isinstance(faithful.judge(Draft(" ".join(second)), "b"), Rejection)) == kept
    assert not isinstance(strict.judge(Draft(" ".join(second)), "b"), Rejection)


@given(st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=12), max_size=25))
def test_ties_among_many(rows: list[list[str]]) -> None:
    ours, theirs = Pool([], Decimal("0.7"), "rouge", "doubles"), ReferencePool([])
    for place, row in enumerate(rows):
        text = " ".join(row)
        assert isinstance(ours.judge(Draft(text), str(place)), Rejection) != theirs.lets_in(text)


def test_the_layout_of_the_prompt() -> None:
    request = style().request_for(SEAT)
    text = request.messages[0].content
    assert text.endswith(
        "###\n1. Instruction: Name a river\n1. Input:\n<noinput>\n1. Output:\nThe Nile\n"
        "###\n2. Instruction: Add the numbers.\n2. Input:\n2 and 3\n2. Output:\n5\n"
        "###\n3. Instruction: Say hello\n3. Input:\n<noinput>\n3. Output:\nHello\n###\n4. Instruction:"
    )
    assert re.findall(r"^(\d)\. [A-Z]", text.split("\n\nList")[0], re.MULTILINE) == list(
        "123234567"
    )
    mended = style(NONE).request_for(SEAT).messages[0].content
    assert re.findall(r"^(\d)\. [A-Z]", mended.split("\n\nList")[0], re.MULTILINE) == list(
        "123456789"
    )
    assert dict(request.decoding) == {
        "max_tokens": 3072,
        "temperature": 1.0,
        "top_p": 1.0,
        "logit_bias": {"50256": -100},
        "stop": ["\n20", "20.", "20."],
    }


TASK = " Tell me when it was.\n4. Input:\n<noinput>\n4. Output:\n"


def first_of(text: str, bugs: Bugs, finish: Finish = "stop") -> list[str]:
    pieces = style(bugs).parse(SEAT, reply(text, finish))
    return [piece.output or "" if isinstance(piece, Draft) else piece.rule for piece in pieces]


def test_each_bug_is_a_switch() -> None:
    year = (
        TASK
        + "It was in 2020. Many came.\n###\n5. Instruction: Say why it was.\n5. Input:\n<noinput>\n5. Output:\nSo."
    )
    assert first_of(year, Bugs()) == ["It was in 20"]
    assert first_of(year, NONE) == ["It was in 2020. Many came.", "So."]
    hashes = (
        TASK
        + "# Title\n### Part\ntext\n###\n5. Instruction: Say why it was.\n5. Input:\n<noinput>\n5. Output:\nSo."
    )
    assert first_of(hashes, Bugs()) == ["# Title", "not_seven_parts", "not_seven_parts"]
    assert first_of(hashes, NONE) == ["# Title\n### Part\ntext", "So."]
    merged = (
        TASK + "Then.\n##\n5. Instruction: Say why it was.\n5. Input:\n<noinput>\n5. Output:\nSo."
    )
    assert len(first_of(merged, Bugs())) == 1
    assert first_of(merged, NONE) == ["Then.", "So."]
    inline = TASK + "As 4. Output: says, then."
    assert first_of(inline, Bugs()) == ["not_seven_parts"]
    assert first_of(inline, NONE) == ["As 4. Output: says, then."]


def test_a_chat_model_may_repeat_the_header_and_only_a_cut_reply_loses_its_last_task() -> None:
    for opening in ("4. Instruction:", "Sure! Here they are:\n\n###\n4. Instruction:", ""):
        assert first_of(opening + TASK + "Then.", Bugs()) == ["Then."]
    two = TASK + "Then.\n###\n5. Instruction: Say why it was.\n5. Input:\nx\n5. Output:\nBecause of"
    assert first_of(two, Bugs(), "length") == ["Then.", "cut_off"]
    assert first_of(two, NONE, "length") == ["Then.", "cut_off"]


@given(
    st.text(st.sampled_from("45. #\nInstructionputOx20<>\u2028é\ud800"), max_size=300),
    st.sampled_from(["stop", "length"]),
    st.booleans(),
)
def test_no_reply_raises_and_nothing_vanishes(text: str, finish: Finish, faithful: bool) -> None:
    pieces = style(Bugs() if faithful else NONE).parse(SEAT, reply(text, finish))
    assert pieces
    for piece in pieces:
        (piece.instruction if isinstance(piece, Draft) else piece.text).encode()
