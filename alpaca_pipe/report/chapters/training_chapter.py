"""How it learned: the loss of each logged step, and the control's."""

from __future__ import annotations

from alpaca_pipe.report import figures
from alpaca_pipe.report.chapters.base import ReportChapter, Told, drawn
from alpaca_pipe.report.facts import Facts


def _told(facts: Facts) -> Told | None:
    curve = figures.loss_curves(facts.curves)
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
        else ""
    )
    return f"{len(tuned)} logged steps, from {tuned[0][1]:.2f} to {tuned[-1][1]:.2f}.{control}"


TRAINING = ReportChapter("train", 60, _told, "training_chapter.html.j2")
