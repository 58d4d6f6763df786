from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (row(output="~~~\n```\nx"), "the code block that '~~~' opens is not closed"),
    (row(output="````\nx\n```"), "the code block that '````' opens is not closed"),
    (row(output="```python\nprint(1)"), "the code block that '```python' opens is not closed"),
]
PASSES = [
    row(output="```python\nprint(1)\n```"),
    row(output="Write ``` to open a block."),
    row(output="```print(1)```"),
    row(output="~~~\n```\n~~~"),
    row(output="1. So:\n   ```\n   x\n   ```"),
    row(output="````\n```\n````"),
]
