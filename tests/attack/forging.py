"""Packs by another hand: a genuine one taken apart, changed, and sealed again as if it were one of ours."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.pack.archive import Source, read_box, write_box
from tests.attack.commands import call

RECIPE = """name: small
teacher: {kind: rehearsed, model: gpt-4.1-nano, price: {in: 0.10, out: 0.40}}
generate: {count: 6, round_size: 4}
curate: {held_out: 1}
budget: {api: 1}
"""


@dataclass
class Parts:
    """What a pack holds. facts: of its manifest.  files: by their names in it."""

    facts: dict[str, Any]
    files: dict[str, bytes]

    def rows(self, file: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files[file].splitlines()]

    def put(self, file: str, rows: list[Any]) -> None:
        self.files[file] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)

    def text(self, file: str, change: Callable[[str], str]) -> None:
        self.files[file] = change(self.files[file].decode()).encode()


@contextmanager
def at(folder: Path, cache: str = "cache") -> Iterator[None]:
    """As a machine of its own whose user stands in a folder."""
    before, where = os.environ.get("ALPACA_PIPE_CACHE"), Path.cwd()
    os.environ["ALPACA_PIPE_CACHE"] = str(folder / cache)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(where)
        if before is None:
            del os.environ["ALPACA_PIPE_CACHE"]
        else:
            os.environ["ALPACA_PIPE_CACHE"] = before


def taken_apart(file: Path, aside: Path) -> Parts:
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    facts = dict(read_box(file, aside).facts)
    for ours in ("format", "version"):
        facts.pop(ours, None)
    files = {
        path.relative_to(aside).as_posix(): path.read_bytes()
        for path in aside.rglob("*")
        if path.is_file()
    }
    return Parts(facts, files)


def sealed(parts: Parts, file: Path) -> Path:
    files: dict[str, Source] = dict(parts.files)
    os.replace(write_box(file, parts.facts, files), file)
    return file


def done(*words: str) -> str:
    code, said = call(*words)
    assert code == 0, (words, said)
    return said


def made(home: Path, away: Path) -> tuple[Path, Path]:
    """A recipe's pack from one folder and its results from the other: the files as they were sent."""
    home.mkdir()
    away.mkdir()
    (home / "small.yaml").write_text(RECIPE)
    with at(home):
        done("run", "small.yaml", "--until", "generate")
        done("pack", "small.yaml", "--for", "curate", "--share", "0.25", "--api", "0.25")
    with at(away):
        done("unpack", str(home / "small.tar.zst"))
        done("run", "small.yaml", "generate.count=8")
        done("pack", "small", "--only", "results", "--replies")
    return home / "small.tar.zst", away / "small-results.tar.zst"


def tree(folder: Path) -> dict[str, bytes]:
    """All that lies below a folder and means something, but for the cache and SQLite's side files."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and "cache" not in path.relative_to(folder).parts
        and not path.name.endswith((".lock", "-wal", "-shm", ".tar.zst"))
        and path.name != ".lock"
    }
