"""Whether a teacher's end is past or near, by the price book and the user's file: known without asking anybody."""

from __future__ import annotations

from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import canonical
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.pricing.end_of_life import PastItsEnd
from alpaca_pipe.teachers.config import TeacherTable


def refuse_past_its_end(table: TeacherTable, ledger: Path | None = None) -> None:
    """Raises PastItsEnd where nothing new can be asked of it any more, unless a ledger holds replies of it: they may be all
    that is wanted, and `Living` refuses what is not there."""
    day, ending = today(), table.ending()
    if ending and ending.past(day) and not (ledger and _has_answered(ledger, table)):
        raise PastItsEnd(ending, day, table.mode)


def _has_answered(ledger: Path, table: TeacherTable) -> bool:
    if not ledger.exists():
        return False
    import sqlite3
    from contextlib import closing

    from alpaca_pipe.ledger.store import connection

    asked = "SELECT 1 FROM replies WHERE teacher = ? LIMIT 1"
    try:
        with closing(connection.read_only(ledger)) as db:
            return db.execute(asked, (canonical(table.identity()),)).fetchone() is not None
    except (UserError, sqlite3.Error):
        return False  # of another version: no run has written there yet


def warning(table: TeacherTable) -> str:
    """That it will end within two months, and what to take then; "" where that is not so."""
    day, ending = today(), table.ending()
    if ending is None or ending.past(day) or not ending.near(day):
        return ""
    return f"{ending.sentence(day)}; {ending.cure(day, table.mode)}"
