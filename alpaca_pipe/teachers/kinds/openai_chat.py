"""kind: openai_chat"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from alpaca_pipe.teachers.base import Dialect
from alpaca_pipe.teachers.endpoint import OPENAI, EndpointTable


class OpenAIChatTable(EndpointTable):
    """An endpoint that takes chat messages: OpenAI, vLLM, OpenRouter and most others."""

    kind: Literal["openai_chat"]

    def protocol(self) -> Dialect:
        from alpaca_pipe.teachers.openai.chat_dialect import CHAT

        return CHAT

    @property
    def renamed_fields(self) -> Mapping[str, str]:
        """OpenAI's newer models take only the newer name; no other server is sure to know it."""
        usual = {"max_tokens": "max_completion_tokens"} if self.address == OPENAI else {}
        return usual | self.renames
