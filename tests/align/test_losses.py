"""The losses of TRL's trainers on our ids, held against the papers' formulas, written here anew on ids: a plain forward pass
over one unpadded row at a time, and nothing of TRL's or ours in between."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.align.online import OnlineTune, online_trainer
from alpaca_pipe.align.policy import Beginning, load_policy
from alpaca_pipe.align.preference_ids import LabelledIds, PairIds
from alpaca_pipe.align.preference_tune import PreferenceTune, offline_trainer
from alpaca_pipe.align.reference import labelled_reference, pair_reference
from alpaca_pipe.align.reward_model import new_reward_model, padding_tokenizer, rewards
from alpaca_pipe.align.trl_trainers import mismatched, reward_trainer, with_reference
from alpaca_pipe.weights.base import Checkpoint
from tests.align.conftest import END, hyper, labelled, pairs

BETA = 0.3


def begin(tiny: Path) -> Beginning:
    return Beginning(Checkpoint(str(tiny)), None, "float32", "tiny")


def log_prob(model: Any, prompt: Sequence[int], answer: Sequence[int]) -> Any:
    """log pi(answer | prompt) = sum over its tokens of log softmax of the logits before each, with its gradient."""
    ids = torch.tensor([[*prompt, *answer]])
    logits = model(input_ids=ids, use_cache=False).logits[0]
    total = torch.zeros(())
    for place in range(len(prompt), ids.shape[1]):
        row = logits[place - 1]
        total = total + row[ids[0, place]] - torch.logsumexp(row, dim=-1)
    return total


def moved(model: Any, by: float = 0.05) -> None:
    """The trained weights are no longer where they began."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight += by * torch.randn(weight.shape, generator=draw)


def trainer_of(
    tiny: Path, folder: Path, method: str, rows: Any, use_peft: bool, precomputed: bool, **own: Any
) -> Any:
    scratch = folder / f"scratch-{use_peft}-{precomputed}"
    scratch.mkdir()
    at = hyper(method, use_peft)
    torch.manual_seed(0)
    model = load_policy(begin(tiny), use_peft, at.lora, scratch)
    objective = {"beta": BETA, **own}
    job = PreferenceTune(
        "aligned",
        method,
        begin(tiny),
        use_peft,
        rows,
        at,
        objective,
        scratch,
        folder,
        scratch / "reference.jsonl",
        folder / "model",
    )
    trainer = offline_trainer(job, model, precomputed)
    if precomputed:
        found = (
            pair_reference(trainer, rows, job.reference)
            if method == "dpo"
            else labelled_reference(trainer, rows, job.reference)
        )
        with_reference(trainer, found)
    return trainer


def batch_of(trainer: Any, start: int, count: int) -> Any:
    rows = [trainer.train_dataset[place] for place in range(start, start + count)]
    return trainer.data_collator(rows)


def dpo_by_formula(model: Any, row: PairIds, reference: tuple[float, float]) -> Any:
    """Rafailov et al. 2023, eq. 7."""
    chosen = log_prob(model, row.prompt, row.chosen) - reference[0]
    rejected = log_prob(model, row.prompt, row.rejected) - reference[1]
    return -torch.log(torch.sigmoid(BETA * chosen - BETA * rejected))


@pytest.mark.parametrize("use_peft", [True, False])
def test_dpo_begins_at_ln_2_and_follows_the_formula(
    tiny: Path, tmp_path: Path, use_peft: bool
) -> None:
    rows = pairs(6)
    trainer = trainer_of(tiny, tmp_path, "dpo", rows, use_peft, True, loss_type=["sigmoid"])
    before = []
    with torch.no_grad():
        for row in rows:
            before.append(
                (
                    float(log_prob(trainer.model, row.prompt, row.chosen)),
                    float(log_prob(trainer.model, row.prompt, row.rejected)),
                )
            )
    for place, (chosen, rejected) in enumerate(before):
        said = trainer.train_dataset[place]
        assert said["ref_chosen_logps"] == pytest.approx(chosen, abs=1e-4)
        assert said["ref_rejected_logps"] == pytest.approx(rejected, abs=1e-4)
        trainer.model.train()
        loss = trainer.compute_loss(trainer.model, batch_of(trainer, place, 1))
        assert float(loss) == pytest.approx(math.log(2), abs=1e-6)
        assert trainer._metrics["train"]["rewards/margins"][-1] == pytest.approx(0, abs=1e-6)
    moved(trainer.model)
    for place, row in enumerate(rows):
        loss = trainer.compute_loss(trainer.model, batch_of(trainer, place, 1))
        wanted = dpo_by_formula(trainer.model, row, before[place])
        assert abs(float(wanted) - math.log(2)) > 1e-4  # it has moved, so the formula is tried
        assert float(loss.detach()) == pytest.approx(float(wanted.detach()), abs=2e-5)
    both = trainer.compute_loss(trainer.model, batch_of(trainer, 0, 4))
    one_by_one = [dpo_by_formula(trainer.model, row, before[n]) for n, row in enumerate(rows[:4])]
    assert float(both.detach()) == pytest.approx(float(sum(one_by_one).detach()) / 4, abs=2e-5)  # type: ignore[union-attr]


