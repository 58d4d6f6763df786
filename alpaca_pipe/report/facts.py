"""All that the page says, gathered from disk: of a finished run, a failed one, a half of one or a copy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.commercial_use import CommercialUse, brought, selling
from alpaca_pipe.report.costs import Money, money
from alpaca_pipe.report.forecast_vs_actual import Costs, StepComparison, gathered, planned_minutes
from alpaca_pipe.report.funnel import Funnel, funnel
from alpaca_pipe.report.rows import StageRow, drawn, dropped, some_kept
from alpaca_pipe.report.run_files import RunFiles, StageFiles, left

_KEPT, _DROPPED_A_RULE, _DROPPED = (
    10,
    2,
    12,
)  # rows shown: enough to judge by reading, few enough to be read


@dataclass(frozen=True)
class StepFacts:
    """state: "made in this run", "up to date" (made before), "unfinished" or "not run"; minutes: what it took to make,
    planned: what it was expected to take."""

    kind: str
    state: str
    minutes: float | None
    planned: float | None
    finished: str  # ISO time, UTC; "" where it was not sealed
    folder: str
    identity: Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """verdict: evaluate's verdict.json, or None. curves: "tuned" and "control" -> (step, loss), held_out_curves: those on
    the way; best_checkpoints: "tuned" and "control" -> step and eval_loss of the weights that were chosen. samples: rows of
    evaluate's. missing: a sentence for each thing that is not there."""

    recipe: str
    run: Mapping[str, Any]
    rehearsal: bool
    config: Mapping[str, Any]
    steps: tuple[StepFacts, ...]
    verdict: Mapping[str, Any] | None
    money: Money | None
    funnel: Funnel
    curves: Mapping[str, Sequence[tuple[float, float]]]
    held_out_curves: Mapping[str, Sequence[tuple[float, float]]]
    best_checkpoints: Mapping[str, Mapping[str, Any]]
    samples: tuple[Mapping[str, Any], ...]
    kept: tuple[StageRow, ...]
    dropped: tuple[StageRow, ...]
    machine: Mapping[str, Any]  # what the last sealed step was made on, and with which versions
    missing: tuple[str, ...]
    grades: Mapping[str, Any]  # of curate's judge: its summary; {} where none was asked
    saved_minutes: float | None  # of training, by the rows that the judge sent away
    diversity: Mapping[str, Any]  # curate's diversity.json; {} where it was not measured
    rounds: Sequence[Mapping[str, Any]]  # of generate: seats, answers, accepted ... of each
    evaluation: Mapping[str, Any]  # the summary of evaluate; {} where it has none
    exported: Mapping[str, Any]  # that of export
    shipped: Mapping[str, str]  # weights of others' programs: file -> sha256, as sealed
    grown: Mapping[str, Any]  # that of grow
    eval_rows: tuple[Mapping[str, Any], ...]  # train's eval.jsonl
    pairs: Mapping[str, Any]  # that of pairs
    aligned: Mapping[str, Any]  # that of align
    align_steps: tuple[Mapping[str, Any], ...]  # its steps.jsonl
    reading: Mapping[str, Any]  # of foreign rows: the summary of curate; {} where it read none
    compared: tuple[StepComparison, ...]  # forecast and actual of each sealed step
    costs: Costs
    selling: (
        CommercialUse | None
    )  # may we sell it; None of a run that did not note what it brought in

    @property
    def minutes(self) -> float:
        return sum(step.minutes or 0.0 for step in self.steps)


def gather(workspace: Path, recipe: str) -> Facts:
    """Raises nothing for what is missing; `missing` says it."""
    found = left(workspace, recipe)
    evaluate = found.step("evaluate")
    steps = tuple(_step(step, found) for step in found.steps.values())
    verdict = evaluate.value("verdict.json") if evaluate.sealed else None
    curves = _curves(found.step("train"), "loss.jsonl", "loss")
    books, no_books = _books(found)
    rows = funnel(found)
    beside, costs = gathered(found, rows)
    return Facts(
        recipe=recipe,
        run=found.run,
        rehearsal=found.rehearsal,
        config=found.config,
        steps=steps,
        verdict=verdict,
        money=books,
        funnel=rows,
        curves=curves,
        held_out_curves=_curves(found.step("train"), "eval.jsonl", "eval_loss"),
        best_checkpoints=found.step("train").summary.get("kept") or {},
        samples=tuple(evaluate.rows("samples.jsonl")),
        kept=tuple(some_kept(found, _KEPT)),
        dropped=_some_of_each_rule(list(dropped(found))),
        machine=_machine(found),
        missing=tuple(_missing(found, steps, verdict, bool(curves))) + no_books,
        grades=found.step("curate").summary.get("grade") or {},
        saved_minutes=_saved(found),
        diversity=found.step("curate").value("diversity.json") or {},
        rounds=tuple(found.step("generate").rows("rounds.jsonl")),
        evaluation=evaluate.summary,
        exported=found.step("export").summary,
        shipped=_shipped(found.step("export")),
        grown=found.step("grow").summary,
        eval_rows=tuple(found.step("train").rows("eval.jsonl")),
        pairs=found.step("pairs").summary,
        aligned=found.step("align").summary,
        align_steps=tuple(found.step("align").rows("steps.jsonl")),
        reading=curated if (curated := found.step("curate").summary).get("shapes") else {},
        compared=beside,
        costs=costs,
        selling=selling(brought(terms), terms.get("accepted"))
        if (terms := found.run.get("terms"))
        else None,
    )


