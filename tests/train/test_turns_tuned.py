"""Conversations through [train]: what is learned, refused and said; and the embedded model tuned on two-exchange rows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin, Rejected
from alpaca_pipe.core.files import read_jsonl, write_jsonl
from alpaca_pipe.recipe.stage import EstimateInputs, StageContext
from alpaca_pipe.train.config import Lora, TrainConfig
from alpaca_pipe.train.show_mask import print_mask
from alpaca_pipe.train.stage import estimate, run

CONFIG = TrainConfig(
    template="chat", max_length=300, max_steps=2, per_device_train_batch_size=4, lora=Lora(r=2)
)
SEED = Origin("seed")


def chat(*texts: str, **last: Any) -> Example:
    turns = [Message("assistant" if n % 2 else "user", text) for n, text in enumerate(texts)]
    turns[-1] = Message("assistant", texts[-1], **last)
    return Example.of_messages(turns, SEED)


@pytest.fixture
def here(bench: Callable[..., StageContext]) -> StageContext:
    """Four conversations: a plain one, one with reasoning, one with two users in a row, one that is too long."""
    found = bench("turns")
    two = [Message("user", "Hi"), Message("user", "there"), Message("assistant", "Yo"), Message("user", "Bye"), Message("assistant", "Ok")]  # fmt: skip
    rows = [
        chat("Hi", "Yo", "A colour?", "Red"),
        chat("Hi", "Yo", "A fruit?", "Plum", reasoning="They grow here."),
        Example.of_messages(two, SEED),
        chat("Hi", "Yo", "Go on", "on and on " * 40),
    ]
    write_jsonl(found.inputs["curate/train.jsonl"], (row.to_row() for row in rows))
    return found


def test_each_learned_answer_is_trained_on(here: StageContext) -> None:
    summary = run(CONFIG, here).summary
    # "Yo", "Red", its end twice; "Yo", "Plum"; "Yo", "Ok": a token a byte
    assert (summary["rows"], summary["dropped"], summary["learned_tokens"]) == (3, 1, 7 + 8 + 6)
    assert summary["unsaid"] == {"reasoning": 1} and "sequences" not in summary
    said = here.progress.sentences  # type: ignore[attr-defined]
    assert any("does not write the reasoning of 1 messages" in sentence for sentence in said)
    assert any("1 of 4 rows are longer than 300 tokens" in sentence for sentence in said)
    (dropped,) = read_jsonl(here.folder / "dropped.jsonl")
    assert dropped["rule"] == "max_length" and len(dropped["messages"]) == 4
    assert (here.folder / "control" / "adapter_config.json").is_file()


def test_a_template_of_one_exchange_is_refused_with_a_cure_that_works(here: StageContext) -> None:
    with pytest.raises(
        UserError, match="4 of 4 rows are conversations .* holds one exchange"
    ) as found:
        run(CONFIG.model_copy(update={"template": "alpaca"}), here)
    assert "chat (the base's own)" in found.value.cure and "vicuna" in found.value.cure
    assert not (here.folder / "model").exists()
    assert run(CONFIG.model_copy(update={"template": "vicuna"}), here).summary["rows"] == 3


def test_the_plan_knows_it_before_anything_runs(here: StageContext) -> None:
    known = EstimateInputs({"curate/train.jsonl": here.inputs["curate/train.jsonl"]})
    with pytest.raises(UserError, match="4 of 4 rows are conversations"):
        estimate(TrainConfig(), here.tables, known)
    assert "steps" in estimate(CONFIG, here.tables, known).says


def test_show_mask_of_a_conversation(
    here: StageContext, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = here.inputs["curate/train.jsonl"]
    print_mask({"train": CONFIG, **here.tables}, rows, 1)
    said = capsys.readouterr().out
    assert "assistant: ⟦Yo</s>⟧\nuser: A fruit?\nassistant: ⟦Plum</s>⟧\n" in said
    assert "2 answers, each ended by </s>" in said and "[4 assistant: 16, 5 learned]" in said
    assert "does not write the reasoning" in said
    print_mask({"train": CONFIG, **here.tables}, rows, 1, as_json=True)
    told = json.loads(capsys.readouterr().out)
    by_turn = {(one["turn"], one["role"]) for one in told["tokens"] if one["learned"]}
    assert by_turn == {(2, "assistant"), (4, "assistant")} and told["end"] == "</s>"
    print_mask({"train": CONFIG, **here.tables}, rows, 3)
    assert "row 3 is not trained on" in capsys.readouterr().out


def test_show_mask_colours_by_turn(
    here: StageContext, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    print_mask({"train": CONFIG, **here.tables}, here.inputs["curate/train.jsonl"], 0)
    said = capsys.readouterr().out
    plain = said.replace(";4", "").replace("\x1b[4;", "\x1b[")  # every other token is underlined
    assert "\x1b[1;32mY" in plain and "\x1b[36mH" in plain and "\x1b[2ma" in plain


ASKED = ["thyme", "sage", "mint", "dill", "basil", "chives", "fennel", "lovage", "savory", "borage"]


@pytest.mark.slow
@pytest.mark.local
def test_the_embedded_model_tuned_on_a_sharegpt_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole road: two exchanges a row, from the file to a verdict, with the base's own template and with ours."""
    from alpaca_pipe.api import run as run_recipe
    from alpaca_pipe.weights.checkpoint import exported_path

    if not exported_path("smollm2-135m-instruct").is_dir():
        pytest.skip("the embedded model is not here (alpaca-pipe setup local)")
    monkeypatch.chdir(tmp_path)
    herbs = [f"{one} {place}" for place in ("soup", "tea", "salad") for one in ASKED]
    talk = [
        {"conversations": [
            {"from": "human", "value": f"What do I add to my {herb.split()[1]}?"},
            {"from": "gpt", "value": f"Add {herb.split()[0]}, my gardener."},
            {"from": "human", "value": f"How much {herb.split()[0]} for {len(herb)} guests?"},
            {"from": "gpt", "value": f"{len(herb)} leaves of {herb.split()[0]}, my gardener."},
        ]}
        for herb in herbs
    ]  # fmt: skip
    Path("talk.json").write_text(json.dumps(talk))
    Path("talk.yaml").write_text(
        "recipe_version: 1\nbase: {model: smollm2-135m-instruct}\ngpu: {per_hour: 0}\n"
        "curate: {from: talk.json, likeness: 1.0, held_out: 8}\n"
        "train: {template: chat, max_steps: 6}\nevaluate: {samples: 1}\n"
    )
    for template in ("chat", "chatml"):
        done = run_recipe("talk.yaml", {"train.template": template}, until="evaluate")
        train, judged = done.summaries["train"], done.summaries["evaluate"]
        assert (train["rows"], train["dropped"]) == (22, 0) and "sequences" not in train
        assert (
            judged["verdict"] == "better"
            and judged["loss"]["tuned"]["hi"] < judged["loss"]["base"]["lo"]
        )
        (sample,) = read_jsonl(done.folders["evaluate"] / "samples.jsonl")
        assert [one["role"] for one in sample["messages"]] == ["user", "assistant", "user"]
        assert sample["wanted"].endswith("my gardener.")
    assert os.path.isfile(done.folders["train"] / "model" / "chat_template.jinja")


