"""A config of another trainer as a recipe: its text, and what became of each key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import write_atomic
from alpaca_pipe.core.screen import echo
from alpaca_pipe.core.written_yaml import yaml_text
from alpaca_pipe.curate.input_peek import most_rows
from alpaca_pipe.recipe.extends import VERSION
from alpaca_pipe.recipe.located_yaml import read_yaml
from alpaca_pipe.start.other_tools import axolotl, llama_factory
from alpaca_pipe.start.other_tools.training_keys import share_of_rows
from alpaca_pipe.start.other_tools.translation import Rule, Translated, translated

# A key -> the one that says the same in other words.
_INSTEAD = {"warmup_steps": "warmup_ratio", "gradient_accumulation_steps": "batch_size"}


@dataclass(frozen=True)
class OtherTool:
    """rules: by the names of its keys. defaults: of its keys that a config need not say. method: lora or full, of a config."""

    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    rules: Mapping[str, Rule]
    defaults: Mapping[str, Any]
    method: Callable[[Mapping[str, Any]], str]


TOOLS = (
    OtherTool("axolotl", axolotl.is_axolotl, axolotl.KEYS, axolotl.DEFAULTS, axolotl.method),
    OtherTool(
        "LLaMA-Factory",
        llama_factory.is_llama_factory,
        llama_factory.KEYS,
        llama_factory.DEFAULTS,
        llama_factory.method,
    ),
)


@dataclass(frozen=True)
class ForeignRecipe:
    """A recipe of another tool's config. draft: with what became of each key; defaults: those that were not in the config."""

    tool: str
    file: str
    draft: Translated
    defaults: tuple[str, ...]

    def text(self) -> str:
        """The recipe's file. What has no counterpart stands in its head, so that it is not forgotten."""
        order = ("base", "curate", "train", "evaluate", "export")
        tables = [yaml_text({table: self.draft.recipe.get(table, {})}) for table in order]
        head = [f"# From {self.tool}'s config {self.file}, by `alpaca-pipe migrate`."]
        lost = self.draft.of("different") | self.draft.of("unknown")
        head += [f"#   {key}: {' '.join(words.split())}" for key, words in lost.items()]
        if lost:
            head.insert(1, "# Of it is not the same here:")
        return "\n".join(head) + "\n\n" + "\n".join([f"recipe_version: {VERSION}\n", *tables])


def foreign_recipe(path: Path) -> ForeignRecipe | None:
    """None where the file is no config of a tool that is known here. Raises UserError for what is no YAML, or no model."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: the file is not UTF-8", "save it as UTF-8") from None
    config, _ = read_yaml(text, str(path))
    tool = next((one for one in TOOLS if one.recognises(config)), None)
    if tool is None:
        return None
    silent = {
        key: value
        for key, value in tool.defaults.items()
        if config.get(key) is None and not config.get(_INSTEAD.get(key, ""))
    }
    adapts = tool.method(config) != "full"
    silent = {key: value for key, value in silent.items() if adapts or not key.startswith("lora_")}
    begun = Translated({}, {"train": {"method": tool.method(config)}})
    draft = translated({**config, **silent}, tool.rules, begun)
    if not adapts:
        draft.recipe["train"].pop("lora", None)
    if rows := _rows_at_hand(draft.recipe.get("curate", {}), path.parent):
        share_of_rows(draft, rows)
    return ForeignRecipe(tool.name, path.name, draft, tuple(silent))


def _rows_at_hand(curate: Mapping[str, Any], folder: Path) -> int | None:
    """How many rows the file that is read can give, where it lies here; LLaMA-Factory's folders name it in dataset_info.json."""
    if not isinstance(source := curate.get("from"), str) or source.startswith("hub:"):
        return None
    file = folder / source
    if file.is_dir() and (info := file / "dataset_info.json").is_file():
        try:
            told = json.loads(info.read_text(encoding="utf-8"))[curate.get("split")]["file_name"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        file = file / str(told)
    return most_rows(file)


def refuse_foreign(path: Path) -> None:
    """Raises UserError where a file that was to be a recipe is a config of a tool that is known here."""
    config, _ = read_yaml(path.read_text(encoding="utf-8"), str(path))
    for tool in TOOLS:
        if tool.recognises(config):
            raise UserError(
                f"{path}: this is a config of {tool.name}, and no recipe",
                f"`alpaca-pipe migrate {path}` writes a recipe of it, and accounts for each key",
            )


def print_foreign(path: Path, out: Path | None, write: bool) -> bool:
    """Writes the recipe, says what became of each key; False where the file is no config of a tool that is known here.

    Raises UserError where a file is in the way. The recipe is written beside the config unless `out` says where, for its paths
    are read from there.
    """
    recipe = foreign_recipe(path)
    if recipe is None:
        return False
    target = out or path.with_name(f"{path.stem}-recipe.yaml")
    if write and target.exists():
        raise UserError(f"{target} is there already", "name another file with --out")
    draft = recipe.draft
    echo(f"{path}: a config of {recipe.tool}, {len(draft.said) - len(recipe.defaults)} keys")
    for key, words in draft.of("carried").items():
        default = f" ({recipe.tool}'s default)" if key in recipe.defaults else ""
        echo(f"  {key}: {words}{default}" if ":" not in words else f"  {key} -> {words}{default}")
    if needless := [key for key in draft.of("needless") if key not in recipe.defaults]:
        echo(f"  not needed here, or empty: {', '.join(needless)}")
    for key, words in (draft.of("different") | draft.of("unknown")).items():
        echo(f"  not the same here: {key}: {words}")
    if not write:
        echo(recipe.text(), end="")
        return True
    write_atomic(target, recipe.text())
    echo(f"{target} is written; look at it with `alpaca-pipe plan {target}`")
    return True
