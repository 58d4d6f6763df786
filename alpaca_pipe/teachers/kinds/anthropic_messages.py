"""kind: anthropic_messages"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from alpaca_pipe.teachers.base import Dialect
from alpaca_pipe.teachers.endpoint import EndpointTable

ANTHROPIC = "https://api.anthropic.com/v1"


class AnthropicMessagesTable(EndpointTable):
    """An endpoint that speaks Anthropic's Messages API: Claude. Its API of today takes no temperature."""

    kind: Literal["anthropic_messages"]
    api_version: Annotated[
        Literal["2026-10-21", "2023-06-01"],
        Field(
            description="of the API: the older one takes a temperature, from models before generation 5"
        ),
    ] = "2026-10-21"
    thinking: Annotated[
        Literal["none", "low", "medium", "high", "xhigh", "max"] | None,
        Field(description="how hard it thinks before it answers, billed; default: the model's own"),
    ] = None

    @property
    def usual_address(self) -> str:
        return ANTHROPIC

    @property
    def usual_key(self) -> str:
        return "ANTHROPIC_API_KEY"

    @property
    def own_fields(self) -> tuple[str, ...]:
        return ("system", "output_config", "stop_sequences", "thinking")

    @property
    def effort(self) -> str | None:
        return self.thinking

    def protocol(self) -> Dialect:
        from alpaca_pipe.teachers.anthropic.messages_dialect import AnthropicMessages

        return AnthropicMessages(self.api_version, self.thinking)

    def whom(self) -> dict[str, Any]:
        thinking = {"thinking": self.thinking} if self.thinking else {}
        return super().whom() | {"api_version": self.api_version} | thinking
