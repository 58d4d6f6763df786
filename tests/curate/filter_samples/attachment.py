from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row("Describe the picture.", "[Photo of a red door]"),
        "the input says '[Photo of a red door]', which is not here",
    ),
    (row("Describe the scene.", "![alt](pic)"), "the input says '![alt](', which is not here"),
    (
        row("Sum it up in a line.", "<attached document>"),
        "the input says '<attached document>', which is not here",
    ),
    (
        row("Sum it up in a line.", "[Article about trains]"),
        "the input says '[Article about trains]', which is not here",
    ),
    (row("What is seen in it?", "door.png"), "the input says 'door.png', which is not here"),
]
PASSES = [
    row("Fill in the letter.", "Dear [Name], thank you."),
    row("Close the tags in this HTML.", '<img src="door.png">'),
    row("Correct this text.", "I sent you a photo (of a door) and a letter."),
]
