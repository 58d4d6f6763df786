"""What this workspace knows of the same prompts: earlier runs to learn from, and replies that need not be bought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import digest_of, file_digest, read_json, read_jsonl_so_far
from alpaca_pipe.data.own_files import done_of
from alpaca_pipe.generate.config import VERSION, GenerateConfig
from alpaca_pipe.generate.replay.identity import asking, judged_alike
from alpaca_pipe.generate.round_stats import RoundStats
from alpaca_pipe.teachers.config import TeacherTable

ROUNDS = "rounds.jsonl"  # a line for each round of a step, written as the rounds end
_RUNS = 5  # the latest ones say enough


@dataclass(frozen=True)
class Past:
    """others: rounds of runs with the same prompts and another seed, round size or step.  same: rounds of the very seats that
    this run asks, as far as their replies are stored; kept: their rows are this run's too (the same filters).
    words: whose they are, as `211 requests of the run of 2026-11-21`; "" where nothing is known."""

    others: tuple[RoundStats, ...] = ()
    same: tuple[RoundStats, ...] = ()
    kept: bool = True
    words: str = ""


def past_of(
    config: GenerateConfig, teacher: TeacherTable, seed: int, store: Path, ledger: Path
) -> Past:
    """What a workspace knows of the prompts that this table asks of this teacher."""
    whom = teacher.identity()
    return past(store, ledger, VERSION, config.identity(), whom, seed, teacher.concurrency)


@dataclass(frozen=True)
class _Found:
    """One step that asked the same prompts."""

    rounds: tuple[RoundStats, ...]
    keys: tuple[str, ...]  # of the last request of each round
    config: Mapping[str, Any]
    seed: Any
    day: str

    @property
    def requests(self) -> int:
        return sum(one.requests for one in self.rounds)


def past(
    store: Path,
    ledger: Path,
    version: int,
    config: Mapping[str, Any],
    teacher: Mapping[str, Any],
    seed: int,
    lanes: int,
) -> Past:
    """Looks through a store for steps that asked what `config` asks of the same teacher. config, teacher: identities.
    Pace is remembered where as many requests were under way at once (`lanes`)."""
    wanted = digest_of([version, asking(config), dict(teacher)])
    found = [
        step
        for folder in store.glob("generate-*")
        if (step := _step(folder, wanted, lanes)) is not None
    ]
    same: _Found | None = None
    others: dict[str, _Found] = {}
    for step in found:
        if step.seed == seed and step.config.get("round_size") == config["round_size"]:
            if same is None or (judged_alike(step.config, config), step.requests) > (
                judged_alike(same.config, config),
                same.requests,
            ):
                same = step
        else:  # steps that share their seats share their replies: the longest tells all
            place = digest_of([step.seed, step.config.get("round_size")])
            if place not in others or others[place].requests < step.requests:
                others[place] = step
    latest = sorted(others.values(), key=lambda step: step.day)[-_RUNS:]
    stored = same.rounds[: _stored(ledger, same.keys)] if same else ()
    known = [*latest, *([replace(same, rounds=stored)] if same and stored else [])]
    return Past(
        tuple(one for step in latest for one in _as_seen(step, config)),
        stored,
        same is not None and judged_alike(same.config, config),
        _words(known),
    )


def _step(folder: Path, wanted: str, lanes: int) -> _Found | None:
    try:
        identity = read_json(folder / "stage.json")
        config = identity["config"]
        if digest_of([identity["version"], asking(config), identity["uses"]["teacher"]]) != wanted:
            return None
        sealed = (done_of(folder) or {}).get("files", {}).get(ROUNDS)
        if sealed and file_digest(folder / ROUNDS) != sealed["sha256"]:
            return None
        rows = list(read_jsonl_so_far(folder / ROUNDS))
        rounds = [RoundStats.from_row(row) for row in rows]
        day = (folder / ROUNDS).stat().st_mtime
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # damaged, or of an older version: it teaches nothing
    try:
        timed = read_json(folder / "done.json")["summary"]["timed"]
        if timed["lanes"] == lanes:
            rounds[0] = replace(rounds[0], timed=timed["requests"], seconds=timed["seconds"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        pass
    from datetime import UTC, datetime

    return (
        _Found(
            tuple(rounds),
            tuple(row.get("key", "") for row in rows),
            config,
            identity["uses"].get("seed"),
            datetime.fromtimestamp(day, UTC).date().isoformat(),
        )
        if rounds
        else None
    )


def _as_seen(step: _Found, config: Mapping[str, Any]) -> Sequence[RoundStats]:
    """Its rounds; under other filters without their verdicts."""
    if judged_alike(step.config, config):
        return step.rounds
    return [replace(one, pieces=0, near=0, new=0, accepted=0) for one in step.rounds]


def _stored(ledger: Path, keys: Sequence[str]) -> int:
    """How many of the first rounds have their replies in the ledger, by the last key of each."""
    if not keys:
        return 0
    import sqlite3
    from contextlib import closing

    from alpaca_pipe.ledger.store import connection

    try:
        with closing(connection.read_only(ledger)) as db:
            for number, key in enumerate(keys):
                if db.execute("SELECT 1 FROM replies WHERE key = ?", (key,)).fetchone() is None:
                    return number
    except (UserError, sqlite3.Error):
        return 0
    return len(keys)


def _words(steps: Sequence[_Found]) -> str:
    if not steps:
        return ""
    requests, day = sum(step.requests for step in steps), max(step.day for step in steps)
    runs = f"the run of {day}" if len(steps) == 1 else f"{len(steps)} runs, the last of {day}"
    return f"{requests:,} requests of {runs}"
