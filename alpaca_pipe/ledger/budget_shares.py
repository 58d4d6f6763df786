"""Shares: a part of a recipe's budget that another machine may spend, so that no two machines spend the same dollar.

Here a share is lent: an entry that counts against every cap like a reservation, and that no time and no recovery ends.
There it is received: a cap on all that the recipe spends from then on, beside its own. It is closed there when the results
are packed, and ends here when they are unpacked, in the transaction that brings what was spent there into these books: so
at every moment what both machines have spent and may still spend is at most what the caps allow. Who gives a share up says
what it cost, or it counts as lost at its ceiling: the other machine may have spent it all.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import canonical, file_digest
from alpaca_pipe.ledger.budget import Cap, Caps
from alpaca_pipe.ledger.entries import Attempt, Class
from alpaca_pipe.ledger.money import NANO, shown
from alpaca_pipe.ledger.store import connection
from alpaca_pipe.ledger.store.journal import enter, now, totals_of

Event = Literal["lent", "packed", "returned", "given up", "received", "closed"]
CLASSES: tuple[Class, ...] = ("gpu", "api")
ENDED = {"returned", "given up"}  # events that end one that was lent
SHARE_MARK = "share-"


@dataclass(frozen=True)
class BudgetShare:
    """gpu, api: nano-dollars that the other machine may spend on machine time and on requests; None: no cap holds here, so
    none holds there. home: the ledger that lent it. file: the pack that carries it."""

    id: str
    recipe: str
    home: str
    gpu: int | None
    api: int | None
    file: str = ""

    @property
    def amount(self) -> int:
        return (self.gpu or 0) + (self.api or 0)

    @property
    def lends_nothing(self) -> bool:
        return (self.gpu, self.api) == (0, 0)

    def says(self) -> str:
        if self.gpu is None and self.api is None:
            return "no budget holds, so none is shared"
        parts = [
            f"{'no cap' if cap is None else shown(cap)} {what}"
            for cap, what in ((self.gpu, "for the machine"), (self.api, "for requests"))
            if cap != 0
        ]
        return " and ".join(parts) or "$0"

    def caps(self) -> Caps:
        total = None if self.gpu is None or self.api is None else self.gpu + self.api
        return Caps(total, self.api, self.gpu)


def is_share(request: str) -> bool:
    """Whether an entry is of a share, and no attempt at anything."""
    return request.startswith(SHARE_MARK)


# ---- where it is lent


def lend(
    db: sqlite3.Connection,
    caps: Caps,
    recipe: str,
    machine: str,
    *,
    gpu: int | None,
    api: int | None,
    stage: str,
    file: str,
) -> BudgetShare:
    """Reserves a share below every cap; gpu None is all that is left for the machine, api None is nothing for requests.
    Raises UserError where it does not fit."""
    over = {cap.key: cap for class_ in CLASSES for cap in caps.over(class_)}
    api = api or 0
    for_gpu = [cap for cap in over.values() if cap.class_ in (None, "gpu")]
    if gpu is None and for_gpu:
        gpu, tightest = min(
            ((_left(db, cap, recipe) - (api if cap.class_ is None else 0), cap) for cap in for_gpu),
            key=lambda pair: pair[0],
        )
        if gpu <= 0:
            raise _nothing_left(db, tightest, recipe)
    for cap in over.values():
        wanted = {"gpu": gpu, "api": api, None: (gpu or 0) + api}[cap.class_]  # type: ignore[index]
        if (wanted or 0) > (left := max(0, _left(db, cap, recipe))):
            raise UserError(
                f"a share of {shown(wanted or 0)} does not fit: {shown(left)} is left of {cap.key} "
                f"({shown(cap.nanodollars)}){_already_lent(db, cap, recipe)}",
                f"share at most {shown(left)}, or raise {cap.key}",
            )
    share = BudgetShare(f"{SHARE_MARK}{secrets.token_hex(8)}", recipe, machine, gpu, api, file)
    for class_, amount in ((class_, getattr(share, class_)) for class_ in CLASSES):
        if amount:
            enter(
                db,
                _attempt(share, class_, stage, amount),
                "lent",
                amount,
                class_=class_,
                note=f"lent with {file}",
            )
    _note(db, share, "lent", asdict(share) | {"stage": stage})
    return share


def note_packed(
    db: sqlite3.Connection,
    share: BudgetShare,
    steps: Mapping[str, str],
    overrides: Sequence[str] = (),
) -> None:
    """Its file is whole. steps: kind -> folder, of those that went along.  overrides: set on the command line that packed."""
    _note(db, share, "packed", {"steps": dict(steps), "overrides": list(overrides)})


def take_back(db: sqlite3.Connection, share: BudgetShare) -> None:
    """Its pack was never finished, so nobody has it."""
    _end(db, share, "released", "its pack was never finished")
    _note(db, share, "returned", {"by": ""})


def come_back(db: sqlite3.Connection, share: BudgetShare, by: str) -> bool:
    """The results are here, and with them what was spent: the share ends. by: the ledger that spent it. Answers False where
    it had come back before."""
    if "returned" in _events(db, share.id):
        return False
    _end(db, share, "released", "its results came back")
    _undo_giving_up(db, share)
    _note(db, share, "returned", {"by": by})
    return True


def give_up(db: sqlite3.Connection, share: BudgetShare, spent: int | None) -> None:
    """Nothing will come back. spent: what was spent there, in nano-dollars; None: nobody knows, so all of it is lost."""
    events = _events(db, share.id)
    if "returned" in events or "given up" in events:
        how = "came back" if "returned" in events else "was given up"
        raise UserError(
            f"{share.id} {how} already", "see `alpaca-pipe ledger`: it lists what is lent"
        )
    if spent is not None and None not in (share.gpu, share.api) and spent > share.amount:
        raise UserError(
            f"a share of {shown(share.amount)} cannot have cost {shown(spent)}: its caps held there too",
            f"say at most --spent {share.amount / NANO:g}; what was paid besides is entered with `alpaca-pipe ledger enter`",
        )
    _end(db, share, "lost", "given up")
    if spent is not None:
        first = True
        for class_ in CLASSES:
            attempt = _held(db, share, class_)
            if attempt and "lost" in _kinds(db, attempt):
                enter(
                    db,
                    attempt,
                    "reconciled",
                    spent if first else 0,
                    class_=class_,
                    note="given up: as was told",
                )
                first = False
        if first and spent:  # a share without a cap has no entry yet
            enter(
                db,
                _attempt(share, "gpu", "", 0),
                "settled",
                spent,
                class_="gpu",
                note="given up: as was told",
            )
    _note(db, share, "given up", {"spent": spent})


def lent_shares(
    db: sqlite3.Connection, recipe: str | None = None
) -> Iterator[tuple[BudgetShare, dict[str, Any]]]:
    """All shares that this ledger has lent, oldest first, each with its later events."""
    rows = db.execute(
        "SELECT share, detail FROM shares WHERE event = 'lent' AND (?1 IS NULL OR recipe = ?1) ORDER BY id",
        (recipe,),
    ).fetchall()
    for id_, detail in rows:
        facts = json.loads(detail)
        yield (
            BudgetShare(**{name: facts[name] for name in BudgetShare.__dataclass_fields__}),
            _events(db, id_),
        )


def out(db: sqlite3.Connection, recipe: str | None = None) -> list[BudgetShare]:
    """The shares that have neither come back nor been given up."""
    return [share for share, events in lent_shares(db, recipe) if not ENDED & set(events)]


# ---- where it is received


def receive(db: sqlite3.Connection, share: BudgetShare, facts: Mapping[str, Any]) -> bool:
    """From now on the share caps what the recipe spends here; a second time changes nothing. Raises UserError as
    `may_receive` does. facts: of the pack, for later."""
    may_receive(db, share)
    if "received" in _events(db, share.id):
        return False
    (last,) = db.execute("SELECT COALESCE(MAX(id), 0) FROM entries").fetchone()
    _note(
        db,
        share,
        "received",
        {**asdict(share), **facts, "after": last, "drawn": secrets.token_hex(3)},
    )
    return True


def may_receive(db: sqlite3.Connection, share: BudgetShare) -> None:
    """Raises UserError where the share was lent, where it is used up, and where the recipe is another one."""
    if "lent" in _events(db, share.id):
        raise UserError(
            f"this pack of '{share.recipe}' was made in this workspace",
            "unpack it on the other machine, or in another workspace with --runs",
        )
    if "closed" in _events(db, share.id):
        raise UserError(
            f"this pack of '{share.recipe}' was unpacked here before, and its share went back with the results",
            "pack a new one where it came from",
        )
    earlier = received(db, share.recipe)
    if earlier and earlier[-1]["home"] != share.home:
        raise UserError(
            f"this workspace works on a '{share.recipe}' that came from another place",
            "unpack into another workspace with --runs",
        )
    if not earlier and (held := totals_of(db, recipe=share.recipe)).spent + held.open:
        raise UserError(
            f"this workspace has runs of its own of a recipe called '{share.recipe}' "
            f"({shown(held.spent + held.open)})",
            "unpack into another workspace with --runs",
        )


def received(db: sqlite3.Connection, recipe: str) -> list[dict[str, Any]]:
    """What is noted of each share that came here, oldest first; `closed`: whether it went back."""
    rows = db.execute(
        "SELECT share, detail FROM shares WHERE event = 'received' AND recipe = ? ORDER BY id",
        (recipe,),
    )
    return [
        json.loads(detail) | {"closed": "closed" in _events(db, id_)}
        for id_, detail in rows.fetchall()
    ]


def share_of(facts: Mapping[str, Any]) -> BudgetShare:
    return BudgetShare(**{name: facts[name] for name in BudgetShare.__dataclass_fields__})


def close(db: sqlite3.Connection, recipe: str) -> list[BudgetShare]:
    """Nothing more is spent under the recipe's shares here; answers all of them."""
    found = received(db, recipe)
    for facts in found:
        if not facts["closed"]:
            _note(db, share_of(facts), "closed", {})
    return [share_of(facts) for facts in found]


