"""A tiny base on disk, rows that fit it, and a bench for the stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.example import Example, Origin, numbered
from alpaca_pipe.core.files import write_jsonl
from alpaca_pipe.models.loss_mask import Encoded, Encoder
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.recipe.stage import StageContext
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.weights.base import BaseTable
from alpaca_pipe.weights.tiny import build_tiny, byte_tokenizer

HYPER = Hyperparameters(
    learning_rate=1e-2,
    num_train_epochs=1.0,
    max_steps=None,
    per_device_train_batch_size=4,
    gradient_accumulation_steps=1,
    lr_scheduler_type="cosine",
    warmup_steps=0.1,
    weight_decay=0.0,
    seed=7,
    lora={"r": 4, "lora_alpha": 8, "lora_dropout": 0.1, "target_modules": "all-linear"},
)


def examples(count: int) -> list[Example]:
    """Answers of very different lengths, so that a wrong weighting of batches shows."""
    return list(
        numbered(
            Example.of(
                f"Say it {n} times",
                "in one line" if n % 3 else "",
                f"it{n} " * (1 + n * n % 11),
                Origin("seed"),
            )
            for n in range(count)
        )
    )


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


@pytest.fixture(scope="session")
def encoded() -> list[Encoded]:
    encoder = Encoder(byte_tokenizer(), TEMPLATES["alpaca"])
    return [row[0] for row in encoder.encode(examples(22), 1000) if isinstance(row, tuple)]


@dataclass
class Said:
    """A Progress that remembers."""

    sentences: list[str] = field(default_factory=list)
    total: int = 0
    before: int = 0
    counts: list[int] = field(default_factory=list)

    def start(self, total: int, unit: str, done: int = 0) -> None:
        self.total, self.before = total, done

    def at(self, done: int, note: str = "") -> None:
        self.counts.append(done)

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


@pytest.fixture
def bench(tiny: Path, tmp_path: Path) -> Callable[..., StageContext]:
    """bench(name, stopping): a bench of its own folder, 10 short rows and one that is too long."""
    rows = [*examples(10), Example.of("Go on", "", "on and on " * 80, Origin("seed"))]
    write_jsonl(tmp_path / "train.jsonl", (row.to_row() for row in rows))

    def make(name: str, stopping: Callable[[], bool] = lambda: False) -> StageContext:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        unused: Any = None
        return StageContext(
            folder,
            {"curate/train.jsonl": tmp_path / "train.jsonl"},
            {"base": BaseTable(model=tiny)},
            3,
            unused,
            "toy",
            "run",
            Said(),
            stopping,
        )

    return make


def with_(hyper: Hyperparameters, **changes: Any) -> Hyperparameters:
    return replace(hyper, **changes)
