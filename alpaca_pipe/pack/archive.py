"""The file: a manifest, then exactly the files that it lists, as a tar in zstd. Whole or refused, and nothing else gets out.

Written as any tar is, so that `tar --zstd -tf` reads it; read by tarfile entry by entry, which must be plain files, in the
order, of the size and with the digest of the manifest, under names that stay inside. So a link, a device, a second entry of
a name, a path that climbs out, a bomb or a bit that tipped over is not something to be guarded against one by one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import tarfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import canonical, refuse_pipe
from alpaca_pipe.core.outside_numbers import BadNumber, whole_number
from alpaca_pipe.core.safe_names import is_path_below

FORMAT, VERSION = "alpaca-pipe pack", 1
_BLOCK = 512
_LARGEST_MANIFEST = 1 << 24  # bytes; a hundred thousand files
_SWELLS = 1000  # times: weights, rows and books do not pack smaller; zeros do
_SWELLS_FROM = 1 << 26  # bytes; below that nobody is harmed
_LONGEST_PART = 255  # bytes of a name; file systems take no more
_MOST_AFTER = 64 * _BLOCK  # of zeros after the last file: tar fills up to 20 blocks
_CHUNK = 1 << 20
_MAGIC = b"\x28\xb5\x2f\xfd"  # of zstd
_FIRST = re.compile(r"manifest\.([0-9a-f]{64})\.json")
_AGAIN = "copy the file again, and compare its size"
_STRANGER = "it was not made by `alpaca-pipe pack`: do not trust it"
Source = Path | bytes


@dataclass(frozen=True)
class Manifest:
    """facts: what the pack is, plain JSON.  files: relative name -> {"sha256", "size"}."""

    facts: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]

    @property
    def bytes(self) -> int:
        return sum(seal["size"] for seal in self.files.values())


def write_box(path: Path, facts: Mapping[str, Any], files: Mapping[str, Source]) -> Path:
    """Writes a pack beside `path` and answers the draft, synced: `os.replace` makes it the pack. The files may not change
    meanwhile. Raises UserError where one does."""
    import pyarrow

    for name in files:
        if not _is_taken(name):
            raise UserError(
                f"a file is called {name[-80:]!r}, which not every system can read",
                "rename it, then pack again",
            )
    if alike := _alike(files):
        raise UserError(
            f"{alike[0]} and {alike[1]} are one file where case does not count",
            "rename one of them, then pack again",
        )
    seals = {name: _seal(files[name]) for name in sorted(files)}
    manifest = canonical({"format": FORMAT, "version": VERSION, **facts, "files": seals}).encode()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with pyarrow.CompressedOutputStream(
            pyarrow.PythonFile(draft.open("xb"), "w"), "zstd"
        ) as out:  # closes the file too
            _put(out, f"manifest.{hashlib.sha256(manifest).hexdigest()}.json", manifest, None)
            for name, seal in seals.items():
                _put(out, name, files[name], seal)
            out.write(bytes(2 * _BLOCK))
        with draft.open("rb+") as plain:
            os.fsync(plain.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft


def look(path: Path) -> Manifest:
    """What a pack says that it is; its files are not read. Raises UserError."""
    with _reading(path) as tar:
        return _manifest(tar, path)


def read_box(path: Path, into: Path) -> Manifest:
    """Unpacks into a folder that is empty, every file checked. Raises UserError for what is damaged, foreign or newer; what was
    written by then is the caller's to remove."""
    with _reading(path) as tar:
        manifest = _manifest(tar, path)
        if manifest.bytes > (free := shutil.disk_usage(into).free):
            raise UserError(
                f"{path} unpacks to {manifest.bytes:,} bytes, and {free:,} are free at {into}",
                "free some space, or choose another workspace with --runs",
            )
        packed = path.stat().st_size
        if manifest.bytes > max(_SWELLS_FROM, _SWELLS * packed):
            raise UserError(
                f"{path} has {packed:,} bytes and unpacks to {manifest.bytes:,}: nothing real packs so small",
                _STRANGER,
            )
        for name, seal in manifest.files.items():
            _take(tar, name, seal, into, path)
        _nothing_after(tar, path)
    return manifest


