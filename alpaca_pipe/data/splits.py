"""Splits: rows for training and rows that are kept away from it. Where a source holds several, one of them is named."""

from __future__ import annotations

import re
from collections.abc import Iterable

from alpaca_pipe.core.errors import UserError

_NAMES = {
    "train": "train training",
    "validation": "validation valid val dev development eval evaluation",
    "test": "test testing heldout held_out holdout",
}
_BY_WORD = {word: name for name, words in _NAMES.items() for word in words.split()}
REST = "the rest"  # files of a source that name no split, beside some that do
_SHARD = re.compile(r"-\d{5}-of-\d{5}")


def split_of(name: str) -> str:
    """`data/train-00000-of-00002.parquet` is of the split train; "" for a name that says nothing of it."""
    *folders, file = _SHARD.sub("", name.lower()).split("/")
    stem = re.sub(
        r"(\.(jsonl?|ndjson|csv|tsv|parquet|arrow|feather|xlsx|gz|zst|bz2|xz))+$", "", file
    )
    for part in (stem, *reversed(folders)):
        if part in _BY_WORD:
            return _BY_WORD[part]
        words = re.split(r"[-_.\s]", part)
        for word in (words[-1], words[0]):
            if word in _BY_WORD:
                return _BY_WORD[word]
    return ""


def is_split(said: str, wanted: str) -> bool:
    """Whether a row or file that says `said` is of the split that is wanted: `dev` is `validation`, and `train_sft` is no
    `train_prefs`."""
    one, other = said.strip().lower(), wanted.strip().lower()
    return _BY_WORD.get(one, one) == _BY_WORD.get(other, other)


def chosen_split(named: Iterable[str], wanted: str | None, what: str) -> str:
    """The one of several splits that is meant. Raises UserError."""
    named = list(named)
    if not named:
        raise UserError(f"{what} holds no splits, and '{wanted}' is asked for", "leave --split out")
    if wanted is None:
        first = next((name for name in named if split_of(name) == "train"), named[0])
        raise UserError(
            f"{what} holds the splits {', '.join(named)}, and the rows to test on would be trained on",
            f"name the one that you want: --split {first}",
        )
    found = [one for one in named if one == wanted] or [
        one for one in named if split_of(one) and split_of(one) == split_of(wanted)
    ]
    if len(found) != 1:
        raise UserError(
            f"{what} has no split '{wanted}'; it has {', '.join(named)}",
            f"name one of them: --split {named[0]}",
        )
    return found[0]
