"""What is wrong with a base as its files say it: known in a plan, without torch, before anything is paid.

The rest is proved by loading it (base_proof.py), also before anything is paid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.models.architecture import files_here
from alpaca_pipe.weights.base import BaseTable
from alpaca_pipe.weights.checkpoint_files import CheckpointFiles, not_a_pointer
from alpaca_pipe.weights.gguf_header import NoGguf, read_gguf_header
from alpaca_pipe.weights.known import KNOWN
from alpaca_pipe.weights.word_cuts import unknown_cut

_UNQUANTISED = "name the checkpoint that it was quantised from (base.model: org/name)"
_FLOATS = frozenset(("F64", "F32", "F16", "BF16"))


@dataclass(frozen=True)
class Asked:
    """What is to be done with a base. targets: names of layers that get an adapter; saved: of those trained beside one."""

    template: str | Path  # a name, or a file
    max_length: int
    targets: Sequence[str] = ()
    saved: Sequence[str] = ()


def check_base(base: BaseTable, asked: Asked) -> None:
    """Raises UserError for what would stop the training, or spoil it without a word. Only what lies on this machine is read."""
    if isinstance(base.model, Path) and not base.model.is_dir():
        _check_gguf(base.model, asked)
    elif base.model not in KNOWN and (folder := files_here(base)):
        files = CheckpointFiles(folder)
        for check in _CHECKS:
            check(files, asked)


def _check_gguf(file: Path, asked: Asked) -> None:
    not_a_pointer(file)
    try:
        header = read_gguf_header(file)
    except NoGguf as error:
        raise UserError(f"{file} {error}", "fetch the file again") from None
    if fault := unknown_cut(header.cut):
        raise UserError(f"{file} {fault}", _UNQUANTISED)
    kind = header.metadata.get("general.architecture")
    _check_positions(header.metadata.get(f"{kind}.context_length"), asked)
    if asked.template == "chat" and "tokenizer.chat_template" not in header.metadata:
        raise _no_template()


def _not_adapted(files: CheckpointFiles, asked: Asked) -> None:
    """Transformers would lay the adapter onto the base by itself, wherever peft is installed."""
    if files.has("adapter_config.json"):
        raise UserError(
            f"{files.folder} holds a model and an adapter (adapter_config.json): which of both is meant is not said",
            "merge the adapter into the model first, or move its two files out of the folder",
        )


def _known_architecture(files: CheckpointFiles, asked: Asked) -> None:
    kind, own = files.config.get("model_type"), "auto_map" in files.config
    if _is_known(kind):
        return
    if own:
        raise UserError(
            f"{files.folder} brings Python code of its own (auto_map in config.json), and a base's code is never run",
            "use a model whose architecture transformers has itself",
        )
    raise UserError(
        f"{files.folder} is of model_type {kind!r}, which the installed transformers does not know",
        "update transformers, or use another base",
    )


def _is_known(kind: Any) -> bool:
    """By the table in transformers' own source; importing it takes seconds. True where there is none to look into."""
    place = find_spec("transformers")
    table = Path(place.origin or "").parent / "models" / "auto" if place else None
    if table is None or not table.is_dir():
        return True
    names = ("modeling_auto.py", "auto_mappings.py", "configuration_auto.py")
    return any(
        f'("{kind}",' in (table / name).read_text(encoding="utf-8")
        for name in names
        if (table / name).is_file()
    )


def _not_quantised(files: CheckpointFiles, asked: Asked) -> None:
    said = files.config.get("quantization_config")
    if said is not None:
        how = said.get("quant_method", "") if isinstance(said, dict) else ""
        raise UserError(
            f"{files.folder} is quantised ({how or 'quantization_config in config.json'}), so its weights cannot be tuned",
            _UNQUANTISED,
        )
    odd = next((name for name, one in files.weights.items() if _is_quantised(name, one.dtype)), "")
    if odd:
        raise UserError(
            f"{files.folder} is quantised: its {odd} is of type {files.weights[odd].dtype}",
            _UNQUANTISED,
        )


def _is_quantised(name: str, dtype: str) -> bool:
    return dtype not in _FLOATS and name.endswith(".weight")


def _weights_fit(files: CheckpointFiles, asked: Asked) -> None:
    for path in files.weight_files():
        not_a_pointer(path)
    names = list(files.weights)
    for start, why in (("_orig_mod.", "a compiled model"), ("module.", "a parallel wrapper")):
        if names and all(name.startswith(start) for name in names):
            raise UserError(
                f"all weights in {files.folder} are called {start}...: they were saved from {why}, and none would be "
                "loaded",
                f"save the model inside it, or take {start!r} off the names",
            )
    rows = _embedding_rows(files)
    said = files.text.get("vocab_size")
    if rows is not None and isinstance(said, int) and rows != said:
        raise UserError(
            f"the embedding in {files.folder} has {rows:,} rows, and its config.json says vocab_size {said:,}",
            "fetch config.json and the weights of the same checkpoint",
        )
    layers = files.text.get("num_hidden_layers")
    there = {part[0] for name in names for part in _layer_number(name)}
    if isinstance(layers, int) and there and (missing := set(range(layers)) - there):
        raise UserError(
            f"{files.folder} lacks the weights of {len(missing)} of its {layers} layers (layer {min(missing)} first)",
            "fetch the checkpoint again, all of its files",
        )


