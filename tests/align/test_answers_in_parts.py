"""Answers asked in parts say what TRL's own head says of the whole batch, and have the same gradient."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.align import answers_in_parts
from alpaca_pipe.align.answers_in_parts import answer_in_parts
from alpaca_pipe.align.policy import Beginning, load_policy
from alpaca_pipe.align.shared_weights import share_frozen
from alpaca_pipe.weights.base import Checkpoint
from tests.align.conftest import hyper

ADAPTED = ["adapter", "two adapters", "all weights"]


def fused(tiny: Path, folder: Path, kind: str, temperature: float) -> Any:
    """The tiny model with TRL's head, its trained weights moved away from where they begin."""
    from trl.trainer.utils import add_fused_lm_head

    torch.manual_seed(3)
    begin = Beginning(Checkpoint(str(tiny)), None, "float32", "tiny")
    use_peft = kind != "all weights"
    model: Any = load_policy(begin, use_peft, hyper("kto", use_peft).lora, folder)
    if kind == "two adapters":  # the second is TRL's reference
        model.add_adapter("ref", model.peft_config["default"])
        model.set_adapter("default")
    bare = model.get_base_model() if use_peft else model
    outputs = ("log_probs", "entropy", "mean_logits", "is_top1")
    add_fused_lm_head(bare, temperature=temperature, outputs=outputs)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=draw)
    return model


def batch(rows: int = 9) -> dict[str, Any]:
    """Padded before and behind, as RLOO has it; some rows begin alike, two are equal, one has nothing to learn."""
    draw = random.Random(2)
    opening = [draw.randrange(3, 250) for _ in range(7)]
    made = []
    for at in range(rows):
        prompt = opening[: 4 + at % 4] if at % 2 else [draw.randrange(3, 250) for _ in range(3)]
        answer = [draw.randrange(3, 250) for _ in range(1 + 2 * at)]
        made.append((prompt, answer))
    made[2] = made[1]
    left, right = max(len(one) for one, _ in made), max(len(one) for _, one in made)
    ids = torch.zeros(rows, left + right, dtype=torch.long)
    real = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for at, (prompt, answer) in enumerate(made):
        first, last = left - len(prompt), left + len(answer)
        ids[at, first:last] = torch.tensor([*prompt, *answer])
        real[at, first:last] = 1
        if at != 4:
            labels[at, left:last] = torch.tensor(answer)
    return {"input_ids": ids, "attention_mask": real, "labels": labels}


def said(model: Any, weighs: Any) -> tuple[Any, list[Any]]:
    """What it says, and the gradient of a weighed sum of it."""
    found = model(**batch(), fused_lm_head=True)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return found, list(
        torch.autograd.grad((found.log_probs * weighs).sum(), weights, allow_unused=True)
    )


@pytest.mark.parametrize("kind", ADAPTED)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("tokens", [8, 40, 10_000])
def test_parts_are_the_whole(
    tiny: Path,
    tmp_path: Path,
    kind: str,
    temperature: float,
    tokens: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = fused(tiny, tmp_path, kind, temperature)
    model.train()
    shape = batch()["labels"][:, 1:].shape
    weighs = torch.rand(shape, generator=torch.Generator().manual_seed(5)) - 0.5
    whole, slopes = said(model, weighs)

    parts = []
    real = answers_in_parts._said_of_part
    monkeypatch.setattr(
        answers_in_parts, "_said_of_part", lambda *given: parts.append(1) or real(*given)
    )
    monkeypatch.setattr(answers_in_parts, "TOKENS_ON_CPU", tokens)
    assert answer_in_parts(model, 64, temperature)
    parts.clear()
    ours, own_slopes = said(model, weighs)

    assert len(parts) == {8: 17, 40: 7, 10_000: 1}[tokens]  # all but the last are computed again
    assert torch.allclose(ours.log_probs, whole.log_probs, atol=1e-5, rtol=1e-5)
    learned = batch()["labels"][:, 1:] != -100
    assert (ours.log_probs[~learned] == 0).all()
    for name in ("entropy", "mean_logits"):
        one, other = getattr(ours, name), getattr(whole, name)
        assert torch.allclose(one[learned], other[learned], atol=1e-5, rtol=1e-5)
    assert (ours.is_top1[learned] == whole.is_top1[learned]).all()
    for one, other in zip(own_slopes, slopes, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert torch.allclose(one, other, atol=1e-5, rtol=1e-4)

    parts.clear()
    with torch.no_grad():
        again = model(**batch(), fused_lm_head=True)
    assert torch.equal(again.log_probs, ours.log_probs)  # old and new log-probabilities of RLOO
    assert len(parts) == {8: 9, 40: 4, 10_000: 1}[tokens]  # and nothing twice without a gradient


@pytest.mark.parametrize("kind", ADAPTED)
def test_it_generates_as_before(tiny: Path, tmp_path: Path, kind: str) -> None:
    model = fused(tiny, tmp_path, kind, 1.0).eval()
    asked = {
        "input_ids": torch.tensor([[0, 5, 6], [7, 8, 9]]),
        "attention_mask": torch.tensor([[0, 1, 1], [1, 1, 1]]),
        "max_new_tokens": 5,
        "do_sample": False,
        "pad_token_id": 0,
    }
    before = model.generate(**asked)
    assert answer_in_parts(model, 64)
    assert torch.equal(model.generate(**asked), before)


def test_a_model_that_says_something_else_is_left_alone(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fused(tiny, tmp_path, "all weights", 0.5)
    own = model.forward
    assert not answer_in_parts(model, 64, temperature=1.0)
    assert model.forward == own


def test_a_reference_adapter_says_its_own(tiny: Path, tmp_path: Path) -> None:
    model = fused(tiny, tmp_path, "two adapters", 1.0)
    told = {}
    for name in ("default", "ref"):
        model.set_adapter(name)
        told[name] = model(**batch(), fused_lm_head=True).log_probs.detach()
    model.set_adapter("default")
    assert answer_in_parts(model, 64)
    for name, wanted in told.items():
        model.set_adapter(name)
        found = model(**batch(), fused_lm_head=True).log_probs
        assert torch.allclose(found, wanted, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(told["default"], told["ref"], atol=1e-2)


def test_a_judge_shares_what_nobody_trains(tiny: Path, tmp_path: Path) -> None:
    """Frozen weights of equal name and value lie in memory once; trained ones, and others, stay apart."""
    from alpaca_pipe.align.reward_model import new_reward_model, rewards

    begin = Beginning(Checkpoint(str(tiny)), None, "float32", "tiny")
    lora = hyper("reward", True).lora
    judge: Any = new_reward_model(begin, True, lora, tmp_path)
    asked = [[5, 6, 7, 2], [9, 8, 2]]
    before = rewards(judge, asked)
    other = load_policy(begin, False, None, tmp_path)
    assert share_frozen(judge, other) == 0  # all its weights are trained
    model = load_policy(begin, True, lora, tmp_path)
    count = share_frozen(judge, model)
    frozen = {one.data_ptr() for one in model.parameters() if not one.requires_grad}
    mine = [one for name, one in judge.named_parameters() if one.data_ptr() in frozen]
    assert count == len(mine) >= 7
    assert rewards(judge, asked) == before
    changed: Any = load_policy(begin, True, lora, tmp_path)
    with torch.no_grad():
        for weight in changed.parameters():
            weight += 1
    assert share_frozen(judge, changed) == 0
