from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row(
            "Draw a cat on a wall.",
            output="Here is a drawing of a cat on a wall, I hope that you like this drawing.",
        ),
        "the instruction says 'Draw a', which a text model cannot make",
    ),
    (
        row("Design a new logo for a bakery.", output="A loaf in a circle."),
        "the instruction says 'Design a new logo', which a text model cannot make",
    ),
    (
        row("Paint a red door on a house.", output="A red door."),
        "the instruction says 'Paint a', which a text model cannot make",
    ),
    (
        row("Create a bar chart of the sales.", output="[chart]"),
        "the instruction says 'Create a bar chart', which a text model cannot make",
    ),
]
PASSES = [
    row(
        "Design a new logo for a bakery.",
        output="A round loaf in warm brown lies on a cream circle; its crust bears the name in slim white letters, and three ears of wheat close the ring below.",
    ),
    row("Create a bar chart of the sales.", output="May | 4\nJune | 2"),
    row("Design a logo as SVG code.", output="<svg></svg>"),
    row("Describe a logo for a bakery."),
    row("Create a title for a painting."),
    row("Generate a character sketch of a nurse."),
    row("Draw a conclusion from the facts."),
]
