"""The stage on a bench of its own: what it writes adds up, is the same every time, and says why it cannot go on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.files import read_jsonl, tree_digest, write_jsonl
from alpaca_pipe.core.ranges import NOTHING
from alpaca_pipe.curate.config import CurateConfig
from alpaca_pipe.curate.filter_config import Filters
from alpaca_pipe.curate.pipeline import judged
from alpaca_pipe.curate.rules import CurationRules
from alpaca_pipe.curate.stage import STAGE
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.recipe.stage import EstimateInputs, StageContext
from alpaca_pipe.similarity.rouge import rouge_l

SEEDLIKE = (
    "name",
    "list",
    "explain",
    "river",
    "planet",
    "tea",
    "poem",
    "short",
    "long",
    "please",
    "the",
    "a",
)


class Quiet:
    """Progress that is remembered."""

    def __init__(self) -> None:
        self.counts: list[tuple[int, int]] = []
        self.total = 0

    def start(self, total: int, unit: str, done: int = 0) -> None:
        self.total = total

    def at(self, done: int, note: str = "") -> None:
        self.counts.append((done, self.total))

    def say(self, sentence: str) -> None:
        raise AssertionError(sentence)


def row(instruction: str, input: str = "", output: str = "An answer.") -> Example:
    return Example.of(instruction, input, output, Origin("generated", "r1-0", ("e1-seed",)))


def bench(folder: Path, rows: Iterable[Example] | None, stopping: bool = False) -> StageContext:
    inputs = {}
    if rows is not None:
        inputs = {"generate/examples.jsonl": folder / "generated.jsonl"}
        write_jsonl(folder / "generated.jsonl", (example.to_row() for example in rows))
    (folder / "own").mkdir(parents=True, exist_ok=True)
    journal = Journal.open(folder / "ledger.sqlite")
    return StageContext(
        folder / "own", inputs, {}, 42, journal, "tea", "run-1", Quiet(), lambda: stopping
    )


def ids(folder: Path, name: str) -> list[str]:
    return [found["id"] for found in read_jsonl(folder / f"{name}.jsonl")]


WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron")
ROWS = [row(f"Say what {word} means to a child of {n}.") for n, word in enumerate(WORDS)]
BAD = [
    row("Draw it for me, please now.", output="<noinput>"),
    row("Say what amber means to a child of 9."),
    row("Tell a joke about the sea.", "No input", "Why did the wave? It waved."),
]


def test_files_and_summary_add_up(tmp_path: Path) -> None:
    at = bench(tmp_path, [*ROWS[:4], *BAD, *ROWS[4:]])
    config = CurateConfig.model_validate(
        {"held_out": 2, "likeness": Decimal("0.9"), "diversity": False}
    )
    said = STAGE.run(config, at).summary
    assert said == {
        "read": 11,
        "kept": 10,
        "repaired": 1,
        "repairs": {"no_input": 1},
        "rejected": {"empty_output": 1},
        "train": 8,
        "held_out": 2,
    }
    train, held_out = ids(at.folder, "train"), ids(at.folder, "held_out")
    assert sorted(train + held_out) == sorted(ids(at.folder, "examples")) and len(train) == 8
    assert ids(at.folder, "examples")[:4] == [example.id for example in ROWS[:4]]
    [repair] = read_jsonl(at.folder / "repaired.jsonl")
    assert repair["rule"] == "no_input" and repair["before"]["input"] == "No input"
    assert repair["after"]["input"] == "" and repair["after"]["origin"]["parents"] == [
        repair["before"]["id"]
    ]
    assert repair["after"]["id"] in train + held_out


def test_a_duplicate_names_its_nearest(tmp_path: Path) -> None:
    at = bench(tmp_path, [*ROWS, BAD[1]])
    STAGE.run(CurateConfig.model_validate({"held_out": 1, "likeness": Decimal("0.85")}), at)
    [dropped] = read_jsonl(at.folder / "rejected.jsonl")
    assert (
        dropped["id"] == BAD[1].id
        and dropped["nearest"] == ROWS[0].id
        and dropped["rule"] == "likeness"
    )
    assert dropped["reason"] == "0.889 like a task that was kept, at most 0.85 wanted"


def test_the_same_rows_give_the_same_bytes_even_over_what_a_kill_left(tmp_path: Path) -> None:
    config = CurateConfig(held_out=3, likeness=Decimal(1))
    digests = set()
    for name, leftover in (("one", ""), ("two", '{"id": "half a li')):
        at = bench(tmp_path / name, [*ROWS, *BAD])
        (at.folder / "examples.jsonl").write_text(leftover)
        STAGE.run(config, at)
        digests.add(tree_digest(at.folder))
    assert len(digests) == 1


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "mine.json"
    own.write_text(
        json.dumps(
            [{"instruction": example.instruction, "output": example.output} for example in ROWS]
        )
    )
    at = bench(tmp_path, None)
    config = CurateConfig.model_validate_json(
        json.dumps({"from": "mine.json", "held_out": 2, "likeness": 1}),
        context={"folder": tmp_path},
    )
    assert STAGE.run(config, at).summary["kept"] == 8
    kept = list(read_jsonl(at.folder / "examples.jsonl"))
    assert (
        kept[0]["origin"] == {"kind": "imported", "source": "mine.json#1"}
        and kept[0]["id"] == ROWS[0].id
    )
    moved = tmp_path / "elsewhere.json"
    own.rename(moved)
    assert str(tmp_path) not in json.dumps(CurateConfig.model_validate({"from": moved}).identity())


def test_what_stops_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="add a table 'generate:', or 'from: FILE'"):
        STAGE.run(CurateConfig(), bench(tmp_path / "none", None))
    with pytest.raises(UserError) as error:
        STAGE.run(CurateConfig(held_out=8), bench(tmp_path / "few", [*ROWS[:2], BAD[0], BAD[0]]))
    assert error.value.what == (
        "curate: 1 rows were kept (dropped: empty_output 2, likeness 1), and 8 of them are to be held "
        "out, which leaves none to train on"
    )
    assert "generate.count" in error.value.cure
    many = [row(f"Say {n} and {n * 7} and then {n * 13} aloud.") for n in range(600)]
    with pytest.raises(Stopped):
        STAGE.run(
            CurateConfig(likeness=Decimal(1)), bench(tmp_path / "stopped", many, stopping=True)
        )


def test_a_rehearsal_holds_few_out() -> None:
    assert (
        CurateConfig(held_out=16).rehearsed().held_out == 4
        and CurateConfig(held_out=2).rehearsed().held_out == 2
    )
    assert CurateConfig().rehearsed().first == 500 and CurateConfig(first=7).rehearsed().first == 7


def test_only_the_first_rows_are_read(tmp_path: Path) -> None:
    at = bench(tmp_path, ROWS)
    assert (
        STAGE.run(CurateConfig(held_out=1, first=3, likeness=Decimal(1)), at).summary["read"] == 3
    )
    assert set(ids(at.folder, "examples")) == {row.id for row in ROWS[:3]}


def test_rows_that_would_be_paid_for_and_not_used_are_told_in_the_plan(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("{}")
    config = CurateConfig.model_validate({"from": tmp_path / "mine.jsonl", "held_out": 0})
    assert STAGE.estimate(config, {}, EstimateInputs())
    with pytest.raises(UserError, match="paid for and not used - remove one of them"):
        STAGE.estimate(config, {"generate": object()}, EstimateInputs())


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_a_plan_counts_what_is_left_to_train_on(tmp_path: Path, form: str) -> None:
    rows = [{"instruction": f"Say {n}.", "output": f"It is {n}."} for n in range(150)]
    file = tmp_path / f"rows.{form}"
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    file.write_text(json.dumps(rows) if form == "json" else lines)

    def says(held_out: int, first: int | None = None) -> str:
        config = CurateConfig.model_validate({"from": file, "held_out": held_out, "first": first})
        return "".join(STAGE.estimate(config, {}, EstimateInputs({})).notes)

    with pytest.raises(UserError, match="200 of 150 rows .* leave none to train on"):
        says(200)
    with pytest.raises(UserError, match="60 of 50 rows"):
        says(60, first=50)
    assert "of 150 rows at most 10 are left to train on" in says(140)
    assert says(75) == ""


def test_the_estimate_knows_how_many_rows_come(tmp_path: Path) -> None:
    class Generate:
        count = 60

    said = STAGE.estimate(CurateConfig(), {"generate": Generate()}, EstimateInputs())
    assert (
        said.minutes.p50 < 0.2
        and said.api == NOTHING
        and said.says.startswith(f"about 60 rows past {len(Filters().active())} filters")
    )


def greedy(rows: Sequence[Example], likeness: Decimal) -> list[str]:
    kept: list[Example] = []
    for example in rows:
        if not any(
            rouge_l(example.instruction, other.instruction, "unicode") > likeness for other in kept
        ):
            kept.append(example)
    return [example.id for example in kept]


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(SEEDLIKE), min_size=4, max_size=8).map(" ".join),
        max_size=12,
        unique=True,
    ),
    st.sampled_from(["0.5", "0.65", "0.7"]),
)
def test_duplicates_are_the_greedy_pass_in_row_order(texts: list[str], likeness: str) -> None:
    rows = [row(text) for text in texts]
    answers = list(judged(rows, CurationRules((), False, Decimal(likeness), "unicode")))
    assert [answer.example.id for answer in answers if not answer.rejected] == greedy(
        rows, Decimal(likeness)
    )
    assert len(answers) == len(rows)


def test_a_bad_row_displaces_no_good_one(tmp_path: Path) -> None:
    at = bench(
        tmp_path,
        [
            row("Name the longest river of Asia.", output=""),
            row("Name the longest river of Asia."),
            row("Explain what a comet is."),
        ],
    )
    assert STAGE.run(CurateConfig(held_out=1, diversity=False), at).summary == {
        "read": 3,
        "kept": 2,
        "repaired": 0,
        "repairs": {},
        "rejected": {"empty_output": 1},
        "train": 1,
        "held_out": 1,
    }


def test_duplicates_are_told_in_groups(tmp_path: Path) -> None:
    at = bench(tmp_path, [*ROWS, BAD[1]])
    STAGE.run(
        CurateConfig.model_validate(
            {"held_out": 1, "likeness": Decimal("0.85"), "duplicates": {"keep": "first"}}
        ),
        at,
    )
    assert list(read_jsonl(at.folder / "groups.jsonl")) == [
        {"kept": ROWS[0].id, "first": ROWS[0].id, "others": [{"id": BAD[1].id, "likeness": 0.8889}]}
    ]


def test_golden(tmp_path: Path) -> None:
    """When it changes, raise the stage's version or mend what changed. 2: ten more detectors and three more repairs, groups of
    duplicates, repairs counted by rule. 3: bounded patterns for what a text model cannot see. 4: words by script, more
    kinds of defects; what is described in prose stays, and Stanford's word list is off. 5: leaks in
    other languages, more lines of signs and words for no input."""
    more = [
        row("Say how a bell is made, please.", output="Cast it.\n##\n7. Instruction: Name a noun."),
        row("Summarize the article.", "https://news.site/2020/10/the-story", "It tells a story."),
        row("What is 6 x 7, all in all?", output="6 x 7 = 41."),
        row("Count the bells, please.", output="One\u200b two."),
    ]
    at = bench(tmp_path, [*ROWS, *BAD, *more])
    STAGE.run(
        CurateConfig.model_validate(
            {"held_out": 2, "likeness": Decimal("0.85"), "diversity": False}
        ),
        at,
    )
    assert (STAGE.version, tree_digest(at.folder)[:16]) == (7, "9a1d3116c205b385")


def test_a_rehearsal_of_a_set_on_the_hub_reads_ours_as_ours_is() -> None:
    said = {"from": "hub:org/name", "split": "train_sft", "format": "sharegpt"}
    table = CurateConfig.model_validate({**said, "columns": {"instruction": "query"}}).rehearsed()
    assert (table.columns, table.format, table.split) == ({}, None, None)
