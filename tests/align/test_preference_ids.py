"""Preferences as token ids: what ends, what was cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.align.preference_ids import LabelledIds, PairIds, labelled_ids, pair_ids
from alpaca_pipe.core.example import Origin
from tests.align.conftest import preferences

pytest.importorskip("torch")


@pytest.mark.parametrize("template", ["alpaca", "chat"])
@pytest.mark.parametrize("ended", [[True, False], [False, True], [False, False], None])
def test_an_answer_that_was_cut_off_has_no_end(tiny: Path, template: str, ended: Any) -> None:
    """The tuned model never gave one there: a rejected answer with one would teach it not to end, a chosen one to end anywhere."""
    from alpaca_pipe.models.saved_template import encoder_of
    from alpaca_pipe.weights.base import Checkpoint

    encoder = encoder_of(Checkpoint(str(tiny)), None, template, "align.template")  # type: ignore[arg-type]
    end = encoder.form.end_id
    (row,) = preferences(1)
    row = replace(row, origin=Origin("imported", "f", (), {"ended": ended} if ended else {}))
    chosen, rejected = ended or (True, True)
    (pair,) = pair_ids([row], encoder, 500)
    assert isinstance(pair, PairIds)
    assert [pair.chosen[-1] == end, pair.rejected[-1] == end] == [chosen, rejected]
    both = [one for one in labelled_ids([row], encoder, 500) if isinstance(one, LabelledIds)]
    assert [one.answer for one in both] == [pair.chosen, pair.rejected]
    whole = encoder.tokenizer.decode(pair.chosen, skip_special_tokens=True)
    assert whole.strip() == row.chosen[0].text.strip()
