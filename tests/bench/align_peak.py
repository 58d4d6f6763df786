"""Peak memory of `align` beside `train` on the same rows, each in a process of its own.

python -m tests.bench.align_peak [BASE] [METHOD ...]      # default: smollm2-135m-instruct, dpo; prints MB and the ratio
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

from alpaca_pipe.core.files import read_jsonl, shipped

_ROWS, _STEPS = 64, 6


def main(base: str, methods: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tasks = list(islice(read_jsonl(shipped("seed_tasks") / "alpaca.jsonl"), _ROWS))
        texts = [
            (row["instruction"], row["instances"][0]["input"], row["instances"][0]["output"])
            if "instances" in row
            else (row["instruction"], row.get("input", ""), row["output"])
            for row in tasks
        ]
        rows = [
            {
                "prompt": f"{asked}\n\n{given}".strip(),
                "chosen": answer,
                "rejected": texts[place - 1][2] + " Well.",
            }
            for place, (asked, given, answer) in enumerate(texts)
        ]
        (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        recipe = {
            "recipe_version": 1,
            "base": {"model": base},
            "curate": {"from": "rows.jsonl", "held_out": 4, "filters": "none"},
            "train": {"control": "none", "max_steps": _STEPS, "max_length": 512},
            "align": {
                "max_steps": _STEPS,
                "max_length": 512,
                "control": "none",
                "held_out": 8,
                "samples": 4,
                "max_completion_length": 32,
                "num_generations": 4,
            },
        }
        (folder / "peak.yaml").write_text(json.dumps(recipe))
        _peak(folder, "curate")
        train = _peak(folder, "train")
        print(f"train: {train / 1e6:.0f} MB", flush=True)
        for method in methods:
            found = _peak(folder, "align", f"align.method={method}")
            print(f"align, {method}: {found / 1e6:.0f} MB, {found / train:.2f} x train", flush=True)


def _peak(folder: Path, until: str, *overrides: str) -> float:
    """Bytes that the process of this stage held at most."""
    words = ["-m", "alpaca_pipe", "run", "peak.yaml", "--until", until, *overrides]
    child = subprocess.Popen(
        [sys.executable, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert child.stdout
    said = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, said.decode()
    return used.ru_maxrss * 1024.0


if __name__ == "__main__":
    main(*(sys.argv[1:2] or ["smollm2-135m-instruct"]), sys.argv[2:] or ["dpo"])
