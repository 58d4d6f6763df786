"""The verdict as a table: differences in, word out."""

from __future__ import annotations

import pytest

from alpaca_pipe.evaluate.bootstrap import Interval
from alpaca_pipe.evaluate.verdict import judge

MEANS = {"base": Interval(2.5, 2.4, 2.6), "tuned": Interval(2.1, 2.0, 2.2)}
BELOW, ACROSS, ABOVE = (
    Interval(-0.4, -0.5, -0.3),
    Interval(-0.1, -0.3, 0.1),
    Interval(0.4, 0.3, 0.5),
)
TOUCHING = Interval(-0.1, -0.2, 0.0)
TINY_GAIN, TINY_LOSS = Interval(-0.004, -0.006, -0.002), Interval(0.004, 0.002, 0.006)
NOTHING, VAGUE = Interval(0.0, -0.0001, 0.0001), Interval(0.001, -0.9, 0.9)
NAN, INFINITE = Interval(*[float("nan")] * 3), Interval(float("inf"), 0.3, float("inf"))
OF_BASE = "from the base with the same prompt would show with"
SEEN = f"; a difference of 0.1 nats a token, as it was seen, {OF_BASE} about 131 rows"
ENDLESS = (
    f"of 0.01 nats a token, the smallest that counts, {OF_BASE} no number of rows that anybody has"
)
DIVERGED = "a loss is not a number: the training diverged"


@pytest.mark.parametrize(
    "base, chat, shuffled, rows, word, says",
    [
        (
            BELOW,
            BELOW,
            BELOW,
            16,
            "better",
            "lower than the base with the same prompt (-0.400 [-0.500, -0.300])",
        ),
        (
            BELOW,
            None,
            BELOW,
            16,
            "better",
            "not compared with the base with its own chat template: it has none",
        ),
        (BELOW, BELOW, None, 16, "not shown to be better", "without the shuffled control"),
        (
            BELOW,
            BELOW,
            ACROSS,
            16,
            "not shown to be better",
            "may be 0 against the control trained on shuffled",
        ),
        (
            BELOW,
            ACROSS,
            BELOW,
            16,
            "not shown to be better",
            "may be 0 against the base with its own chat template",
        ),
        (
            ACROSS,
            BELOW,
            BELOW,
            16,
            "not shown to be better",
            "may be 0 against the base with the same prompt",
        ),
        (TOUCHING, BELOW, BELOW, 16, "not shown to be better", "may be 0"),
        (
            ABOVE,
            BELOW,
            BELOW,
            16,
            "worse",
            "higher than that of the base with the same prompt (+0.400",
        ),
        (BELOW, ABOVE, ACROSS, 16, "worse", "its own chat template (+0.400 [+0.300, +0.500])"),
        (BELOW, BELOW, ABOVE, 16, "worse", "shuffled"),
        (BELOW, BELOW, BELOW, 11, "not shown to be better", "too few rows to say: at least 12"),
        (ACROSS, BELOW, BELOW, 5, "not shown to be better", SEEN),
        (BELOW, BELOW, BELOW, 12, "better", "2.500 -> 2.100 on 12 rows"),
        (
            TINY_GAIN,
            BELOW,
            BELOW,
            400,
            "not shown to be better",
            "no difference that counts (less than 0.01 nats a token)",
        ),
        (TINY_LOSS, BELOW, BELOW, 400, "not shown to be better", "no difference that counts"),
        (NOTHING, BELOW, BELOW, 400, "not shown to be better", "no difference that counts"),
        (ACROSS, BELOW, BELOW, 16, "not shown to be better", SEEN),
        (VAGUE, BELOW, BELOW, 16, "not shown to be better", ENDLESS),
        (NAN, NAN, NAN, 16, "not shown to be better", DIVERGED),
        (BELOW, BELOW, NAN, 16, "not shown to be better", DIVERGED),
        (INFINITE, BELOW, BELOW, 16, "not shown to be better", DIVERGED),
    ],
)
def test_table(
    base: Interval,
    chat: Interval | None,
    shuffled: Interval | None,
    rows: int,
    word: str,
    says: str,
) -> None:
    given = {"base": base, "chat": chat, "shuffled": shuffled}
    missing = {name: "it has none" for name, found in given.items() if found is None}
    would_do = {"base": 131 if base is ACROSS else None}
    differences = {name: found for name, found in given.items() if found}
    verdict = judge(MEANS, differences, rows, missing, needed=would_do)
    assert verdict.word == word
    assert (
        verdict.sentence.startswith(f"{word} on held-out rows: loss 2.500 -> 2.100")
        and says in verdict.sentence
    )


def test_a_loss_that_is_no_number_is_never_better() -> None:
    verdict = judge(MEANS | {"tuned": NAN}, {"base": NAN, "shuffled": NAN}, 200, {})
    assert (
        verdict.sentence
        == f"not shown to be better on held-out rows: loss 2.500 -> nan on 200 rows; {DIVERGED}"
    )


def test_the_comparison_that_needs_the_most_rows_is_named() -> None:
    """Two may be 0: the one that was seen to differ least decides, and whatever shows the other one would not do."""
    near = Interval(-0.004, -0.2, 0.19)
    given = {"base": ACROSS, "chat": BELOW, "shuffled": near}
    verdict = judge(MEANS, given, 40, {}, needed={"base": 131, "chat": 12, "shuffled": 9000})
    assert verdict.sentence.endswith(
        "; a difference of 0.01 nats a token, the smallest that counts, from the control trained on shuffled answers would show "
        "with about 9,000 rows"
    )
    enough = judge(MEANS, given, 40, {}, needed={"base": 20, "chat": 12, "shuffled": 30})
    assert "would show" not in enough.sentence
