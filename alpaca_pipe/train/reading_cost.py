"""What it takes to let a teacher read the rows once: minutes, floating-point operations, disk."""

from __future__ import annotations

from dataclasses import replace

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.ledger.pricing.gpu_rates import Gpu
from alpaca_pipe.models.architecture import Architecture, shape_of
from alpaca_pipe.models.fit import GB
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.cost_estimate import Job
from alpaca_pipe.weights.base import BaseTable

_LEARNED = 0.55  # of a row's tokens; 51.5 % in the released 52K


@dataclass(frozen=True)
class TeacherReading:
    """tokens: of all rows, each once; parameters: of the teacher; shape: None where nobody knows it; says: for plan's line."""

    tokens: float = 0.0
    parameters: float = 0.0
    shape: Architecture | None = None
    says: str = ""

    @property
    def flop(self) -> float:
        """Forward only."""
        return 2 * self.tokens * self.parameters

    def minutes(self, job: Job, gpu: Gpu) -> Range:
        """On one GPU, before the tunes begin."""
        if self.shape is None:
            return NOTHING
        return replace(job, shape=self.shape, processes=1).scoring(gpu, self.tokens)


def reading_of(config: TrainConfig, base: BaseTable | None, tokens: float) -> TeacherReading:
    """Of objective distill; else nothing. tokens: of all rows."""
    if config.objective != "distill":
        return TeacherReading()
    asked = config.distill
    named = asked.checkpoint()
    teacher: BaseTable | None = named or base
    whose = named.called if named else "the base itself"
    size = tokens * _LEARNED * (8 * asked.top_k + 4)
    disk = f", {size / GB:.1f} GB on disk" if size > 0.05 * GB else ""
    says = f"; before that {whose} reads the rows once (top {asked.top_k}{disk})"
    if teacher is None:
        return TeacherReading(says=says)
    return TeacherReading(tokens, teacher.parameters() or 0.0, shape_of(teacher), says)
