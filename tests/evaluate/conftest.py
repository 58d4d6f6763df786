"""A tiny world in which tuning can really help: the answer depends on the instruction, and a tiny LLaMA can learn it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.example import Example, Origin, numbered
from alpaca_pipe.core.files import digest_of, write_jsonl
from alpaca_pipe.models.loading import load_model, load_tokenizer
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.saved_template import save_template
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.recipe.stage import StageContext
from alpaca_pipe.weights.base import BaseTable, Checkpoint
from alpaca_pipe.weights.tiny import build_tiny
from tests.once import once

ANSWERS = {"AAAA": "one two", "BBBB": "red sky", "CCCC": "fish", "DDDD": "no"}


def rows(start: int, count: int) -> list[Example]:
    return list(
        numbered(
            Example.of(f"{letters} {number}", "", ANSWERS[letters], Origin("seed"))
            for number, letters in ((n, list(ANSWERS)[n % 4]) for n in range(start, start + count))
        )
    )


@dataclass
class Said:
    """A Progress that remembers."""

    sentences: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    total: int = 0
    done_before: int = 0

    def start(self, total: int, unit: str, done: int = 0) -> None:
        self.total, self.done_before = total, done

    def at(self, done: int, note: str = "") -> None:
        self.counts.append(done)

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


@dataclass
class World:
    """base, a tune on right answers, one on shuffled answers, and held-out rows; all on disk."""

    folder: Path
    base: Path
    tuned: Path
    control: Path

    def bench(
        self, folder: Path, stopping: Callable[[], bool] = lambda: False, **inputs: Path | None
    ) -> StageContext:
        folder.mkdir(parents=True, exist_ok=True)
        given: dict[str, Path | None] = {
            "curate/held_out.jsonl": self.folder / "held_out.jsonl",
            "train/model": self.tuned,
            "train/control": self.control,
        }
        given |= {f"train/{name}": path for name, path in inputs.items()}
        nothing: Any = None  # the stage has no use for a journal
        return StageContext(
            folder,
            {name: path for name, path in given.items() if path},
            {"base": BaseTable(model=self.base)},
            7,
            nothing,
            "toy",
            "run-1",
            Said(),
            stopping,
        )


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    base = folder / "base"
    base.mkdir()
    build_tiny(base)
    train = rows(0, 48)
    answers = [example.output for example in train]
    random.Random(1).shuffle(answers)
    shuffled = [
        Example.of(e.instruction, "", answer, e.origin)
        for e, answer in zip(train, answers, strict=True)
    ]
    write_jsonl(folder / "held_out.jsonl", (example.to_row() for example in rows(100, 16)))
    return World(
        folder, base, tune(base, train, folder / "model"), tune(base, shuffled, folder / "control")
    )


def tune(base: Path, examples: list[Example], folder: Path, steps: int = 110) -> Path:
    """Full tuning of a tiny base in two seconds, until every kind of answer is learned. Each is made once a session,
    whichever worker needs it first."""
    name = digest_of([steps, *([row.instruction, row.input, row.output] for row in examples)])[:12]
    made = once(f"tuned-{name}", lambda made: _tune(base, examples, made, steps))
    shutil.copytree(made, folder)
    return folder


def _tune(base: Path, examples: list[Example], folder: Path, steps: int) -> None:
    """Plain AdamW, eight rows a step."""
    import torch

    torch.set_num_threads(1)  # a model this small only waits for a second thread
    torch.manual_seed(0)
    checkpoint = Checkpoint(str(base))
    model, tokenizer = load_model(checkpoint, "float32"), load_tokenizer(checkpoint)
    encoder = Encoder(tokenizer, TEMPLATES["alpaca"])
    encoded = [row[0] for row in encoder.encode(examples, 1024) if isinstance(row, tuple)]
    width = max(len(row.ids) for row in encoded)
    ids = torch.tensor([[*row.ids, *[0] * (width - len(row.ids))] for row in encoded])
    labels = torch.tensor(
        [
            [
                *(token if on else -100 for token, on in zip(row.ids, row.mask, strict=True)),
                *[-100] * (width - len(row.ids)),
            ]
            for row in encoded
        ]
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(steps):
        some = torch.arange(step * 8, step * 8 + 8) % len(encoded)
        loss = model(input_ids=ids[some], labels=labels[some]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    save_template(folder, encoder)
