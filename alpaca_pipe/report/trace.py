"""The whole way of one example: seeds, prompt, reply, piece, verdicts, loss, cents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.screen import echo_json, new_console
from alpaca_pipe.curate.review.decisions import Decisions, read_decisions
from alpaca_pipe.curate.review.terminal import told
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.pricing.token_prices import CLASSES
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.report.message_texts import texts_by_name
from alpaca_pipe.report.rows import DROPPED
from alpaca_pipe.report.run_files import RunFiles, StageFiles, left, recipes


@dataclass(frozen=True)
class Passage:
    """One part of the way; a line may hold several lines of text."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Trace:
    id: str
    recipe: str
    passages: tuple[Passage, ...]


def trace(workspace: Path, id: str) -> list[Trace]:
    """The way of an example, by its id or a beginning that only it has; one entry for each recipe that holds it.

    Looks at the last run of every recipe in the workspace. Raises UserError for an unknown or ambiguous id.
    """
    runs = [left(workspace, name) for name in recipes(workspace)]
    known = _known(runs, id)
    if not known:
        raise UserError(f"no example '{id}' in {workspace}", _where_else(workspace, runs, id))
    if len(known) > 1:
        raise UserError(
            f"'{id}' begins {len(known)} ids: {', '.join(sorted(known)[:3])} ...",
            "write more of it",
        )
    whole = known.pop()
    return [
        Trace(whole, found.recipe, tuple(passages))
        for found in runs
        if (passages := _way(found, whole))
    ]


def _known(runs: Sequence[RunFiles], id: str) -> set[str]:
    """The ids that begin so; only the id itself, where it is one. Seeds have ids too: a row's nearest may be one."""
    if not id:
        return set()
    every = (row["id"] for found in runs for _, row in (*_rows(found), *_seeds(found)))
    known = {one for one in every if one.startswith(id)}
    return {id} if id in known else known


def _where_else(workspace: Path, runs: Sequence[RunFiles], id: str) -> str:
    """What to do about an id that is not here: it may be a rehearsal's."""
    rehearsal = workspace / "rehearsal"
    rehearsed = [left(rehearsal, name) for name in recipes(rehearsal)] if rehearsal.is_dir() else []
    if _known(rehearsed, id):
        return f"it is a row of a rehearsal: alpaca-pipe trace {id} --rehearse"
    names = ", ".join(found.recipe for found in runs)
    if not names and rehearsed:
        return "only rehearsals were run here: look at one with --rehearse"
    return (
        "list them with `alpaca-pipe rows RECIPE` "
        f"{f'(recipes here: {names})' if names else '(nothing was run here yet)'}"
    )


def _way(found: RunFiles, id: str) -> list[Passage]:
    """Of a row, or of a seed that is no row; empty where the recipe has neither."""
    if any(row["id"] == id for _, row in _rows(found)):
        return list(_passages(found, id))
    return next((list(_of_seed(found, row)) for _, row in _seeds(found) if row["id"] == id), [])


def _seeds(found: RunFiles) -> Iterator[tuple[str, Any]]:
    rows = found.step("generate").rows("seeds.jsonl")
    return (("generate/seeds.jsonl", row) for row in rows if row.get("id"))


def _of_seed(found: RunFiles, row: Mapping[str, Any]) -> Iterator[Passage]:
    """Where it is from, what it was shown for, and which rows are near it."""
    origin, id = row["origin"], row["id"]
    yield Passage("example", tuple(f"{name}: {text}" for name, text in texts_by_name(row)))
    yield Passage("origin", (f"{origin['kind']} from {origin['source']}",))
    made = list(found.step("generate").rows("examples.jsonl"))
    shown = sum(id in one["origin"].get("parents", ()) for one in made)
    near = sum(one["origin"].get("details", {}).get("nearest") == id for one in made)
    dropped = sum(one.get("nearest") == id for one in found.step("generate").rows("rejected.jsonl"))
    yield Passage(
        "used",
        (
            f"shown in the prompts of {shown} accepted rows",
            f"the nearest known one of {near} accepted rows and of {dropped} that were dropped",
        ),
    )
    yield Passage("money", ("a seed is given, not bought: it cost $0",))


def print_trace(workspace: Path, id: str, as_json: bool = False) -> None:
    """The same, for a terminal or for programs."""
    from rich.text import Text

    if as_json:
        echo_json([asdict(found) for found in trace(workspace, id)])
        return
    console = new_console(soft_wrap=True)
    for found in trace(workspace, id):
        console.print(Text.assemble((found.id, "bold"), f"  in {found.recipe}"))
        for passage in found.passages:
            console.print(Text.assemble("\n", (passage.title, "bold")))
            for line in passage.lines:
                console.print(Text("\n".join(f"  {part}" for part in line.splitlines() or [""])))


