"""Checkpoints as people have them: each row is a public report rebuilt with a tiny model. Known in the plan, or before the
first paid request; none of them spoils a training without a word."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from safetensors.torch import load_file, save_file

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json, write_json
from alpaca_pipe.models.base_check import Asked
from alpaca_pipe.models.base_proof import prove_base
from alpaca_pipe.models.loading import load_for_scoring, load_model, load_tokenizer
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.recipe.stage import EstimateInputs
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.stage import STAGE
from alpaca_pipe.weights.base import BaseTable, Checkpoint
from alpaca_pipe.weights.tiny import build_tiny

Change = Callable[[Path], None]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder of one's own, to be spoiled."""
    build_tiny(tmp_path / "base")
    return tmp_path / "base"


def planned(base: Path, **table: Any) -> None:
    STAGE.estimate(TrainConfig(**table), {"base": BaseTable(model=base)}, EstimateInputs())


def proved(base: Path, **table: Any) -> list[str]:
    """What is said before the first paid request."""
    said: list[str] = []
    planned(base, **table)
    assert STAGE.prove
    STAGE.prove(TrainConfig(**table), {"base": BaseTable(model=base)}, said.append)
    return said


def edit(file: Path, **changes: Any) -> None:
    write_json(file, {**(read_json(file) if file.exists() else {}), **changes})


def renamed(base: Path, name: Callable[[str], str]) -> None:
    file = base / "model.safetensors"
    save_file(
        {name(old): weight for old, weight in load_file(file).items()}, file, {"format": "pt"}
    )


def without(base: Path, *names: str) -> None:
    file = base / "model.safetensors"
    kept = {name: weight for name, weight in load_file(file).items() if name not in names}
    save_file(kept, file, {"format": "pt"})


def test_a_sound_base_passes_and_is_opened_once(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proved(base) == []
    monkeypatch.setattr(
        "alpaca_pipe.models.base_proof.load_model", None
    )  # remembered: not asked again
    assert proved(base) == []


def _pointer(base: Path) -> None:
    for name in ("model.safetensors",):
        (base / name).write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 538090408\n"
        )


def _pointer_for_words(base: Path) -> None:
    _pointer(base)
    shutil.move(base / "model.safetensors", base / "tokenizer.json")
    save_file({"model.norm.weight": torch.ones(64)}, base / "model.safetensors", {"format": "pt"})


def _short(base: Path) -> None:
    file = base / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _compiled(base: Path) -> None:
    renamed(base, lambda name: f"_orig_mod.{name}")


def _parallel(base: Path) -> None:
    renamed(base, lambda name: f"module.{name}")


def _one_layer(base: Path) -> None:
    edit(base / "config.json", num_hidden_layers=3)


def _other_vocabulary(base: Path) -> None:
    edit(base / "config.json", vocab_size=260)


def _in_four_bits(base: Path) -> None:
    edit(
        base / "config.json",
        quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True},
    )


def _bytes_for_weights(base: Path) -> None:
    file = base / "model.safetensors"
    weights = load_file(file)
    weights["model.layers.0.mlp.up_proj.weight"] = torch.zeros(4096, 1, dtype=torch.uint8)
    save_file(weights, file, {"format": "pt"})


def _own_code(base: Path) -> None:
    edit(base / "config.json", model_type="pandora", auto_map={"AutoConfig": "modeling.Config"})
    (base / "modeling.py").write_text("raise SystemExit('this must never run')")


def _unknown_kind(base: Path) -> None:
    edit(base / "config.json", model_type="pandora")


def _empty_end(base: Path) -> None:
    edit(base / "tokenizer_config.json", eos_token="", bos_token="")


def _unknown_as_end(base: Path) -> None:
    edit(base / "tokenizer_config.json", eos_token="<unk>")


def _with_adapter(base: Path) -> None:
    from peft import LoraConfig, get_peft_model

    model = load_model(Checkpoint(str(base)), "float32")
    get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(base)


