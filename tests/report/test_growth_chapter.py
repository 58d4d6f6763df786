"""The chapter of a growth: figures by hand, a plot with every way in it, nothing where nothing grew."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from alpaca_pipe.report.chapters.growth_chapter import GROWTH
from tests.grow.test_equal_loss import GROWN, row

ANSWERS = {
    "same": False,
    "difference": 0.5,
    "largest": 6.0,
    "kl": 0.1,
    "nats_before": 2.0,
    "nats_after": 2.5,
}


def facts(rows: list[dict[str, Any]], grown: dict[str, Any]) -> Any:
    return SimpleNamespace(grown=grown, eval_rows=tuple(rows))


def test_it_says_what_each_way_took() -> None:
    pytest.importorskip("matplotlib")
    methods = {name: ANSWERS | one for name, one in GROWN["methods"].items()}
    methods["stack"] = ANSWERS | {"same": True}
    grown = GROWN | {"methods": methods, "base": {"flops": 1e6, "steps": 3, "tokens": 4}}
    rows = [
        *(row("tuned", tokens, loss) for tokens, loss in ((100, 3.0), (200, 1.0))),
        *(row("stack", tokens, loss) for tokens, loss in ((100, 4.0), (200, 3.0))),
        *(row("scratch", tokens, loss) for tokens, loss in ((100, 5.0), (200, 2.0))),
    ]
    told = GROWTH.told(facts(rows, grown))
    assert told and "pre-trained here for 3 steps" in told["sizes"]
    assert [one["same"] for one in told["answers"]] == ["others", "the base's own", "others"]
    ligo, stack, drawn = told["reached"]
    assert ligo["saved"] == "+20.0%" and stack["flops"] == "not reached" and drawn["saved"] == ""
    assert "44.7%" in told["equal"][1] and "20.0% of operations" in told["equal"][1]
    early = GROWTH.told(facts([row("tuned", 100, 1.9), *rows[-2:]], grown))
    assert early and early["reached"][0]["flops"].startswith("at most ")
    assert "too short to compare" in early["equal"][1]
    assert all(name in told["curve"] for name in ("ligo", "stack", "scratch"))


def test_without_a_growth_there_is_no_chapter_and_without_a_drawn_model_no_table() -> None:
    assert GROWTH.told(facts([], {})) is None
    grown = GROWN | {"methods": {"ligo": ANSWERS}, "base": None}
    told = GROWTH.told(facts([row("tuned", 100, 3.0)], grown))
    assert told and told["reached"] == [] and told["curve"] is None
