"""A model that another tool tuned on this recipe's rows: taken as it is, so that its verdict, files and chat are ours."""

from __future__ import annotations

import shutil
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import open_to_others, read_json, write_json
from alpaca_pipe.models.loading import is_adapter, load_base_of, load_model, put_adapter
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.nf4 import note_nf4
from alpaca_pipe.models.saved_template import save_template
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.weights.base import BaseTable, Checkpoint

_CONFIGS = ("config.json", "generation_config.json")
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


def take(
    config: TrainConfig, base: BaseTable, checkpoint: Checkpoint, encoder: Encoder, folder: Path
) -> None:
    """Copies adapter or weights into `folder`, with the base's tokenizer and the template's words.

    UserError for weights that do not fit the base, a tokenizer that is not the base's, and a folder that is neither an adapter
    nor a whole model.
    """
    source = config.source
    assert source is not None
    check_kind(config, source)
    _check_words(source, encoder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in _files(source):
        shutil.copyfile(file, folder / file.name)
    if config.method == "full":
        load_model(Checkpoint(str(folder)), base.dtype)
    else:
        _belongs_to(folder / "adapter_config.json", base.published)
        if config.method == "qlora":
            note_nf4(folder)
        put_adapter(load_base_of(checkpoint, folder, base.dtype), folder)
    save_template(folder, encoder)
    open_to_others(folder)


def _files(source: Path) -> list[Path]:
    if is_adapter(source):
        return [source / name for name in _ADAPTER]
    weights = [*source.glob("*.safetensors"), *source.glob("*.safetensors.index.json")]
    return sorted(weights) + [source / name for name in _CONFIGS if (source / name).is_file()]


def check_kind(config: TrainConfig, source: Path) -> None:
    """That the folder holds what method says: looked at by its files, before anything is paid."""
    adapter = is_adapter(source)
    weights = (source / _ADAPTER[1]).is_file() if adapter else any(source.glob("*.safetensors"))
    if not weights or not (adapter or (source / "config.json").is_file()):
        raise UserError(
            f"train.from: {source} holds neither an adapter (adapter_config.json, adapter_model.safetensors) nor a whole "
            "model (config.json, *.safetensors)",
            "name the folder that the other tool wrote its result into",
        )
    if adapter == (config.method == "full"):
        what, method = ("an adapter", "lora") if adapter else ("a whole model", "full")
        raise UserError(
            f"train.from: {source} is {what}, and train.method is {config.method}",
            f"set train.method: {method}",
        )


def _check_words(source: Path, encoder: Encoder) -> None:
    """Its own tokenizer, where it brings one, gives the ids that the base's does."""
    if not (source / "tokenizer.json").is_file():
        return
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(source, trust_remote_code=False).get_vocab()
    ours = encoder.tokenizer.get_vocab()
    if theirs != ours:
        raise UserError(
            f"train.from: the tokenizer in {source} has {len(theirs):,} tokens, and {len(theirs.items() - ours.items())} of them "
            "are not the base's",
            "tune without tokens of its own, so that base and tuned are asked the same",
        )


def _belongs_to(file: Path, published: str) -> None:
    """The adapter names its base as others know it, not a folder of another machine."""
    said = read_json(file)
    write_json(file, said | {"base_model_name_or_path": published, "revision": None})
