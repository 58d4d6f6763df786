"""How rows are judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.ordered_processes import spare_cores
from alpaca_pipe.curate.config import CurateConfig, Duplicates, Engine
from alpaca_pipe.curate.contamination import as_filter, overlap
from alpaca_pipe.curate.filter_config import ActiveFilter
from alpaca_pipe.curate.review.decisions import Decisions
from alpaca_pipe.curate.review.overrides import IncomingRow, coming
from alpaca_pipe.data.arrow import StoredRows
from alpaca_pipe.similarity.words import Words

_PROCESSES_FROM = 10_000  # rows: below, one is done before a second one has begun


@dataclass(frozen=True)
class CurationRules:
    """How rows are judged: the filters in their order, whether rows are repaired, and what counts as a duplicate."""

    filters: Sequence[ActiveFilter]
    repair: bool
    likeness: Decimal
    words: Words
    duplicates: Duplicates = field(default_factory=Duplicates)
    engine: Engine = "local"
    decisions: Decisions = field(default_factory=Decisions)

    @staticmethod
    def of(table: CurateConfig) -> CurationRules:
        """As a recipe wants it. Reads the evaluation sets, where it names any."""
        filters = table.filters.active()
        if table.contamination:
            filters = (*filters, as_filter(overlap(table.contamination)))
        return CurationRules(
            filters,
            table.repair,
            table.likeness,
            table.words,
            table.duplicates,
            table.engine,
            table.decisions,
        )

    def coming(self, rows: Iterable[Example]) -> Iterator[IncomingRow]:
        """The rows as they are judged."""
        return coming(rows, self.repair, self.decisions)

    def processes(self, rows: Iterable[Example]) -> int:
        """How many judge them. What a person decided may hang together from row to row, and is followed in one."""
        many = isinstance(rows, StoredRows) and len(rows) >= _PROCESSES_FROM
        return spare_cores() if many and not self.decisions else 1
