"""Useful rows, not only accepted ones: rows of several runs, mixed so that whoever grades them does not know whose they are.

    python -m tests.bench.grading mix STEP STEP ... -o FOLDER    100 rows of each step folder, shuffled, as FOLDER/blind.jsonl
    (write true or false at `sense`, whether the instruction makes sense by itself, and at `fits`, whether the output answers it)
    python -m tests.bench.grading tally FOLDER                   what came of it, by style, and runs/bench/grading.json

A row is useful if both hold. Useful rows for 1,000 tokens: the accepted rows of the whole run times the share of graded
rows that are useful, over all tokens that the run took, those of rejected pieces included.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import Any

from alpaca_pipe.core.files import read_json, read_jsonl, write_json, write_jsonl
from tests.bench.table import publish

ROWS = 100
_SEED = 20261129
_TEXTS = ("instruction", "input", "output")


def mix(steps: Sequence[Path], folder: Path, rows: int) -> None:
    """blind.jsonl to grade, key.json to open afterwards."""
    mixed: list[tuple[str, dict[str, Any]]] = []
    sources: dict[str, Any] = {}
    for number, step in enumerate(steps):
        identity, seen = (
            read_json(step / "stage.json")["config"],
            list(read_jsonl(step / "rounds.jsonl")),
        )
        made = list(read_jsonl(step / "examples.jsonl"))
        name = (
            identity["style"]
            if identity["style"] not in sources
            else f"{identity['style']} ({number + 1})"
        )
        sums = {
            key: sum(one[key] for one in seen)
            for key in (
                "accepted",
                "seats",
                "answers",
                "in_first",
                "in_answers",
                "out_first",
                "out_answers",
            )
        }
        sources[name] = {
            "step": step.name,
            "accepted": sums["accepted"],
            "requests": sums["seats"] + sums["answers"],
            "tokens_in": sums["in_first"] + sums["in_answers"],
            "tokens_out": sums["out_first"] + sums["out_answers"],
        }
        chosen = random.Random(_SEED + number).sample(made, min(rows, len(made)))
        mixed += [(name, {text: row.get(text, "") for text in _TEXTS}) for row in chosen]
    random.Random(_SEED).shuffle(mixed)
    folder.mkdir(parents=True, exist_ok=True)
    write_jsonl(
        folder / "blind.jsonl",
        (
            {"row": number, **row, "sense": None, "fits": None}
            for number, (_, row) in enumerate(mixed)
        ),
    )
    write_json(folder / "key.json", {"sources": sources, "rows": [name for name, _ in mixed]})
    print(
        f"{len(mixed)} rows to grade: {folder / 'blind.jsonl'}; do not open key.json before all are"
    )


def tally(folder: Path) -> None:
    key, graded = read_json(folder / "key.json"), list(read_jsonl(folder / "blind.jsonl"))
    open_rows = [
        row["row"]
        for row in graded
        if not isinstance(row["sense"], bool) or not isinstance(row["fits"], bool)
    ]
    if open_rows:
        raise SystemExit(
            f"{len(open_rows)} rows have no grade yet, the first is row {open_rows[0]}"
        )
    table = []
    for name, source in key["sources"].items():
        own = [row for row, whose in zip(graded, key["rows"], strict=True) if whose == name]
        useful = sum(row["sense"] and row["fits"] for row in own)
        share, per = useful / len(own), 1000 * source["accepted"]
        table.append(
            {
                "style": name,
                "graded": len(own),
                "makes sense": f"{sum(row['sense'] for row in own) / len(own):.0%}",
                "useful": f"{share:.0%} +- {1.96 * sqrt(share * (1 - share) / len(own)):.0%}",
                "accepted": source["accepted"],
                "requests": source["requests"],
                "tokens in, out": f"{source['tokens_in']:,} {source['tokens_out']:,}",
                "accepted / 1,000 tokens out": f"{per / source['tokens_out']:.2f}",
                "useful / 1,000 tokens out": f"{per * share / source['tokens_out']:.2f}",
                "useful / 1,000 tokens in all": f"{per * share / (source['tokens_in'] + source['tokens_out']):.3f}",
            }
        )
    publish("grading", table)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.grading")
    commands = parser.add_subparsers(dest="command", required=True)
    mixing = commands.add_parser("mix")
    mixing.add_argument("steps", nargs="+", type=Path)
    mixing.add_argument("-o", "--out", type=Path, required=True)
    mixing.add_argument("--rows", type=int, default=ROWS)
    commands.add_parser("tally").add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.command == "mix":
        mix(given.steps, given.out, given.rows)
    else:
        tally(given.folder)


if __name__ == "__main__":
    main()