class _PlainFile(tarfile.TarInfo):
    """An entry; whatever is no plain file is refused at its header, before a byte of what it holds is read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _PlainFile:
        found = super().frombuf(buf, encoding, errors)
        if found.type != tarfile.REGTYPE or found.linkname:
            raise _NotPlain(found.name)
        return found  # type: ignore[return-value]


class _NotPlain(Exception):
    pass


class _Unpacked:
    """The unpacked bytes, so many at a time; damage is told in our words."""

    def __init__(self, plain: BinaryIO, path: Path) -> None:
        import pyarrow

        self._path, self._errors = path, (pyarrow.ArrowException, OSError, EOFError)
        self._stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(plain, "r"), "zstd")

    def read(self, size: int) -> bytes:
        """Fewer only at the end."""
        try:
            return bytes(self._stream.read(size))
        except self._errors as error:
            raise UserError(
                f"{self._path} is damaged or not whole ({str(error).splitlines()[0][:80]})", _AGAIN
            ) from None


@contextmanager
def _reading(path: Path) -> Iterator[tarfile.TarFile]:
    """From its beginning on, as it is read; what tarfile finds wrong with it is told as a UserError."""
    with path_opened(path) as plain:
        stream: Any = _Unpacked(plain, path)
        try:
            with tarfile.open(
                fileobj=stream,
                mode="r|",
                bufsize=_CHUNK,
                tarinfo=_PlainFile,
                encoding="utf-8",
                errors="strict",
            ) as tar:
                yield tar
        except _NotPlain as found:
            raise UserError(
                f"{path} holds something that is not a plain file ({found})", _STRANGER
            ) from None
        except (tarfile.TarError, UnicodeDecodeError):
            raise _damaged(path, "the beginning of a file") from None


def path_opened(path: Path) -> BinaryIO:
    refuse_pipe(path)
    try:
        plain = path.open("rb")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}",
            "name a file that `alpaca-pipe pack` has written",
        ) from None
    if plain.read(len(_MAGIC)) != _MAGIC:
        plain.close()
        raise _foreign(path)
    plain.seek(0)
    return plain


def _manifest(tar: tarfile.TarFile, path: Path) -> Manifest:
    first = tar.next()
    named = _FIRST.fullmatch(first.name) if first else None
    if first is None or named is None or first.size > _LARGEST_MANIFEST:
        raise _foreign(path)
    text = _opened(tar, first).read()
    if hashlib.sha256(text).hexdigest() != named[1]:
        raise _damaged(path, "its list of contents")
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        raise _foreign(path) from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise _foreign(path)
    if facts.get("version") != VERSION:
        raise UserError(
            f"{path} was packed by a newer alpaca-pipe (its format is {facts.get('version')}, known here is {VERSION})",
            "update alpaca-pipe here: pip install -U alpaca-pipe",
        )
    files: dict[str, dict[str, Any]] = facts.pop("files", None)
    if not isinstance(files, dict) or not isinstance(facts.get("kind"), str):
        raise _foreign(path)
    for name, seal in files.items():
        if not _is_taken(name):
            raise UserError(
                f"{path}: it holds a file under a name that is not taken ({name[:80]!r})", _STRANGER
            )
        if not _is_seal(seal):
            raise _damaged(path, name)
    above = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    if clash := above & set(files):
        raise UserError(f"{path}: {min(clash)} is a file and a folder in it", _STRANGER)
    if alike := _alike(files):
        raise UserError(
            f"{path}: {alike[0]} and {alike[1]} are one file where case does not count", _STRANGER
        )
    return Manifest(facts, dict(sorted(files.items())))


def _take(tar: tarfile.TarFile, name: str, seal: Mapping[str, Any], into: Path, path: Path) -> None:
    """The next entry, which must be this file, at its place in the folder."""
    entry = tar.next()
    if entry is None or entry.name not in (name, _short(name)) or entry.size != seal["size"]:
        raise _damaged(path, f"where {name} should be")
    target, digest = into / name, hashlib.sha256()
    # our own check: tarfile's data filter came with Python 3.11.4, and Debian 12 has 3.11.2
    if not entry.isreg() or not target.resolve().is_relative_to(into.resolve()):
        raise _damaged(path, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out, _opened(tar, entry) as stream:
        while part := stream.read(_CHUNK):
            digest.update(part)
            out.write(part)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != seal["sha256"]:
        raise _damaged(path, name)


def _opened(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(entry)
    assert stream is not None  # it is a plain file
    return stream


def _nothing_after(tar: tarfile.TarFile, path: Path) -> None:
    """Zeros alone: tarfile takes whatever it cannot read for the end."""
    stream: Any = tar.fileobj
    stream.seek(tar.offset)
    rest = stream.read(_MOST_AFTER)
    if len(rest) < 2 * _BLOCK or len(rest) == _MOST_AFTER or any(rest):
        raise _damaged(path, "its end")


def _put(out: Any, name: str, source: Source, seal: Mapping[str, Any] | None) -> None:
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    out.write(_tar_header(name, size))
    digest, written = hashlib.sha256(), 0
    for part in _parts(source):
        digest.update(part)
        out.write(part)
        written += len(part)
    if seal and (digest.hexdigest(), written) != (seal["sha256"], seal["size"]):
        raise UserError(
            f"{name} was changed while it was packed", "pack again once nothing writes to it"
        )
    out.write(bytes(-size % _BLOCK))


def _tar_header(name: str, size: int) -> bytes:
    """One block: a name that is too long for that, or of a file that is, stands in the manifest only."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    try:
        return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    except ValueError:
        info.name = _short(name)
        return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def _short(name: str) -> str:
    return f"long/{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _parts(source: Source) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as stream:
        while part := stream.read(_CHUNK):
            yield part


def _seal(source: Source) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    for part in _parts(source):
        digest.update(part)
        size += len(part)
    return {"sha256": digest.hexdigest(), "size": size}


def _is_taken(name: str) -> bool:
    """Whether a name stays in its folder and is read alike everywhere."""
    return is_path_below(name) and all(
        len(part.encode()) <= _LONGEST_PART for part in name.split("/")
    )


def _alike(names: Iterable[str]) -> tuple[str, str] | None:
    """Two names, of files or of the folders above them, that a disk without case would take for one."""
    seen: dict[str, str] = {}
    for name in sorted(names):
        for part in (name, *map(str, PurePosixPath(name).parents)):
            first = seen.setdefault(unicodedata.normalize("NFKC", part).casefold(), part)
            if first != part:
                return first, part
    return None


def _is_seal(seal: Any) -> bool:
    try:
        return (
            isinstance(seal, dict)
            and set(seal) == {"sha256", "size"}
            and type(seal["size"]) is int
            and whole_number(seal["size"]) >= 0
            and re.fullmatch(r"[0-9a-f]{64}", str(seal["sha256"])) is not None
        )
    except BadNumber:
        return False


def _foreign(path: Path) -> UserError:
    return UserError(
        f"{path} is not a pack of alpaca-pipe", "name a file that `alpaca-pipe pack` has written"
    )


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"{path} is damaged: {what} is not as it was packed", _AGAIN)
