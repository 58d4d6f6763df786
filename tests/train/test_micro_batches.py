"""Micro-batches: every token of every row is read back in its order, shared openings are laid down once, losses agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.models.loading import load_model
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.train import probe
from alpaca_pipe.train.attention import lay_end_to_end
from alpaca_pipe.train.micro_batches import IGNORED, Row, grouped, lay_out, micro_batches
from alpaca_pipe.train.response_loss import summed_nats
from alpaca_pipe.weights.base import Checkpoint
from tests.train.conftest import HYPER, with_
from tests.train.test_sft import tuned

row_of = Row.of


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Of few different tokens, so that they often begin alike."""
    found = []
    for _ in range(draw(st.integers(1, 8))):
        ids = draw(st.lists(st.integers(0, 2), min_size=2, max_size=12))
        mask = draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)))
        found.append(row_of(ids, mask))
    return found


def test_what_rows_of_the_released_52k_share_is_what_plans_count_on(data: Path) -> None:
    import gzip
    import json
    from random import Random

    from transformers import AutoTokenizer

    from alpaca_pipe.models.templates import TEMPLATES
    from alpaca_pipe.train.cost_estimate import OPENING

    tokenizer = AutoTokenizer.from_pretrained(data / "llama_tokenizer")
    with gzip.open(data / "alpaca_data.json.gz") as file:
        told = Random(0).sample(json.load(file), 1280)
    alpaca, found = TEMPLATES["alpaca"], []
    for row in told:
        prompt = (alpaca.with_input if row["input"] else alpaca.without_input).format(**row)
        asked = tokenizer(prompt).input_ids
        answer = tokenizer(row["output"], add_special_tokens=False).input_ids
        mask = [False] * len(asked) + [True] * len(answer)
        found.append(row_of([*asked, *answer], mask))
    for at_once in (4, 16, 32):
        laid = sum(
            len(batch.ids)
            for start in range(0, len(found), 128)
            for batch in micro_batches(found[start : start + 128], at_once)
        )
        saved = (sum(len(row.ids) for row in found) - laid) / len(found)
        assert saved == pytest.approx(OPENING * (1 - 1 / at_once), rel=0.02)


def read_back(ids: list[int], runs: tuple[tuple[int, int], ...]) -> list[list[int]]:
    answer, start = [], 0
    for count, length in runs:
        for _ in range(count):
            answer.append(ids[start : start + length])
            start += length
    return answer


@settings(max_examples=200, deadline=None)
@given(rows(), st.integers(1, 5), st.booleans(), st.one_of(st.none(), st.integers(1, 30)))
def test_every_token_is_read_in_its_place_and_every_target_is_there_once(
    given_rows: list[Row], at_once: int, share: bool, tokens: int | None
) -> None:
    wanted = sorted(list(row.ids) for row in given_rows)
    found, targets = [], 0
    for batch in micro_batches(given_rows, at_once, share, tokens):
        reads = batch.reads if batch.reads is not None else list(range(len(batch.ids)))
        found += read_back([batch.ids[place] for place in reads], batch.runs)
        places = read_back([batch.positions[place] for place in reads], batch.runs)
        assert all(row == list(range(len(row))) for row in places)
        returns = batch.returns if batch.returns is not None else list(range(len(batch.ids)))
        assert [reads[token] for token in returns] == list(range(len(batch.ids)))
        assert sum(count for count, _ in batch.runs) <= at_once
        targets += sum(target != IGNORED for target in batch.targets)
    assert sorted(found) == wanted
    assert targets == sum(row.learned for row in given_rows)


def test_an_opening_is_shared_up_to_the_last_place_that_predicts_nothing() -> None:
    """Two answers to one prompt: its last place has two targets, so it is laid down twice."""
    prompt, no = [1, 5, 6, 7], [False] * 4
    batch = lay_out([row_of([*prompt, 8], [*no, True]), row_of([*prompt, 9], [*no, True])])
    assert batch.ids == [1, 5, 6, 7, 8, 7, 9]
    assert batch.targets == [IGNORED] * 3 + [8, IGNORED, 9, IGNORED]
    assert batch.positions == [0, 1, 2, 3, 4, 3, 4] and batch.runs == ((2, 5),)


def test_a_row_longer_than_the_budget_goes_alone() -> None:
    long, short = row_of([1] * 9, [True] * 9), row_of([1] * 2, [True] * 2)
    assert [len(part) for part in grouped([short, long, short, short], 8, 5)] == [1, 1, 2]


def test_the_first_one_may_be_larger() -> None:
    rows = [Row([1] * 4, [1] * 4)] * 7
    assert [len(part) for part in grouped(rows, 8, 8, 4)] == [3, 2, 2]
    assert [len(part) for part in grouped(rows, 2, 8, 4)] == [2, 2, 2, 1]
    assert [len(part) for part in grouped(rows, 8, None, 4)] == [7]


