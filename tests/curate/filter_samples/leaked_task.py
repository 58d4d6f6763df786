from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row(output="Paris.\n##\n18. Instruction: Identify the noun."),
        "the output holds the next task: '18. Instruction: Identify the noun.'",
    ),
    (
        row(output="Paris.\n\n### Instruction:\nName a river."),
        "the output holds the next task: '### Instruction:'",
    ),
]
PASSES = [
    row("Write a task for a model.", output="Instruction: Fill the mug."),
    row(
        "Write two tasks for a model.",
        output="1. Instruction: Fill the mug.\n2. Instruction: Empty it.",
    ),
    row(output="See section 4. Instruction: is a word."),
]
