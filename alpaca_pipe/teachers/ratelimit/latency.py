"""Whether a server has become slow: the latency of its last replies against what is usual for it.

After the gradient limiter of Netflix's concurrency-limits (Gradient2): a short time is compared with a long one, not with
the best ever seen, which a server that batches shows only when it is idle. A long reply may take longer in proportion, so
that a run of long ones is not taken for slowness; a short one is not expected to be faster.
"""

from __future__ import annotations

from collections import deque
from statistics import median

SLOW = 2.0  # times as long as usual: Gradient2's tolerance is 1.5 for one service; replies of language models vary more
WELL = 1.5  # below this it has recovered
_USUAL_FROM = 50  # replies, before anything is usual
_LEAST = 16  # replies for a verdict
_PART, _PARTS = 60.0, 5  # usual is what the last five minutes with replies were


class LatencyMonitor:
    """Fed with every good reply; gives a verdict for each full round of them."""

    def __init__(self) -> None:
        self._parts: deque[list[float]] = deque(
            maxlen=_PARTS
        )  # [began, replies, seconds, tokens] of a minute each
        self._recent: list[float] = []

    def answered(self, seconds: float, tokens: float, now: float) -> None:
        count, spent, said = (sum(part[place] for part in self._parts) for place in (1, 2, 3))
        if count >= _USUAL_FROM and spent > 0:
            length = tokens * count / said if said else 1.0
            self._recent.append(seconds * count / (spent * max(1.0, length)))
        if not self._parts or now - self._parts[-1][0] >= _PART:
            self._parts.append([now, 0.0, 0.0, 0.0])
        part = self._parts[-1]
        part[1] += 1
        part[2] += seconds
        part[3] += tokens

    def verdict(self, round_: int) -> float | None:
        """How many times as long as usual the last round of replies took (their median); None while a round is not full."""
        if len(self._recent) < max(_LEAST, round_):
            return None
        times = median(self._recent)
        self._recent.clear()
        return times

    def forget_round(self) -> None:
        """What is under way was sent before we slowed down, and says nothing about now."""
        self._recent.clear()
