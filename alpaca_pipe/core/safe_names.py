"""Names that came from outside, of runs, steps, machines and recipes, and the one way from a name to a path: what it makes
lies in its folder, or it is refused."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from alpaca_pipe.core.errors import UserError

# One part of a path: letters, digits, _, -, . and +, neither hidden nor climbing, short enough for a suffix of ours.
NAME = r"^\w[\w.+-]{0,119}$"
_NAME = re.compile(NAME)
_LONGEST = 160  # bytes; file systems take 255, and drafts and locks have names made of it
_OURS = ("store", "rehearsal", "bench", "budget.yaml")  # what else lies in a workspace
_OUR_LEDGER = "ledger.sqlite"  # and its -wal, -shm, -journal
_OF_A_FILE = (".yaml", ".yml")  # a recipe so called could not be told from its file


def is_name(text: object) -> bool:
    """Whether a value is one name that cannot lead anywhere."""
    return isinstance(text, str) and bool(_NAME.fullmatch(text)) and _short(text)


def is_recipe_name(name: object) -> bool:
    """Whether a recipe may be called so: a name, and nothing that lies in a workspace already, whatever the case (APFS and
    NTFS know no case, and take some letters for others)."""
    if not is_name(name):
        return False
    folded = unicodedata.normalize("NFKC", str(name)).casefold()
    return not (
        folded in _OURS
        or folded.startswith(_OUR_LEDGER)
        or folded.endswith((*_OF_A_FILE, "."))
        or str(name).endswith(".")
    )


def within(folder: Path, name: object, suffix: str = "") -> Path:
    """`folder/name + suffix`, for a name that came from outside. Raises UserError for one that could lie elsewhere."""
    if not is_name(name):
        raise UserError(
            f"{folder} cannot hold something called {str(name)[:60]!r}",
            "alpaca-pipe writes no such name: the file that holds it was changed, or is not ours",
        )
    return folder / f"{name}{suffix}"


def is_path_below(name: object) -> bool:
    """Whether a text names a file below a folder, as `a/b.jsonl`: each part is a plain one."""
    if not isinstance(name, str) or not name or len(name.encode("utf-8", "replace")) > 1000:
        return False
    return not re.search(r"[\\\x00-\x1f\x7f\ud800-\udfff]|^[A-Za-z]:", name) and all(
        part not in ("", ".", "..") for part in name.split("/")
    )


def _short(text: str) -> bool:
    try:
        return len(text.encode()) <= _LONGEST
    except UnicodeEncodeError:
        return False
