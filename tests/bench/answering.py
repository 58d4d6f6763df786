"""Evaluation's answers beside a plain `generate` loop, one prompt at a time: processor seconds on the same prompts, in turn.

    python -m tests.bench.answering [PROMPTS] [TOKENS]     PROMPTS of each kind (held-out rows, rule prompts)

The model is SmolLM2-135M-Instruct (alpaca-pipe setup local), asked in its own chat template, in fp32.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from alpaca_pipe.core.files import shipped
from alpaca_pipe.evaluate.answering import answer_all
from alpaca_pipe.evaluate.asked_rows import question
from alpaca_pipe.evaluate.config import EvaluateConfig
from alpaca_pipe.evaluate.evaluations.base import Contestant, EvaluationInputs, LoadedModel
from alpaca_pipe.evaluate.evaluations.rule_following import prompts
from alpaca_pipe.evaluate.held_out import HeldOut
from alpaca_pipe.evaluate.samples import answers
from alpaca_pipe.generate.seeds.seeds import read_seeds
from alpaca_pipe.models.loading import load_for_scoring
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.weights.base import BaseTable, resolve


def main(count: int = 24, most: int = 160) -> None:
    model, tokenizer = load_for_scoring(resolve(BaseTable(model="smollm2-135m-instruct"), print))
    encoder = Encoder(tokenizer, TEMPLATES["chat"])
    seeds = read_seeds(shipped("seed_tasks") / "alpaca.jsonl")[:count]
    rows = [*(one.example for one in seeds), *(question(row["prompt"]) for row in prompts(count))]
    loaded = LoadedModel(model, tokenizer, Contestant(None, {}, "chat"), lambda done, note: None)
    nothing = HeldOut([], {}, [])
    given = EvaluationInputs(nothing, {"chat": encoder}, EvaluateConfig(), 0, {}, 1024)
    asked, end = encoder.prompts(rows), encoder.form.end_id

    def plain() -> list[Any]:
        return [answers(model, tokenizer, [one], most, end)[0] for one in asked]

    def ours() -> list[Any]:
        return answer_all(loaded, given, rows, most, lambda done: None)

    said: dict[str, list[Any]] = {}
    spent: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(2):
        for name, way in (("plain", plain), ("ours", ours)):
            before = time.process_time()
            said[name] = way()
            spent[name].append(time.process_time() - before)
            print(name, f"{spent[name][-1]:.1f} CPU s", flush=True)
    alike = sum(one == other for one, other in zip(said["plain"], said["ours"], strict=True))
    ended = sum(one.ended for one in said["plain"])
    share = sum(spent["ours"]) / sum(spent["plain"])
    print(
        f"{len(rows)} prompts, {ended} answers ended by themselves, {alike} are the same; ours takes {share:.0%}"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
