"""A user's seed file: what is wrong is said with its line and cure, what is there is counted."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserErrors
from alpaca_pipe.core.files import shipped
from alpaca_pipe.generate.seeds.seeds import read_seeds
from alpaca_pipe.start.seed_check import print_check


def test_a_csv_is_read_like_its_jsonl(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        '\ufeffinstruction,input,output,classification\n"Say, in one\nword, what it is.",a cat,'
        '"An ""animal"""\nIs it so?,,Yes,true\n\n',
        encoding="utf-8",
    )
    (tmp_path / "a.jsonl").write_text(
        "\n".join(
            map(
                json.dumps,
                (
                    {
                        "instruction": "Say, in one\nword, what it is.",
                        "input": "a cat",
                        "output": 'An "animal"',
                    },
                    {"instruction": "Is it so?", "output": "Yes", "classification": True},
                ),
            )
        )
    )
    read, other = read_seeds(tmp_path / "a.csv"), read_seeds(tmp_path / "a.jsonl")
    assert [seed.example.id for seed in read] == [seed.example.id for seed in other]
    assert [seed.classification for seed in read] == [False, True]
    assert [seed.example.origin.source for seed in read] == ["a.csv#2", "a.csv#4"]


def test_everything_wrong_is_said_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "instruction,output,colour\n,x,\nName it.,,red\nName it.,x,,more\n"
    )
    with pytest.raises(UserErrors) as caught:
        read_seeds(tmp_path / "a.csv")
    said = str(caught.value)
    assert "a.csv:2: instruction: it is empty" in said and "a.csv:3: output: it is empty" in said
    assert (
        "a.csv:3: colour: unknown key" in said
        and "a.csv:4: more columns than the head: unknown key" in said
    )


def test_repeats_are_named_and_the_mixture_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [
        "Name the longest river of the continent.",
        "Name the shortest river of the continent.",
        "Name the longest river of the continent.",
        "Explain why ice floats on water.",
    ]
    (tmp_path / "a.jsonl").write_text(
        "\n".join(json.dumps({"instruction": task, "output": "x"}) for task in tasks)
    )
    with pytest.raises(UserErrors) as caught:
        print_check(tmp_path / "a.jsonl")
    said = str(caught.value)
    assert "a.jsonl:2: ROUGE-L 0.86 like line 1, at most 0.7 wanted" in said
    assert "a.jsonl:3: the instruction of line 1 again - remove one of them" in said
    printed = capsys.readouterr().out
    assert "4 seed tasks: 0 classification, 4 without an input" in printed
    assert (
        "4 seeds, yours: 4 different prompts, about " in printed
        and "100 seeds: 161,700 different prompts" in printed
    )


def test_the_yield_grows_with_the_seeds_and_less_than_the_prompts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_check(shipped("seed_tasks") / "alpaca.jsonl")
    found = re.findall(
        r"(\d+) seeds.*: ([\d,]+) different prompts, about ([\d,]+) rows \(([\d,]+) to ([\d,]+)",
        capsys.readouterr().out,
    )
    told = [[int(number.replace(",", "")) for number in line] for line in found]
    assert [line[0] for line in told] == [10, 30, 100, 175]
    for few, more in itertools.pairwise(told):
        assert few[2] < more[2] and more[2] / more[1] < few[2] / few[1] <= 4
    assert all(low <= middle <= high for _, _, middle, low, high in told)


@pytest.mark.parametrize(
    "name, count, classification, without_input", [("alpaca", 175, 25, 50), ("short", 30, 6, 13)]
)
def test_the_shipped_seeds_are_as_many_and_as_mixed_as_they_should_be(
    name: str,
    count: int,
    classification: int,
    without_input: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = shipped("seed_tasks") / f"{name}.jsonl"
    seeds = read_seeds(path)
    print_check(path)
    assert (
        len(seeds),
        sum(seed.classification for seed in seeds),
        sum(not seed.example.input for seed in seeds),
    ) == (count, classification, without_input)
    assert all(seed.topic for seed in seeds)
    assert "note:" not in capsys.readouterr().out