def _missing(
    found: RunFiles, steps: Sequence[StepFacts], verdict: Any, curves: bool
) -> Iterator[str]:
    if not found.config:
        yield f"nothing is known of a run of '{found.recipe}' in this workspace: no lock.json, no history"
    for step in steps:
        if step.state == "not run":
            yield f"{step.kind} has not run, or its folder is not in this copy"
        elif step.state == "unfinished":
            yield f"{step.kind} has begun and was not finished"
    if found.step("train").sealed and not curves:
        yield "train left no loss.jsonl, so there is no curve"
    if found.step("evaluate").sealed and verdict is None:
        yield "evaluate left no verdict.json"


def _books(found: RunFiles) -> tuple[Money | None, tuple[str, ...]]:
    try:
        books = money(found)
        return books, () if books else (
            "the ledger is not in this copy, so nothing is said about money",
        )
    except UserError as error:
        what = error.what.replace(
            f"{found.workspace}/", ""
        )  # the page is for others: no place on this machine
        return None, (f"{what}, so nothing is said about money",)


def _step(step: StageFiles, found: RunFiles) -> StepFacts:
    ran = found.run.get("minutes") or {}
    if step.folder is None:
        return StepFacts(step.kind, "not run", None, None, "", "", {})
    if not step.sealed:
        return StepFacts(
            step.kind, "unfinished", ran.get(step.kind), None, "", step.folder.name, step.identity
        )
    state = "made in this run" if step.kind in ran else "up to date"
    return StepFacts(
        step.kind,
        state,
        step.done.get("seconds", 0.0) / 60,
        planned_minutes(step),
        step.done.get("finished", ""),
        step.folder.name,
        step.identity,
    )


def _saved(found: RunFiles) -> float | None:
    """What training would have taken longer with the rows that the judge sent away: tokens at the pace that it had."""
    grades, train = found.step("curate").summary.get("grade") or {}, found.step("train")
    stayed = grades.get("tokens", 0) - grades.get("tokens_below", 0)
    if not train.sealed or stayed <= 0 or not grades.get("tokens_below"):
        return None
    return (
        float(train.done.get("seconds", 0.0)) / 60 * float(grades["tokens_below"]) / float(stayed)
    )


def _curves(train: StageFiles, file: str, key: str) -> dict[str, list[tuple[float, float]]]:
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in train.rows(file):
        if math.isfinite(loss := float(row[key])):
            curves.setdefault(str(row.get("which", "tuned")), []).append((row["step"], loss))
    return dict(sorted(curves.items(), reverse=True))  # tuned before control


def _some_of_each_rule(rows: list[StageRow]) -> tuple[StageRow, ...]:
    rules = dict.fromkeys(row.rule for row in rows)
    some = {
        rule: drawn([row for row in rows if row.rule == rule], _DROPPED_A_RULE) for rule in rules
    }
    rounds = [
        found[turn]
        for turn in range(_DROPPED_A_RULE)
        for found in some.values()
        if turn < len(found)
    ]
    return tuple(sorted(rounds[:_DROPPED], key=lambda row: list(rules).index(row.rule)))


def _machine(found: RunFiles) -> Mapping[str, Any]:
    made = [step.done.get("machine") for step in found.steps.values() if step.done.get("machine")]
    return dict(made[-1]) if made and made[-1] else {}


def _shipped(step: StageFiles) -> Mapping[str, str]:
    return {
        name: str(seal["sha256"])
        for name, seal in (step.done.get("files") or {}).items()
        if name.endswith((".safetensors", ".gguf", ".onnx", ".onnx_data"))
        and not name.startswith("browser/")  # the GGUF again
    }