def _rows(found: RunFiles) -> Iterator[tuple[str, Any]]:
    """(file, row) of every row with an id that generate and curate left, in the order of the road."""
    for kind in ("generate", "curate"):
        for name in ("examples.jsonl", "rejected.jsonl"):
            yield from (
                (f"{kind}/{name}", row) for row in found.step(kind).rows(name) if row.get("id")
            )


def _passages(found: RunFiles, id: str) -> Iterator[Passage]:
    at = {file: row for file, row in _rows(found) if row["id"] == id}
    row = next(iter(at.values()))
    origin = row["origin"]
    before = _before(found, row)
    source = before["origin"] if before else origin
    yield Passage(
        "example",
        tuple(f"{name}: {text}" for name, text in texts_by_name(row)),
    )
    if source["kind"] == "generated":
        yield from _asked(found, source)
    else:
        yield Passage("origin", (f"{source['kind']} from {source['source']}",))
    yield Passage("novelty", tuple(_novelty(at, before)))
    if before:
        was, now = dict(texts_by_name(before)), dict(texts_by_name(row))
        changed = [name for name in was | now if was.get(name, "") != now.get(name, "")]
        yield Passage(
            "repair",
            (
                *(
                    f"{origin['details']['repair']}: its {name} was {was.get(name, '')!r}"
                    for name in changed
                ),
                f"before it, this row was {before['id']}",
            ),
        )
    if by_hand := tuple(_by_hand(found, id, before)):
        yield Passage("manual decision", by_hand)
    if found.step("curate").folder:
        yield Passage("curate", (_judgement(found.step("curate"), at, id), *_too_long(found, id)))
    if losses := _losses(found.step("evaluate"), id):
        yield Passage("loss on it, nats per token", losses)
    if source["kind"] == "generated":
        yield Passage("money", tuple(line for key in _keys(source) for line in _money(found, key)))


