from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (row(output="```python\nprint(1)"), "the output has 1 code fences, one is not closed"),
]
PASSES = [
    row(output="```python\nprint(1)\n```"),
    row(output="Write ``` to open a block."),
]
