"""The work of [evaluate]: every contestant on the same rows, the verdict, what got worse; and, where they are named, rows from
elsewhere, a judge and lm-eval's tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import read_json, read_jsonl, write_json
from alpaca_pipe.core.registry import members
from alpaca_pipe.evaluate.changes import Line, changes, what_got_worse
from alpaca_pipe.evaluate.config import (
    ALIGNED,
    CHOSEN_ON,
    SFT,
    SHUFFLED,
    TRAINED,
    TUNED,
    EvaluateConfig,
)
from alpaca_pipe.evaluate.evaluations.answers_to_judge import TO_JUDGE, pairs
from alpaca_pipe.evaluate.evaluations.base import (
    Contestant,
    Evaluation,
    EvaluationInputs,
    ForeignSet,
    LoadedModel,
)
from alpaca_pipe.evaluate.foreign_rows import foreign_rows
from alpaca_pipe.evaluate.held_out import encode_alike
from alpaca_pipe.evaluate.judge.judge_set import judge_set
from alpaca_pipe.evaluate.judge.judged import judged
from alpaca_pipe.evaluate.lm_eval_harness import harness
from alpaca_pipe.evaluate.lm_eval_harness import said as said_by_harness
from alpaca_pipe.evaluate.logits_differ import check_changed
from alpaca_pipe.models.loading import load_for_scoring, load_tokenizer, positions
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.saved_template import saved_encoder
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.recipe.stage import Outcome, StageContext
from alpaca_pipe.weights.base import Checkpoint, base_or_grown, resolve


def evaluate(config: EvaluateConfig, context: StageContext) -> Outcome:
    """Writes what each evaluation writes: losses.jsonl (per row and contestant: nats, tokens), verdict.json, samples.jsonl,
    left_out.jsonl, and where they are asked for foreign_losses.jsonl, rules.jsonl, habits.jsonl and forgetting.jsonl.

    Summary, as verdict.json: verdict, sentence, rows, tokens, loss (base, tuned and, where measured, chat, shuffled and sft:
    mean, lo, hi in nats a token), difference (tuned - other, the same), missing (control -> why), left_out (rows); where asked for, rules,
    habits and forgetting, each with what it compared, and worse: a sentence for each thing that got worse; foreign: the same as
    of the held-out rows, on rows of others; judge: see judge/win_rates.py.
    """
    checkpoint = resolve(
        base_or_grown(context.tables["base"], context.inputs), context.progress.say
    )
    tuned = context.inputs.get(ALIGNED, context.inputs[TUNED])
    encoders, missing = _encoders(checkpoint, tuned)
    longest = positions(checkpoint, config.max_length)
    rows = encode_alike(_examples(config, context), encoders, longest)
    # a base is read at its best: asked as it knows it
    fair = "chat" if "chat" in encoders else "ours"
    contestants = {
        "base": Contestant(
            None, {"base": "ours"} | ({"chat": "chat"} if fair == "chat" else {}), fair
        ),
        "tuned": Contestant(tuned, {"tuned": "ours"}, "ours"),
    }
    if SHUFFLED in context.inputs:
        contestants["shuffled"] = Contestant(context.inputs[SHUFFLED], {"shuffled": "ours"})
    elif SFT not in context.inputs:
        missing["shuffled"] = "the training made none"
    if SFT in context.inputs:
        contestants["sft"] = Contestant(context.inputs[SFT], {"sft": "ours"})
    foreign = _foreign(config, context, encoders, longest)
    to_judge = judge_set(config.judge, rows.examples, encoders, longest) if config.judge else None
    if to_judge and (said_of_it := to_judge.sentence()):
        context.progress.say(f"evaluate.judge: {said_of_it}")
    given = EvaluationInputs(
        rows, encoders, config, context.seed, missing, longest, foreign, to_judge
    )
    said = _ask_all(contestants, checkpoint, given, context)
    summary: dict[str, Any] = {}
    for one in evaluations():
        summary |= one.conclude(_of(said, one), given, context.folder)
    summary |= _changed(summary, config.min_share_difference, context)
    context.progress.say(summary["sentence"])
    if foreign:
        context.progress.say(summary["foreign"]["sentence"])
    if config.judge and to_judge:  # last: what costs nothing is done and said when a judge is down
        answered = pairs(_of(said, TO_JUDGE), to_judge.prompts, config.judge)
        summary |= judged(config.judge, answered, context)
    if config.lm_eval:
        found = harness(
            config.lm_eval,
            checkpoint,
            tuned,
            context.scratch,
            context.folder / "lm_eval.log",
        )
        for line in said_by_harness(found["lm_eval"]["tasks"]):
            context.progress.say(line)
        summary |= found
    return Outcome(summary)


def _of(said: Mapping[str, Mapping[str, Any]], one: Evaluation) -> dict[str, Any]:
    return {name: kept[one.name] for name, kept in said.items()}


def _examples(config: EvaluateConfig, context: StageContext) -> list[Example]:
    """The first held-out rows, without those that chose the checkpoint: on them it is better than it is. UserError where
    none is left."""
    held_out = [
        Example.from_row(row) for row in read_jsonl(context.inputs["curate/held_out.jsonl"])
    ]
    chosen_on = context.inputs.get(CHOSEN_ON)
    known = {row["id"] for row in read_jsonl(chosen_on)} if chosen_on else set()
    rows = [row for row in held_out if row.id not in known]
    if known:
        context.progress.say(
            f"{len(held_out) - len(rows)} held-out rows chose the checkpoint, so the other {len(rows)} judge it"
        )
        if not rows:
            raise UserError(
                "evaluate: every held-out row chose the checkpoint, so none is left to judge it",
                "raise curate.held_out, or set train.load_best_model_at_end: false",
            )
    return rows[: config.rows]


def _foreign(
    config: EvaluateConfig, context: StageContext, encoders: Mapping[str, Encoder], longest: int
) -> ForeignSet | None:
    """None where no file is named. Says how many of its rows were trained on."""
    if config.foreign is None:
        return None
    trained = (Example.from_row(row) for row in read_jsonl(context.inputs[TRAINED]))
    found = foreign_rows(config.foreign, config.rows, trained)
    if known := found.left_out["trained_on"]:
        context.progress.say(
            f"{known} rows of {found.name} are left out: they stand among the rows that were trained on"
        )
    return ForeignSet(found, encode_alike(found.rows, encoders, longest, "foreign"))


def _changed(summary: dict[str, Any], least: float, context: StageContext) -> dict[str, Any]:
    """What got worse, of all that evaluations compared beside the loss; says it. Their lines become rows here, so that every look
    counts, whichever suite it is in."""
    parts = {
        name: part
        for name, part in summary.items()
        if isinstance(part, Mapping) and "compared" in part
    }
    lines: list[Line] = [line for part in parts.values() for line in part["compared"]]
    rows = [one.to_row() for one in changes(lines, least)]
    rest = iter(rows)
    told = {
        name: {**part, "compared": [next(rest) for line in part["compared"] if line.base]}
        for name, part in parts.items()
    }
    if not rows:
        return told
    worse, sentence = what_got_worse(rows)
    context.progress.say(sentence)
    return {**told, "looks": len(rows), "worse": worse, "worse_sentence": sentence}


def evaluations() -> tuple[Evaluation, ...]:
    """In the order in which they ask and conclude."""
    found = members("alpaca_pipe.evaluate.evaluations", Evaluation)
    return tuple(sorted(found, key=lambda one: (one.order, one.name)))


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


def _ask_all(
    contestants: Mapping[str, Contestant],
    checkpoint: Checkpoint,
    given: EvaluationInputs,
    context: StageContext,
) -> dict[str, dict[str, Any]]:
    """What each model said, by evaluation; one that an interrupted run has kept is not asked again."""
    work = {
        name: sum(one.work(contestant, given) for one in evaluations())
        for name, contestant in contestants.items()
    }
    notes = {name: context.scratch / f"{name}.json" for name in contestants}
    done = sum(work[name] for name, note in notes.items() if note.exists())  # by an interrupted run
    context.progress.start(sum(work.values()), "answers", done)
    probe = context.scratch / "base_logits.npy"
    for name, contestant in contestants.items():
        if notes[name].exists():
            continue
        context.stop_here()

        def at(count: int, note: str, before: int = done) -> None:
            context.progress.at(before + count, note)

        write_json(notes[name], _ask(contestant, checkpoint, given, probe, at))
        done += work[name]
    return {name: read_json(note) for name, note in notes.items()}


def _ask(
    contestant: Contestant,
    checkpoint: Checkpoint,
    given: EvaluationInputs,
    probe: Path,
    at: Callable[[int, str], None],
) -> dict[str, Any]:
    """What one model says to each evaluation. probe: see logits_differ.py."""
    model, tokenizer = load_for_scoring(checkpoint, contestant.folder)
    check_changed(contestant.folder, model, given.rows, probe)
    said, done = dict[str, Any](), 0
    for one in evaluations():

        def its_own(count: int, note: str, before: int = done) -> None:
            at(before + count, note)

        said[one.name] = one.ask(LoadedModel(model, tokenizer, contestant, its_own), given)
        done += one.work(contestant, given)
    return said