def _no_tokenizer(base: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (base / name).unlink()


def _broken_json(base: Path) -> None:
    (base / "config.json").write_text('{"model_type": "llama", ')


def _no_weights(base: Path) -> None:
    (base / "model.safetensors").unlink()


def _half_of_the_parts(base: Path) -> None:
    (base / "model.safetensors").unlink()
    write_json(
        base / "model.safetensors.index.json",
        {"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}},
    )


IN_THE_PLAN: dict[str, tuple[Change, str]] = {
    "an LFS pointer for the weights": (_pointer, "is a Git LFS pointer"),
    "an LFS pointer for the tokenizer": (_pointer_for_words, "is a Git LFS pointer"),
    "weights cut short": (_short, "its header speaks of"),
    "names of a compiled model": (_compiled, "_orig_mod.*none would be loaded"),
    "names of a wrapper": (_parallel, "module.*none would be loaded"),
    "fewer layers than configured": (_one_layer, "lacks the weights of 1 of its 3 layers"),
    "another vocabulary than configured": (_other_vocabulary, "259 rows.*vocab_size 260"),
    "quantised by its config": (_in_four_bits, "is quantised .bitsandbytes"),
    "quantised by its weights": (_bytes_for_weights, "up_proj.weight is of type U8"),
    "code of its own": (_own_code, "Python code of its own.*never run"),
    "an architecture nobody knows": (_unknown_kind, "model_type 'pandora'"),
    "an empty end": (_empty_end, "eos_token.*is empty"),
    "the unknown token as end": (_unknown_as_end, "is the unknown token <unk>"),
    "a model and an adapter in one folder": (_with_adapter, "holds a model and an adapter"),
    "no tokenizer": (_no_tokenizer, "has no tokenizer"),
    "a config that is cut": (_broken_json, "config.json cannot be read"),
    "no weights": (_no_weights, "has no weights"),
    "a part that is missing": (_half_of_the_parts, "names the file model-00001-of-00002"),
}


@pytest.mark.parametrize("kind", IN_THE_PLAN)
def test_known_in_the_plan(kind: str, base: Path) -> None:
    change, says = IN_THE_PLAN[kind]
    change(base)
    before = {name for name in sys.modules if name.startswith("transformers.models.pandora")}
    with pytest.raises(UserError, match=says) as failed:
        planned(base)
    assert failed.value.cure and "\n" not in str(failed.value)
    assert not before


@pytest.mark.parametrize("kind", IN_THE_PLAN)
def test_the_loaders_say_it_in_a_sentence_too(kind: str, base: Path) -> None:
    """Where the files changed after the plan, or lie on the hub: no traceback, no question, nothing drawn at random."""
    change, _ = IN_THE_PLAN[kind]
    change(base)
    with pytest.raises(UserError) as failed:
        prove_base(BaseTable(model=base), Asked("alpaca", 512), lambda sentence: None)
    assert "\n" not in str(failed.value)


LAYERS = (
    ({"target_modules": ["embed_tokens", "q_proj"]}, "embedding and output layer at once"),
    ({"modules_to_save": ["lm_head"]}, "embedding and output layer at once"),
    ({"target_modules": ["q_prj"]}, "no linear layer 'q_prj'"),
)


@pytest.mark.parametrize(("lora", "says"), LAYERS)
def test_an_adapter_that_cannot_be_merged_is_refused_in_the_plan(
    lora: dict[str, Any], says: str, base: Path
) -> None:
    with pytest.raises(UserError, match=says):
        planned(base, lora={key: tuple(value) for key, value in lora.items()})
    planned(base, lora={"target_modules": ("q_proj", "down_proj")})


def test_rows_beyond_the_positions_are_refused_in_the_plan(base: Path) -> None:
    edit(base / "config.json", max_position_embeddings=64)
    with pytest.raises(
        UserError, match="max_length is 512, and the base has 64 positions"
    ) as failed:
        planned(base)
    assert "train.max_length=64" in failed.value.cure
    planned(base, max_length=64)


def test_chat_without_a_template_is_refused_in_the_plan(base: Path) -> None:
    planned(base, template="chat")
    (base / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="it has none"):
        planned(base, template="chat")


def test_named_templates_need_a_default(base: Path) -> None:
    text = (base / "chat_template.jinja").read_text()
    (base / "chat_template.jinja").unlink()
    named = [{"name": "tool_use", "template": text}]
    edit(base / "tokenizer_config.json", chat_template=named)
    with pytest.raises(UserError, match="tool_use, and none is named default"):
        planned(base, template="chat")
    edit(
        base / "tokenizer_config.json",
        chat_template=[*named, {"name": "default", "template": text}],
    )
    assert proved(base, template="chat") == []


def test_a_template_that_takes_no_system_text_is_said_before_anything_is_paid(base: Path) -> None:
    text = (base / "chat_template.jinja").read_text()
    (base / "chat_template.jinja").write_text(
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        + text
    )
    said = proved(base, template="chat")
    assert said == ["the template takes no system text: it stands before the user's"]


def test_a_template_that_cannot_be_asked_with_costs_the_control_and_that_is_said(
    base: Path,
) -> None:
    (base / "chat_template.jinja").write_text("{{ raise_exception('broken') }}")
    (said,) = proved(base)
    assert said.startswith("evaluate will lack the control 'chat'") and "broken" in said
    with pytest.raises(UserError, match="broken"):
        proved(base, template="chat")


def test_an_end_at_which_the_base_does_not_stop_is_said_and_learned(base: Path) -> None:
    """The template's end of turn, not the tokenizer's EOS, is what an answer is trained to end with."""
    words = load_tokenizer(Checkpoint(str(base)))
    words.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    words.chat_template = TEMPLATES["chatml"].body
    words.save_pretrained(base)
    _widen(base, 2)
    (said,) = proved(base, template="chat")
    assert "ends an answer with <|im_end|>, at which the base itself does not stop" in said
    encoder = Encoder(load_tokenizer(Checkpoint(str(base))), TEMPLATES["chat"])
    (answer,) = encoder.answers(["Blue."])
    assert encoder.tokenizer.convert_ids_to_tokens(answer[-1]) == "<|im_end|>"


def _widen(base: Path, more: int) -> None:
    model = load_model(Checkpoint(str(base)), "float32")
    model.resize_token_embeddings(model.config.vocab_size + more)
    model.save_pretrained(base)


def test_a_token_beyond_the_embedding_is_refused_where_it_is_read_and_not_where_it_pads(
    base: Path,
) -> None:
    words = load_tokenizer(Checkpoint(str(base)))
    words.add_special_tokens({"pad_token": "[PAD]"})
    words.save_pretrained(base)
    assert proved(base) == []
    words.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    words.save_pretrained(base)
    with pytest.raises(UserError, match=r"the token <\|im_\w+\|> the id 26\d, .* has 259 rows"):
        proved(base, template="chatml")


def test_a_generation_config_that_transformers_will_not_save_does_not_cost_the_model(
    base: Path, tmp_path: Path
) -> None:
    edit(base / "generation_config.json", temperature=0.9, top_p=0.6, eos_token_id=[2, 7])
    model = load_model(Checkpoint(str(base)), "float32")
    model.save_pretrained(tmp_path / "saved")
    assert read_json(tmp_path / "saved" / "generation_config.json")["eos_token_id"] == [2, 7]


@pytest.mark.parametrize("name", ["model.norm.weight", "model.layers.1.mlp.up_proj.weight"])
def test_a_missing_weight_is_not_drawn_at_random(name: str, base: Path) -> None:
    without(base, name)
    with pytest.raises(UserError, match="it lacks 1 weights .*drawn at random"):
        proved(base)


def test_a_tied_head_is_not_missing_and_an_untied_one_is(base: Path) -> None:
    assert "lm_head.weight" not in load_file(base / "model.safetensors")
    assert proved(base) == []
    edit(base / "config.json", tie_word_embeddings=False)
    with pytest.raises(UserError, match="lm_head.weight"):
        proved(base)


def test_a_weight_that_has_no_place_is_not_left_out(base: Path) -> None:
    file = base / "model.safetensors"
    more = {"model.layers.0.self_attn.q_proj.bias": torch.ones(64)}
    save_file({**load_file(file), **more}, file, {"format": "pt"})
    with pytest.raises(UserError, match="q_proj.bias.*no place"):
        proved(base)


def test_weights_that_are_no_numbers_are_found_before_anything_is_paid(base: Path) -> None:
    file = base / "model.safetensors"
    weights = load_file(file)
    weights["model.norm.weight"][3] = float("nan")
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(UserError, match="logits that are not numbers"):
        proved(base)


def test_half_an_adapter_is_not_read_back_as_a_whole_one(base: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    folder = tmp_path / "train" / "model"
    model = get_peft_model(
        load_model(Checkpoint(str(base)), "float32"),
        LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False),
    )
    model.save_pretrained(folder)
    load_tokenizer(Checkpoint(str(base))).save_pretrained(folder)
    load_for_scoring(Checkpoint(str(base)), folder)
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    del weights[min(weights)]
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(UserError, match="1 are missing, 0 have no place"):
        load_for_scoring(Checkpoint(str(base)), folder)


def test_a_plan_with_a_folder_loads_no_torch(base: Path) -> None:
    import subprocess

    code = (
        "import sys; from pathlib import Path; from alpaca_pipe.weights.base import BaseTable;"
        "from alpaca_pipe.train.stage import STAGE; from alpaca_pipe.recipe.stage import EstimateInputs;"
        "STAGE.estimate(STAGE.config(), {'base': BaseTable(model=Path(sys.argv[1]))}, EstimateInputs());"
        "print([m for m in ('torch', 'transformers', 'safetensors', 'numpy', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(base)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_json_of_a_checkpoint_may_hold_what_it_likes(base: Path) -> None:
    """Odd values are not our fault: neither a traceback nor a refusal."""
    edit(base / "tokenizer_config.json", added_tokens_decoder=[], unk_token={"content": "<unk>"})
    edit(base / "generation_config.json", eos_token_id=None)
    planned(base)
    (base / "generation_config.json").write_text(json.dumps([1]))
    planned(base)


def test_doctor_says_what_the_plan_says(base: Path, tmp_path: Path) -> None:
    from tests.command import told

    (tmp_path / "r.yaml").write_text(
        "recipe_version: 1\nseed: 1\nbase: {model: base}\ncurate: {from: rows.json}\ntrain: {}\n"
    )
    (tmp_path / "rows.json").write_text('[{"instruction": "a", "output": "b"}]')
    found = {
        check["what"]: check
        for check in json.loads(told("doctor", "r.yaml", "--json", cwd=tmp_path))
    }
    assert found["base: base, nothing wrong in its files"]["good"] == "yes"
    _pointer(base)
    said = told("doctor", "r.yaml", cwd=tmp_path, code=2)
    assert "is a Git LFS pointer" in said and "git lfs pull" in said


def test_rows_beyond_the_positions_are_not_scored(base: Path) -> None:
    from alpaca_pipe.models.loading import positions

    assert positions(Checkpoint(str(base)), 1024) == 1024
    edit(base / "config.json", max_position_embeddings=64)
    assert positions(Checkpoint(str(base)), 1024) == 64


def test_nothing_is_asked_of_a_teacher_where_the_base_is_broken(base: Path, tmp_path: Path) -> None:
    """A fault that only loading shows: the run ends before the first request."""
    from tests.command import command
    from tests.road.drive import Road

    road = Road.make(tmp_path / "road")
    file = base / "model.safetensors"
    weights = load_file(file)
    weights["model.norm.weight"][3] = float("nan")
    save_file(weights, file, {"format": "pt"})
    said = command("run", "road.yaml", f"base.model={base}", "train.max_length=1500", cwd=road.home)
    assert said.code == 2 and "logits that are not numbers" in said.err + said.out
    assert not (road.home / "served.jsonl").exists()
    sound = command(
        "run", "road.yaml", "train.max_length=1500", "--until", "generate", cwd=road.home
    )
    assert sound.code == 0 and (road.home / "served.jsonl").stat().st_size
