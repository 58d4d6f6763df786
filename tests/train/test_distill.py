"""A teacher's probabilities: the loss by its formula, stored targets that a kill does not lose, a tune that goes on as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.ledger.pricing.gpu_rates import gpus
from alpaca_pipe.models.loading import load_model
from alpaca_pipe.models.loss_mask import Encoded
from alpaca_pipe.models.run_as_base import RecipeBase
from alpaca_pipe.recipe.stage import EstimateInputs, StageContext
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.distill_config import check_vocabularies
from alpaca_pipe.train.distill_loss import Taught, likeliest, nats_and_slope
from alpaca_pipe.train.distill_loss import nats_of_logits as mixed_of_logits
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.train.job import TuneJob, perform
from alpaca_pipe.train.micro_batches import Row, as_tensors, micro_batches
from alpaca_pipe.train.processes import perform_together
from alpaca_pipe.train.reading_cost import TeacherReading, reading_of
from alpaca_pipe.train.response_loss import summed_nats
from alpaca_pipe.train.soft_targets import AskedOfTeacher, SoftTargets, soft_targets
from alpaca_pipe.train.stage import job_of, run
from alpaca_pipe.train.trainer import nats_by_logits, nats_of
from alpaca_pipe.weights.base import Checkpoint
from alpaca_pipe.weights.tiny import build_tiny
from tests.train.conftest import with_
from tests.train.test_processes import FULL, job, losses

PLACES, WORDS = 13, 29
go_on = lambda: False
unheard = lambda *_: None


def by_the_formula(student: Any, teacher: Any, top_k: int, heat: float) -> Any:
    """T^2 KL over the teacher's top_k tokens and all others as one, token by token, in doubles and with autograd."""
    total = torch.zeros((), dtype=torch.float64)
    for mine, theirs in zip(student.double(), teacher.double(), strict=True):
        q, p = torch.softmax(mine / heat, 0), torch.softmax(theirs / heat, 0)
        kept = sorted(range(len(p)), key=lambda word: -float(p[word]))[:top_k]
        others = [word for word in range(len(p)) if word not in kept]
        for word in kept:
            total = total + p[word] * (torch.log(p[word]) - torch.log(q[word]))
        if others:
            p_rest, q_rest = p[others].sum(), q[others].sum()
            total = total + p_rest * (torch.log(p_rest) - torch.log(q_rest))
    return total * heat**2


def drawn(seed: int) -> tuple[Any, Any]:
    torch.manual_seed(seed)
    return 3 * torch.randn(PLACES, WORDS), 3 * torch.randn(PLACES, WORDS)


@pytest.mark.parametrize("heat", [1.0, 2.5])
@pytest.mark.parametrize("top_k", [1, 7, WORDS])
def test_loss_and_gradient_are_those_of_the_formula(top_k: int, heat: float) -> None:
    student, teacher = drawn(top_k)
    taught = Taught(*likeliest(teacher, top_k, heat), 1.0, heat)
    nats, slope = nats_and_slope(student, taught)
    exact = student.clone().requires_grad_()
    wanted = by_the_formula(exact, teacher, top_k, heat)
    wanted.backward()
    assert float(nats.sum()) == pytest.approx(float(wanted), rel=1e-5)
    assert torch.allclose(slope, exact.grad, atol=1e-5)


def test_the_whole_vocabulary_is_the_exact_kl_and_less_of_it_is_below() -> None:
    student, teacher = drawn(3)
    exact = torch.nn.functional.kl_div(
        torch.log_softmax(student, -1),
        torch.log_softmax(teacher, -1),
        log_target=True,
        reduction="sum",
    )
    found = [
        float(nats_and_slope(student, Taught(*likeliest(teacher, k, 1.0), 1.0, 1.0))[0].sum())
        for k in (1, 4, 16, WORDS, 10 * WORDS)
    ]
    assert found == sorted(found)
    assert found[-1] == found[-2] == pytest.approx(float(exact), rel=1e-5)


