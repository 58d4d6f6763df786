"""Files that are whole or absent: atomic writes, JSON lines, and digests that are remembered."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

from alpaca_pipe.core.errors import UserError

_REMEMBERED_FROM = 1 << 20  # bytes; below this, hashing costs less than looking up


def cache_dir() -> Path:
    """Where weights, checkpoints and digests are kept between runs: $ALPACA_PIPE_CACHE or the XDG cache."""
    own = os.environ.get("ALPACA_PIPE_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alpaca-pipe"


def config_dir() -> Path:
    """Where the user's own settings are kept: alpaca-pipe in the XDG configuration folder."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "alpaca-pipe"


def shipped(folder: str) -> Path:
    """Where the package's own `recipes` or `seed_tasks` lie: inside an installed wheel, or beside a checkout's package."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_shipped" / folder
    return inside if inside.is_dir() else package.parent / folder


def private_folder(path: Path) -> None:
    """Makes a folder, and those above it, for its owner alone; one that is there stays as it is."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            folder.mkdir(0o700)


def refuse_pipe(path: Path) -> None:
    """Raises UserError for a pipe, a socket or a device: it can be read once, or never ends."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UserError(
            f"{path} is a pipe or a device, and a file is read more than once",
            "write what comes from it into a file, and name that",
        )


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no blanks, UTF-8 as it is. Floats as Python's shortest repr."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(value: Any) -> str:
    """sha256 (hex) of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def write_atomic(path: Path, text: str | bytes | Iterable[str]) -> None:
    """Writes the whole file or nothing: temporary file in the same folder, fsync, rename. Of an iterable, piece by piece."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pieces = [text] if isinstance(text, str | bytes) else text
    name = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    try:
        with name.open("xb") as stream:
            for piece in pieces:
                stream.write(piece.encode() if isinstance(piece, str) else piece)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        name.unlink(missing_ok=True)
        raise


def same_file(source: Path, target: Path) -> None:
    """The bytes of `source` as `target` too: a hard link, or a copy where the disk has none. What was there is replaced."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def open_to_others(folder: Path) -> None:
    """Modes as the umask wants them: mkdtemp's folder and safetensors' files are for one user alone."""
    fresh = folder / ".mode"
    fresh.mkdir()  # what mode a new folder gets; asking for the umask would change it for a moment
    mode = stat.S_IMODE(fresh.stat().st_mode)
    fresh.rmdir()
    folder.chmod(mode)
    for path in folder.rglob("*"):
        path.chmod(mode if path.is_dir() else mode & 0o666)


def write_json(path: Path, value: Any) -> None:
    """A value as readable JSON, atomically."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    return _loads(path.read_text(encoding="utf-8"))


def _loads(text: str) -> Any:
    """Raises ValueError alone, for lists in lists by the thousand too."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """One JSON value a line, atomically. U+2028 and other separators stay inside their string."""
    write_atomic(path, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def append_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Adds rows at the end of a file, and returns when the disk has them. A line that a crash cut off stays its own. OSError."""
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(
        "utf-8", "replace"
    )
    new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as out:
        if out.seek(0, os.SEEK_END):
            out.seek(-1, os.SEEK_END)
            data = data if out.read(1) == b"\n" else b"\n" + data
        while data:
            data = data[out.write(data) or 0 :]
        os.fsync(out.fileno())
    if new:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name of a new file is on the disk only when its folder is
        finally:
            os.close(folder)


def jsonl_lines(path: Path) -> Iterator[str]:
    """The lines of a JSON-lines file that are not blank; only a line feed ends one."""
    with path.open(encoding="utf-8", newline="\n") as stream:
        for line in stream:
            if line.strip():
                yield line


def read_jsonl(path: Path, places: Container[int] | None = None) -> Iterator[Any]:
    """The values of a JSON-lines file. places: only those, counted from 0."""
    for place, line in enumerate(jsonl_lines(path)):
        if places is None or place in places:
            yield _loads(line)


def read_jsonl_so_far(path: Path, places: Container[int] | None = None) -> Iterator[Any]:
    """The values up to the end of a file that may be missing, or whose last line a kill may have cut off."""
    try:
        yield from read_jsonl(path, places)
    except (OSError, ValueError):
        return


def file_digest(path: Path, read_again: bool = False) -> str:
    """sha256 (hex) of a file's bytes; large files are remembered by (path, size, mtime_ns, inode), unless it is to be read
    again: a disk can change a byte and keep the time."""
    state = path.stat()
    if state.st_size < _REMEMBERED_FROM:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    memory = cache_dir() / "digests"
    stamp = [str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ino]
    note = memory / hashlib.sha256(canonical(stamp).encode()).hexdigest()[:32]
    with contextlib.suppress(OSError):
        if not read_again:
            return note.read_text()
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time only
        write_atomic(note, digest)
    return digest


def tree_digest(path: Path) -> str:
    """sha256 (hex) over a file, or over the names and digests of all files below a folder (hidden ones left out)."""
    if path.is_file():
        return file_digest(path)
    return digest_of(
        {
            inside: file_digest(path / inside)
            for inside in sorted(
                p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()
            )
            if not any(part.startswith(".") for part in Path(inside).parts)
        }
    )
