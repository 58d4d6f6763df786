"""One answer under several instructions is dropped, whoever wrote it; labels and short answers are not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import read_jsonl, write_jsonl
from alpaca_pipe.curate.config import CurateConfig
from alpaca_pipe.curate.same_answer import RULE, same_answers
from alpaca_pipe.curate.stage import STAGE
from alpaca_pipe.data.arrow import store_rows
from tests.curate.test_stage import WORDS, bench, row

GATEWAY = "[gateway] upstream returned an empty response"
SOUND = [
    row(f"Say what {word} is.", output=f"To me {word} is a fine word indeed.") for word in WORDS
]
GONE = [row(f"Explain how {word} is made.", output=GATEWAY) for word in WORDS[:3]]
OTHER = {"held_out": 0, "likeness": 1, "diversity": False, "filters": "none"}


def rejected(folder: Path, rows: Sequence[Example], **config: object) -> Counter[str]:
    table = CurateConfig.model_validate({**OTHER, **config})
    STAGE.run(table, bench(folder, None if "from" in config else rows))
    return Counter(one["rule"] for one in read_jsonl(folder / "own" / "rejected.jsonl"))


def test_a_gateways_words_under_three_instructions_are_no_row(tmp_path: Path) -> None:
    assert rejected(tmp_path, [*SOUND, *GONE]) == {RULE: 3}
    (reason,) = {one["reason"] for one in read_jsonl(tmp_path / "own" / "rejected.jsonl")}
    assert reason == "the same answer stands under 3 different instructions"
    kept = [one["id"] for one in read_jsonl(tmp_path / "own" / "examples.jsonl")]
    assert kept == [one.id for one in SOUND]


def test_a_repair_makes_no_other_answer_and_a_script_without_spaces_has_words(
    tmp_path: Path,
) -> None:
    """The rows that are counted are those that came in; the ones that are looked up were repaired."""
    marked = [
        row(one.instruction, output=f"\ufeff{one.output}\u200b\n") for one in (*GONE[:2], *GONE[2:])
    ]
    assert rejected(tmp_path / "a", [*SOUND, *marked]) == {RULE: 3}
    chinese = [row(f"Explain {word}.", output="服务暂时不可用，请稍后再试。") for word in WORDS[:3]]
    assert rejected(tmp_path / "b", [*SOUND, *chinese]) == {RULE: 3}


@pytest.mark.parametrize(
    "rows",
    [
        GONE[:2],
        [row(f"Is {word} a colour?", output="No, it is not.") for word in WORDS],  # four words
        [row("Sort it.", word, "The mood of this text is positive.") for word in WORDS],
    ],
    ids=["two", "short", "one instruction with many inputs"],
)
def test_what_may_be_right_stays(tmp_path: Path, rows: list[Example]) -> None:
    assert rejected(tmp_path, [*SOUND, *rows]) == {}


def test_among_many_rows_a_few_may_agree(tmp_path: Path) -> None:
    """France has one capital; three in a thousand is another thing."""
    many = [
        row(f"Say the number {n}.", output=f"The number that you want is {n}.") for n in range(3000)
    ]
    assert rejected(tmp_path / "few", [*many, *GONE]) == {}
    assert rejected(tmp_path / "more", [*many[:2900], *GONE]) == {RULE: 3}


def test_a_file_of_others_is_held_to_it_where_its_owner_says_so(tmp_path: Path) -> None:
    """Sets that are built on a fixed sentence ("It is not possible to tell.") are right as they are."""
    file = tmp_path / "rows.jsonl"
    write_jsonl(
        file, ({"instruction": one.instruction, "output": one.output} for one in [*SOUND, *GONE])
    )
    assert rejected(tmp_path / "a", [], **{"from": str(file)}) == {}
    assert rejected(tmp_path / "b", [], **{"from": str(file), "same_answer": 3}) == {RULE: 3}
    assert rejected(tmp_path / "c", [*SOUND, *GONE], same_answer=0) == {}


def test_the_key_at_its_default_leaves_the_identity_as_it_was() -> None:
    assert "same_answer" not in CurateConfig.model_validate({}).identity()
    assert CurateConfig.model_validate({"same_answer": 4}).identity()["same_answer"] == 4


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["x y z u v", "x y z u w", "x y z u"])),
        max_size=30,
    ),
    st.integers(2, 5),
)
def test_it_finds_what_counting_finds(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], least: int
) -> None:
    rows = [row(instruction, str(n), output) for n, (instruction, output) in enumerate(pairs)]
    under = defaultdict(set)
    for instruction, output in pairs:
        under[output].add(instruction)
    wanted = {
        output: len(some)
        for output, some in under.items()
        if len(some) >= least and output.count(" ") >= 4
    }
    stored = store_rows(rows, tmp_path_factory.mktemp("rows"), "these")
    assert same_answers(stored, least).instructions == wanted


def test_same_answer_of_one_would_drop_everything() -> None:
    with pytest.raises(ValueError, match="1 would drop every row"):
        CurateConfig.model_validate({"same_answer": 1})


def test_a_rehearsal_does_not_ask_it() -> None:
    """Of two small documents a script writes eight answers, and all of its thirty rows were dropped."""
    assert CurateConfig().rehearsed().same_answer == 0