@pytest.mark.parametrize("top_k", [5, WORDS])
def test_a_student_that_is_its_teacher_has_nothing_to_learn(top_k: int) -> None:
    student, _ = drawn(4)
    nats, slope = nats_and_slope(student, Taught(*likeliest(student, top_k, 1.0), 1.0, 1.0))
    assert float(nats.abs().max()) < 1e-6
    assert float(slope.abs().max()) < 1e-6


def test_a_teacher_that_is_sure_and_a_student_that_is_wrong_stay_finite() -> None:
    teacher, student = torch.full((2, WORDS), -200.0), torch.full((2, WORDS), -200.0)
    teacher[:, 0], student[:, 1] = 200.0, 200.0
    for top_k in (1, WORDS):
        nats, slope = nats_and_slope(student, Taught(*likeliest(teacher, top_k, 1.0), 1.0, 1.0))
        assert torch.isfinite(nats).all() and torch.isfinite(slope).all()
        assert float(nats[0]) == pytest.approx(400.0, rel=1e-4)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_with_the_head_a_part_at_a_time_and_by_logits_it_is_one_loss(alpha: float) -> None:
    """Weights of rows included; more places than are computed at once."""
    torch.manual_seed(0)
    many, size = 300, 8
    hidden, head = torch.randn(many, size), torch.randn(WORDS, size)
    targets, weights = torch.randint(WORDS, (many,)), torch.rand(many)
    teacher = torch.randn(many, WORDS)
    taught = Taught(*likeliest(teacher, 6, 2.0), alpha, 2.0)
    one, two = (hidden.clone().requires_grad_() for _ in range(2))
    heads = [head.clone().requires_grad_() for _ in range(2)]
    ours = summed_nats(one, heads[0], targets, weights, taught=taught)
    ours.backward()
    theirs = mixed_of_logits(two @ heads[1].T, targets, weights, taught)
    theirs.backward()
    plain = torch.nn.functional.cross_entropy(hidden @ head.T, targets, reduction="none")
    soft = torch.stack(
        [
            by_the_formula((hidden[at] @ head.T)[None], teacher[at][None], 6, 2.0)
            for at in range(many)
        ]
    )
    wanted = float(((alpha * soft + (1 - alpha) * plain) * weights).sum())
    assert float(ours) == pytest.approx(wanted, rel=1e-5)
    assert float(theirs) == pytest.approx(wanted, rel=1e-5)
    assert torch.allclose(one.grad, two.grad, atol=1e-4)
    assert torch.allclose(heads[0].grad, heads[1].grad, atol=1e-3)


WANTED = AskedOfTeacher(8, 1.0, 1.0, 10**6)


def stored(
    teacher: Path, rows: list[Encoded], folder: Path, wanted: AskedOfTeacher = WANTED, **more: Any
) -> SoftTargets:
    load = lambda: load_model(Checkpoint(str(teacher)), "float32")
    return soft_targets(folder, rows, load, wanted, **more)


