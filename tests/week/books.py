"""What a folder's ledger says, read by SQL of its own: pages, commands, hooks and notebooks are held against it."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

from alpaca_pipe.ledger.store import connection


def _count(home: Path, question: str, *values: str) -> int:
    """0 where there is no ledger yet."""
    file = home / "runs" / "ledger.sqlite"
    if not file.exists():
        return 0
    with closing(connection.read_only(file)) as db:
        return int(db.execute(question, values).fetchone()[0])


def replies(home: Path) -> int:
    """That are stored."""
    return _count(home, "SELECT COUNT(*) FROM replies")


def settled(home: Path, request: str = "", run: str = "") -> int:
    """Nano-dollars: of all requests, or of one, or of one run."""
    return _count(
        home,
        "SELECT COALESCE(SUM(nanodollars), 0) FROM entries WHERE kind = 'settled' "
        "AND (? IN ('', request)) AND (? IN ('', run))",
        request,
        run,
    )


def in_doubt(home: Path) -> int:
    """Requests that were sent and of which nobody wrote down how they ended."""
    return _count(home, "SELECT COUNT(*) FROM entries WHERE kind = 'lost'")


def in_dollars(nanodollars: int, like: str) -> str:
    """The amount as a page writes it that wrote `like`, `$0.0123` or `$1.23`: with as many places."""
    places = len(like.partition(".")[2])
    return f"${nanodollars / 1e9:.{places}f}"


def amounts(text: str) -> list[str]:
    """Of dollars, in the order of the text."""
    return re.findall(r"\$[\d,]+\.\d+", text)