def _layer_number(name: str) -> list[tuple[int, str]]:
    """Of model.layers.7.self_attn.q_proj.weight: [(7, ...)]. Of other names: []."""
    head, _, rest = name.partition("model.layers.")
    number, _, inside = rest.partition(".")
    return [(int(number), inside)] if not head and number.isdigit() else []


def _embedding_rows(files: CheckpointFiles) -> int | None:
    for name, one in files.weights.items():
        if name.endswith(("embed_tokens.weight", "wte.weight", "embed_in.weight")):
            return one.shape[0]
    return None


def _tokenizer_ends(files: CheckpointFiles, asked: Asked) -> None:
    words = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json")
    for name in words:
        not_a_pointer(files.folder / name)
    if not any(map(files.has, words)):
        raise UserError(
            f"{files.folder} has no tokenizer ({words[0]})",
            "fetch the checkpoint again, all of its files",
        )
    eos, unknown = (_text(files.tokenizer.get(name)) for name in ("eos_token", "unk_token"))
    if "eos_token" in files.tokenizer and not eos:
        raise UserError(
            f"eos_token in {files.folder}/tokenizer_config.json is empty, so no answer would ever end",
            "set eos_token there to the token that ends a text, </s> for LLaMA",
        )
    if eos and eos == unknown and _other_end(files, eos):
        raise UserError(
            f"eos_token in {files.folder}/tokenizer_config.json is the unknown token {eos}, so no answer would ever end",
            "set eos_token there to the token that ends a text, </s> for LLaMA",
        )


def _other_end(files: CheckpointFiles, eos: str) -> bool:
    """Whether config.json or generation_config.json name an end that is another token. Some models (GPT-2, Qwen) really end
    with the token that is their unknown one."""
    added = files.tokenizer.get("added_tokens_decoder")
    ids = {
        int(number)
        for number, one in (added.items() if isinstance(added, dict) else ())
        if isinstance(one, dict) and one.get("content") == eos
    }
    said: set[int] = set()
    for config in (files.text, files.generation):
        found = config.get("eos_token_id")
        said |= (
            set(found) if isinstance(found, list) else {found} if isinstance(found, int) else set()
        )
    return not ids or not said or not ids & said


def _text(token: Any) -> str:
    return str(token.get("content") or "") if isinstance(token, dict) else str(token or "")


def _templates(files: CheckpointFiles, asked: Asked) -> None:
    if asked.template != "chat":
        return
    own = files.tokenizer.get("chat_template")
    if files.has("chat_template.jinja") or (files.folder / "chat_template.json").is_file():
        return
    if isinstance(own, list):
        names = [str(one.get("name")) for one in own if isinstance(one, dict)]
        if "default" not in names:
            raise UserError(
                f"the tokenizer has the chat templates {', '.join(names)}, and none is named default",
                "name one of them default in its tokenizer_config.json, or use template: alpaca",
            )
    elif not own:
        raise _no_template()


def _no_template() -> UserError:
    return UserError(
        "template 'chat' asks for the tokenizer's own chat template, and it has none",
        "use template: alpaca",
    )


def _positions(files: CheckpointFiles, asked: Asked) -> None:
    _check_positions(
        files.text.get("max_position_embeddings", files.text.get("n_positions")), asked
    )


def _check_positions(positions: Any, asked: Asked) -> None:
    if isinstance(positions, int) and 0 < positions < asked.max_length:
        raise UserError(
            f"train.max_length is {asked.max_length}, and the base has {positions} positions: longer rows would be "
            "trained on places that it does not know",
            f"set train.max_length={positions} (longer rows are then left out, with their reason), or use another base",
        )


def _layers(files: CheckpointFiles, asked: Asked) -> None:
    tied = bool(files.config.get("tie_word_embeddings", files.text.get("tie_word_embeddings")))
    ends = [
        name
        for name in (*asked.targets, *asked.saved)
        if name.rpartition(".")[2] in ("embed_tokens", "lm_head")
    ]
    if tied and ends:
        raise UserError(
            f"train.lora: {ends[0]} of this base is embedding and output layer at once (tie_word_embeddings), so what is "
            "learned of one cannot be merged without the other",
            f"leave {' and '.join(ends)} out, or set train.method: full",
        )
    known = [
        name.removesuffix(".weight") for name, one in files.weights.items() if len(one.shape) == 2
    ]
    for name in asked.targets if known else ():
        if not any(one == name or one.endswith(f".{name}") for one in known):
            raise UserError(
                f"train.lora.target_modules: the base has no linear layer '{name}'",
                did_you_mean(name, {one.rpartition(".")[2] for one in known}),
            )


_CHECKS: tuple[Callable[[CheckpointFiles, Asked], None], ...] = (
    _not_adapted,
    _known_architecture,
    _not_quantised,
    _weights_fit,
    _tokenizer_ends,
    _templates,
    _positions,
    _layers,
)
