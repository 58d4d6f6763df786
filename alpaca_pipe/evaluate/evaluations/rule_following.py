"""Prompts of our own whose rules a program can check: which kinds of instruction base and tuned follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import read_jsonl, write_jsonl
from alpaca_pipe.evaluate.answering import answer_all
from alpaca_pipe.evaluate.asked_rows import question
from alpaca_pipe.evaluate.changes import Line
from alpaca_pipe.evaluate.evaluations.base import (
    Contestant,
    Evaluation,
    EvaluationInputs,
    LoadedModel,
)
from alpaca_pipe.evaluate.proportions import wilson
from alpaca_pipe.evaluate.rules.base import rules

SUITE = "instructions followed"


def prompts(most: int) -> list[dict[str, Any]]:
    """Of the shipped ones so many: every kind in turn, so that few prompts still ask for each."""
    found = list(read_jsonl(Path(str(files("alpaca_pipe.evaluate.rules") / "prompts.jsonl"))))
    return sorted(found, key=lambda row: row["id"].rpartition("-")[2])[:most]


def _work(contestant: Contestant, given: EvaluationInputs) -> int:
    return len(prompts(given.config.rules)) if contestant.read and given.config.rules else 0


def _ask(loaded: LoadedModel, given: EvaluationInputs) -> list[Any]:
    """(text, whether it ended by itself) of each."""
    if not _work(loaded.contestant, given):
        return []
    asked = [question(row["prompt"]) for row in prompts(given.config.rules)]
    most = given.config.answer_tokens
    return answer_all(
        loaded, given, asked, most, lambda done: loaded.at(done, "instructions to follow")
    )


def broken(answer: str, wanted: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why each rule that is not kept is not; empty where all are."""
    known = rules()
    found = []
    for one in wanted:
        args = {name: value for name, value in one.items() if name != "rule"}
        if reason := known[one["rule"]](answer, **args):
            found.append(f"{one['rule']}: {reason}")
    return found


def _conclude(said: Mapping[str, Any], given: EvaluationInputs, folder: Path) -> dict[str, Any]:
    """Writes rules.jsonl: each prompt with both answers and what each breaks. An answer keeps all of its rules or it does not;
    one that was cut off counts as it is."""
    if not given.config.rules:
        return {}
    rows = prompts(given.config.rules)
    judged = [
        {**row, name: text, f"{name}_ended": ended, f"{name}_broken": broken(text, row["rules"])}
        for name in ("base", "tuned")
        for row, (text, ended) in zip(rows, said[name], strict=True)
    ]
    judged = [
        one | other for one, other in zip(judged[: len(rows)], judged[len(rows) :], strict=True)
    ]
    write_jsonl(folder / "rules.jsonl", judged)
    by_group: dict[str, list[dict[str, Any]]] = {}
    for row in judged:
        by_group.setdefault(rules()[row["rules"][0]["rule"]].group, []).append(row)
    found = [
        Line(
            SUITE,
            group,
            [not row["base_broken"] for row in some],
            [not row["tuned_broken"] for row in some],
        )
        for group, some in {**by_group, "all of them": judged}.items()
    ]
    kept = {
        name: wilson(sum(not row[f"{name}_broken"] for row in judged), len(judged)).rounded()
        for name in ("base", "tuned")
    }
    return {
        "rules": {
            "prompts": len(judged),
            "kept": kept,
            "by_rule": _by_rule(judged),
            "compared": found,
        }
    }


def _by_rule(judged: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """By rule: asked, kept by the base, kept by the tuned model."""
    found: dict[str, dict[str, int]] = {}
    for row in judged:
        for one in row["rules"]:
            count = found.setdefault(one["rule"], {"asked": 0, "base": 0, "tuned": 0})
            count["asked"] += 1
            for name in ("base", "tuned"):
                start = f"{one['rule']}: "
                count[name] += not any(why.startswith(start) for why in row[f"{name}_broken"])
    return found


RULES = Evaluation("rules", 30, _work, _ask, _conclude)
