"""[evaluate] is the tuned model better than the base, and is that more than form?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import read_json, read_jsonl, write_json, write_jsonl
from alpaca_pipe.core.ranges import Range
from alpaca_pipe.core.table import Knob
from alpaca_pipe.evaluate.bootstrap import paired
from alpaca_pipe.evaluate.held_out import HeldOut, encode_alike
from alpaca_pipe.evaluate.sitting import Sitting, hold
from alpaca_pipe.evaluate.verdict import judge
from alpaca_pipe.ledger.machine import machine_of
from alpaca_pipe.models.fit import training_flops
from alpaca_pipe.models.loading import load_tokenizer
from alpaca_pipe.models.shapes import shape_of
from alpaca_pipe.models.speed import loading, reached
from alpaca_pipe.models.template import TEMPLATES, Encoder, saved_encoder
from alpaca_pipe.recipe.stage import Bench, Estimate, Known, Outcome, Stage, StageConfig
from alpaca_pipe.weights.base import TINY, Checkpoint, resolve

TUNED, SHUFFLED = "train/model", "train/control"


class Config(StageConfig):
    """On how many held-out rows, and how many answers to read."""

    rows: int = Field(200, ge=1, description="at most so many held-out rows are scored, the first of the file")
    max_length: int = Field(1024, ge=16, description="tokens of prompt and answer; longer rows are left out for all")
    resamples: int = Field(10_000, ge=100, description="draws of the bootstrap")
    samples: int = Field(4, ge=0, description="held-out instructions that base and tuned answer, to be read")
    max_new_tokens: int = Field(48, ge=1, description="length of these answers")
    batch_tokens: Annotated[int, Knob()] = Field(2048, ge=16, description="padded positions scored at once")

    def rehearsed(self) -> Self:
        """A few rows; four times the length, for a stand-in tokenizer spells bytes, about four to a token."""
        return self.model_copy(update={"rows": min(self.rows, 8), "samples": min(self.samples, 1),
                                       "max_length": 4 * self.max_length, "max_new_tokens": min(self.max_new_tokens, 8)})


def run(config: Config, bench: Bench) -> Outcome:
    """Writes losses.jsonl (per row and contestant: nats, tokens), verdict.json, samples.jsonl and left_out.jsonl.

    Summary, as verdict.json: verdict, sentence, rows, tokens, loss (base, tuned and, where measured, chat and shuffled:
    mean, lo, hi in nats a token), difference (tuned - other, the same), missing (control -> why), left_out (rows).
    """
    checkpoint = resolve(bench.tables["base"], bench.progress.say)
    encoders, missing = _encoders(checkpoint, bench.inputs[TUNED])
    examples = list(islice(map(Example.from_row, read_jsonl(bench.inputs["curate/held_out.jsonl"])), config.rows))
    rows = encode_alike(examples, encoders, config.max_length)
    samples = min(config.samples, len(rows.examples))
    fair = "chat" if "chat" in encoders else "ours"  # a base is read at its best: asked as it knows it
    sittings = {"base": Sitting(None, {"base": "ours"} | ({"chat": "chat"} if fair == "chat" else {}), samples, fair),
                "tuned": Sitting(bench.inputs[TUNED], {"tuned": "ours"}, samples, "ours")}
    if SHUFFLED in bench.inputs:
        sittings["shuffled"] = Sitting(bench.inputs[SHUFFLED], {"shuffled": "ours"})
    else:
        missing["shuffled"] = "the training made none"
    heard = _hear(sittings, checkpoint, rows, encoders, config, bench)
    losses = {name: scores for found in heard.values() for name, scores in found["losses"].items()}
    summary = _summary(losses, rows, missing, bench.seed, config.resamples)
    _write(bench.folder, rows, losses, heard, summary)
    bench.progress.say(summary["sentence"])
    return Outcome(summary)


def _encoders(checkpoint: Checkpoint, tuned: Path) -> tuple[dict[str, Encoder], dict[str, str]]:
    """The prompts: "ours", which the tuned model was trained with, and "chat", the base's own; or why there is none."""
    ours = saved_encoder(load_tokenizer(Checkpoint(str(tuned))), tuned)
    if ours.template.is_chat:
        return {"ours": ours}, {"chat": "the tuned model was trained with that template, so it is the same prompt"}
    tokenizer = load_tokenizer(checkpoint)
    if not tokenizer.chat_template:
        return {"ours": ours}, {"chat": "its tokenizer has none"}
    return {"ours": ours, "chat": Encoder(tokenizer, TEMPLATES["chat"])}, {}


