"""The stage: what lies in its folder, the same bytes after a kill, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.files import file_digest, read_json, read_jsonl
from alpaca_pipe.data.texts_table import TextsTable
from alpaca_pipe.grow.config import GrowConfig
from alpaca_pipe.grow.run import grow
from alpaca_pipe.grow.stage import STAGE, estimate
from alpaca_pipe.models.architecture import of_config
from alpaca_pipe.recipe.stage import EstimateInputs, StageContext
from alpaca_pipe.weights.base import BaseTable
from alpaca_pipe.weights.new_shape import NewShape

torch = pytest.importorskip("torch")
SHAPE = NewShape(hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
SETTINGS: dict[str, Any] = {
    "method": "ligo",
    "num_hidden_layers": 3,
    "hidden_size": 48,
    "beside": ("stack", "zero_blocks", "scratch"),
    "steps": 2,
    "base_steps": 3,
    "per_device_train_batch_size": 2,
    "max_length": 32,
    "check_rows": 2,
}


class Quiet:
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def start(self, total: int, unit: str, done: int = 0) -> None: ...

    def at(self, done: int, note: str = "") -> None: ...

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


def bench(folder: Path, stopping: Any = lambda: False) -> StageContext:
    texts = folder.parent / "texts"
    texts.mkdir(exist_ok=True)
    for number in range(5):
        (texts / f"{number}.txt").write_text(f"Text {number} says {number * 7}, once more. " * 12)
    folder.mkdir(exist_ok=True)
    unused: Any = None
    return StageContext(
        folder,
        {},
        {
            "base": BaseTable(model="new", shape=SHAPE),
            "texts": TextsTable.model_validate({"from": str(texts), "held_out": Decimal("0.3")}),
        },
        3,
        unused,
        "toy",
        "run",
        Quiet(),
        stopping,
    )


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".scratch" not in path.parts
    }


def test_what_it_makes_and_says(tmp_path: Path) -> None:
    context = bench(tmp_path / "a")
    summary = grow(GrowConfig(**SETTINGS), context).summary
    assert (summary["before"]["layers"], summary["after"]["layers"]) == (2, 3)
    assert list(summary["methods"]) == ["ligo", "stack", "zero_blocks", "scratch"]
    assert summary["methods"]["zero_blocks"]["same"] and not summary["methods"]["stack"]["same"]
    learned = summary["methods"]["ligo"]["learned"]
    assert learned["steps"] == 2 and learned["flops"] > summary["base"]["flops"] / 3 * 2
    assert summary["base"]["tokens"] == 3 * 2 * 32
    for folder in ("model", "base", "beside/stack", "beside/zero_blocks", "beside/scratch"):
        config = read_json(tmp_path / "a" / folder / "config.json")
        assert config["num_hidden_layers"] == (2 if folder == "base" else 3)
    assert len(list(read_jsonl(tmp_path / "a" / "ligo.jsonl"))) == 2
    assert any("answers as the base does" in one for one in context.progress.sentences)  # type: ignore[attr-defined]


def test_stopped_and_again_is_the_same_bytes(tmp_path: Path) -> None:
    config = GrowConfig(**SETTINGS)
    grow(config, bench(tmp_path / "whole"))
    for many in (1, 4, 3):
        asked = iter([False] * many + [True])
        with pytest.raises(Stopped):
            grow(config, bench(tmp_path / "cut", lambda asked=asked: next(asked)))
    grow(config, bench(tmp_path / "cut"))
    assert bytes_of(tmp_path / "whole") == bytes_of(tmp_path / "cut")


RECIPE = """recipe_version: 1
base: {model: new, shape: {hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4}}
texts: {from: texts}
grow: {method: ligo, hidden_size: 48, num_hidden_layers: 3, beside: [stack], steps: 40, base_steps: 3, max_length: 32}
"""


@pytest.mark.slow
def test_killed_in_the_middle_of_the_map_and_again(tmp_path: Path) -> None:
    """A real process, killed by signal 9 when the map is said to be on its way."""
    bench(tmp_path / "unused")
    (tmp_path / "r.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "alpaca_pipe", "run", "r.yaml", "--runs"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, "cut"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if "the map: step 8 of" in line:
                process.send_signal(signal.SIGKILL)
                break
    for runs in ("cut", "whole"):
        subprocess.run([*command, runs], cwd=tmp_path, env=env, check=True, capture_output=True)
    (cut,), (whole,) = (
        list((tmp_path / runs / "store").glob("grow-*")) for runs in ("cut", "whole")
    )
    same = {name: one for name, one in bytes_of(whole).items() if name != "done.json"}
    assert same == {name: one for name, one in bytes_of(cut).items() if name != "done.json"}


def test_a_plan_says_shape_parameters_memory_and_minutes(tmp_path: Path) -> None:
    tables = {"base": BaseTable(model="smollm2-135m-instruct")}
    known = EstimateInputs()
    told = estimate(GrowConfig(num_hidden_layers=60), tables, known)
    assert "30 layers of 576 / 1536, 9 heads (3 of keys) to 60 layers of 576" in told.says
    assert "134.5M to 240.7M parameters" in told.says and "GB of memory" in told.says
    assert told.minutes.p50 > 0
    with pytest.raises(UserError, match="ligo learns on plain texts"):
        estimate(GrowConfig(method="ligo", num_hidden_layers=60), tables, known)
    with pytest.raises(UserError, match="no number of heads"):
        estimate(GrowConfig(hidden_size=577, method="net2net"), tables, known)
    assert STAGE.kind == "grow"


def test_what_is_no_llama_is_refused(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    from alpaca_pipe.weights.tiny import byte_tokenizer

    GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=259)).save_pretrained(
        tmp_path / "gpt"
    )
    byte_tokenizer().save_pretrained(tmp_path / "gpt")
    context = bench(tmp_path / "a")
    object.__setattr__(context, "tables", {"base": BaseTable(model=tmp_path / "gpt")})
    with pytest.raises(UserError, match="model_type gpt2"):
        grow(GrowConfig(num_hidden_layers=2), context)


def test_keys_that_say_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no size is named"):
        GrowConfig()
    with pytest.raises(ValueError, match="named twice"):
        GrowConfig(num_hidden_layers=4, beside=("zero_blocks",))


@pytest.mark.parametrize(
    "said",
    [
        {"method": "net2net", "num_hidden_layers": 30, "hidden_size": 1152},
        {"method": "net2net", "num_attention_heads": 18},
        {"method": "stack", "num_hidden_layers": 60},
    ],
)
def test_what_can_be_made_can_be_rehearsed(said: dict[str, Any]) -> None:
    table = GrowConfig.model_validate(said)
    base = of_config(
        {"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, **_REST}
    )
    small = of_config(
        {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, **_SMALL}
    )
    assert table.grown(base) != base and table.rehearsed().grown(small) != small


_REST = {"num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 300}
_SMALL = {"num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 300}