def caps_of(ledger: Path, recipe: str, files: Iterable[Path] = ()) -> Caps | None:
    """The caps that shares lay on a recipe in this workspace; None where it was not unpacked here. files: those that it was
    read from. UserError where one of them came under another name: what is spent under this one would be in no results."""
    if not ledger.exists():
        return None
    came: dict[str, str] = {}
    try:
        with (
            suppress(UserError),
            closing(connection.read_only(ledger)) as db,
        ):  # of another version: no run has written there yet
            if caps := share_caps(db, recipe):
                return caps
            came = {
                digest: name
                for name, facts in _all_received(db)
                for digest in facts["files"].values()
            }
    except sqlite3.Error as error:
        raise connection.explained(error, ledger) from error
    for file in files if came else ():
        if name := came.get(file_digest(file)):
            raise UserError(
                f"{file} came in a pack as '{name}', and its share holds for no other name",
                f"run it as '{name}', or copy what you need of it into a recipe of your own",
            )
    return None


def _all_received(db: sqlite3.Connection) -> Iterator[tuple[str, dict[str, Any]]]:
    for recipe, detail in db.execute(
        "SELECT recipe, detail FROM shares WHERE event = 'received' ORDER BY id"
    ).fetchall():
        yield recipe, json.loads(detail)


