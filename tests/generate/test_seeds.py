"""Seed files: ours are sound, and a user's is told all that is wrong with it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserErrors
from alpaca_pipe.core.files import shipped
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.seeds.seeds import read_seeds
from alpaca_pipe.similarity.rouge import Index

GOOD = '{"instruction": "Name a lake.", "output": "Lake Chad"}'


def test_our_short_seeds_are_varied_and_unlike_each_other() -> None:
    seeds = read_seeds(shipped("seed_tasks") / "short.jsonl")
    assert len(seeds) == 30
    assert len({seed.topic for seed in seeds}) == 30
    assert sum(seed.classification for seed in seeds) >= 5
    assert sum(not seed.example.input for seed in seeds) >= 10
    index = Index(Decimal("0.6"), "unicode")
    for seed in seeds:
        assert index.blocked(seed.example.instruction) is None
        index.add(seed.example.id, seed.example.instruction)
    assert seeds[0].example.origin.source == "short.jsonl#1"


def test_all_faults_of_a_file_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    rows = [
        GOOD,
        "",
        '{"instruction": "Name a lake.", "outptu": "Chad"}',
        '{"instruction": " ", "output": "x"}',
        "nonsense",
        '{"instruction": "x", "output": 7}',
        "[1]",
    ]
    file.write_text("\n".join(rows), encoding="utf-8-sig")
    with pytest.raises(UserErrors) as caught:
        read_seeds(file)
    lines = str(caught.value).replace(f"{file}:", "").split("\n")
    assert [line.split(":")[0] for line in lines] == ["3", "3", "4", "5", "6", "7"]
    told = str(caught.value)
    for words in (
        "outptu: unknown key - did you mean 'output'?",
        "output: it is missing",
        "instruction: it is empty",
        "not a JSON object",
    ):
        assert words in told


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(GOOD.replace("Lake Chad", "Lake\u2028Chad") + "\r\n", encoding="utf-8")
    assert [seed.example.output for seed in read_seeds(file)] == ["Lake\u2028Chad"]


def test_seeds_are_known_by_their_content_not_by_their_place(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.jsonl").write_text(GOOD)

    def identity(name: str) -> object:
        return GenerateConfig.model_validate(
            {"count": 1, "seeds": f"{name}.jsonl"}, context={"folder": tmp_path / name}
        ).identity()

    same = identity("here")
    assert identity("there") == same
    (tmp_path / "there" / "there.jsonl").write_text(GOOD.replace("Chad", "Kivu"))
    assert identity("there") != same


def test_shipped_seeds_are_found_by_name_and_an_unknown_one_is_not() -> None:
    assert (
        GenerateConfig.model_validate({"count": 1, "seeds": "alpaca"}).seeds
        == shipped("seed_tasks") / "alpaca.jsonl"
    )
    with pytest.raises(ValueError, match="no shipped seeds of that name - did you mean 'alpaca'"):
        GenerateConfig.model_validate({"count": 1, "seeds": "alpacas"})


def test_a_seed_file_is_found_where_any_path_of_a_recipe_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "mine.jsonl").write_text(GOOD)
    monkeypatch.chdir(tmp_path)  # as `generate.seeds=mine.jsonl` on the command line means it
    assert (
        GenerateConfig.model_validate(
            {"count": 1, "seeds": "mine.jsonl"}, context={"folder": tmp_path / "recipes"}
        ).seeds
        == tmp_path / "mine.jsonl"
    )
    with pytest.raises(ValueError, match="should be a path"):
        GenerateConfig.model_validate({"count": 1, "seeds": 3})


def test_the_seeds_of_self_instruct_are_read_as_they_are(tmp_path: Path) -> None:
    """Each instance is a seed; a row of ours may stand beside them."""
    file = tmp_path / "seed_tasks.jsonl"
    file.write_text(
        '{"id": "seed_task_0", "name": "lakes", "instruction": "Name a lake of this land.", "instances": '
        '[{"input": "Chad", "output": "Lake Chad"}, {"input": "Peru", "output": "Titicaca"}], '
        '"is_classification": false}\n'
        '{"id": "seed_task_1", "name": "wet", "instruction": "Is it wet?", "instances": '
        '[{"input": "", "output": "yes"}], "is_classification": true}\n' + GOOD
    )
    seeds = read_seeds(file)
    assert [(one.example.instruction, one.example.input, one.example.output) for one in seeds] == [
        ("Name a lake of this land.", "Chad", "Lake Chad"),
        ("Name a lake of this land.", "Peru", "Titicaca"),
        ("Is it wet?", "", "yes"),
        ("Name a lake.", "", "Lake Chad"),
    ]
    assert [one.classification for one in seeds] == [False, False, True, False]
    assert seeds[1].example.origin.source == "seed_tasks.jsonl#1"
    file.write_text('{"instruction": "Is it wet?", "instances": [{"input": "", "outptu": "yes"}]}')
    with pytest.raises(UserErrors, match="seed_tasks.jsonl:1: outptu: unknown key"):
        read_seeds(file)
