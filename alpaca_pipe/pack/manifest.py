"""What a pack says of itself, as values that can be trusted in form: names that are names, sums that are sums, days that are days.

Whoever made the file wrote it, so nothing of it is used before all of it was read here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.outside_numbers import LARGEST, MOST_DOLLARS, BadNumber, whole_number
from alpaca_pipe.core.safe_names import is_name, is_path_below, is_recipe_name
from alpaca_pipe.ledger.budget_shares import SHARE_MARK, BudgetShare
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.pack.archive import Manifest, look

STRANGE = "it was not made by `alpaca-pipe pack`: do not trust it"
MOST = min(LARGEST, int(MOST_DOLLARS) * NANO)  # nano-dollars in one amount
_SHARE = re.compile(rf"{SHARE_MARK}[0-9a-f]{{16}}")
_MACHINE = re.compile(r"[0-9A-Za-z][\w-]{0,63}", re.ASCII)
_BY = re.compile(r"\d[\w.+-]{0,40}", re.ASCII)
_CENTURIES = range(2000, 2200)  # days beyond them overflow somebody's arithmetic
_ALONE = {
    "recipe": {"prices.yaml", "replies.jsonl"},
    "results": {"books.jsonl", "history.jsonl", "log.jsonl"},
    "adapter": set[str](),
}
_SMALL = {"prices.yaml": 1 << 20}  # bytes; and of the recipe's own file
_LARGEST_RECIPE = 1 << 20


@dataclass(frozen=True)
class RecipePack:
    """A recipe on its way to another machine. steps: kind -> folder.  stage: the first that should run there."""

    recipe: str
    made: str
    by: str
    steps: Mapping[str, str]
    stage: str
    share: BudgetShare
    box: Manifest
    kind: str = "recipe"


@dataclass(frozen=True)
class ResultsPack:
    """What was made and spent elsewhere, on its way home. machine: the ledger that spent it; machines: others whose books it
    had merged, of shares that it lent on.  home: the ledger that lent the shares."""

    recipe: str
    made: str
    by: str
    steps: Mapping[str, str]
    shares: tuple[str, ...]
    machine: str
    machines: tuple[str, ...]
    home: str
    box: Manifest
    kind: str = "results"


@dataclass(frozen=True)
class AdapterPack:
    """A trained adapter by itself, to be used on its base anywhere. run: which made it; "" where that was not finished."""

    recipe: str
    made: str
    by: str
    steps: Mapping[str, str]
    run: str
    box: Manifest
    kind: str = "adapter"


Pack = RecipePack | ResultsPack | AdapterPack


def opened(path: Path) -> Pack:
    """What a pack says that it is, and whether we understand all of it. Raises UserError."""
    box = look(path)
    try:
        pack = _read(box)
    except (_Unsound, BadNumber) as error:
        raise UserError(f"{path} does not say what it holds: {error}", STRANGE) from None
    for file, seal in box.files.items():
        if not _belongs(file, pack):
            raise UserError(f"{path} holds {file}, which belongs to no pack", STRANGE)
        most = _SMALL.get(file, _LARGEST_RECIPE if file == f"recipe/{pack.recipe}.yaml" else None)
        if most is not None and seal["size"] > most:
            raise UserError(f"{path} holds a {file} of {seal['size']:,} bytes", STRANGE)
    there = {file.split("/")[1] for file in box.files if file.startswith("store/")}
    if pack.kind == "recipe" and (gone := set(pack.steps.values()) - there):
        raise UserError(f"{path} does not hold the step {min(gone)} that it names", STRANGE)
    return pack


def machine_of(value: Any) -> str:
    """The name of a ledger. Raises ValueError."""
    if not isinstance(value, str) or not _MACHINE.fullmatch(value):
        raise _Unsound("a machine has no such name")
    return value


def moment_of(value: Any) -> str:
    """A time as ledgers write it: ISO 8601 with its zone. Raises ValueError."""
    try:
        if isinstance(value, str) and len(value) <= 40:
            found = datetime.fromisoformat(value)
            if found.tzinfo is not None and found.year in _CENTURIES:
                return value
    except ValueError:
        pass
    raise _Unsound("a time is none")


class _Unsound(ValueError):
    """A part of a manifest that cannot be so."""


def _read(box: Manifest) -> Pack:
    facts = dict(box.facts)
    for ours in ("format", "version"):
        facts.pop(ours, None)
    kind = facts.pop("kind", None)
    if kind not in _ALONE:
        raise _Unsound("its kind")

    def take(name: str, check: Callable[[Any], Any], *default: Any) -> Any:
        try:
            return check(facts.pop(name, *default))
        except KeyError:
            raise _Unsound(f"{name} is missing") from None
        except (TypeError, ValueError) as error:
            raise _Unsound(f"{name}: {error}") from None

    said = {
        "recipe": take("recipe", _recipe),
        "made": take("made", moment_of),
        "by": take("by", lambda value: _matching(_BY, value)),
        "steps": take("steps", _steps),
        "box": box,
    }
    pack: Pack
    if kind == "recipe":
        pack = RecipePack(stage=take("stage", _name), share=take("share", _share), **said)
        if pack.share.recipe != pack.recipe:
            raise _Unsound("its share is of another recipe")
    elif kind == "adapter":
        pack = AdapterPack(run=take("run", _run), **said)
    else:
        pack = ResultsPack(
            shares=take("shares", _shares),
            machine=take("machine", machine_of),
            machines=take("machines", lambda value: tuple(map(machine_of, _list(value))), []),
            home=take("home", machine_of),
            **said,
        )
        if pack.home in (pack.machine, *pack.machines):
            raise _Unsound("it comes from the machine that it goes to")
    if facts:
        raise _Unsound(f"this version does not know its {min(facts)[:60]!r}")
    return pack


def _recipe(value: Any) -> str:
    if not is_recipe_name(value):
        raise _Unsound("no recipe is called so")
    return str(value)


def _name(value: Any) -> str:
    if not is_name(value):
        raise _Unsound("it is not a name")
    return str(value)


def _run(value: Any) -> str:
    return "" if value == "" else _name(value)


def _matching(pattern: re.Pattern[str], value: Any) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _Unsound("it is of another form")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > 1000:
        raise _Unsound("it is not a list")
    return value


def _steps(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _Unsound("it is not a table")
    for kind, folder in value.items():
        if not (is_name(kind) and is_name(folder)) or not re.fullmatch(
            rf"{re.escape(kind)}-[0-9a-f]{{16}}", folder
        ):
            raise _Unsound("a step is in no folder of its name")
    return value


def _shares(value: Any) -> tuple[str, ...]:
    found = tuple(_matching(_SHARE, one) for one in _list(value))
    if not found or len(set(found)) < len(found):
        raise _Unsound("it names none, or one twice")
    return found


def _share(value: Any) -> BudgetShare:
    if not isinstance(value, dict) or set(value) != set(BudgetShare.__dataclass_fields__):
        raise _Unsound("it is not a share")
    file = value["file"]
    if not is_path_below(file) or "/" in file:
        raise _Unsound("its file has no name")
    gpu, api = (
        None if value[name] is None else whole_number(value[name], most=MOST)
        for name in ("gpu", "api")
    )
    return BudgetShare(
        _matching(_SHARE, value["id"]),
        _recipe(value["recipe"]),
        machine_of(value["home"]),
        gpu,
        api,
        file,
    )


def _belongs(file: str, pack: Pack) -> bool:
    if file in _ALONE[pack.kind]:
        return True
    if pack.kind == "adapter":
        return file.startswith("adapter/") and file.count("/") == 1
    if file.startswith("store/"):
        return file.count("/") >= 2 and (
            pack.kind == "results" or file.split("/")[1] in pack.steps.values()
        )
    name = pack.recipe
    return pack.kind == "recipe" and (
        file == f"recipe/{name}.yaml" or file.startswith(f"recipe/{name}.files/")
    )
