"""A trained adapter by itself: packed, unpacked elsewhere, answering as it did; and what is not one is refused in a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json, write_json
from alpaca_pipe.models.packed_adapter import ABOUT, adapter_in
from alpaca_pipe.pack.adapter_pack import pack_adapter
from alpaca_pipe.pack.archive import read_box, write_box
from alpaca_pipe.recipe.store import StepStore
from alpaca_pipe.recipe.workspace import Workspace
from alpaca_pipe.weights.base import BaseTable
from alpaca_pipe.weights.tiny import build_tiny
from tests.command import command, told
from tests.once import once


def refused(*words: str, cwd: Path) -> str:
    said = command(*words, cwd=cwd)
    assert said.code == 2, said
    return said.err


RUN = "2026-11-20T10-00-00-0a0a"


def _make(home: Path) -> None:
    """A base, and an adapter on it as a sealed step of train leaves it."""
    import torch
    from peft import LoraConfig, get_peft_model

    from alpaca_pipe.models.loading import load_model, load_tokenizer
    from alpaca_pipe.models.loss_mask import Encoder
    from alpaca_pipe.models.saved_template import save_template
    from alpaca_pipe.models.templates import TEMPLATES
    from alpaca_pipe.weights.base import Checkpoint

    torch.manual_seed(1)
    base = Checkpoint(str(home / "base"))
    (home / "base").mkdir(parents=True)
    build_tiny(home / "base")
    lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    model = get_peft_model(load_model(base, "float32"), lora)
    store, identity = StepStore(home / "runs" / "store"), {"kind": "train", "version": 1}
    folder = store.folder(identity)
    write_json(folder / "stage.json", identity)
    model.save_pretrained(folder / "model")
    (folder / "model" / "README.md").unlink(missing_ok=True)
    save_template(folder / "model", Encoder(load_tokenizer(base), TEMPLATES["alpaca"]))
    (folder / "control.txt").write_text("it stays at home")
    store.seal(folder, {}, {"finished": "2026-11-20T10:00:00", "seconds": 1.0})
    row = {"run": RUN, "outcome": "done", "steps": {"train": folder.name}}
    row["config"] = {"name": "vet", "train": {}, "base": {"model": str(home / "base")}}
    own = home / "runs" / "vet"
    own.mkdir()
    (own / "history.jsonl").write_text(json.dumps(row) + "\n")
    write_json(own / "lock.json", {"recipe": "vet", **row})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = once("adapter-home", _make)
    shutil.copytree(made, tmp_path / "home")
    for file in ("history.jsonl", "lock.json"):  # the base moved with it
        place = tmp_path / "home" / "runs" / "vet" / file
        moved = place.read_text().replace(str(made.with_suffix(".part")), str(tmp_path / "home"))
        place.write_text(moved)
    return tmp_path / "home"


@pytest.fixture
def packed(home: Path) -> Path:
    said = told("pack", "vet", "--only", "adapter", cwd=home)
    assert "adapter of vet" in said and "alpaca-pipe unpack vet-adapter.tar.zst" in said
    return home / "vet-adapter.tar.zst"


def test_a_round_by_the_commands(home: Path, packed: Path, tmp_path: Path) -> None:
    asked = ("--prompt", "AAAA 7", "--max-tokens", "12", "--json")
    at_home = json.loads(told("chat", "vet", *asked, cwd=home))
    away = tmp_path / "away"
    away.mkdir()
    shutil.copytree(home / "base", away / "base")
    shutil.move(packed, away / packed.name)
    shutil.rmtree(home)
    assert "unpack it first" in refused("chat", packed.name, cwd=away)
    assert "alpaca-pipe chat vet-adapter" in command("unpack", packed.name, cwd=away).out
    assert "nothing changed" in command("unpack", packed.name, cwd=away).err
    there = json.loads(told("chat", "vet-adapter", *asked, cwd=away))
    assert there["output"] == at_home["output"]
    folder = away / "vet-adapter"
    assert not list(folder.rglob("control*")) and str(tmp_path) not in (folder / ABOUT).read_text()
    card = (folder / "README.md").read_text()
    assert "PeftModel.from_pretrained" in card and RUN in card
    for name, digest in read_json(folder / ABOUT)["files"].items():
        assert f"| {name} | sha256 {digest} |" in card


def test_another_base_is_refused(packed: Path, home: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    shutil.move(packed, away / packed.name)
    command("unpack", packed.name, cwd=away)
    said = refused("chat", "vet-adapter", "--prompt", "x", cwd=away)
    assert "the base of vet is not here" in said and "name its folder" in said
    shutil.copytree(home / "base", away / "base")
    config = read_json(away / "base" / "config.json")
    write_json(away / "base" / "config.json", config | {"rms_norm_eps": 0.1})
    said = refused("chat", "vet-adapter", "--prompt", "x", cwd=away)
    assert "base is not the base that the adapter of vet was trained on" in said


def _changed(packed: Path, tmp_path: Path, change: Any) -> Path:
    """The pack with its parts changed, sealed again as a stranger would."""
    draft = tmp_path / "parts"
    draft.mkdir()
    facts = dict(read_box(packed, draft).facts)
    change(facts, draft / "adapter")
    files = {f"adapter/{file.name}": file for file in (draft / "adapter").iterdir()}
    for ours in ("format", "version"):
        facts.pop(ours, None)
    return write_box(tmp_path / "forged.tar.zst", facts, files).rename(tmp_path / "forged.tar.zst")


def _another(_: Any, folder: Path) -> None:
    (folder / "adapter_model.safetensors").write_bytes(b"other weights")


def _a_program(_: Any, folder: Path) -> None:
    (folder / "modeling.py").write_text("print('hello')")


def _a_pickle(_: Any, folder: Path) -> None:
    (folder / "adapter_model.bin").write_bytes(b"")


def _not_named(_: Any, folder: Path) -> None:
    (folder / "more.json").write_text("{}")


def _no_note(_: Any, folder: Path) -> None:
    (folder / ABOUT).unlink()


def _a_list(_: Any, folder: Path) -> None:
    (folder / ABOUT).write_text("[]")


def _climbs(_: Any, folder: Path) -> None:
    note = read_json(folder / ABOUT)
    note["files"]["../../README.md"] = "0" * 64
    write_json(folder / ABOUT, note)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_another, "is not as it was packed"),
        (_a_program, "holds modeling.py, which no adapter needs"),
        (_a_pickle, "holds adapter_model.bin, which no adapter needs"),
        (_not_named, "does not hold the adapter that it names"),
        (_no_note, f"holds no {ABOUT}"),
        (_a_list, "does not say what this adapter is"),
        (_climbs, "is missing"),
        (lambda facts, _: facts.update(recipe="other"), "does not hold the adapter that it names"),
        (lambda facts, _: facts.update(run="../../x"), "run: it is not a name"),
        (lambda facts, _: facts.update(more=1), "does not know its 'more'"),
    ],
)
def test_what_is_forged_is_refused_and_leaves_nothing(
    packed: Path, tmp_path: Path, change: Any, says: str
) -> None:
    forged, into = _changed(packed, tmp_path, change), tmp_path / "into"
    into.mkdir()
    said = refused("unpack", str(forged), "--into", str(into), cwd=tmp_path)
    assert says in said and list(into.iterdir()) == []


@pytest.mark.parametrize("recipe", ["../../../evil", "/evil", "store", ""])
def test_a_note_names_no_path(packed: Path, tmp_path: Path, recipe: str) -> None:
    """A folder that came without our pack, from a hub or a zip: its chats are kept in a folder called so."""
    folder = tmp_path / "parts"
    folder.mkdir()
    read_box(packed, folder)
    folder /= "adapter"
    write_json(folder / ABOUT, read_json(folder / ABOUT) | {"recipe": recipe})
    with pytest.raises(UserError, match="does not say what this adapter is"):
        adapter_in(folder)


def test_what_is_there_already_stays(packed: Path, home: Path) -> None:
    (home / "vet-adapter").mkdir()
    (home / "vet-adapter" / "mine.txt").write_text("mine")
    said = refused("unpack", packed.name, cwd=home)
    assert "is here already, and is not the packed one" in said
    assert (home / "vet-adapter" / "mine.txt").read_text() == "mine"


def test_what_is_no_adapter_is_not_packed(home: Path) -> None:
    def packing(*words: str) -> str:
        return refused("pack", "vet", "--only", "adapter", *words, cwd=home)

    assert "--only adapter takes what a run left" in packing("--api", "1")
    assert "--only adapter takes what a run left" in packing("train.seed=2")
    said = refused("pack", "vet", "--for", "train", "--rehearse", cwd=home)
    assert "--rehearse goes with --only adapter" in said
    (model,) = (home / "runs" / "store").glob("train-*/model")
    weights = model / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"?")
    assert "makes it again" in packing()
    weights.write_bytes(whole)
    (model / "adapter_config.json").unlink()
    assert "train.method full changed all weights" in packing()
    (home / "base").rename(home / "elsewhere")
    workspace = Workspace(home / "runs")
    with pytest.raises(UserError, match="there is no run of 2020"):
        pack_adapter("vet", workspace, "2020")


def test_a_hub_base_is_named_as_the_hub_names_it(tmp_path: Path) -> None:
    table = BaseTable.model_validate({"model": "org/base", "revision": "abc"})
    assert table.identity()["model"] == {"hub": "org/base", "revision": "abc"}
    with pytest.raises(UserError, match="does not say what this adapter is"):
        adapter_in(tmp_path)