def test_dpo_has_the_gradient_of_the_formula(tiny: Path, tmp_path: Path) -> None:
    rows = pairs(4)
    trainer = trainer_of(tiny, tmp_path, "dpo", rows, True, True, loss_type=["sigmoid"])
    before = [(one["ref_chosen_logps"], one["ref_rejected_logps"]) for one in trainer.train_dataset]
    moved(trainer.model)
    trainer.model.train()
    weights = [one for one in trainer.model.parameters() if one.requires_grad]
    found = torch.autograd.grad(
        trainer.compute_loss(trainer.model, batch_of(trainer, 0, 4)), weights
    )
    wanted = torch.autograd.grad(
        sum(
            dpo_by_formula(trainer.model, row, said) for row, said in zip(rows, before, strict=True)
        )
        / 4,
        weights,
    )
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("use_peft", [True, False])
def test_a_reference_computed_before_is_the_one_computed_in_each_step(
    tiny: Path, tmp_path: Path, use_peft: bool
) -> None:
    """Without a stored one TRL asks a second copy of the adapter, or a second model."""
    rows = pairs(5)
    stored = trainer_of(tiny, tmp_path, "dpo", rows, use_peft, True, loss_type=["sigmoid"])
    again = trainer_of(tiny, tmp_path, "dpo", rows, use_peft, False, loss_type=["sigmoid"])
    assert "ref" not in getattr(stored.model, "peft_config", {})
    assert stored.ref_model is None
    for trainer in (stored, again):
        for name, weight in trainer.model.named_parameters():
            if weight.requires_grad and ".ref." not in name:
                draw = torch.Generator().manual_seed(len(name))
                with torch.no_grad():
                    weight += 0.05 * torch.randn(weight.shape, generator=draw)
        trainer.model.train()
    for place in range(5):
        one = stored.compute_loss(stored.model, batch_of(stored, place, 1))
        other = again.compute_loss(again.model, batch_of(again, place, 1))
        assert float(one.detach()) == pytest.approx(float(other.detach()), abs=1e-6)
        assert abs(float(one.detach()) - math.log(2)) > 1e-4


def test_the_prompt_is_read_and_never_learned(tiny: Path, tmp_path: Path) -> None:
    """The loss is a function of the answers' log-probabilities alone: with the logits as leaves, those of places that predict
    a prompt's token get a gradient of exactly nothing, and all others something."""
    rows = pairs(3)
    trainer = trainer_of(tiny, tmp_path, "dpo", rows, False, True, loss_type=["sigmoid"])
    batch = batch_of(trainer, 0, 3)
    kept: list[Any] = []
    read: list[Any] = []

    def keep(module: Any, args: Any, made: Any) -> None:
        made.retain_grad()
        kept.append(made)

    inner = trainer.model.model
    hooks = [
        inner.embed_tokens.register_forward_hook(lambda module, args, made: read.append(args[0])),
        inner.norm.register_forward_hook(keep),
    ]
    trainer.model.train()
    trainer.compute_loss(trainer.model, batch).backward()
    for hook in hooks:
        hook.remove()
    slopes = torch.cat([made.grad.abs().sum(dim=-1).flatten() for made in kept])
    tokens = torch.cat([ids.flatten() for ids in read])
    sides = [(row.prompt, side) for row in rows for side in (row.chosen, row.rejected)]
    # what stands before each token of an answer: the prompt's last, then the answer without its end
    before_answer = [token for prompt, side in sides for token in (prompt[-1], *side[:-1])]
    assert sorted(tokens[slopes > 0].tolist()) == sorted(before_answer)
    rest = tokens[slopes == 0].tolist()
    assert rest.count(END) == len(sides)
    for row in rows:  # a prompt is read once for both of its answers, or once for each
        for token in row.prompt[:-1]:
            assert rest.count(token) in (1, 2)


