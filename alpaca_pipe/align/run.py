"""The work of [align]: the tuned model trained on preferences, its controls, and what was measured on held-out ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from alpaca_pipe.align.align_verdict import verdict_of
from alpaca_pipe.align.config import MODEL, REWARD_MODEL, TRAINED, AlignConfig
from alpaca_pipe.align.control_rows import good_answers, other_labels, to_swap
from alpaca_pipe.align.measuring import (
    HeldOutPrompts,
    measure_offline,
    measure_online,
    measure_reward,
)
from alpaca_pipe.align.online import OnlineTune, tune_online
from alpaca_pipe.align.policy import Beginning, set_quiet
from alpaca_pipe.align.preference_ids import (
    PairIds,
    labelled_ids,
    pair_ids,
    prompt_ids,
)
from alpaca_pipe.align.preference_rows import PreferenceRows, asked, preference_rows
from alpaca_pipe.align.preference_tune import Listener, PreferenceTune, tune_on_preferences
from alpaca_pipe.align.reward_model import check_head, load_reward_model, rewards
from alpaca_pipe.align.reward_tune import RewardTune, tune_reward
from alpaca_pipe.align.shared_weights import share_frozen
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.example import Rejected
from alpaca_pipe.core.files import open_to_others, read_jsonl_so_far, write_json, write_jsonl
from alpaca_pipe.models.let_go import let_go
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.saved_template import encoder_of, save_template
from alpaca_pipe.recipe.stage import Outcome, StageContext
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.weights.base import base_or_grown, resolve

FOLDERS = {"aligned": MODEL, "sft": "control_sft", "shuffled": "control_shuffled"}


def align(config: AlignConfig, context: StageContext) -> Outcome:
    """Writes model/ (method reward: reward_model/; rloo and grpo both, where no reward model was given), control_sft/ and
    control_shuffled/, loss.jsonl, steps.jsonl (of each step margins, rewards, distance, length), reference.jsonl (the
    beginning's log-probabilities), left_out.jsonl, and measured.json.

    Summary: method, rows, held_out, left_out, steps, adapter, learning_rate, beta; what was measured: see measuring.py and
    align_verdict.py.
    """
    set_quiet()
    work = _Work(config, context)
    summary = {
        "method": config.method,
        "rows": _rows_of(work.ids[0]),
        "held_out": _rows_of(work.ids[1]),
        "left_out": len(work.left_out),
        "steps": work.steps,
        "adapter": work.use_peft,
        "learning_rate": work.hyper.learning_rate,
        "beta": config.strength,
    }
    write_jsonl(context.folder / "left_out.jsonl", (row.to_row() for row in work.left_out))
    if config.is_online:
        measured = work.online()
    elif config.method == "reward":
        measured = work.reward()
    else:
        measured = work.offline()
    write_json(context.folder / "measured.json", measured)
    if sentence := measured.get("sentence"):
        context.progress.say(sentence)
    return Outcome(summary | measured)


def _rows_of(ids: Sequence[Any]) -> int:
    """How many rows of preferences they are: kto reads a pair as two answers."""
    return len({one.id.rstrip("+-") for one in ids})


@dataclass(frozen=True)
class _Work:
    config: AlignConfig
    context: StageContext

    @cached_property
    def begin(self) -> Beginning:
        base = base_or_grown(self.context.tables["base"], self.context.inputs)
        tuned = self.context.inputs.get(TRAINED)
        checkpoint = resolve(base, self.context.progress.say)
        return Beginning(checkpoint, tuned, base.dtype, base.published)

    @cached_property
    def use_peft(self) -> bool:
        wanted = self.config.use_peft
        if wanted is None:
            wanted = self.begin.tuned is None or self.begin.has_adapter
        if not wanted and self.begin.dtype == "bfloat16":
            raise UserError(
                "align: full tuning of bfloat16 weights: at a rate of 1e-6 hardly any of them moves in a step",
                "set base.dtype: float32, or align.use_peft: true",
            )
        return wanted

    @cached_property
    def encoder(self) -> Encoder:
        begin = self.begin
        return encoder_of(begin.checkpoint, begin.tuned, self.config.template, "align.template")

    @cached_property
    def rows(self) -> PreferenceRows:
        return preference_rows(self.config, self.context.inputs, self.context.progress.say)

    @cached_property
    def ids(self) -> tuple[list[Any], list[Any], list[Rejected]]:
        """(to learn from, held out, those that cannot be written)."""
        make = labelled_ids if self.config.method == "kto" else pair_ids
        lost: list[Rejected] = []
        sides = []
        for rows in (self.rows.learned, self.rows.held_out):
            found = list(make(rows, self.encoder, self.config.max_length))
            sides.append([one for one in found if not isinstance(one, Rejected)])
            lost += [one for one in found if isinstance(one, Rejected)]
        if lost:
            self.context.progress.say(
                f"{len(lost)} rows are left out: {lost[0].reason}: left_out.jsonl"
            )
        if len(sides[0]) < 2 or not sides[1]:
            raise UserError(
                f"align: {len(sides[0])} rows to learn from and {len(sides[1])} held out can be written within {self.config.max_length} tokens",
                "raise align.max_length, or bring more rows",
            )
        return sides[0], sides[1], lost

    @property
    def left_out(self) -> list[Rejected]:
        return [*self.rows.left_out, *self.ids[2]]

    @cached_property
    def hyper(self) -> Hyperparameters:
        return self.config.hyper(self.context.seed, self.use_peft)

    @cached_property
    def steps(self) -> int:
        """Of the model that is aligned."""
        if not self.config.is_online:
            return self.hyper.steps(len(self.ids[0]))
        groups = self.config.prompts_a_step
        if (prompts := len(self.prompts)) < groups:
            raise UserError(
                f"align: a step answers {groups} prompts, and there are {prompts} to learn from",
                "lower align.per_device_train_batch_size, or raise align.num_generations, or bring more rows",
            )
        return replace(
            self.hyper, per_device_train_batch_size=groups, gradient_accumulation_steps=1
        ).steps(prompts // groups * groups)  # what is left over of an epoch is not used by TRL

    @cached_property
    def prompts(self) -> dict[str, tuple[int, ...]]:
        """Each prompt to learn from once, by its name."""
        rows = {asked(row): row for row in self.rows.learned}
        ids = prompt_ids(list(rows.values()), self.encoder)
        return {
            name: one
            for name, one in zip(rows, ids, strict=True)
            if len(one) < self.config.max_length
        }

    @cached_property
    def held_out_prompts(self) -> HeldOutPrompts:
        rows = {asked(row): row for row in self.rows.held_out}
        all_ids = prompt_ids(list(rows.values()), self.encoder)
        both = [
            (row, ids)
            for row, ids in zip(rows.values(), all_ids, strict=True)
            if len(ids) < self.config.max_length
        ][: self.config.samples]
        return HeldOutPrompts(
            tuple(ids for _, ids in both),
            tuple(f"{row.prompt[-1].text}\n{row.input}".strip() for row, _ in both),
            self.config.num_generations if self.config.is_online else 1,
        )

    def offline(self) -> dict[str, Any]:
        held_out = self.ids[1]
        names = ("aligned", *self.config.controlled)
        self._announce(names)
        for name in names:
            self._make(name, FOLDERS[name], lambda name=name: self._offline_tune(name))  # type: ignore[misc]
        self.context.phase("measure")
        found, own = measure_offline(
            self.begin,
            {name: self.context.folder / FOLDERS[name] for name in names},
            held_out,
            self.held_out_prompts,
            self.config,
            self.encoder.form.end_id,
            self.context.seed,
            self.context.scratch,
        )
        return verdict_of(found, [row.prompt for row in self.ids[1]], self.config.controlled) | own

    def _offline_tune(self, name: str) -> bool:
        learned, method, hyper = self.ids[0], self.config.method, self.hyper
        objective: dict[str, Any] = {"beta": self.config.strength}
        if method == "dpo":
            objective |= {
                "loss_type": [self.config.loss_type or "sigmoid"],
                "label_smoothing": self.config.label_smoothing,
            }
        else:
            objective |= {
                "loss_type": self.config.loss_type or "kto",
                "desirable_weight": self.config.desirable_weight,
                "undesirable_weight": self.config.undesirable_weight,
            }
        rows, swapped, reference = learned, frozenset[str](), "reference.jsonl"
        if name == "sft":
            method, objective = "dpo", {"loss_type": ["sft"]}
            rows, hyper = good_answers(learned), replace(hyper, max_steps=self.steps)
            if self.config.method == "kto":  # its rows are others, and so is what is said of them
                reference = ".scratch/sft_reference.jsonl"
        elif name == "shuffled" and method == "dpo":
            swapped = to_swap([row.id for row in learned], self.context.seed)
            rows = [row.swapped() if row.id in swapped else row for row in learned]
        elif name == "shuffled":
            rows = other_labels(learned, self.context.seed)
        scratch, draft = self._places(name)
        job = PreferenceTune(
            name,
            method,
            self.begin,
            self.use_peft,
            rows,
            hyper,
            objective,
            scratch,
            self.context.folder,
            self.context.folder / reference,
            draft,
            swapped,
        )
        return tune_on_preferences(job, self._listener(name))

    def reward(self) -> dict[str, Any]:
        names = ("aligned", *self.config.controlled)
        self._announce(names)
        folders = {"aligned": REWARD_MODEL, "shuffled": FOLDERS["shuffled"]}
        for name in names:
            self._make(
                name,
                folders[name],
                lambda name=name: self._reward_tune(name, self.hyper),  # type: ignore[misc]
            )
        found = measure_reward(
            self.begin,
            {name: self.context.folder / folders[name] for name in names},
            self.ids[1],
            self.context.scratch,
        )
        return verdict_of(found, [row.prompt for row in self.ids[1]], self.config.controlled)

    def _reward_tune(self, name: str, hyper: Hyperparameters) -> bool:
        rows: Sequence[PairIds] = self.ids[0]
        if name == "shuffled":
            swapped = to_swap([row.id for row in rows], self.context.seed)
            rows = [row.swapped() if row.id in swapped else row for row in rows]
        centre = (
            self.config.reward.center_rewards_coefficient
            if self.config.is_online
            else self.config.center_rewards_coefficient
        )
        scratch, draft = self._places(name)
        job = RewardTune(
            name,
            self.begin,
            self.use_peft,
            rows,
            hyper,
            {"center_rewards_coefficient": centre},
            self.encoder.form.end_id,
            scratch,
            self.context.folder,
            draft,
        )
        return tune_reward(job, self._listener(name))

    def online(self) -> dict[str, Any]:
        """First the reward model, where none is given; then the model, on answers of its own."""
        given = self.config.reward_model
        folder = given or self.context.folder / REWARD_MODEL
        if given:
            check_head(given)
        else:
            own = self.config.reward
            hyper = replace(
                self.hyper,
                learning_rate=own.learning_rate or (1e-4 if self.use_peft else 1e-5),
                num_train_epochs=own.num_train_epochs,
                max_steps=own.max_steps,
            )
            self._make("reward", REWARD_MODEL, lambda: self._reward_tune("reward", hyper))
        self._announce(("aligned",))
        self._make("aligned", MODEL, lambda: self._online_tune(folder))
        self.context.phase("measure")
        return measure_online(
            self.begin,
            self.context.folder / MODEL,
            folder,
            None if given else self.ids[1],
            self.held_out_prompts,
            self.config,
            self.encoder.form.end_id,
            self.context.seed,
            self.context.scratch,
        )

    def _online_tune(self, folder: Path) -> bool:
        judge = load_reward_model(folder, self.begin.checkpoint, "float32")
        objective: dict[str, Any] = {
            "beta": self.config.strength,
            "num_generations": self.config.num_generations,
            "max_completion_length": self.config.max_completion_length,
            "temperature": self.config.temperature,
        }
        if self.config.method == "grpo":
            objective["loss_type"] = self.config.loss_type or "dapo"
        scratch, draft = self._places("aligned")
        job = OnlineTune(
            "aligned",
            self.config.method,
            self.begin,
            self.use_peft,
            self.prompts,
            lambda answers: rewards(judge, answers),
            self.hyper,
            objective,
            self.encoder.form.end_id,
            scratch,
            self.context.folder,
            draft,
            lambda model: share_frozen(judge, model),
        )
        return tune_online(job, self._listener("aligned"))

    def _places(self, name: str) -> tuple[Path, Path]:
        """(checkpoints, the folder that it is written to first)."""
        scratch, draft = self.context.scratch / name, self.context.scratch / f"{name}-model"
        scratch.mkdir(exist_ok=True)
        shutil.rmtree(draft, ignore_errors=True)
        return scratch, draft

    def _make(self, name: str, folder: str, tune: Callable[[], bool]) -> None:
        """The model `name` under its name, once it is whole; what an interrupted run has made stays."""
        target = self.context.folder / folder
        if target.is_dir():
            return
        self.context.stop_here()
        finished = tune()
        let_go()  # a trainer and its model hold each other
        if not finished:
            raise Stopped
        draft = self.context.scratch / f"{name}-model"
        save_template(draft, self.encoder)
        open_to_others(draft)
        draft.rename(target)
        shutil.rmtree(self.context.scratch / name)

    def _announce(self, names: Sequence[str]) -> None:
        rows, steps = len(self.ids[0]), self.steps
        what = f"{self.config.method}, {rows} rows, {steps} steps"
        others = f", then {len(names) - 1} controls of equal steps" if len(names) > 1 else ""
        self.context.progress.say(what + others)
        done = sum(
            row["which"] in names for row in read_jsonl_so_far(self.context.folder / "loss.jsonl")
        )
        self.context.progress.start(steps * len(names), "steps", done)

    def _listener(self, name: str) -> Listener:
        order = ("aligned", *self.config.controlled)
        before = order.index(name) * self.steps if name in order else 0
        return Listener(
            self.context.stopping,
            lambda step, loss: self.context.progress.at(before + step, f"loss {loss:.3f}"),
            lambda done: self.context.progress.at(
                before, f"read before the first step: {done} rows"
            ),
            self.context.phase,
        )
