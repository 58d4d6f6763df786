"""The exported model answers as the trained one did, a damaged one is caught, and the dataset is whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.files import read_json, write_json, write_jsonl
from alpaca_pipe.export import merge as merging
from alpaca_pipe.export.config import ExportConfig
from alpaca_pipe.export.stage import STAGE
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.machine.energy import assumed
from alpaca_pipe.ledger.pricing.token_prices import Price, PriceTable
from alpaca_pipe.ledger.store.journal import Journal, enter
from alpaca_pipe.models.loading import load_for_scoring, load_model, load_tokenizer
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.saved_template import save_template, saved_encoder
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.recipe.stage import StageContext
from alpaca_pipe.weights.base import BaseTable, Checkpoint
from alpaca_pipe.weights.tiny import build_tiny
from tests.evaluate.conftest import Said

KEY = f"r1-{7:032x}"
EXAMPLES = [
    Example.of(f"Say {n}.", "", "yes " * (n + 1), Origin("generated", KEY)) for n in range(6)
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    build_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter on all layers that changes much."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
    return saved(
        get_peft_model(load_model(Checkpoint(str(base)), "float32"), config),
        base,
        tmp_path_factory.mktemp("adapter"),
    )


@pytest.fixture(scope="module")
def full(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    torch.manual_seed(1)
    model = load_model(Checkpoint(str(base)), "float32")
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.01)
    return saved(model, base, tmp_path_factory.mktemp("full"))


def saved(model: Any, base: Path, folder: Path) -> Path:
    model.save_pretrained(folder)
    save_template(folder, Encoder(load_tokenizer(Checkpoint(str(base))), TEMPLATES["alpaca"]))
    return folder


@pytest.fixture
def bench(base: Path, adapter: Path, tmp_path: Path) -> Iterator[StageContext]:
    for name, rows in (("examples", EXAMPLES), ("train", EXAMPLES[:4]), ("held_out", EXAMPLES[4:])):
        write_jsonl(tmp_path / f"{name}.jsonl", (row.to_row() for row in rows))
    write_json(tmp_path / "verdict.json", {"sentence": "better: 2.0 -> 1.0"})
    (tmp_path / "step").mkdir()
    inputs = {
        f"curate/{name}.jsonl": tmp_path / f"{name}.jsonl"
        for name in ("examples", "train", "held_out")
    }
    inputs |= {"train/model": adapter, "evaluate/verdict.json": tmp_path / "verdict.json"}
    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        price = Price("kettle-1", PriceTable.model_validate("free").per_million(), "a test")
        attempt = journal.reserve(
            KEY, 0, price, Caps(), recipe="toy", run="run-1", stage="generate"
        ).result()
        assert isinstance(attempt, Attempt)
        journal.settle(
            attempt,
            Completion("yes", "stop", Usage(), KEY, model_said="kettle-1"),
            0,
            request=Request((PromptMessage("user", "?"),)),
            teacher={"model": "kettle"},
        ).result()
        yield StageContext(
            tmp_path / "step",
            inputs,
            {"base": BaseTable(model=base)},
            1,
            journal,
            "toy",
            "run-1",
            Said(),
            lambda: False,
        )


def logits(model: Any, folder: Path) -> Any:
    import torch

    encoder = saved_encoder(load_tokenizer(Checkpoint(str(folder))), folder)
    with torch.no_grad():
        return [
            model(input_ids=torch.tensor([row[0].ids])).logits
            for row in encoder.encode(EXAMPLES, 512)
        ]


READER = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model, tokenizer = AutoModelForCausalLM.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
ids = tokenizer.apply_chat_template([{"role": "user", "content": "Say 1."}], add_generation_prompt=True)["input_ids"]
said = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=3)
print(json.dumps({"ids": ids, "eos": model.generation_config.eos_token_id, "said": said.shape[1] > len(ids),
                  "dtype": str(model.dtype), "ours": any(name.startswith("alpaca_pipe") for name in sys.modules)}))
"""


