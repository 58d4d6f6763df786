"""Review in the terminal: one row at a time, one key or one line for a decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alpaca_pipe.curate.review.console import InputEnded, ReviewConsole
from alpaca_pipe.curate.review.decisions import Decision, Decisions
from alpaca_pipe.curate.review.editing import edited, fields_of, texts_of
from alpaca_pipe.curate.review.session import ReviewItem, ReviewSession

PROMPT = "[k]eep [d]rop [e]dit [n]ote [u]ndo [b]ack [s]kip [m]ore [q]uit ? > "
HELP = """k  keep: no filter drops the row, and no other row displaces it
d  drop: asks why; Enter gives no reason
e  edit: in $VISUAL or $EDITOR, or field by field where neither is set; makes a new row
n  note: words beside the row, which decide nothing
u  undo: takes back what was decided on the row
b  back (or arrow left)        s  skip (or arrow right), decides nothing
m  more: the whole of a long text
q  quit; Ctrl-C does the same, or leaves a question. Every decision is on the disk already."""
_LONG = 1500  # characters of a text before `m`
_WIDTH = 100


@dataclass(frozen=True)
class Queue:
    """What is to be looked at: the unread rows first, then those that were read. unread: how many of them."""

    items: Sequence[ReviewItem]
    unread: int

    @classmethod
    def of(cls, items: Sequence[ReviewItem], decisions: Decisions, again: bool) -> Queue:
        unread = [item for item in items if item.example.id not in decisions.read]
        read = [item for item in items if item.example.id in decisions.read] if again else []
        return cls([*unread, *read], len(unread))


def sit(queue: Queue, sitting: ReviewSession, console: ReviewConsole) -> bool:
    """Goes through the queue until its end, `q`, or the end of the input; whether the end of the queue was reached. Raises
    KeyboardInterrupt at Ctrl-C."""
    place, whole = 0, False
    try:
        while place < len(queue.items):
            item = queue.items[place]
            show(item, f"{place + 1} of {len(queue.items)}", sitting.decisions, console, whole)
            sitting.look()
            whole, step = False, 0
            while not step:
                letter, rest = console.command(PROMPT)
                sitting.look()
                if letter == "q":
                    return False
                if letter == "m":
                    whole = True
                    break
                step = _done(letter, rest, item, sitting, console)
                if step < 0 and not place:
                    console.say("this is the first row", "dim")
                    step = 0
            place += step
    except InputEnded:
        return False
    return True


def _done(
    letter: str, rest: str, item: ReviewItem, sitting: ReviewSession, console: ReviewConsole
) -> int:
    """Does what was asked for, and answers how many rows to go on: 1, -1, or 0 to stay."""
    row = item.example
    if letter == "k":
        sitting.decide(row, "keep")
        return 1
    if letter == "u":
        if row.id not in sitting.decisions.by_id:
            return _told("nothing was decided on this row", console)
        sitting.decide(row, "undo")
        return _told("taken back", console)
    if letter == "d":
        why = rest or (
            ""
            if not console.by_key
            else console.ask("why (Enter: no reason; Ctrl-C: not at all)? ")
        )
        if why is None:
            return 0
        sitting.decide(row, "drop", why=why)
        return 1
    if letter == "n":
        words = rest or console.ask("note: ")
        if not words or not words.strip():
            return _told("no note was made", console)
        sitting.decide(row, "note", why=words)
        return _told("noted; what about the row?", console)
    if letter == "e":
        held = sitting.decisions.by_id.get(row.id)
        if texts := edited(
            held.texts if held and held.verdict == "edit" else texts_of(row), console
        ):
            sitting.decide(row, "edit", texts=texts)
        return int(texts is not None)
    if letter in ("s", "b"):
        return 1 if letter == "s" else -1
    return _told(
        HELP if letter in ("?", "h", "") else f"'{letter}' is not a command\n{HELP}", console
    )


def _told(sentence: str, console: ReviewConsole) -> int:
    console.say(sentence, "dim")
    return 0


def show(
    item: ReviewItem, count: str, decisions: Decisions, console: ReviewConsole, whole: bool = False
) -> None:
    """One row, readable: its texts, where it comes from, what was done with it, its neighbour, what was decided so far."""
    from rich.rule import Rule
    from rich.table import Table
    from rich.text import Text

    screen, row = console.console, item.example
    width = min(screen.width, _WIDTH)
    screen.print()
    screen.print(Rule(Text(f"{count} · {row.id}", "bold"), style="dim", align="left"), width=width)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in fields_of(texts_of(row)).items():
        if text.strip() or name not in ("system", "input"):
            asked = name == "instruction" or name.endswith(" user")
            grid.add_row(name, Text(_clipped(text, whole), "bold" if asked else ""))
            grid.add_row("", "")
    for name, text in (
        ("origin", "\n".join(item.origin)),
        ("verdict", item.verdict),
        ("nearest", item.nearest or "not recorded"),
    ):
        grid.add_row(name, Text(text, "dim"))
    for line in told(decisions, row.id):
        grid.add_row("manual", Text(line, "yellow"))
    screen.print(grid, width=width)


def told(decisions: Decisions, id: str) -> Iterator[str]:
    """What was decided on a row so far, a line each."""
    yield from (in_words(line) for line in decisions.told(id))
    yield from (
        f"{in_words(line)}, and this is the new row"
        for line in decisions.by_id.values()
        if line.verdict == "edit" and line.to == id
    )


def in_words(line: Decision) -> str:
    """`dropped by anna, 2026-11-21 08:00: wrong dose`."""
    did = {
        "keep": "kept",
        "drop": "dropped",
        "edit": "edited",
        "note": "noted",
        "undo": "decision taken back",
    }[line.verdict]
    who = f" by {line.who}" if line.who else ""
    when = f", {line.when[:16].replace('T', ' ')}" if line.when else ""
    return f"{did}{who}{when}{f': {line.why}' if line.why else ''}"


def _clipped(text: str, whole: bool) -> str:
    if whole or len(text) <= _LONG:
        return text
    return f"{text[:_LONG]} … ({len(text) - _LONG:,} more characters: m)"
