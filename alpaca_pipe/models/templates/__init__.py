"""The templates by name."""

from __future__ import annotations

from alpaca_pipe.models.templates.chatml import CHATML
from alpaca_pipe.models.templates.llama3 import LLAMA3
from alpaca_pipe.models.templates.stanford_prompts import ALPACA, ALPACA_2023
from alpaca_pipe.models.templates.template import Template, TemplateName
from alpaca_pipe.models.templates.vicuna import VICUNA

TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (ALPACA, ALPACA_2023, CHATML, LLAMA3, VICUNA, Template("chat"))
}

__all__ = ["TEMPLATES", "Template", "TemplateName"]
