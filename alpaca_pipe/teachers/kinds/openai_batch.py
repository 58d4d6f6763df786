"""kind: openai_batch"""

from __future__ import annotations

from typing import Literal

from alpaca_pipe.teachers.batching import BatchFileKeys
from alpaca_pipe.teachers.config import ExpectedPace, TeacherTable
from alpaca_pipe.teachers.endpoint import EndpointTable
from alpaca_pipe.teachers.kinds.openai_chat import OpenAIChatTable


class OpenAIBatchTable(BatchFileKeys, OpenAIChatTable):
    """An endpoint that takes files of requests and answers within a day, at the batch price. Use a large generate.round_size: each round waits for its batch."""

    kind: Literal["openai_batch"]  # type: ignore[assignment]

    @property
    def by_batch(self) -> bool:
        return True

    def online(self) -> TeacherTable:
        shared = {name: getattr(self, name) for name in EndpointTable.model_fields}
        return OpenAIChatTable.model_construct(**shared | {"kind": "openai_chat"})

    def expected_pace(self) -> ExpectedPace:
        """A round is a batch: promised within a day, mostly there within the hour."""
        return ExpectedPace(first=(900, 1.2), speed=(75, 0.5), at_once=1_000_000)
