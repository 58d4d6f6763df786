"""The choices that were kept with replies: what a teacher might have said in place of each token."""

from __future__ import annotations

from alpaca_pipe.core.token_choices import TokenChoice, unpack
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.store.migrations import has_choices


def choices_of(journal: Journal, key: str) -> tuple[TokenChoice, ...]:
    """Of the stored reply to a request; () where none were told. ValueError where they were packed by another version."""
    with journal.read() as db:
        asked = "SELECT packed FROM choices WHERE key = ?"
        row = db.execute(asked, (key,)).fetchone() if has_choices(db) else None
    return unpack(row[0]) if row else ()
