"""How it learned: the loss of each logged step, the control's, and those on held-out rows on the way."""

from __future__ import annotations

from alpaca_pipe.report import figures
from alpaca_pipe.report.chapters.base import ReportChapter, Told, drawn
from alpaca_pipe.report.facts import Facts


def _told(facts: Facts) -> Told | None:
    curve = figures.loss_curves(facts.curves, facts.held_out_curves)
    return {"sentence": _sentence(facts), "curve": drawn("", curve).svg} if curve else None


def _sentence(facts: Facts) -> str:
    tuned = facts.curves.get("tuned", ())
    if not tuned:
        return ""
    control = (
        (
            " The dashed line is the control: the same steps on the same rows, answers shuffled among the "
            "instructions."
        )
        if facts.curves.get("control")
        else " The dashed line is the same tune without the teacher, whose loss is another sum."
        if facts.curves.get("sft")
        else ""
    )
    first, last = tuned[0][1], tuned[-1][1]
    return (
        f"{len(tuned)} logged steps, from {first:.2f} to {last:.2f}.{control}{_on_the_way(facts)}"
    )


def _on_the_way(facts: Facts) -> str:
    points = facts.held_out_curves.get("tuned", ())
    if not points:
        return ""
    said = f" Dots are the loss on held-out rows on the way: {points[0][1]:.3f} to {points[-1][1]:.3f}."
    if best := facts.best_checkpoints.get("tuned"):
        said += (
            f" The weights of step {best['step']}, where it was lowest ({best['eval_loss']:.3f}), are the ones "
            "that were kept; the rows that chose them are not among those that judge them."
        )
    return said


TRAINING = ReportChapter("train", 60, _told, "training_chapter.html.j2")
