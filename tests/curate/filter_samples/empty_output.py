from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (row(output=" \n"), "the output is empty"),
    (row(output="<noinput>"), "the output only says '<noinput>'"),
    (row(output="No output required."), "the output only says 'No output required.'"),
    (row(output="N/A"), "the output only says 'N/A'"),
]
PASSES = [
    row(output="None."),  # which is an answer
    row(output="No errors were found."),
    row(output="0"),
]
