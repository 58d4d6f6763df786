"""kind: anthropic_batch"""

from __future__ import annotations

from typing import Literal

from alpaca_pipe.teachers.batching import BatchKeys
from alpaca_pipe.teachers.config import ExpectedPace, TeacherTable
from alpaca_pipe.teachers.kinds.anthropic_messages import AnthropicMessagesTable


class AnthropicBatchTable(BatchKeys, AnthropicMessagesTable):
    """Anthropic's Message Batches: answered within a day, at half the price. Use a large generate.round_size: each round waits for its batch."""

    kind: Literal["anthropic_batch"]  # type: ignore[assignment]

    @property
    def by_batch(self) -> bool:
        return True

    def online(self) -> TeacherTable:
        shared = {name: getattr(self, name) for name in AnthropicMessagesTable.model_fields}
        return AnthropicMessagesTable.model_construct(**shared | {"kind": "anthropic_messages"})

    def expected_pace(self) -> ExpectedPace:
        """A round is a batch: promised within a day, mostly there within the hour."""
        return ExpectedPace(first=(900, 1.2), speed=(75, 0.5), at_once=1_000_000)