def test_stored_targets_are_what_the_teacher_says_of_each_row_alone(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    soft = stored(tiny, encoded, tmp_path)
    model = load_model(Checkpoint(str(tiny)), "float32").eval()
    for number in (0, 3, len(encoded) - 1):
        row = encoded[number]
        with torch.no_grad():
            said = torch.log_softmax(model(torch.tensor([row.ids])).logits[0], -1)
        places = [at for at in range(len(row.ids) - 1) if row.mask[at + 1]]
        found = soft.of([number])
        wanted = said[places].topk(8).values
        assert torch.allclose(found.told, wanted, atol=1e-5)
        assert torch.allclose(said[places].gather(1, found.ids.long()), wanted, atol=1e-5)
    assert soft.of([-1]).ids.shape[0] == 0


def test_a_teacher_that_is_the_student_gives_no_loss_and_no_gradient(
    tiny: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    """In the trainer's own layout, openings shared; in the padded one too."""
    soft = stored(tiny, encoded, tmp_path)
    model = load_model(Checkpoint(str(tiny)), "float32").eval()
    rows = [replace(Row.of(row.ids, row.mask), number=at) for at, row in enumerate(encoded)]
    from alpaca_pipe.train.attention import lay_end_to_end
    from alpaca_pipe.train.micro_batches import as_padded_tensors

    padded = as_padded_tensors(rows[:5], 0)
    by_logits = nats_by_logits(model, padded, taught=soft.of(padded["numbers"]))
    assert abs(float(by_logits.detach())) < 1e-3
    lay_end_to_end(model, 2000)
    for batch in map(as_tensors, micro_batches(rows, 7)):
        taught = soft.of(batch["numbers"])
        assert len(taught.ids) == len(batch["learned"])
        loss = nats_of(model, model.get_output_embeddings(), batch, taught=taught)
        loss.backward()
        assert abs(float(loss.detach())) / len(taught.ids) < 1e-6
    gradients = [one.grad for one in model.parameters() if one.grad is not None]
    assert gradients and max(float(one.abs().max()) for one in gradients) < 1e-4


def test_parts_that_are_there_are_not_asked_again(
    tiny: Path, encoded: list[Encoded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alpaca_pipe.train.soft_targets._ROWS", 4)

    def stop(done: int) -> None:
        if done >= 8:
            raise Stopped

    with pytest.raises(Stopped):
        stored(tiny, encoded, tmp_path / "parts", between=stop)
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) == 2
    asked: list[int] = []
    stored(tiny, encoded, tmp_path / "parts", between=asked.append)
    assert asked[0] == 12
    stored(tiny, encoded, tmp_path / "whole")
    files = sorted((tmp_path / "whole").iterdir())
    assert [file.read_bytes() for file in files] == [
        (tmp_path / "parts" / file.name).read_bytes() for file in files
    ]
    again: list[int] = []
    stored(tiny, encoded, tmp_path / "parts", between=again.append)
    assert not again


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A teacher of the same vocabulary with other weights."""
    folder = tmp_path_factory.mktemp("teacher")
    build_tiny(folder)
    model = load_model(Checkpoint(str(folder)), "float32")
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return folder


def distilled(
    tiny: Path, other: Path, rows: list[Encoded], hyper: Hyperparameters, folder: Path
) -> TuneJob:
    soft = stored(other, rows, folder.parent / "soft", AskedOfTeacher(8, 2.0, 0.5, 10**6))
    return replace(job(tiny, rows, hyper, folder), soft=soft)


def test_it_learns_the_teacher_and_a_resume_is_the_same_to_the_bit(
    tiny: Path, other: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    hyper = with_(FULL, num_train_epochs=3.0)
    whole = distilled(tiny, other, encoded[:16], hyper, tmp_path / "whole")
    assert perform(whole, go_on, unheard)
    parts = distilled(tiny, other, encoded[:16], hyper, tmp_path / "parts")
    seen: list[int] = []
    assert not perform(parts, lambda: len(seen) >= 5, lambda step, loss: seen.append(step))
    assert perform(parts, go_on, unheard)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    names = [tmp_path / name / "model" / "model.safetensors" for name in ("whole", "parts")]
    assert names[0].read_bytes() == names[1].read_bytes()
    plain = job(tiny, encoded[:16], hyper, tmp_path / "plain")
    assert perform(plain, go_on, unheard)
    assert losses(tmp_path / "plain") != losses(tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_and_parts_of_weights_learn_it_alike(
    tiny: Path, other: Path, encoded: list[Encoded], tmp_path: Path
) -> None:
    from tests.train.test_fsdp import PARTS

    one = distilled(tiny, other, encoded[:19], FULL, tmp_path / "one")
    assert perform(one, go_on, unheard)
    two = distilled(tiny, other, encoded[:19], with_(FULL, **PARTS), tmp_path / "two")
    assert perform_together(two, go_on, unheard)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)


def settings(**more: Any) -> TrainConfig:
    return TrainConfig.model_validate(
        {
            "objective": "distill",
            "max_length": 700,
            "max_steps": 3,
            "per_device_train_batch_size": 4,
        }
        | more
    )


def test_the_stage_makes_the_distilled_tune_and_the_same_without_its_teacher(
    other: Path, bench: Callable[..., StageContext]
) -> None:
    here = bench("here")
    config = settings(distill={"teacher": str(other), "top_k": 8})
    assert config.compares and not config.shuffles
    summary = run(config, here).summary
    assert summary["loss"].keys() == {"tuned", "sft"}
    assert (here.folder / "model").is_dir() and (here.folder / "sft").is_dir()
    kept = here.folder.parent / "teacher_logprobs"
    (folder,) = kept.iterdir()
    times = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    run(settings(distill={"teacher": str(other), "top_k": 8}, seed=5), bench("again"))
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == times
    tokens = {
        which: [
            row["tokens"] for row in read_jsonl(here.folder / "loss.jsonl") if row["which"] == which
        ]
        for which in ("tuned", "sft")
    }
    assert tokens["tuned"] == tokens["sft"]


def test_another_vocabulary_is_refused_in_a_sentence(
    tmp_path: Path, other: Path, bench: Callable[..., StageContext]
) -> None:
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    for file in other.iterdir():
        (stranger / file.name).write_bytes(file.read_bytes())
    told = json.loads((stranger / "tokenizer.json").read_text())
    vocabulary = told["model"]["vocab"]
    first, second = sorted(vocabulary)[40:42]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (stranger / "tokenizer.json").write_text(json.dumps(told))
    config = settings(distill={"teacher": str(stranger)})
    with pytest.raises(UserError, match="stranger has another vocabulary than the base: 2 tokens"):
        run(config, bench("here"))
    with pytest.raises(UserError, match="1 tokens differ"):
        check_vocabularies({"a": 0}, {"a": 0, "b": 1}, "it")


@pytest.mark.parametrize(
    "more, said",
    [
        ({"loss": "dft"}, "only nll is mixed in"),
        ({"prompt_loss_weight": 0.1}, "asked about answers only"),
        ({"objective": "sft", "distill": {"top_k": 8}}, "nothing of it is read"),
        ({"objective": "sft", "control": "sft"}, "there is none"),
        ({"distill": {"alpha": 0.0}}, "greater than 0"),
    ],
)
def test_what_does_not_go_together_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        settings(**more)


def test_other_recipes_are_the_steps_that_they_were() -> None:
    plain = TrainConfig.model_validate({}).identity()
    assert not plain.keys() & {"objective", "distill"} and plain["control"] == "shuffled"
    assert settings().identity()["objective"] == "distill" and settings().compares
    shuffled = settings(control="shuffled")
    assert shuffled.shuffles and not shuffled.compares
    assert shuffled.identity() != settings().identity() == settings(control="sft").identity()


def test_plan_prices_the_teachers_minutes_and_says_where_it_does_not_fit() -> None:
    base = RecipeBase(model="huggyllama/llama-7b")
    big = settings(distill={"teacher": "huggyllama/llama-65b", "top_k": 64})
    small = settings(distill={"teacher": "huggyllama/llama-13b"})
    plain = TrainConfig.model_validate({"method": "full", "processes": 4, "fsdp": True})
    assert reading_of(plain, base, 1e6) == TeacherReading()
    found = [reading_of(one, base, 1e6) for one in (small, big)]
    assert found[1].flop == pytest.approx(5 * found[0].flop, rel=0.05)
    assert "llama-65b reads the rows once (top 64" in found[1].says
    card = gpus()["H100"]
    assert not list(found[0].notes(card))
    (note,) = found[1].notes(card)
    assert "260 GB and H100 has 85" in note
    job = job_of(small, {"base": base}, EstimateInputs({}, Path("runs"), "r"))
    assert job
    minutes = [one.minutes(job, card) for one in found]
    assert 0 < minutes[0].p50 < minutes[1].p50
