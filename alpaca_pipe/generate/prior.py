"""What is believed of a teacher under one style before it was heard. Each style has its own (generate/styles/), made of these.

Two shapes: several tasks in one reply (TASK_LIST), or an instruction and then its answer (ONE_BY_ONE); each as a teacher of
these months may be, and as our scripted one is.
"""

from __future__ import annotations

from math import exp
from random import Random

from alpaca_pipe.core.fast_dataclass import dataclass


@dataclass(frozen=True)
class LogNormal:
    """A figure above zero: its median, and the standard deviation of its logarithm (0.4: a factor of 1.7 in 80 %)."""

    median: float
    spread: float

    def draw(self, chance: Random) -> float:
        return self.median * exp(chance.gauss(0, self.spread))


@dataclass(frozen=True)
class Ideas:
    """How many tasks a teacher finds in one passage, or for one seed or topic, before it repeats itself. endless: the share of
    teachers that do not run out, since they word a known idea as a new one.  power: above 1 where several sources in one prompt
    make more of each other."""

    each: LogNormal
    endless: float
    power: float = 1.0

    def draw(self, sources: int, chance: Random) -> tuple[float, float, float]:
        """Of all sources: ideas, how unevenly they come, the share of repeated ones that pass as new (forecast/saturation.py)."""
        each, skew, worded = (
            self.each.draw(chance),
            exp(chance.gauss(0.35, 0.25)),
            1 / (1 + exp(-chance.gauss(-4, 0.9))),
        )
        if chance.random() < self.endless:
            each *= exp(chance.gauss(5, 2))
        return (max(sources**self.power * each, 1.0) if sources else 1e12), skew, worded


# Not measured on real teachers, hence wide. A passage of 300 words holds some dozens of questions that are worded unlike each
# other. Stanford's 175 seeds brought 52,000 rows without an end in sight.
OF_PASSAGE = Ideas(LogNormal(30, 0.9), 0.3)
OF_SEED = Ideas(LogNormal(300, 1.2), 0.5, 1.5)


@dataclass(frozen=True)
class Prior:
    """What is believed of a sort of teacher under one style.

    Novelty: a new instruction is near a known one with probability 1 - exp(-hazard (n/1000)^bend) among n known ones.
    On the released 52K (ROUGE-L, each row against those before it) that form holds with bend 0.23 to 0.29 at every
    likeness from 0.4 to 0.65, and hazard falls 1.57, 1.22, 0.74, 0.50, 0.26, 0.12 in steps of 0.05: about 0.06 at
    0.7. What was left out of the 52K is not in it, and another teacher is another one, so the guesses are wide.
    """

    letters: LogNormal  # of a prompt, for one token
    out: LogNormal  # tokens, for each task that is asked for; in style two-step, of an instruction
    out_answer: LogNormal  # tokens of an answer that is asked for by itself
    out_spread: float  # of one reply around their mean: standard deviation of its logarithm
    pieces: LogNormal  # for each task asked
    readable: tuple[
        float, float
    ]  # log-odds that a piece passes every rule but novelty: mean, standard deviation
    finished: tuple[float, float]  # the same for an answer that is asked for by itself
    hazard: LogNormal
    bend: LogNormal
    lost: float  # attempts whose outcome stays unknown, for each request
    ideas: Ideas = OF_SEED
    thinks: LogNormal | None = None  # tokens that it thinks before each reply


_ENGLISH = LogNormal(4.1, 0.12)
TASK_LIST = Prior(
    letters=_ENGLISH,
    out=LogNormal(105, 0.38),
    out_answer=LogNormal(105, 0.38),
    out_spread=0.35,
    pieces=LogNormal(0.98, 0.08),
    readable=(3.0, 1.2),
    finished=(6, 0.5),
    hazard=LogNormal(0.07, 1.0),
    bend=LogNormal(0.38, 0.4),
    lost=0.004,
)
ONE_BY_ONE = Prior(
    letters=_ENGLISH,
    out=LogNormal(20, 0.3),
    out_answer=LogNormal(110, 0.6),
    out_spread=0.45,
    pieces=LogNormal(1, 0.01),
    readable=(3.0, 1.2),
    finished=(3.0, 1.2),
    hazard=LogNormal(0.07, 1.1),
    bend=LogNormal(0.38, 0.4),
    lost=0.004,
)
SCRIPTED_TASK_LIST = (
    Prior(  # measured, as all of the script; the spreads are for other seeds, counts and limits
        letters=LogNormal(4.0, 0.05),
        out=LogNormal(50, 0.15),
        out_answer=LogNormal(50, 0.15),
        out_spread=0.45,
        pieces=LogNormal(0.75, 0.08),
        readable=(2.8, 0.3),
        finished=(6, 0.5),
        hazard=LogNormal(0.40, 0.4),
        bend=LogNormal(0.75, 0.25),
        lost=0.0,
    )
)
SCRIPTED_ONE_BY_ONE = Prior(
    letters=LogNormal(4.0, 0.05),
    out=LogNormal(17, 0.1),
    out_answer=LogNormal(36, 0.15),
    out_spread=0.4,
    pieces=LogNormal(1, 0.01),
    readable=(3.4, 0.4),
    finished=(6, 0.5),
    hazard=LogNormal(0.20, 0.5),
    bend=LogNormal(0.75, 0.3),
    lost=0.0,
)
_THINKING = {
    "none": None,
    "minimal": LogNormal(30, 1.0),
    "low": LogNormal(250, 0.7),
    "medium": LogNormal(900, 0.7),
    "high": LogNormal(3000, 0.7),
}


def thinking(effort: str) -> LogNormal | None:
    """Tokens before each reply of a model that thinks, by its reasoning effort. Not measured here."""
    return _THINKING.get(effort, _THINKING["medium"])


@dataclass(frozen=True)
class RoundVariation:
    """How far a round's mean lies from the run's, where all its prompts show the same seeds: standard deviations of the
    logarithm, of tokens in, tokens out (first and of an answer), and of the rows that come from a prompt. Seeds that draw long
    instructions draw long answers too, of which more are cut: but for tokens in, the three swing together."""

    ins: float = 0.0
    out: float = 0.0
    out_answer: float = 0.0
    rows: float = 0.0


STEADY = RoundVariation()
# Of the embedded model, 2026-11: between what ten runs of 39 rounds had (0.07, 0.22, 0.23, 0.17), and 14 rounds before, rounded
# up (0.07, 0.3, 0.18, 0.22). In nine of those tokens out of an instruction and of its answer went together (correlation 0.91), and
# against the rows (-0.95, -0.90).
SWINGING = RoundVariation(0.07, 0.25, 0.23, 0.2)
