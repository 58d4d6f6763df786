"""Runs every script of findings/ and prints a table: does the behaviour still hold that its head comment tells?

python -m tools.findings [NAME...]       # `make findings`; needs the network, and is not a part of CI
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "findings"


def pins(script: Path) -> str:
    """The packages that a script installs, with their versions."""
    return ", ".join(re.findall(r"\S+==\S+", script.read_text(encoding="utf-8")))


def main(names: list[str]) -> int:
    scripts = [path for path in sorted(FOLDER.glob("*.sh")) if not names or path.stem in names]
    width = max(len(path.stem) for path in scripts)
    changed = 0
    for script in scripts:
        done = subprocess.run([script], capture_output=True, text=True, check=False)
        changed += done.returncode != 0
        verdict = "changed" if done.returncode else "holds"
        print(f"{script.stem:{width}}  {verdict:7}  {pins(script)}", flush=True)
        for line in (done.stdout if not done.returncode else done.stderr).strip().splitlines()[-5:]:
            print(f"{'':{width}}  {line}")
    print(f"{len(scripts) - changed} of {len(scripts)} hold")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