def kto_by_formula(
    model: Any, rows: Sequence[LabelledIds], before: Sequence[tuple[float, float]]
) -> Any:
    """Ethayarajh et al. 2024, eq. 7 and 8: z0 by the answers of the batch, each under the prompt after its own."""
    others = [rows[place - 1].answer for place in range(len(rows))]
    with torch.no_grad():
        apart = [
            log_prob(model, row.prompt, other) - was
            for row, other, (_, was) in zip(rows, others, before, strict=True)
        ]
        z0 = max(float(sum(apart)) / len(apart), 0.0)
    losses = []
    for row, (was, _) in zip(rows, before, strict=True):
        gone = log_prob(model, row.prompt, row.answer) - was
        value = torch.sigmoid(BETA * (gone - z0) if row.label else BETA * (z0 - gone))
        losses.append((1.5 if row.label else 0.5) * (1 - value))
    return sum(losses) / len(losses)


def test_kto_follows_the_formula(tiny: Path, tmp_path: Path) -> None:
    rows = labelled(4)
    trainer = trainer_of(
        tiny,
        tmp_path,
        "kto",
        rows,
        True,
        True,
        loss_type="kto",
        desirable_weight=1.5,
        undesirable_weight=0.5,
    )
    before = []
    with torch.no_grad():
        for place, row in enumerate(rows):
            other = rows[place - 1].answer
            before.append(
                (
                    float(log_prob(trainer.model, row.prompt, row.answer)),
                    float(log_prob(trainer.model, row.prompt, other)),
                )
            )
    trainer.model.train()
    for by in (0.0, 0.05):
        moved(trainer.model, by)
        loss = trainer.compute_loss(trainer.model, batch_of(trainer, 0, 4))
        wanted = kto_by_formula(trainer.model, rows, before)
        assert float(loss.detach()) == pytest.approx(float(wanted.detach()), abs=2e-5)


@pytest.mark.parametrize("use_peft", [True, False])
def test_reward_is_bradley_and_terry(tiny: Path, tmp_path: Path, use_peft: bool) -> None:
    """-log sigmoid(r(chosen) - r(rejected)), each read at the answer's end token, though that may be what pads a batch."""
    rows, at = pairs(4), hyper("reward", use_peft)
    torch.manual_seed(0)
    model: Any = new_reward_model(begin(tiny), use_peft, at.lora, tmp_path)
    tokenizer = padding_tokenizer(Checkpoint(str(tiny)), END)
    assert tokenizer.pad_token_id != END
    trainer = reward_trainer(model, tokenizer, rows, at, tmp_path)
    moved(trainer.model, 0.1)
    trainer.model.eval()  # type: ignore[union-attr]
    bare = model.get_base_model() if use_peft else model

    def reward(ids: Sequence[int]) -> Any:
        hidden = bare.model(input_ids=torch.tensor([list(ids)])).last_hidden_state[0, -1]
        return bare.score(hidden)[0]

    losses = []
    for row in rows:
        apart = reward([*row.prompt, *row.chosen]) - reward([*row.prompt, *row.rejected])
        losses.append(float((torch.log(1 + torch.exp(-apart))).detach()))
    with torch.no_grad():
        found = float(trainer.compute_loss(trainer.model, batch_of(trainer, 0, 4)))
    assert found == pytest.approx(sum(losses) / 4, abs=1e-5)
    sides = [[*row.prompt, *row.chosen] for row in rows]
    alone = [float(reward(side).detach()) for side in sides]
    assert rewards(trainer.model, sides) == pytest.approx(alone, abs=1e-5)


