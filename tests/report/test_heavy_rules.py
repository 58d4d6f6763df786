"""Where one rule drops more than a third of the rows, a line says so, with what to write."""

from __future__ import annotations

import pytest

from alpaca_pipe.curate import contamination, dedup, same_answer
from alpaca_pipe.curate.filter_config import NAMES, switched
from alpaca_pipe.curate.grading import grader
from alpaca_pipe.curate.review import overrides
from alpaca_pipe.data.reading import UNREADABLE
from alpaca_pipe.data.row_reader import TURNS
from alpaca_pipe.data.shapes.verdicts import BAD_ANSWER, NOT_LEARNED
from alpaca_pipe.data.split_column import OTHER_SPLIT
from alpaca_pipe.report.heavy_rules import SAID, heavy_rules

RULES = {
    dedup.RULE,
    overrides.RULE,
    contamination.RULE,
    same_answer.RULE,
    TURNS,
    UNREADABLE,
    BAD_ANSWER,
    NOT_LEARNED,
    OTHER_SPLIT,
    grader.RULE,
}


def test_every_rule_that_is_no_filter_has_its_own_words() -> None:
    assert set(SAID) == RULES


@pytest.mark.parametrize("dropped, told", [(34, True), (33, False)])
def test_more_than_a_third(dropped: int, told: bool) -> None:
    said = list(heavy_rules({"read": 100, "rejected": {"refusal": dropped, "media": 3}}))
    assert bool(said) is told
    if told:
        why = "where that is not wanted, leave the filter out: curate.filters: {refusal: false}"
        assert said == [f"refusal drops 34 of 100 rows, more than a third: {why}"]


def test_what_the_command_prints_is_an_option_that_it_takes() -> None:
    (line,) = heavy_rules({"read": 3, "rejected": {"min_words": 2}}, "stanford")
    names = line.rpartition("--filters ")[2]
    wanted = switched("stanford") | {"min_words": False}
    assert names == "stanford,-min_words" and switched(names) == wanted
    off = switched("-refusal")
    assert off == switched("default") | {"refusal": False} and set(off) == set(NAMES)
    with pytest.raises(ValueError, match="no filter and no set is called '-refusla'"):
        switched("-refusla")


def test_a_filter_of_the_users_own_is_taken_out_where_it_was_named() -> None:
    (said,) = heavy_rules({"read": 3, "rejected": {"too_polite": 2}}, "default,mine.py:too_polite")
    assert "remove it from `filters`" in said and "-too_polite" not in said


def test_what_was_done_already_is_not_advised() -> None:
    alike = {"read": 3, "rejected": {"likeness": 2}}
    (task,), (row,) = heavy_rules(alike, "default"), heavy_rules(alike, "default", "row")
    assert "--on row" in task
    assert "--on row" not in row and "a higher --likeness drops fewer" in row
