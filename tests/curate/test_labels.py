"""What the detectors are worth, recomputed from verdicts on rows that they were not tuned on (tests/curate/labels.py)."""

from __future__ import annotations

import pytest

from alpaca_pipe.core.example import Example
from tests.curate.labels import BY_READING, DETECTORS, FOLDER, Labels, every_label, measured, unseen

# The least share of right hits that each is held to; below 0.9 only where there are few of them.
LEAST = {"output_is_input": 0.75, "personal_data": 0.75}
NEVER = {
    "min_words",
    "max_words",
    "media",
    "write_a_program",
    "punctuation_start",
    "ascii_start",
    "code_fence",
    "length",
    "instruction_in_input",
    "instruction_again",
    "template_mark",
    "thinking",
}  # no row of the 52K is one, or (length) it is a matter of choice


def test_every_detector_was_read() -> None:
    assert set(DETECTORS) - set(BY_READING) == NEVER
    for name in BY_READING:
        head = Labels.read(name).head
        assert head["who"] and head["when"] and head["how"] and head["blind precision"]


def test_the_labels_hold_no_text() -> None:
    for path in FOLDER.glob("*.jsonl"):
        for line in path.read_text().splitlines()[1:]:
            assert len(line) < 150 and line.count('"') <= 14


def test_the_labels_are_of_these_rows_and_of_the_unseen_half(released: list[Example]) -> None:
    for file, number, id in every_label():
        assert released[number].id == id and unseen(released[number]), (file, number)
    assert 0.49 < sum(map(unseen, released)) / len(released) < 0.51


@pytest.mark.parametrize("name", [name for name in BY_READING if name != "language"])
def test_precision(released: list[Example], name: str) -> None:
    """Fifty hits or all, and at least nine of ten right."""
    found = measured(released, name)
    assert found.labelled >= min(50, found.unseen_hits)
    assert not found.labelled or found.right / found.labelled >= LEAST.get(name, 0.9), found


def test_recall_on_a_random_sample(released: list[Example]) -> None:
    """16 defects in 300 rows: few, and so said; the wide nets of missed.jsonl tell more of the rarer ones."""
    sample = Labels.read("sample").defects
    assert len(sample) == 300
    defects = [(number, name) for number, names in sample.items() for name in names]
    found = [pair for pair in defects if DETECTORS[pair[1]](released[pair[0]])]
    assert len(defects) == 16 and len(found) >= 12