def test_merged_is_base_plus_adapter_and_loads_without_us(
    bench: StageContext, base: Path, adapter: Path
) -> None:
    summary = STAGE.run(ExportConfig(), bench).summary
    merged = bench.folder / "merged"
    trained, tokenizer = load_for_scoring(Checkpoint(str(base)), adapter, "float32")
    found = load_model(Checkpoint(str(merged)), "float32").eval()
    apart = max(
        float((a - b).abs().max())
        for a, b in zip(logits(trained, adapter), logits(found, merged), strict=True)
    )
    model = summary["model"]
    assert (
        apart < 1e-5 and model["max_difference"] < 1e-5 < model["limit"] and model["rounding"] == 0
    )
    assert model["effect"] > 0.1 and model["top1"] == 1.0 and model["rows"] == 2
    assert (
        model["positions"] == sum(len(e.output) + 1 for e in EXAMPLES[4:])
        and model["dtype"] == "float32"
    )
    done = subprocess.run(
        [sys.executable, "-c", READER, str(merged)],
        text=True,
        capture_output=True,
        check=False,
        cwd=bench.folder,
        env=os.environ | {"PYTHONPATH": "", "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    encoder = saved_encoder(tokenizer, adapter)
    assert said == {
        "ids": encoder.prompts(EXAMPLES[1:2])[0],
        "eos": tokenizer.eos_token_id,
        "said": True,
        "dtype": "torch.float32",
        "ours": False,
    }


OLDER = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer, __version__
model, words = AutoModelForCausalLM.from_pretrained(sys.argv[1]).eval(), AutoTokenizer.from_pretrained(sys.argv[1])
ids = words.apply_chat_template([{"role": "user", "content": "Say 1."}], add_generation_prompt=True)
with torch.no_grad():
    logits = model(torch.tensor([ids])).logits[0, -1]
print(json.dumps({"version": __version__, "ids": ids, "theta": model.config.rope_theta, "scaling": model.config.rope_scaling,
                  "eos": words.eos_token, "logits": logits.tolist(), "dtype": str(model.config.torch_dtype)}))
"""


@pytest.mark.slow
def test_transformers_4_reads_the_same_model(
    bench: StageContext, base: Path, tmp_path: Path
) -> None:
    """In an environment of its own, which shares torch alone; rotary numbers that are not the default of any version."""
    import venv

    import torch

    home = tmp_path / "env"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    wanted = ("transformers==4.57.6", "tokenizers==0.22.2", "huggingface_hub==0.36.2")
    install = [python, "-m", "pip", "install", "-q", "--no-deps", *wanted]
    if subprocess.run(install, check=False).returncode:
        pytest.skip("no package index to fetch transformers 4.57.6 from")
    (site,) = home.glob("lib/python3*/site-packages")
    (site / "shared.pth").write_text(str(Path(torch.__file__).parents[1]) + "\n")
    odd = tmp_path / "odd"
    shutil.copytree(base, odd)
    rotary = {"rope_type": "linear", "factor": 2.0, "rope_theta": 123_456.0}
    write_json(odd / "config.json", read_json(odd / "config.json") | {"rope_parameters": rotary})
    here = replace(bench, tables={"base": BaseTable(model=odd)})
    STAGE.run(ExportConfig(dataset=()), here)
    merged = here.folder / "merged"
    done = subprocess.run(
        [python, "-c", OLDER, merged], text=True, capture_output=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    model, words = load_for_scoring(Checkpoint(str(merged)), dtype="float32")
    with torch.no_grad():
        logits = model(torch.tensor([said["ids"]])).logits[0, -1]
    assert torch.allclose(logits, torch.tensor(said["logits"]), atol=1e-4)
    asked = words.apply_chat_template(
        [{"role": "user", "content": "Say 1."}], add_generation_prompt=True
    )
    assert said["ids"] == asked["input_ids"] and said["eos"] == words.eos_token
    assert (said["version"], said["theta"], said["dtype"]) == ("4.57.6", 123_456.0, "torch.float32")
    assert said["scaling"]["factor"] == 2.0


def test_what_older_readers_look_for_stands_in_the_files(bench: StageContext) -> None:
    from transformers import AutoConfig, AutoTokenizer

    STAGE.run(ExportConfig(dataset=()), bench)
    merged = bench.folder / "merged"
    config = read_json(merged / "config.json")
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 10_000.0
    assert config["rope_scaling"] is None and config["torch_dtype"] == config["dtype"] == "float32"
    words = read_json(merged / "tokenizer_config.json")
    assert words["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert AutoConfig.from_pretrained(merged).rope_parameters == config["rope_parameters"]
    assert AutoTokenizer.from_pretrained(merged)("ab")["input_ids"][0] == 1


@pytest.mark.parametrize(
    ("rotary", "wanted"),
    [
        ({"rope_type": "default", "rope_theta": 5.0}, {"rope_theta": 5.0, "rope_scaling": None}),
        (
            {"rope_type": "yarn", "factor": 4.0, "rope_theta": 5.0},
            {"rope_theta": 5.0, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
        ),
        (
            {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
            {
                "rope_theta": 1e6,
                "rope_local_base_freq": 1e4,
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            },
        ),
        (
            {"rope_type": "default", "rope_theta": 5.0, "partial_rotary_factor": 0.4},
            {"rope_theta": 5.0, "rope_scaling": None, "partial_rotary_factor": 0.4},
        ),
    ],
)
def test_rotary_numbers_under_their_former_names(
    rotary: dict[str, Any], wanted: dict[str, Any], tmp_path: Path
) -> None:
    from alpaca_pipe.export.other_readers import write_for_others

    write_json(tmp_path / "config.json", {"rope_parameters": rotary})
    write_json(tmp_path / "tokenizer_config.json", {"extra_special_tokens": ["<a>"]})
    write_for_others(tmp_path)
    assert read_json(tmp_path / "config.json") == {"rope_parameters": rotary, **wanted}
    assert read_json(tmp_path / "tokenizer_config.json") == {"additional_special_tokens": ["<a>"]}


def test_modes_are_those_of_the_umask_and_the_card_names_a_base_of_the_hub(
    bench: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    import stat

    monkeypatch.setattr(BaseTable, "published", "org/base-7B")
    before = os.umask(0o027)
    try:
        STAGE.run(ExportConfig(dataset=()), bench)
    finally:
        os.umask(before)
    merged = bench.folder / "merged"
    assert {stat.S_IMODE(path.stat().st_mode) for path in merged.iterdir()} == {0o640}
    assert (
        "\nbase_model: org/base-7B\n" in (merged / "README.md").read_text().split("---")[1] + "\n"
    )


def test_the_cards_hold_the_figures_and_no_path_of_this_machine(bench: StageContext) -> None:
    model = STAGE.run(ExportConfig(), bench).summary["model"]
    card = (bench.folder / "merged" / "README.md").read_text()
    assert (
        f"| largest logit difference to the trained model | {model['max_difference']:.2e} |" in card
    )
    assert (
        "LoRA, rank 4, alpha 8, merged" in card
        and "base_model" not in card  # a folder has no id on the hub
        and "better: 2.0 -> 1.0" in card
        and "### Response:\n" in card
    )
    dataset = (bench.folder / "dataset" / "README.md").read_text()
    assert "| teacher | kettle-1 |" in dataset and "| rows generated | 6 |" in dataset
    for file in bench.folder.rglob("*"):
        if file.suffix in (".json", ".md", ".jinja") and ".scratch" not in file.parts:
            assert str(bench.folder.parent.parent) not in file.read_text(), file


def test_the_card_says_what_the_recipe_drew_and_how_that_is_known(bench: StageContext) -> None:
    own = Attempt("here", "toy", "run-1", "train", "lease-train-energy", 1, 0, "")
    other = Attempt("here", "other", "run-2", "train", "lease-train-energy-2", 1, 0, "")
    for attempt, hours in ((own, 2), (other, 50)):
        usage = assumed(hours, 250, pue=1.0, kg_per_kwh=0.4).usage()
        bench.journal.write(
            lambda db, attempt=attempt, usage=usage: enter(  # type: ignore[misc]
                db, attempt, "settled", 0, class_="energy", usage=usage
            )
        ).result()
    STAGE.run(ExportConfig(dataset=()), bench)
    card = (bench.folder / "merged" / "README.md").read_text()
    assert (
        "| energy until this export | 0.5 kWh (0.5 assumed from the power limit), 0.2 kg CO2e |"
        in card
    )


def test_the_cards_are_the_same_whatever_the_recipe_and_the_base_are_called(
    bench: StageContext, base: Path, tmp_path: Path
) -> None:
    shutil.copytree(base, tmp_path / "moved")
    other = replace(
        bench,
        folder=tmp_path / "other",
        recipe="dessert",
        run="run-2",
        tables={"base": BaseTable(model=tmp_path / "moved")},
    )
    cards = []
    for here in (bench, other):
        STAGE.run(ExportConfig(dataset=("json",)), here)
        cards.append(
            [(here.folder / name / "README.md").read_text() for name in ("merged", "dataset")]
        )
    assert cards[0] == cards[1] and "toy" not in "".join(cards[0])


def test_a_full_model_too(bench: StageContext, full: Path) -> None:
    bench = replace(bench, inputs={**bench.inputs, "train/model": full})
    model = STAGE.run(ExportConfig(dataset=()), bench).summary["model"]
    assert model["max_difference"] == 0.0 and model["effect"] is None
    assert logits(load_model(Checkpoint(str(bench.folder / "merged")), "float32"), full)[0].equal(
        logits(load_model(Checkpoint(str(full)), "float32"), full)[0]
    )


def test_rounding_to_bfloat16_is_told_apart_from_merging(bench: StageContext) -> None:
    model = STAGE.run(ExportConfig(dtype="bfloat16", dataset=()), bench).summary["model"]
    assert model["max_difference"] < 1e-5 < model["rounding"] < model["effect"]
    assert read_json(bench.folder / "merged" / "config.json")["dtype"] == "bfloat16"


@pytest.mark.parametrize("damage", ["a weight", "the adapter forgotten"])
def test_a_damaged_merge_is_caught(
    bench: StageContext, base: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    whole = merging.save

    def damaging(model: Any, trained: Path, folder: Path) -> None:
        whole(model, trained, folder)
        broken = load_model(Checkpoint(str(base if damage != "a weight" else folder)), "float32")
        if damage == "a weight":
            broken.model.layers[1].mlp.down_proj.weight.data[3, 5] += 1
        broken.save_pretrained(folder)

    monkeypatch.setattr(merging, "save", damaging)
    with pytest.raises(UserError, match="answers differently from base \\+ adapter"):
        STAGE.run(ExportConfig(), bench)
    assert not (bench.folder / "merged").exists()


def test_a_diverged_adapter_is_one_sentence(
    bench: StageContext, base: Path, adapter: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel

    model = PeftModel.from_pretrained(load_model(Checkpoint(str(base)), "float32"), str(adapter))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data.fill_(torch.nan)
    broken = replace(
        bench, inputs={**bench.inputs, "train/model": saved(model, base, tmp_path / "nan")}
    )
    with pytest.raises(UserError, match="cannot be merged"):
        STAGE.run(ExportConfig(), broken)


def test_interrupted_after_the_merge_it_does_not_merge_again(
    bench: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("alpaca_pipe.export.run.publish", cut)
        STAGE.run(ExportConfig(), bench)
    before = (bench.folder / "merged" / "model.safetensors").stat().st_mtime_ns
    summary = STAGE.run(ExportConfig(), bench).summary
    assert summary["model"]["top1"] == 1.0 and summary["dataset"] == {
        "rows": 6,
        "train": 4,
        "test": 2,
    }
    assert (bench.folder / "merged" / "model.safetensors").stat().st_mtime_ns == before


def test_without_training_only_the_dataset(bench: StageContext) -> None:
    alone = replace(
        bench,
        inputs={name: path for name, path in bench.inputs.items() if name.startswith("curate/")},
    )
    summary = STAGE.run(ExportConfig(dataset=("json",)), alone).summary
    assert "model" not in summary and summary["forms"] == ["json"]
    assert {path.name for path in bench.folder.iterdir()} == {"dataset", ".scratch"}
    assert [
        row["output"]
        for row in json.loads((bench.folder / "dataset" / "alpaca_data.json").read_text())
    ] == [example.output for example in EXAMPLES]


def test_the_limit_refuses_what_is_not_a_number() -> None:
    good = merging.Agreement(1, 4, 1e-6, 1e-3, 0.0, 0.5, 1.0)
    merging.check(good, Path("merged"))
    for wrong in (float("nan"), 2e-3):
        with pytest.raises(UserError):
            merging.check(good._replace(max_difference=wrong), Path("merged"))


def test_a_gguf_is_asked_only_what_the_template_writes(
    bench: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of two exchanges and rows that are too long stand beside others; alpaca's template holds one exchange."""
    turns = Example.of_messages(
        [Message(role, "Hello.") for role in ("user", "assistant", "user", "assistant")],
        Origin("seed"),
    )
    long = Example.of("word " * 2000, "", "yes", Origin("seed"))
    rows = [turns, long, *EXAMPLES[4:]]
    write_jsonl(bench.inputs["curate/held_out.jsonl"], (row.to_row() for row in rows))
    asked: list[Example] = []

    def taken(*given: Any) -> list[dict[str, Any]]:
        given[1].mkdir()
        asked.extend(given[5])
        return []

    monkeypatch.setattr("alpaca_pipe.export.gguf.build.ggufs", taken)
    STAGE.run(ExportConfig(gguf=("f16",), dataset=()), bench)
    assert [one.instruction for one in asked] == [
        row.instruction for row in rows[2:] + EXAMPLES[:4]
    ]


def test_an_adapter_of_zeros_is_one_sentence(
    base: Path, bench: StageContext, tmp_path: Path
) -> None:
    """As a fresh LoRA is: its B is zero, so nothing was learned."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=4, target_modules="all-linear")
    zeros = saved(
        get_peft_model(load_model(Checkpoint(str(base)), "float32"), config),
        base,
        tmp_path / "zeros",
    )
    context = replace(bench, inputs={**bench.inputs, "train/model": zeros})
    with pytest.raises(UserError, match="changes nothing.*nothing was learned"):
        STAGE.run(ExportConfig(), context)
    assert not (bench.folder / "merged").exists()