def share_caps(db: sqlite3.Connection, recipe: str) -> Caps | None:
    """As sums over all that the recipe has ever spent here: what was spent before the open shares came, and what they add.
    Where all are closed, not a cent more than there is."""
    found = received(db, recipe)
    if not found:
        return None
    opened = [facts for facts in found if not facts["closed"]]
    before = _spent_before(db, recipe, opened[0]["after"] if opened else None)

    def cap(class_: Class) -> int | None:
        parts = [facts[class_] for facts in opened]
        return None if None in parts else before.get(class_, 0) + sum(parts)

    api, gpu = cap("api"), cap("gpu")
    if api is None or gpu is None:
        return Caps(None, api, gpu)
    rest = sum(amount for class_, amount in before.items() if class_ not in CLASSES)
    return Caps(api + gpu + rest, api, gpu)


def _spent_before(db: sqlite3.Connection, recipe: str, entry: int | None) -> dict[str, int]:
    """By class, what attempts that began up to an entry hold today: their reconciliations are theirs, however late."""
    return dict(
        db.execute(
            """SELECT class, SUM(nanodollars - frees) FROM entries AS e WHERE recipe = ?1 AND (?2 IS NULL OR (
           SELECT MIN(id) FROM entries WHERE request = e.request AND attempt = e.attempt AND machine = e.machine) <= ?2)
           GROUP BY class""",
            (recipe, entry),
        ).fetchall()
    )


