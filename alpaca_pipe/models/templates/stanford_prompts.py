"""Stanford's two prompts, character for character (tatsu-lab/stanford_alpaca 761dc5b, train.py). One exchange each."""

from __future__ import annotations

import json

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


INPUT = "\n\n### Input:\n"  # what stands between an instruction and its input


def _template(name: str, says: str, with_input: str, without_input: str) -> Template:
    """The user's turn ends where the answer begins, so `add_generation_prompt` changes nothing.

    An input is part of the user's text, after INPUT: a server hands a template nothing but role and content. The two prompts
    then differ in their first sentence alone. A caller of `apply_chat_template` may also give it as `input`.
    """
    start = "{instruction}"
    both = [text.partition(start) for text in (with_input, without_input)]
    (asked, _, _), (plain, _, end) = both
    assert with_input == asked + start + INPUT + "{input}" + end
    body = "".join(
        (
            "{% for message in messages %}",
            "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}",
            "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}",
            "{% elif message.get('input') %}",
            f"{{{{ {json.dumps(asked)} + message['content'] + {json.dumps(INPUT)} + message['input'] + {json.dumps(end)} }}}}",
            f"{{% elif {json.dumps(INPUT)} in message['content'] %}}",
            f"{{{{ {json.dumps(asked)} + message['content'] + {json.dumps(end)} }}}}",
            "{% else %}",
            f"{{{{ {json.dumps(plain)} + message['content'] + {json.dumps(end)} }}}}",
            "{% endif %}{% endfor %}",
        )
    )
    return Template(
        name, says, body, many_turns=False, with_input=with_input, without_input=without_input
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
