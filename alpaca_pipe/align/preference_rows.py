"""Where the preferences come from, and which of them are kept away from training: whole prompts, the lowest hashes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alpaca_pipe.align.config import PAIRS, ROWS, AlignConfig
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.core.files import digest_of, read_jsonl
from alpaca_pipe.core.preference import Preference
from alpaca_pipe.curate.split import held_out_ids
from alpaca_pipe.data.preferences import preference_of, read_preferences
from alpaca_pipe.data.shapes.columns import Columns


@dataclass(frozen=True)
class PreferenceRows:
    """learned: to train on; held_out: of other prompts; left_out: with their reasons."""

    learned: list[Preference]
    held_out: list[Preference]
    left_out: list[Rejected]


def preference_rows(
    config: AlignConfig, inputs: Mapping[str, Path], say: Callable[[str], None]
) -> PreferenceRows:
    """Raises UserError where a row is no preference, and where too few are left."""
    left_out: list[Rejected] = []
    if config.source:
        rows = list(
            read_preferences(
                config.source,
                keep_going=config.keep_going,
                columns=Columns.of(config.columns) if config.columns else None,
                split=config.split,
                aside=left_out.append,
            )
        )
    elif PAIRS in inputs:
        rows = [Preference.from_row(row) for row in read_jsonl(inputs[PAIRS])]
    else:
        rows = _of_curated(inputs, say)
    for rule, count in Counter(row.rule for row in left_out).items():
        first = next(row for row in left_out if row.rule == rule)
        say(f"{count} rows are left out: {first.reason} ({first.source or rule}): left_out.jsonl")
    wanted = [row for row in rows if _fits(row, config.method)]
    if len(wanted) < len(rows):
        say(
            f"{len(rows) - len(wanted)} of {len(rows)} rows have a label and no second answer, and "
            f"method {config.method} compares two: they are not used"
        )
    learned, held_out = split(wanted, config.held_out)
    if len(learned) < 2 or not held_out:
        raise UserError(
            f"align: {len(wanted)} preferences of {len(set(map(asked, wanted)))} prompts, and {config.held_out} rows of other prompts are to be held out",
            "bring more (`pairs:`, or `from:`), or lower align.held_out",
        )
    return PreferenceRows(learned, held_out, left_out)


def _of_curated(inputs: Mapping[str, Path], say: Callable[[str], None]) -> list[Preference]:
    if ROWS not in inputs:
        raise UserError(
            "align: there are no preferences to learn from",
            "add `pairs:` to the recipe, or name a file of chosen and rejected answers with align.from",
        )
    examples = [Example.from_row(row) for row in read_jsonl(inputs[ROWS])]
    found = [row for row in map(preference_of, examples) if row]
    if not found:
        raise UserError(
            f"align: none of the {len(examples)} curated rows kept an answer that is worse than its own",
            "add `pairs:` to the recipe, or name a file of chosen and rejected answers with align.from",
        )
    if len(found) < len(examples):
        say(
            f"{len(found)} of {len(examples)} curated rows kept a worse answer; the others are not used"
        )
    return found


def _fits(row: Preference, method: str) -> bool:
    return bool(row.chosen) or method == "kto"


def asked(row: Preference) -> str:
    """A name for the prompt alone."""
    return digest_of([row.system, row.input, [one.to_row() for one in row.prompt]])


def split(rows: Sequence[Preference], held_out: int) -> tuple[list[Preference], list[Preference]]:
    """(to learn from, held out): at least so many rows, all rows of a prompt on one side. Rows that come later move few."""
    prompts = [asked(row) for row in rows]
    of_prompt = Counter(prompts)
    names = held_out_ids(of_prompt, held_out)  # more prompts than there need be rows
    kept, count = set[str](), 0
    for name in sorted(names, key=lambda name: (hashlib.sha256(name.encode()).digest(), name)):
        if count < held_out:
            kept.add(name)
            count += of_prompt[name]
    both = list(zip(rows, prompts, strict=True))
    return [row for row, name in both if name not in kept], [
        row for row, name in both if name in kept
    ]
