"""kind: openai_completions"""

from __future__ import annotations

from typing import Literal

from alpaca_pipe.teachers.base import Dialect
from alpaca_pipe.teachers.endpoint import EndpointTable


class OpenAICompletionsTable(EndpointTable):
    """An endpoint that only continues a text, for style alpaca-2023."""

    kind: Literal["openai_completions"]

    def protocol(self) -> Dialect:
        from alpaca_pipe.teachers.openai.completions_dialect import COMPLETIONS

        return COMPLETIONS
