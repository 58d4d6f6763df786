"""What it takes to let a teacher read the rows once: minutes, floating-point operations, disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.ranges import NOTHING, Range
from alpaca_pipe.ledger.pricing.gpu_rates import Gpu
from alpaca_pipe.models.architecture import Architecture, shape_of
from alpaca_pipe.models.fit import GB, GIB
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.cost_estimate import Job
from alpaca_pipe.weights.base import BaseTable

_LEARNED = 0.55  # of a row's tokens; 51.5 % in the released 52K


@dataclass(frozen=True)
class TeacherReading:
    """tokens: of all rows, each once; parameters: of the teacher; shape: None where nobody knows it; says: for plan's line; weights: bytes of the
    teacher's, as it is loaded."""

    tokens: float = 0.0
    parameters: float = 0.0
    shape: Architecture | None = None
    says: str = ""
    weights: float = 0.0

    @property
    def flop(self) -> float:
        """Forward only."""
        return 2 * self.tokens * self.parameters

    def minutes(self, job: Job, gpu: Gpu) -> Range:
        """On one GPU, before the tunes begin."""
        if self.shape is None:
            return NOTHING
        return replace(job, shape=self.shape, processes=1).scoring(gpu, self.tokens)

    def notes(self, gpu: Gpu | None) -> Iterator[str]:
        if gpu and self.weights > gpu.memory_gib * GIB:
            yield (
                f"the teacher's weights take {self.weights / GB:.0f} GB and {gpu.name} has {gpu.memory_gib * GIB / GB:.0f}: "
                "base.dtype: bfloat16 halves them, or name a smaller teacher"
            )


def reading_of(config: TrainConfig, base: BaseTable | None, tokens: float) -> TeacherReading:
    """Of objective distill; else nothing. tokens: of all rows."""
    if config.objective != "distill":
        return TeacherReading()
    asked = config.distill
    named = asked.checkpoint(base.dtype if base else "float32")
    teacher: BaseTable | None = named or base
    whose = named.called if named else "the base itself"
    size = tokens * _LEARNED * (8 * asked.top_k + 4)
    disk = f", {size / GB:.1f} GB on disk" if size > 0.05 * GB else ""
    says = f"; before that {whose} reads the rows once (top {asked.top_k}{disk})"
    if teacher is None:
        return TeacherReading(says=says)
    parameters = teacher.parameters() or 0.0
    width = 2 if teacher.dtype == "bfloat16" else 4
    return TeacherReading(tokens, parameters, shape_of(teacher), says, parameters * width)
