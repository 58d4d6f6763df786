"""The templates of [train], by name: each stands at the top of a module here, and is found by this folder."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticKnownError

from alpaca_pipe.core.registry import members
from alpaca_pipe.models.templates.template import Template

TEMPLATES: dict[str, Template] = {
    template.name: template for template in members(__name__, Template)
}


def _known(name: str) -> str:
    if name in TEMPLATES:
        return name
    *others, last = map(repr, TEMPLATES)
    raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})


TemplateName = Annotated[
    str,
    AfterValidator(_known),
    WithJsonSchema({"type": "string", "enum": list(TEMPLATES)}),
]

__all__ = ["TEMPLATES", "Template", "TemplateName"]
