"""A saved checkpoint made readable for transformers 4.57 and whatever was built on it, as well as for 5.

Transformers 5 moved the rotary numbers, the type of the weights and the tokenizer's class to names that 4.57 does not know;
it then takes its defaults, without a word: other answers. Both names are written, and 5 reads them as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import read_json, write_json


def write_for_others(folder: Path) -> None:
    """Adds to config.json and tokenizer_config.json what transformers 4.57 looks for."""
    config = read_json(folder / "config.json")
    inner = config.get("text_config")
    for part in (config, inner) if isinstance(inner, dict) else (config,):
        part |= {name: value for name, value in _former(part).items() if name not in part}
    write_json(folder / "config.json", config)
    path = folder / "tokenizer_config.json"
    words = read_json(path)
    if words.get("tokenizer_class") == "TokenizersBackend":
        words["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(more := words.get("extra_special_tokens"), list):
        words["additional_special_tokens"] = more
        del words["extra_special_tokens"]
    write_json(path, words)


def _former(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same under the names of before."""
    found: dict[str, Any] = {}
    if "dtype" in config:
        found["torch_dtype"] = config["dtype"]
    rotary = config.get("rope_parameters")
    if not isinstance(rotary, dict):
        return found
    if "rope_theta" in rotary or "rope_type" in rotary:
        return found | _rotary(rotary)
    local, whole = rotary.get("sliding_attention"), rotary.get("full_attention")
    if isinstance(local, dict) and "rope_theta" in local:  # of Gemma 3
        found["rope_local_base_freq"] = local["rope_theta"]
    return found | (_rotary(whole) if isinstance(whole, dict) else {})


def _rotary(said: Mapping[str, Any]) -> dict[str, Any]:
    scaled = {
        name: value
        for name, value in said.items()
        if name not in ("rope_theta", "partial_rotary_factor")
    }
    found: dict[str, Any] = {name: said[name] for name in said.keys() - scaled.keys()}
    found["rope_scaling"] = None if said.get("rope_type", "default") == "default" else scaled
    return found
