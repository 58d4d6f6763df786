"""What the base grew into, whether it still answers as it did, and what each way took to equal loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.grow.equal_loss import DRAWN, PUBLISHED, Reached, at_equal_loss, curves_of
from alpaca_pipe.report import figures
from alpaca_pipe.report.chapters.base import ReportChapter, Told, drawn
from alpaca_pipe.report.facts import Facts


def _told(facts: Facts) -> Told | None:
    grown = facts.grown
    if not grown:
        return None
    curves = curves_of(facts.eval_rows, grown)
    found = at_equal_loss(curves, grown)
    told: dict[str, Any] = {
        "sizes": _sizes(grown),
        "answers": [_answer(name, one) for name, one in grown["methods"].items()],
        "reached": [],
        "curve": None,
    }
    if found:
        target, ways = found
        picture = figures.operation_curves(curves, target)
        told |= {
            "equal": list(_sentences(target, ways, grown)),
            "reached": [_row(one) for one in ways],
            "curve": drawn("Held-out loss by operations", picture).svg if picture else None,
        }
    return told


def _sizes(grown: Mapping[str, Any]) -> str:
    before, after = (
        f"{shape['parameters'] / 1e6:.3g}M parameters ({shape['layers']:g} layers of {shape['hidden']:g})"
        for shape in (grown["before"], grown["after"])
    )
    base = grown.get("base")
    trained = (
        f" The small model was pre-trained here for {base['steps']} steps, {base['tokens']:,} tokens."
        if base
        else ""
    )
    return f"{before} became {after}.{trained}"


def _answer(name: str, told: Mapping[str, Any]) -> dict[str, str]:
    return {
        "method": name,
        "same": "the base's own" if told["same"] else "others",
        "difference": f"{told['difference']:.1e} of {told['largest']:.3g}",
        "kl": f"{told['kl']:.2g}",
        "loss": f"{told['nats_before']:.3f} to {told['nats_after']:.3f}",
    }


def _row(one: Reached) -> dict[str, str]:
    return {
        "method": one.method,
        "flops": "not reached"
        if one.flops is None
        else f"{'at most ' * one.at_once}{one.flops:.3g}",
        "saved": "" if one.saved is None or one.method == DRAWN else f"{one.saved:+.1%}",
        "whole": "" if one.whole is None or one.method == DRAWN else f"{one.whole:+.1%}",
        "map": f"{one.start:.2g}" if one.start else "",
        "last": f"{one.last:.3f}",
    }


def _sentences(target: float, ways: list[Reached], grown: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Held-out loss {target:.3f} nats a token is what the drawn model ended with; the table says how many operations each way took "
        "until it was as good, and which share of the drawn model's it saved: without what the small model took, as LiGO's authors "
        "count, and with it."
    )
    if any(one.at_once for one in ways):
        yield (
            "What was as good at its first evaluation is said with `at most`: there the small model itself had got farther than the drawn "
            "one did, so this training was too short to compare them."
        )
    ligo = next((one for one in ways if one.method == "ligo"), None)
    ours = f"here {ligo.saved:.1%} of operations" if ligo and ligo.saved is not None else "not here"
    yield (
        f"LiGO was published with {PUBLISHED['flops']:.1%} of operations and {PUBLISHED['time']:.1%} of time saved, BERT-Base from "
        f"BERT-Small; {ours}. What differs: a LLaMA of {grown['after']['parameters'] / 1e6:.2g}M parameters in place of 110M, "
        "next-token loss in place of masked words, a run of minutes in place of days, one seed, and a constant rate."
    )


GROWTH = ReportChapter("grow", 57, _told, "growth_chapter.html.j2")