def _hear(sittings: Mapping[str, Sitting], checkpoint: Checkpoint, rows: HeldOut, encoders: Mapping[str, Encoder],
          config: Config, bench: Bench) -> dict[str, dict[str, Any]]:
    """What each sitting said, by name; one that an interrupted run has kept is not held again."""
    work = {name: sitting.work(len(rows.examples)) for name, sitting in sittings.items()}
    notes = {name: bench.scratch / f"{name}.json" for name in sittings}
    done = sum(work[name] for name, note in notes.items() if note.exists())  # by an interrupted run
    bench.progress.start(sum(work.values()), "answers", done)
    for name, sitting in sittings.items():
        if notes[name].exists():
            continue
        bench.stop_here()

        def at(count: int, note: str, before: int = done) -> None:
            bench.progress.at(before + count, note)

        write_json(notes[name], hold(sitting, checkpoint, rows, encoders, bench.scratch / "base_logits.npy",
                                     config.max_new_tokens, config.batch_tokens, at))
        done += work[name]
    return {name: read_json(note) for name, note in notes.items()}


def _summary(losses: Mapping[str, Sequence[tuple[float, int]]], rows: HeldOut, missing: Mapping[str, str], seed: int,
             resamples: int) -> dict[str, Any]:
    tokens = [count for _, count in losses["base"]]
    means, differences = paired({name: [nats for nats, _ in scores] for name, scores in losses.items()},
                                tokens, "tuned", seed, resamples)
    verdict = judge(means, differences, len(tokens), missing)
    return {"verdict": verdict.word, "sentence": verdict.sentence, "rows": len(tokens), "tokens": sum(tokens),
            "loss": {name: means[name].rounded() for name in ("base", "chat", "tuned", "shuffled") if name in means},
            "difference": {name: interval.rounded() for name, interval in differences.items()},
            "missing": dict(missing), "left_out": len(rows.left_out)}


def _write(folder: Path, rows: HeldOut, losses: Mapping[str, Any], heard: Mapping[str, Any],
           summary: Mapping[str, Any]) -> None:
    write_jsonl(folder / "losses.jsonl", (
        {"id": example.id, "model": name, "nats": nats, "tokens": tokens}
        for name, scores in losses.items() for example, (nats, tokens) in zip(rows.examples, scores, strict=True)))
    write_jsonl(folder / "samples.jsonl", (
        {"id": example.id, "instruction": example.instruction, "input": example.input, "wanted": example.output,
         "base": base, "base_ended": base_ended, "tuned": tuned, "tuned_ended": tuned_ended}
        for example, (base, base_ended), (tuned, tuned_ended)
        in zip(rows.examples, heard["base"]["answers"], heard["tuned"]["answers"], strict=False)))
    write_jsonl(folder / "left_out.jsonl", (rejected.to_row() for rejected in rows.left_out))
    write_json(folder / "verdict.json", summary)


def estimate(config: Config, tables: Mapping[str, Any], known: Known) -> Estimate:
    rows, base, machine = min(config.rows, getattr(tables.get("curate"), "held_out", config.rows)), tables.get("base"), machine_of(tables)
    says = f"{rows} held-out rows x 4 contestants and 2 x {config.samples} answers to read"
    if getattr(base, "model", None) == TINY:
        return Estimate(Range.about(0.1, 2), f"{rows} held-out rows x 4 contestants, on a tiny model")
    shape = shape_of(base) if base else None
    if machine.gpu and shape:
        answers = 2 * config.samples * config.max_new_tokens * shape.layers * _LAYER_SECONDS
        scored = training_flops(shape.multiplied, 4 * rows * _TOKENS_A_ROW) / 3  # forward only
        seconds = reached(machine.gpu, scored, 4 * rows * shape.layers / 8) + loading(shape.parameters, 3, True)
        minutes = (seconds + Range.about(answers, 2)).times(1 / 60)
        return Estimate(minutes, f"{says}, on one {machine.gpu.name}", "the same share of the datasheet's rate as in train; not measured on a GPU yet")
    size = (base.parameters() if base else None) or _MEASURED_ON
    seconds_cpu = (3 * _LOAD_SECONDS + 4 * rows * _ROW_SECONDS + 2 * config.samples * config.max_new_tokens * _TOKEN_SECONDS
                   ) * size / _MEASURED_ON
    minutes = Range.about(seconds_cpu / 60, 2)
    return Estimate(minutes, says, "SmolLM2-135M measured on 2 CPU cores")


# SmolLM2-135M in fp32 on 2 cores, 2026-11
_MEASURED_ON = 135e6
_LOAD_SECONDS = 3.0
_ROW_SECONDS = 0.2  # of about 120 tokens
_TOKEN_SECONDS = 0.05  # four answers at once
_TOKENS_A_ROW = 130
_LAYER_SECONDS = 0.25e-3  # for each token of an answer and each layer: what a GPU's kernels take to start

STAGE = Stage("evaluate", version=1, config=Config, run=run, estimate=estimate,
              reads=("curate/held_out.jsonl", TUNED, f"{SHUFFLED}?"), uses=("base", "seed"), on_gpu=True)
