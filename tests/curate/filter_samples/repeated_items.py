from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row("List four drinks.", output="1. Tea\n2. Milk\n3. Water\n4. Milk"),
        "a list in the output says 'milk' twice",
    ),
    (
        row("Name four drinks.", output="Tea, milk, water, and milk."),
        "a list in the output says 'milk' twice",
    ),
]
PASSES = [
    row("List three drinks.", output="1. Tea\n2. Milk\n3. Milk"),
    row("Give the steps of the dance.", output="1. Left\n2. Right\n3. Turn\n4. Left"),
    row("Name the drink that is not milk.", "milk, milk, milk, tea", "milk, milk, milk, tea"),
    row("Plan two dinners.", output="Monday\n- Rice\n- Beans\nTuesday\n- Rice\n- Fish"),
]
