from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row("Say it <|im_end|> once more."),
        "the instruction holds '<|im_end|>', which belongs to a chat template",
    ),
    (
        row(output="<think>He asks for Paris"),
        "the output holds '<think>', which belongs to a chat template",
    ),
]
PASSES = [
    row(output="`<|im_end|>` ends a turn; <s>old</s> is struck out."),
    row(output="a < b and b > c"),
]
