"""Rows that hold what an evaluation asks: known answers, and the same as looking at every pair."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.curate.config import Contamination, CurateConfig
from alpaca_pipe.curate.contamination import overlap
from alpaca_pipe.curate.stage import STAGE
from alpaca_pipe.similarity.overlap import Overlap
from alpaca_pipe.similarity.words import unicode_words
from tests.curate.test_stage import bench, row

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May."
)
EIGHT = "Which of these planets is nearest to Mars?"
SHORT = "Who wrote Hamlet, please?"


def made(tmp_path: Path, **files: str) -> Overlap:
    paths = []
    for name, text in files.items():
        paths.append(tmp_path / name.replace("_", "."))
        paths[-1].write_text(text, encoding="utf-8")
    return overlap(Contamination(sets=tuple(paths)))


@pytest.mark.parametrize(
    ("instruction", "input", "output", "said"),
    [
        (
            "Solve: natalia sold CLIPS to 48 of her friends, in April and then she was tired.",
            "",
            "x",
            "the instruction shares 13 words",
        ),
        (
            "Solve it.",
            f"A test. {QUESTION}",
            "x",
            "the instruction shares 13 words in a row with gsm.jsonl#1: 'natalia sold clips",
        ),
        (
            "Write a sum.",
            "",
            f"Here: {QUESTION}",
            "the output shares 13 words in a row with gsm.jsonl#1",
        ),
        (
            "Natalia sold clips to 48 of her friends in April.",
            "",
            "x",
            None,
        ),  # ten words of a longer text
        (
            f"Say it: {EIGHT}",
            "",
            "x",
            "the instruction shares 8 words in a row with gsm.jsonl#2: 'which of these planets",
        ),
        ("Which of these planets is nearest to the sun?", "", "x", None),
        (
            "who wrote hamlet please",
            "",
            "x",
            "the instruction is a text of gsm.jsonl#3: 'who wrote hamlet please'",
        ),
        ("Answer the question.", SHORT, "x", "the input is a text of gsm.jsonl#3"),
        ("Who wrote Hamlet, please, and when?", "", "x", None),
        ("Tell me a line.", "", SHORT, None),  # short answers are rightly alike
        ("Say yes or no.", "", "Yes", None),
    ],
)
def test_known_answers(
    tmp_path: Path, instruction: str, input: str, output: str, said: str | None
) -> None:
    found = made(
        tmp_path,
        gsm_jsonl="\n".join(
            json.dumps(one)
            for one in (
                {"question": QUESTION, "answer": "72"},
                {"question": EIGHT, "choices": ["Earth", "Yes"]},
                {"text": SHORT, "label": 1},
            )
        ),
    )
    answer = found.reason(row(instruction, input, output))
    assert (answer is None) == (said is None) and (said or "") in (answer or "")


def test_every_form_is_read(tmp_path: Path) -> None:
    (tmp_path / "packed.jsonl.gz").write_bytes(
        gzip.compress(json.dumps({"prompt": QUESTION}).encode())
    )
    assert overlap(Contamination(sets=(tmp_path / "packed.jsonl.gz",))).reason(row(QUESTION))
    for name, text in (
        ("plain_txt", f"\n{QUESTION}\n"),
        ("table_csv", f'id,sentence\n1,"{QUESTION}"\n'),
        ("list_json", json.dumps([{"instruction": "Sum up.", "input": QUESTION, "output": ""}])),
        ("talk_jsonl", json.dumps({"conversations": [{"from": "human", "value": QUESTION}]})),
    ):
        assert made(tmp_path, **{name: text}).reason(row(QUESTION)), name
    with pytest.raises(UserError, match=r"broken.jsonl:2: "):
        made(tmp_path, broken_jsonl=json.dumps({"text": QUESTION}) + '\n{"text": "half')


def test_an_instruction_that_works_on_an_input_is_no_text_by_itself(tmp_path: Path) -> None:
    own = {
        "instruction": "Classify the sentence as positive or negative, please.",
        "input": "I like it here.",
        "output": "positive",
    }
    found = made(tmp_path, set_json=json.dumps([own]))
    assert found.reason(row(own["instruction"], "A dull film, and too long.", "negative")) is None
    assert found.reason(row(own["instruction"], own["input"], "positive"))


def test_what_more_than_ten_texts_share_is_their_template() -> None:
    template = "answer the question below with one letter and give no reason at all"
    texts = [
        (f"set#{n}", f"{template} question number {n} about the {n * 7} rivers of the {n} lands")
        for n in range(11)
    ]
    assert Overlap.of(texts[:10]).reason(row(template)) and not Overlap.of(texts).reason(
        row(template)
    )
    assert Overlap.of(texts).reason(row(texts[4][1]))
    again = [("set#1", template)] * 50
    assert Overlap.of(again).reason(row(template))  # one text, however often


words = st.lists(st.sampled_from("abcdef"), max_size=20)


def runs(one: list[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(one[start : start + size]) for start in range(len(one) - size + 1))


@settings(max_examples=300, deadline=None)
@given(st.lists(words, max_size=6), words, words, st.sampled_from([8, 9, 13]))
def test_the_same_as_looking_at_every_pair(
    texts: list[list[str]], instruction: list[str], output: list[str], ngram: int
) -> None:
    wanted = False
    for text in texts:
        size = min(ngram, len(text))
        if size >= 8:
            wanted |= any(
                run in set(runs(text, size))
                for field in (instruction, output)
                for run in runs(field, size)
            )
        elif size >= 4:
            wanted |= text == instruction
    found = Overlap.of(((f"t#{n}", " ".join(text)) for n, text in enumerate(texts)), ngram)
    assert (found.reason(row(" ".join(instruction), "", " ".join(output))) is not None) == wanted


def test_the_stage_rejects_them_and_names_the_evaluation_row(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": QUESTION}))
    at = bench(
        tmp_path,
        [row(QUESTION), row("Name the longest river of Asia."), row("Explain what a comet is.")],
    )
    text = json.dumps({"held_out": 1, "contamination": ["test.jsonl"]})
    config = CurateConfig.model_validate_json(text, context={"folder": tmp_path})
    assert STAGE.run(config, at).summary["rejected"] == {"contamination": 1}
    [gone] = read_jsonl(at.folder / "rejected.jsonl")
    assert gone["reason"].startswith(
        "the instruction shares 13 words in a row with test.jsonl#1: 'natalia sold"
    )
    assert str(tmp_path) not in json.dumps(config.identity())
    longer = {"sets": ["test.jsonl"], "ngram": 20}
    assert (
        CurateConfig.model_validate_json(
            json.dumps({"contamination": longer}), context={"folder": tmp_path}
        ).contamination.ngram
        == 20
    )  # type: ignore[union-attr]


def test_the_released_52k_against_itself(data: Path) -> None:
    """Its first 500 rows as an evaluation set: these are found, and few others."""
    rows = json.loads(gzip.decompress((data / "alpaca_data.json.gz").read_bytes()))
    texts = [
        (f"e#{n}", f"{one['instruction']}\n{one['input']}") for n, one in enumerate(rows[:500])
    ]
    found = Overlap.of(texts)
    hits = [
        bool(found.reason(row(one["instruction"], one["input"], one["output"])))
        for one in rows[:4000]
    ]
    long_enough = [len(unicode_words(text)) >= 4 for _, text in texts]
    assert (
        all(hit for hit, counts in zip(hits, long_enough, strict=False) if counts)
        and sum(hits[500:]) < 20
    )
