"""Where one rule dropped more than a third of the rows: which one, and what to write where that is not what was wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.curate.filter_config import NAMES

_PART = 3  # one row of so many
SAID = {
    "likeness": "compare the whole rows with {on} (what was told like what: groups.jsonl)",
    "turns": "rows of ours cannot hold them: their reasons are in rejected.jsonl",
    "unreadable": "they are damaged: their reasons are in rejected.jsonl",
    "bad_answer": "they are labelled so; where the column says something else, name it: {unread}",
    "do_not_learn": "they are marked so; where the column says something else, name it: {unread}",
    "other_split": "their column names another split than the one that is asked for",
    "by_hand": "a person dropped them: see your file of decisions",
    "contamination": "they hold texts of your evaluation sets: curate.contamination.ngram says how long a run must be",
    "same_answer": "their texts answer none of their instructions; where they do, write curate.same_answer: 0",
    "grade": "curate.grade.threshold or top_k says how good a row must be",
}
_WHOLE_ROWS = (
    "their whole texts are alike (groups.jsonl says which); a higher {likeness} drops fewer"
)
_OF_A_FILTER = "where that is not wanted, leave the filter out: {off}"
_OF_THEIR_OWN = "it is a filter of your own: where that is not wanted, remove it from `filters`"


def heavy_rules(summary: Mapping[str, Any], filters: str = "", compared: str = "") -> Iterator[str]:
    """A line for each such rule. filters: what `--filters` of the command was; "": the words of a recipe are given. compared:
    what likeness looked at, where that is known."""
    read = summary.get("read", 0)
    for rule, dropped in summary.get("rejected", {}).items():
        if dropped * _PART > read:
            usual = _OF_A_FILTER if rule in NAMES else _OF_THEIR_OWN
            said = SAID.get(rule, usual)
            if rule == "likeness" and compared == "row":
                said = _WHOLE_ROWS
            cure = said.format(**_written(rule, filters))
            yield f"{rule} drops {dropped:,} of {read:,} rows, more than a third: {cure}"


def _written(rule: str, filters: str) -> dict[str, str]:
    if filters:
        return {
            "on": "--on row",
            "likeness": "--likeness",
            "unread": "--columns unread=COLUMN",
            "off": f"--filters {filters},-{rule}",
        }
    return {
        "on": "curate.duplicates: {on: row}",
        "likeness": "curate.likeness",
        "unread": "curate.columns: {unread: COLUMN}",
        "off": f"curate.filters: {{{rule}: false}}",
    }