def _before(found: RunFiles, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The row as it was before curate repaired it."""
    if not row["origin"].get("details", {}).get("repair"):
        return None
    return next(
        (
            pair["before"]
            for pair in found.step("curate").rows("repaired.jsonl")
            if pair["after"]["id"] == row["id"]
        ),
        None,
    )


def _asked(found: RunFiles, origin: Mapping[str, Any]) -> Iterator[Passage]:
    """The shown seeds, the prompt, the raw reply and which piece of it this is, as far as they are here."""
    seeds = {
        row["id"]: row["instruction"]
        for row in found.step("generate").rows("seeds.jsonl")
        if row.get("id")
    }
    if shown_ids := origin.get("parents"):
        yield Passage(
            "seeds shown", tuple(f"{name}  {seeds.get(name, '')}".rstrip() for name in shown_ids)
        )
    for key in _keys(origin):
        yield from _request(key, _reply(found, key))
    details = origin.get("details", {})
    told = [f"{name}: {value}" for name, value in details.items() if name not in _TOLD_ELSEWHERE]
    if details.get("teacher") and (terms := found.step("generate").summary.get("terms")):
        told.append(f"terms: {terms}")
    yield Passage("piece", tuple(told) or ("the whole reply",))


def _keys(origin: Mapping[str, Any]) -> tuple[str, ...]:
    """The requests that the row took, in their order; the last one wrote its output."""
    return (*origin.get("details", {}).get("asked_before", ()), origin["source"])


def _request(key: str, reply: Mapping[str, Any] | None) -> Iterator[Passage]:
    if reply is None:
        yield Passage(f"request {key}", ("the ledger of this copy does not hold its reply",))
        return
    asked = reply["request"]
    yield Passage(
        f"request {key}",
        tuple(f"{role}: {content}" for role, content in asked["messages"])
        + (f"decoding {asked['decoding']}, draw {asked['sample']}",),
    )
    said = f", served as {reply['model_said']}" if reply["model_said"] else ""
    tokens = ", ".join(f"{name} {count}" for name, count in reply["usage"].items() if count)
    yield Passage(
        "raw reply",
        (reply["text"], f"finish {reply['finish']}, {reply['at']}{said}", f"tokens {tokens}"),
    )


_NOVELTY = ("nearest", "score")
_TOLD_ELSEWHERE = (*_NOVELTY, "repair", "asked_before")


def _novelty(at: Mapping[str, Any], before: Mapping[str, Any] | None) -> Iterator[str]:
    dropped = at.get("generate/rejected.jsonl")
    if not dropped or "generate/examples.jsonl" in at:
        details = (before or next(iter(at.values())))["origin"].get("details", {})
        near = ", ".join(f"{name} {details[name]}" for name in _NOVELTY if name in details)
        yield near or "nothing is recorded about its nearest neighbour"
    if dropped:
        again = "told again, and then " if "generate/examples.jsonl" in at else ""
        near = f", nearest {dropped['nearest']}" if dropped.get("nearest") else ""
        yield f"{again}dropped by generate, {dropped['rule']}: {dropped['reason']}{near}"


def _by_hand(found: RunFiles, id: str, before: Mapping[str, Any] | None) -> Iterator[str]:
    """What a person said about the row, about what it was before, and about what it became; and what that overruled."""
    decisions = _decisions(found)
    yield from dict.fromkeys(
        line for name in (before["id"] if before else id, id) for line in told(decisions, name)
    )
    for row in found.step("curate").rows("by_hand.jsonl"):
        if row["id"] == id and row.get("rule"):
            yield f"or else it would have been dropped, {row['rule']}: {row['reason']}"
    if id in decisions.by_id and id not in {
        row["decided"] for row in found.step("curate").rows("by_hand.jsonl")
    }:
        yield "this decision is not in the last run yet: run the recipe again"


def _decisions(found: RunFiles) -> Decisions:
    """The recipe's decisions, where their file is still where the run had it."""
    path = (found.config.get("curate") or {}).get("decisions")
    try:
        return read_decisions(Path(path)) if path else Decisions()
    except UserError:
        return Decisions()  # the next run says what is wrong with it


def _judgement(curate: StageFiles, at: Mapping[str, Any], id: str) -> str:
    if dropped := at.get("curate/rejected.jsonl"):
        near = f", nearest {dropped['nearest']}" if dropped.get("nearest") else ""
        return f"dropped, {dropped['rule']}: {dropped['reason']}{near}"
    if "curate/examples.jsonl" not in at:
        now = next(
            (pair for pair in curate.rows("repaired.jsonl") if pair["before"]["id"] == id), None
        )
        did = "edited manually" if now and now["rule"].endswith("by_hand") else "repaired"
        return f"{did}, and now {now['after']['id']}" if now else "never reached curate"
    held = any(row["id"] == id for row in curate.rows("held_out.jsonl"))
    return "kept, and held out to evaluate on" if held else "kept, to train on"


def _too_long(found: RunFiles, id: str) -> Iterator[str]:
    for kind, name in DROPPED[2:]:
        yield from (
            f"left out by {kind}, {row['rule']}: {row['reason']}"
            for row in found.step(kind).rows(name)
            if row.get("id") == id
        )


def _losses(evaluate: StageFiles, id: str) -> tuple[str, ...]:
    return tuple(
        f"{row['model']}: {row['nats'] / row['tokens']:.3f} over {row['tokens']} tokens"
        for row in evaluate.rows("losses.jsonl")
        if row["id"] == id and row["tokens"]
    )


def _reply(found: RunFiles, key: str) -> dict[str, Any] | None:
    if not found.ledger.is_file():
        return None
    with Journal.open(found.ledger, read_only=True) as journal:
        return journal.reply_row(key)


def _money(found: RunFiles, key: str) -> Iterator[str]:
    """Each attempt, the price used, and this row's share of the reply."""
    if not found.ledger.is_file():
        yield "the ledger is not in this copy"
        return
    with Journal.open(found.ledger, read_only=True) as journal:
        entries, reply = journal.entries_of(key), journal.reply_row(key)
    for entry in entries:
        note = f", {entry.note}" if entry.note else ""
        yield f"attempt {entry.attempt}: {entry.kind} {_dollars(entry.nanodollars)}, {entry.at}{note}"
    if not reply:
        return
    if price := reply["price"]:
        per = ", ".join(f"{name} ${price['per_million'][name]}" for name in CLASSES)
        yield f"price of {price['model']} per million tokens: {per} ({price['source']})"
    rows = sum(
        1 for row in found.step("generate").rows("examples.jsonl") if row["origin"]["source"] == key
    )
    if rows:
        yield (
            f"the reply cost {_dollars(reply['settled'] + reply['lost'])}; generate kept {rows} of its rows, "
            f"{_dollars(round((reply['settled'] + reply['lost']) / rows))} each"
        )


def _dollars(amount: int) -> str:
    return f"{shown(amount)} ({amount:,} nano-dollars)" if amount else "$0"
