"""What a plan says of preferences that will not be there: before a tune is paid for, and only where it is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.align.config import AlignConfig
from alpaca_pipe.align.stage import estimate
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.curate.config import CurateConfig
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.pairs.config import PairsConfig
from alpaca_pipe.pairs.stage import estimate as estimate_pairs
from alpaca_pipe.recipe.stage import EstimateInputs
from alpaca_pipe.weights.base import BaseTable

BASE = {"base": BaseTable(model="smollm2-135m-instruct")}
PLAIN = [{"instruction": f"Say {n}", "output": f"It is {n}"} for n in range(30)]
PAIRED = [{"prompt": f"Say {n}", "chosen": f"It is {n}", "rejected": "No"} for n in range(30)]
LABELLED = [{"prompt": f"Say {n}", "completion": f"{n}", "label": n % 2 == 0} for n in range(30)]


def file_of(folder: Path, rows: list[dict[str, Any]]) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def aligned(
    how: Mapping[str, Any], tables: Mapping[str, Any], inputs: Mapping[str, Path] = {}
) -> tuple[str, ...]:
    """The notes of the plan."""
    config = AlignConfig.model_validate({"held_out": 4, "samples": 2, **how})
    return estimate(config, {**BASE, **tables}, EstimateInputs(inputs)).notes


def curated(file: Path) -> dict[str, Any]:
    return {"curate": CurateConfig.model_validate({"from": file})}


def test_rows_that_can_hold_no_worse_answer(tmp_path: Path) -> None:
    plain = curated(file_of(tmp_path, PLAIN))
    with pytest.raises(UserError, match="no row of rows.jsonl has an answer that is worse") as said:
        aligned({}, plain)
    assert "pairs:" in said.value.cure
    kept = PairsConfig(answers="kept")
    with pytest.raises(UserError, match="no row of rows.jsonl has an answer that is worse") as said:
        estimate_pairs(kept, plain, EstimateInputs())
    assert "num_generations" not in said.value.cure
    for style, told in (("alpaca", "keep no answer that is worse"), ("constitutional", "")):
        generated = {"generate": GenerateConfig(style=style, count=100)}
        if told:
            with pytest.raises(UserError, match=told):
                aligned({}, generated)
        else:
            assert aligned({}, generated) == ()
    with pytest.raises(UserError, match="there are no rows"):
        aligned({}, {})


def test_rows_that_hold_some(tmp_path: Path) -> None:
    tables = curated(file_of(tmp_path, PAIRED))
    assert aligned({}, tables) == ()
    estimate_pairs(PairsConfig(answers="kept"), tables, EstimateInputs())
    drawn = {**curated(file_of(tmp_path, PLAIN)), "pairs": PairsConfig(count=20)}
    assert aligned({}, drawn) == ()


def test_many_rows_are_not_all_looked_at(tmp_path: Path) -> None:
    """What stands after the first 200 rows is not known, and so nothing is said."""
    assert aligned({}, curated(file_of(tmp_path, PLAIN * 10 + PAIRED))) == ()


def test_sealed_rows_are_counted(tmp_path: Path) -> None:
    worse = {"rejected": [Message("assistant", "worse").to_row()]}
    rows = [
        Example.of(f"Q{n}", "", "A", Origin("seed", "", (), worse if n < 5 else {}))
        for n in range(9)
    ]
    file = tmp_path / "train.jsonl"
    write_jsonl(file, (row.to_row() for row in rows))
    assert aligned({"held_out": 3}, {}, {"curate/train.jsonl": file}) == ()
    with pytest.raises(UserError, match="of at most 5 preferences 4 are to be held out"):
        aligned({}, {}, {"curate/train.jsonl": file})


def test_more_held_out_than_there_will_be(tmp_path: Path) -> None:
    pairs = {"pairs": PairsConfig(count=20)}
    for held_out in (19, 20, 64):
        with pytest.raises(
            UserError, match=f"of at most 20 preferences {held_out} are to be"
        ) as said:
            aligned({"held_out": held_out}, pairs)
        assert "lower align.held_out" in said.value.cure
    (note,) = aligned({"held_out": 15}, pairs)
    assert "of about 16 preferences" in note
    assert aligned({"held_out": 14}, pairs) == ()
    own = {"from": file_of(tmp_path, PAIRED)}
    with pytest.raises(UserError, match="of at most 30 preferences 29 are to be held out"):
        aligned({**own, "held_out": 29}, {})
    assert aligned({**own, "held_out": 28}, {}) == ()
    online = {"method": "rloo", "per_device_train_batch_size": 16, "num_generations": 2}
    with pytest.raises(UserError, match="a step answers 8 prompts"):
        aligned({**own, **online, "held_out": 23}, {})
    assert aligned({**own, **online, "held_out": 22}, {}) == ()


def test_a_file_of_labels_is_for_kto(tmp_path: Path) -> None:
    own = {"from": file_of(tmp_path, LABELLED)}
    assert aligned({**own, "method": "kto"}, {}) == ()
    with pytest.raises(UserError, match="one answer with a label, and method dpo compares two"):
        aligned(own, {})


def test_rows_without_a_rejected_answer_are_told_once(tmp_path: Path) -> None:
    own = {"from": file_of(tmp_path, [{"prompt": f"Q{n}", "chosen": "A"} for n in range(30)])}
    with pytest.raises(UserError) as said:
        aligned(own, {})
    told = str(said.value)
    assert told.count("has no rejected answer") == 1
    assert "rows.jsonl:1 and 19 more, to" in told
    with pytest.raises(UserError, match="no row of rows.jsonl prefers an answer to another"):
        aligned({**own, "keep_going": True}, {})


def test_as_many_prompts_as_there_are_rows(tmp_path: Path) -> None:
    """200 are wanted of 30 rows: curation holds 16 out, and the other 14 are what pairs can be of."""
    drawn = {**curated(file_of(tmp_path, PLAIN)), "pairs": PairsConfig(count=200)}
    with pytest.raises(UserError, match="of at most 14 preferences 64 are to be held out"):
        aligned({"held_out": 64}, drawn)
