"""The texts around an instruction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TemplateName = Literal["alpaca", "alpaca-2023", "chat"]


@dataclass(frozen=True)
class Template:
    """The text around an instruction. Empty texts mean the tokenizer's own chat template."""

    name: TemplateName
    with_input: str = ""  # {instruction} and {input} are put in
    without_input: str = ""

    @property
    def is_chat(self) -> bool:
        return not self.without_input


# Stanford's two prompts, character for character (tatsu-lab/stanford_alpaca 761dc5b, train.py).
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

TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        Template(
            "alpaca", _WITH_INPUT + "\n", _WITHOUT_INPUT + "\n"
        ),  # the newline keeps ":" and the answer apart
        Template("alpaca-2023", _WITH_INPUT, _WITHOUT_INPUT),
        Template("chat"),
    )
}
