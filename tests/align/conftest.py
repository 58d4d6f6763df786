"""A tiny base on disk, pairs in ids, and a bench for the stage."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.align.config import AlignConfig
from alpaca_pipe.align.preference_ids import LabelledIds, PairIds
from alpaca_pipe.core.example import Message, Origin
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.recipe.stage import StageContext
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.weights.base import BaseTable
from alpaca_pipe.weights.tiny import build_tiny
from tests.train.conftest import Said

END = 2  # the tiny tokenizer's end token


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny matrices: a second thread costs more than it brings."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny(folder)
    return folder


def pairs(count: int = 10) -> list[PairIds]:
    """Prompts and answers of very different lengths, so that a wrong mask or a wrong weight shows."""
    draw = random.Random(4)

    def some(length: int) -> tuple[int, ...]:
        return tuple(draw.randrange(3, 250) for _ in range(length))

    return [
        PairIds(
            f"x{n}",
            some(3 + n),
            (*some(1 + n % 4), END),
            (
                *some(1 + n * n % 7),
                END,
            ),
        )
        for n in range(count)
    ]


def labelled(count: int = 10) -> list[LabelledIds]:
    return [
        LabelledIds(row.id, row.prompt, row.chosen if n % 3 else row.rejected, bool(n % 3))
        for n, row in enumerate(pairs(count))
    ]


def hyper(method: str = "dpo", use_peft: bool = True, **changes: Any) -> Hyperparameters:
    rows = {"per_device_train_batch_size": 4, "learning_rate": 1e-2} | {
        name: changes.pop(name)
        for name in ("per_device_train_batch_size", "learning_rate")
        if name in changes
    }
    config = AlignConfig(method=method, warmup_steps=0.0, **rows)  # type: ignore[arg-type]
    return replace(config.hyper(7, use_peft), **changes)


def preferences(count: int) -> list[Preference]:
    return [
        Preference.pair(
            [Message("user", f"Say {n} in words")],
            [Message("assistant", f"word{n} " * (1 + n % 3))],
            [Message("assistant", "no" * (1 + n % 4))],
            Origin("imported", f"file#{n}"),
        )
        for n in range(count)
    ]


@pytest.fixture
def bench(tiny: Path, tmp_path: Path) -> Callable[..., StageContext]:
    """bench(name, stopping): a bench of its own folder, with 12 preferences of another stage."""
    write_jsonl(tmp_path / "pairs.jsonl", (row.to_row() for row in preferences(12)))

    def make(name: str, stopping: Callable[[], bool] = lambda: False) -> StageContext:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        unused: Any = None
        return StageContext(
            folder,
            {"pairs/pairs.jsonl": tmp_path / "pairs.jsonl"},
            {"base": BaseTable(model=tiny)},
            3,
            unused,
            "toy",
            "run",
            Said(),
            stopping,
        )

    return make
