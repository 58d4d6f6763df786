"""Drives `alpaca-pipe` as a user does: in a workspace of its own, counted at the teacher's server; what is killed is a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from alpaca_pipe.core.files import read_json, read_jsonl
from tests.command import command

RECIPE = """# the road, with a scripted teacher and a random two-layer LLaMA
name: road
teacher:
  kind: rehearsed
  model: scripted
  price: {in: 0.15, out: 0.60}
  served: served.jsonl
base:
  model: tiny
generate:
  count: 40
  round_size: 8
curate:
  held_out: 16
train:
  max_steps: 6
  per_device_train_batch_size: 4
  max_length: 512
evaluate:
  samples: 2
  max_new_tokens: 8
export: {}
"""


@dataclass(frozen=True)
class Road:
    """A folder with a recipe, its workspace, and the file in which the teacher's server counts what it answered."""

    home: Path
    recipe: str = "road.yaml"

    @classmethod
    def make(cls, home: Path, recipe: str = "road.yaml") -> Road:
        """An empty folder with road.yaml in it; or for the shipped recipe of another name."""
        home.mkdir(parents=True, exist_ok=True)
        (home / "road.yaml").write_text(RECIPE)
        return cls(home, recipe)

    @property
    def name(self) -> str:
        return Path(self.recipe).stem

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `alpaca-pipe run RECIPE ...` in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "alpaca_pipe", "run", self.recipe, *arguments],
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        """Runs it to its end, in this process, and gives what it printed; the exit code must be `code`."""
        said = command("run", self.recipe, *arguments, cwd=self.home)
        assert said.code == code, f"exit {said.code}\n{said.out}{said.err}"
        return said.out + said.err

    def served(self) -> Counter[str]:
        """How often the server answered each request."""
        path = self.home / "served.jsonl"
        return Counter(row["asked"] for row in read_jsonl(path)) if path.exists() else Counter()

    def step(self, stage: str) -> Path:
        """The sealed folder of a stage."""
        return (
            self.home
            / "runs"
            / "store"
            / str(read_json(self.home / "runs" / self.name / "lock.json")["steps"][stage])
        )

    def seals(self) -> dict[str, bytes]:
        """done.json of every sealed step: it holds when and in which run the step was made."""
        return {
            path.parent.name: path.read_bytes()
            for path in (self.home / "runs" / "store").glob("*/done.json")
        }
