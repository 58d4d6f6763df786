"""The templates of [train], by name: each stands at the top of a module here, and is found by this folder."""

from __future__ import annotations

from alpaca_pipe.core.registry import members
from alpaca_pipe.models.templates.template import Template

TEMPLATES: dict[str, Template] = {
    template.name: template for template in members(__name__, Template)
}

__all__ = ["TEMPLATES", "Template"]
