"""Vicuna 1.1 (LMSYS 2023): words for roles, EOS after each answer, so it suits every tokenizer. No place for tools.

The system text is Vicuna's own where a row has none.
"""

from __future__ import annotations

from alpaca_pipe.models.templates.template import Template

_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user\\'s questions."
)

VICUNA = Template(
    "vicuna",
    "of Vicuna 1.1: USER: and ASSISTANT: in one line each",
    "{% if messages[0]['role'] == 'system' %}"
    "{% set system = messages[0]['content'] %}{% set said = messages[1:] %}"
    "{% else %}{% set system = '" + _SYSTEM + "' %}{% set said = messages %}{% endif %}"
    "{{ system + ' ' }}"
    "{% for message in said %}"
    "{% if message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' + message['content'] + eos_token }}"
    "{% else %}{{ raise_exception('only users and assistants speak') }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
)