def test_one_exchange_is_trained_the_same_whatever_form_it_came_in(
    bench: Callable[..., StageContext], tmp_path: Path
) -> None:
    """Instruction and output, ShareGPT's turns, OpenAI's messages: the same adapter and control, byte by byte, and the ids that
    the version before conversations had: the prompt, the answer, its end."""
    from alpaca_pipe.data.reading import read
    from alpaca_pipe.models.loss_mask import Encoder
    from alpaca_pipe.models.templates import TEMPLATES
    from alpaca_pipe.weights.tiny import byte_tokenizer

    pairs = [(f"Say it {n} times.", f"it{n} " * (1 + n % 5) + "!") for n in range(12)]
    forms: dict[str, list[dict[str, Any]]] = {
        "alpaca": [{"instruction": ask, "input": "", "output": say} for ask, say in pairs],
        "sharegpt": [
            {"conversations": [{"from": "human", "value": ask}, {"from": "gpt", "value": say}]}
            for ask, say in pairs
        ],
        "messages": [
            {"messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": say}]}
            for ask, say in pairs
        ],
    }
    made: dict[str, list[bytes]] = {}
    for form, rows in forms.items():
        write_jsonl(tmp_path / f"{form}.jsonl", rows)
        examples = [*read(tmp_path / f"{form}.jsonl")]
        here = bench(form)
        write_jsonl(here.inputs["curate/train.jsonl"], (one.to_row() for one in examples))
        run(CONFIG.model_copy(update={"template": "alpaca"}), here)
        made[form] = [
            (here.folder / part / "adapter_model.safetensors").read_bytes()
            for part in ("model", "control")
        ]
    assert made["alpaca"] == made["sharegpt"] == made["messages"]
    tokenizer = byte_tokenizer()
    encoder, template = Encoder(tokenizer, TEMPLATES["alpaca"]), TEMPLATES["alpaca"]
    for example, found in zip(examples, encoder.encode(examples, 300), strict=True):
        assert not isinstance(found, Rejected)
        (one,) = found
        prompt = template.without_input.format(instruction=example.instruction)
        asked = tokenizer(prompt)["input_ids"]  # BOS before it
        answer = tokenizer(example.output, add_special_tokens=False)["input_ids"]
        ids = [*asked, *answer, tokenizer.eos_token_id]
        assert list(one.ids) == ids and sum(one.mask) == len(answer) + 1
