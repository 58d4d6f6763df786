"""Stanford's two prompts, character for character (tatsu-lab/stanford_alpaca 761dc5b, train.py). One exchange each."""

from __future__ import annotations

import json
import re

from alpaca_pipe.models.templates.template import Template

_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
)
_WITHOUT_INPUT = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:"
)


def _template(name: str, says: str, with_input: str, without_input: str) -> Template:
    """The user's turn ends where the answer begins, so `add_generation_prompt` changes nothing. A user message may have an
    `input` beside its `content`."""
    body = "".join(
        (
            "{% for message in messages %}",
            "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}",
            "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}",
            "{% elif message.get('input') %}{{ " + _jinja_text(with_input) + " }}",
            "{% else %}{{ " + _jinja_text(without_input) + " }}{% endif %}",
            "{% endfor %}",
        )
    )
    return Template(
        name, says, body, many_turns=False, with_input=with_input, without_input=without_input
    )


def _jinja_text(text: str) -> str:
    """A format string as a Jinja expression."""
    names = {"{instruction}": "message['content']", "{input}": "message['input']"}
    return " + ".join(
        names.get(part) or json.dumps(part) for part in re.split(r"(\{\w+\})", text) if part
    )


# the line feed keeps ":" and the answer apart
ALPACA = _template(
    "alpaca",
    "Stanford's prompts, with a line feed before the answer; one exchange",
    _WITH_INPUT + "\n",
    _WITHOUT_INPUT + "\n",
)
ALPACA_2023 = _template(
    "alpaca-2023",
    "Stanford's prompts as they were, the answer at the colon; one exchange",
    _WITH_INPUT,
    _WITHOUT_INPUT,
)