def test_rloo_follows_the_formula(tiny: Path, tmp_path: Path) -> None:
    """Ahmadian et al. 2024: the advantage of an answer is its reward, less beta times the log-ratio to the reference, less the
    mean of that over the other answers to the same prompt; and the gradient is that of -advantage x log pi."""
    asked = {row.id: row.prompt for row in pairs(4)}
    at = hyper("rloo", True, per_device_train_batch_size=8)
    torch.manual_seed(0)
    model: Any = load_policy(begin(tiny), True, at.lora, tmp_path)
    told: list[list[int]] = []

    def reward(answers: Sequence[Sequence[int]]) -> list[float]:
        told.extend([list(answer) for answer in answers])
        return [float(sum(answer) % 7) for answer in answers]

    objective = {
        "beta": BETA,
        "num_generations": 4,
        "max_completion_length": 6,
        "temperature": 1.0,
    }
    job = OnlineTune(
        "aligned",
        "rloo",
        begin(tiny),
        True,
        asked,
        reward,
        at,
        objective,
        END,
        tmp_path,
        tmp_path,
        tmp_path / "model",
    )
    trainer = online_trainer(job, model)
    for name, weight in trainer.model.named_parameters():
        if weight.requires_grad and ".ref." not in name:
            draw = torch.Generator().manual_seed(len(name))
            with torch.no_grad():
                weight += 0.05 * torch.randn(weight.shape, generator=draw)
    names = list(asked)[:2]
    inputs = [{"prompt": name} for name in names for _ in range(4)]
    trainer.model.train()
    made = trainer._generate_and_score_completions(inputs)
    prompts = [asked[name] for name in names for _ in range(4)]
    answers = [
        tuple(ids[mask.bool()].tolist())
        for ids, mask in zip(made["completion_ids"], made["completion_mask"], strict=True)
    ]
    assert told == [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
    penalised = []
    with torch.no_grad():
        for prompt, answer, sequence in zip(prompts, answers, told, strict=True):
            trainer.model.set_adapter("default")
            now = float(log_prob(trainer.model, prompt, answer))
            trainer.model.set_adapter("ref")
            was = float(log_prob(trainer.model, prompt, answer))
            penalised.append(float(sum(sequence) % 7) - BETA * (now - was))
    trainer.model.set_adapter("default")
    wanted = []
    for place, one in enumerate(penalised):
        group = penalised[place // 4 * 4 : place // 4 * 4 + 4]
        wanted.append(one - (sum(group) - one) / 3)
    assert made["advantages"].tolist() == pytest.approx(wanted, abs=2e-4)
    weights = [one for one in trainer.model.parameters() if one.requires_grad]
    found = torch.autograd.grad(
        trainer.compute_loss(trainer.model, made), weights, allow_unused=True
    )
    by_formula = (
        -sum(
            gain * log_prob(trainer.model, prompt, answer)
            for gain, prompt, answer in zip(wanted, prompts, answers, strict=True)
        )
        / 8
    )
    slopes = torch.autograd.grad(by_formula, weights, allow_unused=True)
    tried = 0
    for one, other in zip(found, slopes, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert torch.allclose(one, other, rtol=2e-3, atol=2e-4)
            tried += 1
    assert tried


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_what_is_rewarded_becomes_likelier(tiny: Path, tmp_path: Path, method: str) -> None:
    """A reward for low tokens, three seeds, all weights (an adapter cannot turn a tiny model's frozen words far): in each the
    mean of the last steps is above that of the first by more than the spread of those."""
    from alpaca_pipe.align.online import tune_online
    from alpaca_pipe.align.preference_tune import Listener
    from alpaca_pipe.core.files import read_jsonl

    asked = {row.id: row.prompt for row in pairs(4)}

    def reward(answers: Sequence[Sequence[int]]) -> list[float]:
        return [sum(token < 60 for token in answer[-6:]) / 6 for answer in answers]

    for seed in (1, 2, 3):
        folder = tmp_path / str(seed)
        (folder / "scratch").mkdir(parents=True)
        at = hyper(
            method,
            False,
            per_device_train_batch_size=32,
            learning_rate=0.01,
            max_steps=30,
            seed=seed,
        )
        job = OnlineTune(
            "aligned",
            method,
            begin(tiny),
            False,
            asked,
            reward,
            at,
            {"beta": 0.01, "num_generations": 8, "max_completion_length": 6, "temperature": 1.0},
            END,
            folder / "scratch",
            folder,
            folder / "model",
        )
        assert tune_online(job, Listener())
        found = [row["reward"] for row in read_jsonl(folder / "steps.jsonl")]
        first, last = found[:5], found[-5:]
        spread = max(first) - min(first)
        assert sum(last) / 5 > sum(first) / 5 + spread, (seed, found)


@pytest.mark.parametrize("each", [1, 2, 3])
def test_kto_measures_on_answers_to_other_prompts(each: int) -> None:
    """Pairs bring two answers to a prompt, one after the other; each answer is read once, under another prompt."""
    rows = [LabelledIds(f"x{n}", (n // each,), (100 + n, END), n % 2 == 0) for n in range(each * 5)]
    found = mismatched(rows)
    assert sorted(found) == sorted(row.answer for row in rows)
    own = {row.answer: row.prompt for row in rows}
    assert all(own[answer] != row.prompt for row, answer in zip(rows, found, strict=True))
