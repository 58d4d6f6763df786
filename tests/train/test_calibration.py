from __future__ import annotations

from alpaca_pipe.train.calibration import COUNTED, Calibration

NANO = 10**9


def said_of(steps: int, seconds: list[float], per_hour: int, first: int = 1) -> list[str]:
    """What is said of steps that last so many seconds each; the clock is ours."""
    now, said = [0.0], list[str]()
    calibration = Calibration(steps, per_hour, said.append, lambda: now[0])
    for place, took in enumerate(seconds):
        now[0] += took
        calibration.step(first + place)
    return said


def test_slow_first_steps_do_not_count_and_the_sentence_is_said_once() -> None:
    found = said_of(600, [60.0, 9.0, *[1.5] * 100], 3_500_000_000)
    # 578 steps of 1.5 s are 14.45 min, 0.2408 h: $0.84
    assert found == [
        "20 steps took 1.5 s each: the other 578 take about 14 min, $0.8429 at $3.50 an hour"
    ]


def test_a_machine_that_nobody_bills_has_no_price() -> None:
    assert said_of(600, [1.0] * 30, 0) == [
        "20 steps took 1 s each: the other 578 take about 10 min"
    ]


def test_a_short_tune_and_a_resume_near_its_end_say_nothing() -> None:
    assert said_of(30, [1.0] * 30, NANO) == []
    assert said_of(600, [1.0] * 25, NANO, first=575) == []
    assert len(said_of(600, [1.0] * (COUNTED + 2), NANO, first=300)) == 1
