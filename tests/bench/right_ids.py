"""What the quickstart's base loses by wrong ids: tuned and scored with texts cut as GPT-2 cuts them, and as it was pre-trained.

python -m tests.bench.right_ids [--rows FOLDER] [--epochs 2]

FOLDER: a quickstart's curate step (train.jsonl and held_out.jsonl); without it, rows of the released 52K from
ALPACA_PIPE_DATA. One run, the same weights, rows, order and seed; only the ids differ. Nats are sums over the held-out answers:
a mean a token would compare tokens of two sizes.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alpaca_pipe.core.example import Example, Origin, Rejected
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.models.loading import load_model, load_tokenizer
from alpaca_pipe.models.loss_mask import EncodedRow, Encoder
from alpaca_pipe.models.scoring import response_losses
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.sft import tune
from alpaca_pipe.weights.base import BaseTable, resolve
from alpaca_pipe.weights.word_cuts import cut_as
from tests.bench.table import publish

SEED, SKIPPED = 42, 1000  # the quickstart's; of the 52K: its first rows are shorter than most
TRAINED, HELD_OUT = 80, 48


def examples_of(folder: Path | None) -> tuple[list[Example], list[Example]]:
    """Rows to tune on, and rows held out."""
    if folder:
        files = (folder / "train.jsonl", folder / "held_out.jsonl")
        one, other = ([Example.from_row(row) for row in read_jsonl(file)] for file in files)
        return one, other
    data = Path(os.environ.get("ALPACA_PIPE_DATA", "../shared/data"))
    with gzip.open(data / "alpaca_data.json.gz") as stream:
        rows = json.load(stream)[SKIPPED : SKIPPED + TRAINED + HELD_OUT]
    found = [Example.of(r["instruction"], r["input"], r["output"], Origin("seed")) for r in rows]
    return found[:TRAINED], found[TRAINED:]


def encoded(encoder: Encoder, examples: Sequence[Example]) -> list[EncodedRow]:
    return [row for row in encoder.encode(examples, 512) if not isinstance(row, Rejected)]


def scored(model: Any, rows: list[EncodedRow]) -> tuple[float, int]:
    """Nats of all answers together, and their tokens."""
    losses = response_losses(model.eval(), rows)
    return sum(one.nats for one in losses), sum(one.tokens for one in losses)


def figures(
    tokenizer: Any, train: Sequence[Example], held_out: Sequence[Example], epochs: float
) -> dict[str, Any]:
    """Of one way to cut: the base and what was tuned from it, on the same held-out answers."""
    checkpoint = resolve(BaseTable(model="smollm2-135m-instruct"))
    encoder = Encoder(tokenizer, TEMPLATES["alpaca"])
    rows, kept = encoded(encoder, train), encoded(encoder, held_out)
    hyper = TrainConfig(num_train_epochs=epochs).hyper(SEED)
    model = load_model(checkpoint, "float32")
    before, tokens = scored(model, kept)
    parts = [part for row in rows for part in row]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        tuned = tune(model, tokenizer, parts, hyper, place, place / "loss.jsonl", "tuned")
    assert tuned is not None
    tuned.set_attn_implementation("sdpa")
    after, _ = scored(tuned, kept)
    size = sum(len(text.encode()) for one in held_out for text in [one.output])
    return {
        "rows / held out": f"{len(rows)} / {len(kept)}",
        "tokens of the answers": tokens,
        "base, nats": round(before, 1),
        "tuned, nats": round(after, 1),
        "base, bits a byte": round(before / size / 0.6931472, 4),
        "tuned, bits a byte": round(after / size / 0.6931472, 4),
    }


def main(arguments: Sequence[str]) -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--rows", type=Path)
    asked.add_argument("--epochs", type=float, default=2.0)
    told = asked.parse_args(arguments)
    right = load_tokenizer(resolve(BaseTable(model="smollm2-135m-instruct")))
    old = copy.deepcopy(right)
    cut_as(old, "gpt-2", says_bos=False)
    train, held_out = examples_of(told.rows)
    other = [
        sum(
            old(text, add_special_tokens=False).input_ids
            != right(text, add_special_tokens=False).input_ids
            for one in part
            for text in [one.output]
        )
        for part in (train, held_out)
    ]
    print(
        f"answers with other ids: {other[0]} of {len(train)}, held out {other[1]} of {len(held_out)}"
    )
    ways = {"before: as GPT-2 cuts": old, "now: as pre-trained": right}
    publish(
        "right_ids",
        [{"ids": name} | figures(way, train, held_out, told.epochs) for name, way in ways.items()],
    )


if __name__ == "__main__":
    main(sys.argv[1:])
