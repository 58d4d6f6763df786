"""The base model's own."""

from __future__ import annotations

from alpaca_pipe.models.templates.template import Template

CHAT = Template("chat", "the base's own chat template, as its tokenizer has it")
