"""`extends: base.yaml`: a recipe on top of another one, table by table and key by key; each value knows its file and line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import shipped
from alpaca_pipe.core.secrets import holds_a_key
from alpaca_pipe.recipe.located_yaml import Key, Place, read_yaml
from alpaca_pipe.recipe.other_names import Rename

EXTENDS, VERSION = "extends", 1  # the newest `recipe_version` that is known here
_ITS_OWN = (
    "name",
    "recipe_version",
)  # what a recipe does not take over from the one that it extends


@dataclass(frozen=True)
class Written:
    """A recipe as written, bases merged in. files: its own first, then what it extends; elsewhere: texts that stand in one of
    those and nowhere in its own -> the folder that a path among them is read from."""

    text: str  # of its own file
    data: dict[str, Any]
    places: dict[Key, Place]
    files: tuple[Path, ...]
    elsewhere: Mapping[str, Path] = field(default_factory=dict)


def read_recipe(path: Path, rename: Rename = lambda data, places: None) -> Written:
    """rename: puts the keys of one file under their first names, before it is laid over what it extends. Raises UserError,
    with file and line: no YAML, a base that is not there, a circle, a version that is too new."""
    return _read(path, (), rename)


def find_recipe(name: str) -> Path:
    """A path, `vet` for a folder `vet/` that holds `vet.yaml` or for `vet.yaml` itself, or the name of a shipped recipe."""
    if not name.strip():
        raise UserError("no recipe is named", "name a recipe's file, its folder, or a shipped one")
    path = Path(name)
    if found := _at(path):
        return found
    known = _shipped()
    if name in known:
        return known[name]
    if path.is_dir():
        raise UserError(
            f"{name}: this folder holds no {path.resolve().name}.yaml", "name the recipe's file"
        )
    recipe, at, when = name.partition("@")
    if at and recipe and when:
        raise UserError(
            f"{name} is a past run of {recipe}, and a recipe is wanted here: what is planned or run is its file as it is now",
            f"look at the run with `alpaca-pipe compare {name} {recipe}` or `alpaca-pipe report {name}`; `alpaca-pipe run {recipe} "
            "--again` sets what its last run set",
        )
    raise UserError(
        f"{name}: no such file, and no shipped recipe of that name",
        did_you_mean(Path(name).stem, {*known, *_beside(path)}),
    )


def _beside(path: Path) -> list[str]:
    """Recipes of one's own where it was looked for: `vet.yaml`, and folders `vet/` that hold one."""
    folder = path.parent
    if not folder.is_dir():
        return []
    own = [
        *folder.glob("*.yaml"),
        *(one.parent for one in folder.glob("*/*.yaml") if one.stem == one.parent.name),
    ]
    return [one.stem for one in own]


def refuse_keys(written: Iterable[tuple[str, str]]) -> None:
    """(where, what): a recipe is copied into the workspace and sent to others, its comments too. The key is not repeated."""
    found = [
        UserError(
            f"{place}: this looks like a key",
            "put it in an environment variable (export "
            "OPENAI_API_KEY=...) and that name into teacher.api_key_env; a key that stood in a file should be "
            "revoked",
        )
        for place, text in written
        if holds_a_key(text)
    ]
    if found:
        raise UserErrors(found)


def _at(path: Path) -> Path | None:
    """The file itself, the recipe that a folder holds under its own name, or the file of that name, `.yaml` left out."""
    inside, beside = (
        path / f"{path.resolve().name}.yaml",
        path.with_name(f"{path.name}.yaml") if path.name else path,
    )
    return next((file for file in (path, inside, beside) if file.is_file()), None)


def _shipped() -> dict[str, Path]:
    return {file.stem: file for file in shipped("recipes").glob("*.yaml")}


def _read(path: Path, above: tuple[Path, ...], rename: Rename) -> Written:
    """above: the recipes that extend this one, itself the last."""
    text = _text(path)
    refuse_keys(
        (f"{path}:{number}", line) for number, line in enumerate(text.splitlines(), start=1)
    )
    data, places = read_yaml(text, str(path))
    _check_version(data, places)
    rename(data, places)
    place = places.pop((EXTENDS,), places[()])
    base = data.pop(EXTENDS, None)
    if base is None:
        return Written(text, data, places, (path,))
    under = _read(_base(base, place, path, above), (*above, path), rename)
    merged, found = _merged(under, data, places)
    folder, mine = under.files[0].resolve().parent, set(_texts(data))
    elsewhere = {**dict.fromkeys(_texts(under.data), folder), **under.elsewhere}
    return Written(
        text,
        merged,
        found,
        (path, *under.files),
        {value: folder for value, folder in elsewhere.items() if value not in mine},
    )


def _base(base: Any, place: Place, path: Path, above: tuple[Path, ...]) -> Path:
    if not isinstance(base, str) or not base:
        raise UserError(
            f"{place}: extends: should be the path of a recipe, or the name of a shipped one, not {base!r}",
            "write it like extends: base.yaml",
        )
    beside = path.parent / Path(base).expanduser()
    found = _at(beside) or _shipped().get(base)
    if found is None:
        raise UserError(
            f"{place}: extends: no such recipe: {beside}, and none that is shipped",
            did_you_mean(Path(base).stem, _shipped()),
        )
    line = [*above, path]
    circle = [one.resolve() for one in line]
    if found.resolve() in circle:
        way = " -> ".join(one.name for one in (*line[circle.index(found.resolve()) :], found))
        raise UserError(
            f"{place}: extends: a recipe cannot extend itself: {way}",
            "remove one of these lines",
        )
    return found


def _merged(
    under: Written, data: dict[str, Any], places: dict[Key, Place]
) -> tuple[dict[str, Any], dict[Key, Place]]:
    """Ours over theirs: a table key by key, any other value whole; `train:` with nothing after it changes nothing."""
    merged = {key: value for key, value in under.data.items() if key not in _ITS_OWN}
    found = {key: place for key, place in under.places.items() if key and key[0] not in _ITS_OWN}
    for name, value in data.items():
        old = merged.get(name)
        if isinstance(old, dict) and (isinstance(value, dict) or value is None):
            taken = value or {}
            merged[name] = {**old, **taken}
            gone: set[Key] = {(name, key) for key in taken}
        else:
            merged[name] = value
            gone = {(name,)}
        found = {
            key: place
            for key, place in found.items()
            if not any(key[: len(part)] == part for part in gone)
        }
    return merged, {**found, **places}


def _texts(value: Any) -> list[str]:
    """All strings among the values of a recipe."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _check_version(data: Mapping[str, Any], places: Mapping[Key, Place]) -> None:
    """A newer recipe is refused before its other keys are looked at: what they mean is not known here."""
    version = data.get("recipe_version", VERSION)
    if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
        raise UserError(
            f"{places[('recipe_version',)]}: recipe_version: {version} is newer than this alpaca-pipe knows "
            f"({VERSION})",
            "upgrade alpaca-pipe: pip install -U alpaca-pipe",
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read: {error}", "a recipe is a UTF-8 text file that you may read"
        ) from None
