from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row(output="It is the largest country of the whole region, and people come to see the"),
        "the output stops in mid-sentence, at 'the'",
    ),
    (
        row(output="The red fox and the brown bear were seen in the woods, by the river,"),
        "the output stops in mid-sentence, at 'river,'",
    ),
    (row(output="The bridge was built in 20"), "the output stops in mid-sentence, at 'in 20'"),
    (
        row(output="It will be held on May 4, 20"),
        "the output stops in mid-sentence, at 'May 4, 20'",
    ),
    (row(output="The total cost of it is $"), "the output stops in mid-sentence, at '$'"),
]
PASSES = [
    row(
        output="It is the largest country in the region, and its economy is based on"
    ),  # on: "come on"
    row(output="1. bread and butter for the morning of the day\n2. tea\n3. of"),
    row(output="They found some good friends and a quiet house that they were glad to live with"),
    row(output="There are four fives in 21"),
    row("Which article is missing?", output="the"),
    row(output="We should thank all our old friends, for they are what make us who we are"),
    row(output="Am Abend kam er nach Hause, und weil niemand da war, rief er seinen Bruder an"),
]
