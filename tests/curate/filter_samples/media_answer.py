from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row(
            "Compose a lullaby for a child.",
            output='<audio src="https://x.test/a.mp3">Lullaby</audio>',
        ),
        "the output is only '<audio src=\"https://x.test/a.mp3\">Lullaby</audio>', which nobody can open",
    ),
    (
        row("Show me the sea at night.", output="![The sea](https://x.test/sea.png)"),
        "the output is only '![The sea](https://x.test/sea.png)', which nobody can open",
    ),
    (
        row(
            "Find three sources on bees.",
            output="1. https://bees.test/news/2021/bees\n2. https://hives.test/a-study-of-hives",
        ),
        "the output is only 'https://bees.test/news/2021/bees', which nobody can open",
    ),
    (
        row("Play a short tune for me.", output="*plays music*"),
        "the output is only '*plays music*', which nobody can open",
    ),
]
PASSES = [
    row("Write the HTML for a picture.", output='<img src="cat.png" alt="A cat">'),
    row("What is the website of the town?", output="https://www.town.org"),
    row(
        "Show me the sea at night.",
        output="Dark water under a thin moon, a white line of foam, and far out one lamp of a boat.",
    ),
    row("Make a smile of characters.", output=":-)"),
    row("Name the play's first words.", output="[Enter two guards]\nWho is there?"),
]
