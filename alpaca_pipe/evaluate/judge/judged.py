"""The judge opened, metered and capped as the generator is, asked about all pairs, and what it said written down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from alpaca_pipe.core import own_loop
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.evaluate.judge.judge_config import Judging
from alpaca_pipe.evaluate.judge.judge_words import judge_lines
from alpaca_pipe.evaluate.judge.judging_loop import AnswerPair, Opinion, judge_all
from alpaca_pipe.evaluate.judge.rating_page import read_ratings
from alpaca_pipe.evaluate.judge.win_rates import grade_summary, pair_summary
from alpaca_pipe.teachers.factory import connect


class _Progress(Protocol):
    def start(self, total: int, unit: str, done: int = 0) -> None: ...
    def at(self, done: int, note: str = "") -> None: ...
    def say(self, sentence: str) -> None: ...


class JudgeBench(Protocol):
    """What of a stage's bench the judge has a use for."""

    @property
    def folder(self) -> Path: ...
    @property
    def seed(self) -> int: ...
    @property
    def progress(self) -> _Progress: ...
    def asking(self, stage: str, log: str) -> dict[str, Any]: ...


def judged(how: Judging, pairs: Sequence[AnswerPair], bench: JudgeBench) -> dict[str, Any]:
    """Writes judgements.jsonl: every reply that was read or not, with its request. Answers `judge`, and `people` where there
    are ratings. Raises what asking raises (the cap, a judge that is down): every reply that came is stored by then."""
    people = read_ratings(how.ratings, pairs, bench.seed) if how.ratings else []
    found = own_loop.run(_asked(how, pairs, bench))
    write_jsonl(bench.folder / "judgements.jsonl", (one.to_row() for one in found))
    summary = (
        pair_summary(pairs, found, bench.seed)
        if how.mode == "pairs"
        else grade_summary(found, bench.seed)
    )
    told = {"mode": how.mode, "against": how.against, "judge": how.teacher.called, **summary}
    for line in judge_lines(told):
        bench.progress.say(f"judge: {line}")
    asked = list(dict.fromkeys(one.pair for one in people))
    return {"judge": told} | ({"people": pair_summary(asked, people, bench.seed)} if people else {})


async def _asked(how: Judging, pairs: Sequence[AnswerPair], bench: JudgeBench) -> list[Opinion]:
    requests = 2 * sum(how.mode == "grades" or not pair.same for pair in pairs)
    if not requests:
        return []
    bench.progress.start(requests, "judgements")
    async with connect(how.check(), **bench.asking("evaluate", "judge.log")) as teacher:
        return await judge_all(pairs, teacher, how, bench.progress.at)
