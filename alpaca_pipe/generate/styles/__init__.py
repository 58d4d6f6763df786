"""The ways of asking, one file each, loaded when it is the one."""

from __future__ import annotations

import re

from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.styles.base import Style
from alpaca_pipe.teachers.config import TeacherTable

# Models that spell with GPT-3's tokens; davinci-002 and babbage-002 of 2023 have those of GPT-4.
_GPT3 = re.compile(
    r"text-(davinci|curie|babbage|ada)-00\d|(davinci|curie|babbage|ada)(-instruct.*)?"
)


def style_of(config: GenerateConfig, teacher: TeacherTable, takes: frozenset[str]) -> Style:
    """The style of a table, for a teacher that takes these decoding fields."""
    how, domain = (config.max_tokens, config.temperature, takes), config.domain or ""
    match config.style:
        case "two-step":
            from alpaca_pipe.generate.styles.two_step import TwoStep

            return TwoStep(*how, domain)
        case "alpaca-2023":
            from alpaca_pipe.generate.styles.alpaca_2023 import Alpaca2023

            return Alpaca2023(*how, config.bugs, _GPT3.fullmatch(teacher.called) is not None)
        case "alpaca":
            from alpaca_pipe.generate.styles.alpaca import Alpaca

            return Alpaca(config.tasks, *how, domain)
        case "documents":
            from alpaca_pipe.generate.styles.documents import Documents

            return Documents(config.tasks, *how, domain)
        case "self-instruct":
            from alpaca_pipe.generate.styles.self_instruct import SelfInstruct

            return SelfInstruct(*how)
        case "evol":
            from alpaca_pipe.generate.styles.evol import Evol

            return Evol(*how, config.likeness, config.words, config.depth)
        case "orca":
            from alpaca_pipe.generate.styles.orca import Orca

            return Orca(*how)
