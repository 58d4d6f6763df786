"""The work of [evaluate]: every contestant scored on the same rows, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import read_json, read_jsonl, write_json, write_jsonl
from alpaca_pipe.evaluate.bootstrap import paired
from alpaca_pipe.evaluate.config import SHUFFLED, TUNED, EvaluateConfig
from alpaca_pipe.evaluate.contestant import Contestant, hold
from alpaca_pipe.evaluate.held_out import HeldOut, encode_alike
from alpaca_pipe.evaluate.verdict import judge
from alpaca_pipe.models.loading import load_tokenizer
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.saved_template import saved_encoder
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.recipe.stage import Outcome, StageContext
from alpaca_pipe.weights.base import Checkpoint, resolve


def evaluate(config: EvaluateConfig, context: StageContext) -> Outcome:
    """Writes losses.jsonl (per row and contestant: nats, tokens), verdict.json, samples.jsonl and left_out.jsonl.

    Summary, as verdict.json: verdict, sentence, rows, tokens, loss (base, tuned and, where measured, chat and shuffled:
    mean, lo, hi in nats a token), difference (tuned - other, the same), missing (control -> why), left_out (rows).
    """
    checkpoint = resolve(context.tables["base"], context.progress.say)
    encoders, missing = _encoders(checkpoint, context.inputs[TUNED])
    examples = list(
        islice(
            map(Example.from_row, read_jsonl(context.inputs["curate/held_out.jsonl"])), config.rows
        )
    )
    rows = encode_alike(examples, encoders, config.max_length)
    samples = min(config.samples, len(rows.examples))
    fair = (
        "chat" if "chat" in encoders else "ours"
    )  # a base is read at its best: asked as it knows it
    sittings = {
        "base": Contestant(
            None, {"base": "ours"} | ({"chat": "chat"} if fair == "chat" else {}), samples, fair
        ),
        "tuned": Contestant(context.inputs[TUNED], {"tuned": "ours"}, samples, "ours"),
    }
    if SHUFFLED in context.inputs:
        sittings["shuffled"] = Contestant(context.inputs[SHUFFLED], {"shuffled": "ours"})
    else:
        missing["shuffled"] = "the training made none"
    heard = _hear(sittings, checkpoint, rows, encoders, config, context)
    losses = {name: scores for found in heard.values() for name, scores in found["losses"].items()}
    summary = _summary(losses, rows, missing, context.seed, config.resamples)
    _write(context.folder, rows, losses, heard, summary)
    context.progress.say(summary["sentence"])
    return Outcome(summary)


def _encoders(checkpoint: Checkpoint, tuned: Path) -> tuple[dict[str, Encoder], dict[str, str]]:
    """The prompts: "ours", which the tuned model was trained with, and "chat", the base's own; or why there is none."""
    ours = saved_encoder(load_tokenizer(Checkpoint(str(tuned))), tuned)
    if ours.template.is_chat:
        return {"ours": ours}, {
            "chat": "the tuned model was trained with that template, so it is the same prompt"
        }
    tokenizer = load_tokenizer(checkpoint)
    if not tokenizer.chat_template:
        return {"ours": ours}, {"chat": "its tokenizer has none"}
    try:
        return {"ours": ours, "chat": Encoder(tokenizer, TEMPLATES["chat"])}, {}
    except (
        UserError
    ) as error:  # a template that cannot be asked with is no control, and no reason to stop
        return {"ours": ours}, {"chat": error.what}


def _hear(
    sittings: Mapping[str, Contestant],
    checkpoint: Checkpoint,
    rows: HeldOut,
    encoders: Mapping[str, Encoder],
    config: EvaluateConfig,
    context: StageContext,
) -> dict[str, dict[str, Any]]:
    """What each sitting said, by name; one that an interrupted run has kept is not held again."""
    work = {name: sitting.work(len(rows.examples)) for name, sitting in sittings.items()}
    notes = {name: context.scratch / f"{name}.json" for name in sittings}
    done = sum(work[name] for name, note in notes.items() if note.exists())  # by an interrupted run
    context.progress.start(sum(work.values()), "answers", done)
    for name, sitting in sittings.items():
        if notes[name].exists():
            continue
        context.stop_here()

        def at(count: int, note: str, before: int = done) -> None:
            context.progress.at(before + count, note)

        write_json(
            notes[name],
            hold(
                sitting,
                checkpoint,
                rows,
                encoders,
                context.scratch / "base_logits.npy",
                config.max_new_tokens,
                config.batch_tokens,
                at,
            ),
        )
        done += work[name]
    return {name: read_json(note) for name, note in notes.items()}


def _summary(
    losses: Mapping[str, Sequence[tuple[float, int]]],
    rows: HeldOut,
    missing: Mapping[str, str],
    seed: int,
    resamples: int,
) -> dict[str, Any]:
    tokens = [count for _, count in losses["base"]]
    means, differences = paired(
        {name: [nats for nats, _ in scores] for name, scores in losses.items()},
        tokens,
        "tuned",
        seed,
        resamples,
    )
    verdict = judge(means, differences, len(tokens), missing)
    return {
        "verdict": verdict.word,
        "sentence": verdict.sentence,
        "rows": len(tokens),
        "tokens": sum(tokens),
        "loss": {
            name: means[name].rounded()
            for name in ("base", "chat", "tuned", "shuffled")
            if name in means
        },
        "difference": {name: interval.rounded() for name, interval in differences.items()},
        "missing": dict(missing),
        "left_out": len(rows.left_out),
    }


def _before(example: Example) -> dict[str, Any]:
    """Of a conversation also what was said up to the answer that is wanted."""
    last = max((n for n, one in enumerate(example.messages) if one.is_learned), default=0)
    said = [one.to_row() for one in example.messages[:last]]
    return {"messages": said} if said else {}


def _write(
    folder: Path,
    rows: HeldOut,
    losses: Mapping[str, Any],
    heard: Mapping[str, Any],
    summary: Mapping[str, Any],
) -> None:
    write_jsonl(
        folder / "losses.jsonl",
        (
            {"id": example.id, "model": name, "nats": nats, "tokens": tokens}
            for name, scores in losses.items()
            for example, (nats, tokens) in zip(rows.examples, scores, strict=True)
        ),
    )
    write_jsonl(
        folder / "samples.jsonl",
        (
            {
                "id": example.id,
                "instruction": example.instruction,
                "input": example.input,
                **_before(example),
                "wanted": example.output,
                "base": base,
                "base_ended": base_ended,
                "tuned": tuned,
                "tuned_ended": tuned_ended,
            }
            for example, (base, base_ended), (tuned, tuned_ended) in zip(
                rows.examples, heard["base"]["answers"], heard["tuned"]["answers"], strict=False
            )
        ),
    )
    write_jsonl(folder / "left_out.jsonl", (rejected.to_row() for rejected in rows.left_out))
    write_json(folder / "verdict.json", summary)
