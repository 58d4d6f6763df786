"""kind: gemini"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from alpaca_pipe.teachers.base import Dialect
from alpaca_pipe.teachers.endpoint import EndpointTable

GEMINI = "https://generativelanguage.googleapis.com/v1beta"


class GeminiTable(EndpointTable):
    """An endpoint that speaks Gemini's own API (generateContent); its OpenAI-like one is openai_chat."""

    kind: Literal["gemini"]
    thinking: Annotated[
        Literal["none", "minimal", "low", "medium", "high"] | None,
        Field(description="how hard it thinks before it answers, billed; default: the model's own"),
    ] = None

    @property
    def usual_address(self) -> str:
        return GEMINI

    @property
    def usual_key(self) -> str:
        return "GEMINI_API_KEY"

    @property
    def own_fields(self) -> tuple[str, ...]:
        return ("contents", "systemInstruction", "generationConfig")

    @property
    def effort(self) -> str | None:
        return self.thinking

    def protocol(self) -> Dialect:
        from alpaca_pipe.teachers.gemini.generate_dialect import GeminiGenerate

        return GeminiGenerate(self.thinking)

    def whom(self) -> dict[str, Any]:
        return super().whom() | ({"thinking": self.thinking} if self.thinking else {})