# ---- what both share


def _left(db: sqlite3.Connection, cap: Cap, recipe: str) -> int:
    held = totals_of(db, recipe=None if cap.everywhere else recipe, class_=cap.class_)
    return cap.nanodollars - held.spent - held.open


def _already_lent(db: sqlite3.Connection, cap: Cap, recipe: str) -> str:
    lent = totals_of(db, recipe=None if cap.everywhere else recipe, class_=cap.class_).lent
    return f", {shown(lent)} is lent already" if lent else ""


def _nothing_left(db: sqlite3.Connection, cap: Cap, recipe: str) -> UserError:
    return UserError(
        f"nothing is left of {cap.key} ({shown(cap.nanodollars)}) to share{_already_lent(db, cap, recipe)}",
        f"raise {cap.key}, or use --share 0 for a machine that costs nothing",
    )


def _attempt(share: BudgetShare, class_: Class, stage: str, amount: int) -> Attempt:
    return Attempt(share.home, share.recipe, share.id, stage, f"{share.id}-{class_}", 1, amount, "")


def _held(db: sqlite3.Connection, share: BudgetShare, class_: Class) -> Attempt | None:
    """The entry of a share as an attempt that can end."""
    row = db.execute(
        "SELECT stage, nanodollars FROM entries WHERE request = ? AND kind = 'lent' AND machine = ?",
        (f"{share.id}-{class_}", share.home),
    ).fetchone()
    return _attempt(share, class_, *row) if row else None


def _kinds(db: sqlite3.Connection, attempt: Attempt) -> dict[str, int]:
    return dict(
        db.execute(
            "SELECT kind, nanodollars FROM entries WHERE request = ? AND machine = ?",
            (attempt.request, attempt.machine),
        ).fetchall()
    )


def _end(
    db: sqlite3.Connection, share: BudgetShare, kind: Literal["released", "lost"], note: str
) -> None:
    for class_ in CLASSES:
        attempt = _held(db, share, class_)
        if attempt and not {"released", "lost"} & set(_kinds(db, attempt)):
            enter(
                db,
                attempt,
                kind,
                attempt.ceiling if kind == "lost" else 0,
                class_=class_,
                note=note,
            )


def _undo_giving_up(db: sqlite3.Connection, share: BudgetShare) -> None:
    """It was given up, and its results came all the same: what was lost, or told, gives way to what is known now."""
    for class_ in CLASSES:
        attempt = _held(db, share, class_) or _attempt(share, class_, "", 0)
        kinds = _kinds(db, attempt)
        if "lost" in kinds and "reconciled" not in kinds:
            enter(
                db,
                Attempt(**{**asdict(attempt), "ceiling": kinds["lost"]}),
                "reconciled",
                0,
                class_=class_,
                note="its results came back",
            )
        elif told := kinds.get("reconciled", 0) or kinds.get("settled", 0):
            enter(db, attempt, "correction", -told, class_=class_, note="its results came back")


def _events(db: sqlite3.Connection, id_: str) -> dict[str, Any]:
    return {
        event: json.loads(detail) | {"at": at}
        for event, detail, at in db.execute(
            "SELECT event, detail, at FROM shares WHERE share = ? ORDER BY id", (id_,)
        ).fetchall()
    }


def _note(
    db: sqlite3.Connection, share: BudgetShare, event: Event, detail: Mapping[str, Any]
) -> None:
    db.execute(
        "INSERT INTO shares VALUES (NULL, ?, ?, ?, ?, ?)",
        (now(), share.id, event, share.recipe, canonical(dict(detail))),
    )