@pytest.mark.parametrize("weighed", [False, True])
def test_a_heads_gradient_at_once_is_the_one_that_comes_later(weighed: bool) -> None:
    """Of two micro-batches, the second one longer than a part; the head's weights are the embedding's too."""
    torch.manual_seed(0)
    words = torch.nn.Parameter(torch.randn(50, 8))
    scale, found = 0.37, []
    for direct in (False, True):
        words.grad = None
        for count, seed in ((20, 1), (300, 2)):
            torch.manual_seed(seed)
            ids, targets = torch.randint(50, (count,)), torch.randint(50, (count,))
            hidden = words[ids].tanh()
            weights = torch.rand(count) if weighed else None
            given = (hidden, words, targets, weights, weighed)
            loss = summed_nats(*given, scale=scale) if direct else summed_nats(*given) * scale
            loss.backward()
        found.append((float(loss.detach()), words.grad.clone()))
    (one, slope), (other, at_once) = found
    assert other == pytest.approx(one, rel=1e-6)
    assert torch.allclose(at_once, slope, rtol=1e-5, atol=1e-5)


def test_the_loss_by_parts_is_the_loss_at_once() -> None:
    """300 places are three parts; value and both gradients."""
    torch.manual_seed(0)
    made: dict[str, Any] = {}
    targets = torch.randint(0, 50, (300,))
    for which in ("parts", "whole"):
        torch.manual_seed(1)
        hidden = torch.randn(300, 16, requires_grad=True)
        head = torch.randn(50, 16, requires_grad=True)
        if which == "parts":
            loss = summed_nats(hidden, head, targets)
        else:
            loss = torch.nn.functional.cross_entropy(hidden @ head.T, targets, reduction="sum")
        (3 * loss).backward()
        made[which] = [loss.detach(), hidden.grad, head.grad]
    for one, other in zip(made["parts"], made["whole"], strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)


def test_the_probe_refuses_an_attention_that_sees_the_row_before(
    tiny: Path, encoded: list[Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AttentionInterface

    from alpaca_pipe.train import attention

    model = load_model(Checkpoint(str(tiny)), "float32")
    assert lay_end_to_end(model, 1000) and probe.agrees(model, encoded, "sdpa")

    def leaking(module: Any, query: Any, key: Any, value: Any, mask: Any, **more: Any) -> Any:
        if more.get("row_runs") is None:
            return attention.rows_apart(module, query, key, value, mask, **more)
        tokens = query.shape[2] if more["row_reads"] is None else len(more["row_reads"])
        return attention.rows_apart(
            module, query, key, value, mask, **{**more, "row_runs": ((1, tokens),)}
        )

    AttentionInterface.register(attention.NAME, leaking)
    try:
        assert not probe.agrees(model, encoded, "sdpa")
        assert model.config._attn_implementation == "sdpa"  # trained padded, by its own attention
    finally:
        AttentionInterface.register(attention.NAME, attention.rows_apart)


def test_a_loss_that_is_no_number_stops_the_tune_at_once(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    """transformers would log it as 0.0."""
    with pytest.raises(UserError, match="is not a number") as failed:
        tuned(tiny, encoded, with_(HYPER, lora=None, learning_rate=1e30), tmp_path)
    assert "train.learning_rate" in failed.value.cure


def test_a_model_that_changes_its_logits_is_trained_by_them(
    encoded: list[Encoded], tmp_path: Path
) -> None:
    """Gemma 2 caps its logits: a loss of the head alone would be another one. The probe sees it, the loss is right."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    from alpaca_pipe.train.sft import tune
    from alpaca_pipe.weights.tiny import byte_tokenizer

    torch.manual_seed(0)
    model = Gemma2ForCausalLM(
        Gemma2Config(
            vocab_size=259,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=16,
            final_logit_softcapping=1.0,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    )
    for weight in model.parameters():  # far from uniform, so that a scale of the logits shows
        weight.data.mul_(4)
    rows = encoded[:4]
    nats = tokens = 0.0
    for row in rows:
        ids, mask = torch.tensor([row.ids]), torch.tensor(row.mask[1:])
        logits = model.eval()(input_ids=ids).logits[0, :-1][mask]
        nats += float(
            torch.nn.functional.cross_entropy(logits, ids[0, 1:][mask], reduction="sum").detach()
        )
        tokens += row.learned
    own = model.config._attn_implementation
    assert lay_end_to_end(model, 1000) and not probe.agrees(model, rows, own)
    assert model.config._attn_implementation == own == "eager"
    (tmp_path / "scratch").mkdir()
    hyper = with_(HYPER, lora=None, max_steps=1, per_device_train_batch_size=4)
    losses: list[float] = []
    tune(
        model,
        byte_tokenizer(),
        rows,
        hyper,
        tmp_path / "scratch",
        tmp_path / "loss.jsonl",
        "tuned",
        at=lambda step, loss: losses.append(loss),
    )
    assert losses == [pytest.approx(nats / tokens, rel=1e-4)]
