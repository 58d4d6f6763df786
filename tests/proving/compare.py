"""Two bookkeepers side by side, attempt by attempt: our ledger against the books that the server kept.

This is the proving ground's own comparison, apart from `alpaca-pipe ledger reconcile`, and stricter: it knows each attempt.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.proving.books import reading

BY_KILL = "its run ended before the outcome was known"


@dataclass
class Life:
    """What our ledger says of one attempt."""

    reserved: int = 0
    settled: int = 0
    lost: int = 0
    reconciled: int | None = None
    corrected: int = 0
    ends: list[str] = field(default_factory=list)
    anomaly: str = ""
    note: str = ""


@dataclass
class Compared:
    """Nano-dollars on both sides, and every sentence in which they disagree."""

    ours: int = 0  # settled, reconciled and corrected
    theirs: int = 0
    attempts: Counter[str] = field(default_factory=Counter)  # by how they ended
    held: int = 0  # nano-dollars at which what is lost or open still counts
    lost: int = 0  # attempts that nobody has reconciled yet
    anomalies: int = 0
    over: int = 0  # of these, attempts that we count above what was billed: at their ceiling, for want of a usage
    disagreements: list[str] = field(default_factory=list)


def lives(ledger: Path) -> dict[str, Life]:
    """By the attempt's name."""
    found: dict[str, Life] = defaultdict(Life)
    db = sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True)
    try:
        rows = db.execute("""SELECT request || '.' || attempt || '.' || machine, kind, nanodollars, note FROM entries
                             WHERE class = 'api' ORDER BY id""").fetchall()
    finally:
        db.close()
    for name, kind, nanodollars, note in rows:
        life = found[name]
        match kind:
            case "reserved":
                life.reserved = nanodollars
            case "settled":
                life.settled += nanodollars
            case "lost":
                life.lost, life.note = nanodollars, note
            case "reconciled":
                life.reconciled = nanodollars
            case "correction":
                life.corrected += nanodollars
            case "anomaly":
                life.anomaly = note or "an anomaly"
        if kind in ("settled", "released", "lost"):
            life.ends.append(kind)
    return dict(found)


def compare(ledger: Path, books: Path) -> Compared:
    """Both sides; flush the server's books first (Proving.quiet)."""
    compared, ours = Compared(), lives(ledger)
    theirs: Counter[str] = Counter()
    with reading(books) as db:
        for name, nanodollars in db.execute(
            "SELECT name, SUM(nanodollars) FROM requests GROUP BY name"
        ):
            theirs[name] = nanodollars
    for name in theirs.keys() - ours.keys():
        compared.disagreements.append(
            f"{name or '(no name)'} reached the server and was never reserved"
        )
    for name, life in ours.items():
        billed = theirs[name]
        end = life.ends[0] if life.ends else "open"
        counted = life.settled + (life.reconciled or 0) + life.corrected
        compared.attempts["reconciled" if life.reconciled is not None else end] += 1
        compared.ours, compared.theirs = compared.ours + counted, compared.theirs + billed
        if len(life.ends) > 1:
            compared.disagreements.append(f"{name} ended more than once: {life.ends}")
        if billed > life.reserved:
            compared.disagreements.append(
                f"{name} was billed {billed}, above its ceiling of {life.reserved}"
            )
        compared.anomalies += bool(life.anomaly)
        if end == "open" or (end == "lost" and life.reconciled is None):
            compared.held, compared.lost = (
                compared.held + life.reserved,
                compared.lost + (end == "lost"),
            )
        elif life.anomaly and counted > billed:
            compared.over += 1
        elif counted != billed:
            compared.disagreements.append(
                f"{name} ({end}, {life.note or 'no note'}): we count {counted}, they billed {billed}"
            )
    return compared


def asked_after_stored(ledger: Path, books: Path) -> list[str]:
    """Requests that reached the server although their reply was stored here: at each request key, no attempt comes after
    the settled one, and no question is answered under two keys."""
    settled: dict[str, int] = {}
    keys: dict[str, set[str]] = defaultdict(set)
    wrong = []
    for name, life in lives(ledger).items():
        key, number, _ = name.split(".")
        if "settled" in life.ends:
            settled[key] = min(int(number), settled.get(key, 1 << 30))
    with reading(books) as db:
        for name, asked in db.execute("SELECT name, asked FROM requests"):
            key, number, _ = name.split(".")
            keys[asked].add(key)
            if int(number) > settled.get(key, 1 << 30):
                wrong.append(f"{name} arrived after attempt {settled[key]} was stored")
    return wrong + [
        f"the question {asked} was asked as {sorted(names)}"
        for asked, names in keys.items()
        if len(names) > 1
    ]


def held_over_time(ledger: Path, caps: list[tuple[int, int]]) -> tuple[int, list[str]]:
    """The journal in its order: the most that was ever held, and the rows at which it passed the cap in force. caps:
    (from which entry on, nano-dollars), in order."""
    db = sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True)
    try:
        rows = db.execute(
            "SELECT id, kind, nanodollars, frees FROM entries WHERE class = 'api' ORDER BY id"
        ).fetchall()
    finally:
        db.close()
    held = most = 0
    wrong, left = [], list(caps)
    cap = left.pop(0)[1]
    for id, kind, nanodollars, frees in rows:
        while left and id > left[0][0]:
            cap = left.pop(0)[1]
        held += nanodollars - frees
        most = max(most, held)
        if held > cap:
            wrong.append(f"entry {id} ({kind}): {held} nano-dollars held, the cap is {cap}")
    return most, wrong


def lost_by_kills(ledger: Path) -> dict[str, int]:
    """For each run that was killed: how many requests were in flight."""
    db = sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True)
    try:
        return dict(
            db.execute(
                "SELECT run, COUNT(*) FROM entries WHERE kind = 'lost' AND note = ? GROUP BY run",
                (BY_KILL,),
            )
        )
    finally:
        db.close()
