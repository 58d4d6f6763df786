"""LLaMA 3's headers (Meta 2024). A tool's result is said by `ipython`, as in LLaMA 3.1."""

from __future__ import annotations

from alpaca_pipe.models.templates.template import Template

LLAMA3 = Template(
    "llama3",
    "of Llama 3: a header and <|eot_id|> around each turn",
    "{% for message in messages %}"
    "{% set role = 'ipython' if message['role'] == 'tool' else message['role'] %}"
    "{{ '<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' + message['content'] + '<|eot_id|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
    control=("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
)
