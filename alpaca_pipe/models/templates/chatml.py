"""ChatML, as OpenAI wrote it down in 2023 and Qwen, SmolLM and Hermes speak it."""

from __future__ import annotations

from alpaca_pipe.models.templates.template import Template

CHATML = Template(
    "chatml",
    "as Qwen, SmolLM and Hermes speak: <|im_start|> and <|im_end|> around each turn",
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    control=("<|im_start|>", "<|im_end|>"),
)
