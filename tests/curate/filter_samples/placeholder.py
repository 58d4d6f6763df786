from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (row(input="The baker <noinput> the bread."), "the input holds '<noinput>'"),
    (row(output="<nooutput> A model cannot do that."), "the output holds '<nooutput>'"),
]
PASSES = [
    row(input="<noinput>"),
    row(output="<noinput>\nThe Quiet Boat"),
    row("Replace <noinput> by a verb.", "The baker <noinput> the bread."),
    row(output="There was no input."),
]
