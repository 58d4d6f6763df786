"""Files inside a zip or a tar: listed and read in place, nothing is laid down on the disk."""

from __future__ import annotations

import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.compression import head

Kind = Literal["zip", "tar"]


@dataclass(frozen=True)
class ArchivedFile:
    """A file inside an archive; it is opened like a Path."""

    archive: Path
    inner: str
    kind: Kind

    @property
    def name(self) -> str:
        return self.inner.rsplit("/", 1)[-1]

    def __str__(self) -> str:
        return f"{self.archive}/{self.inner}"

    def open(self, mode: str = "rb") -> IO[bytes]:
        try:
            if self.kind == "zip":
                with zipfile.ZipFile(self.archive) as box:
                    return box.open(self.inner)
            found: IO[bytes] | None = tarfile.open(self.archive).extractfile(self.inner)  # noqa: SIM115
            assert found is not None
            return found
        except (zipfile.BadZipFile, tarfile.TarError, RuntimeError, NotImplementedError) as error:
            raise UserError(
                f"{self}: cannot be taken out of the archive: {error}",
                "unpack it, and name the folder",
            ) from None


AnyFile = Path | ArchivedFile


def archive_kind(path: Path) -> Kind | None:
    """Whether a file is a zip or a tar (packed or not), by its bytes; an Office file is none of them."""
    first = head(path, 1024)
    if first.startswith(b"PK\x03\x04") and zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as box:
                names = set(box.namelist())
        except zipfile.BadZipFile:
            return "zip"  # whose reader says what is wrong with it
        return None if "[Content_Types].xml" in names else "zip"
    return "tar" if first[257:262] == b"ustar" else None


def packed_files(path: Path, kind: Kind) -> list[tuple[str, ArchivedFile]]:
    """(name, file) of each file of an archive, by name. Raises UserError where it is damaged."""
    try:
        if kind == "zip":
            with zipfile.ZipFile(path) as box:
                names = [one.filename for one in box.infolist() if not one.is_dir()]
        else:
            with tarfile.open(path) as tape:
                names = [one.name for one in tape.getmembers() if one.isfile()]
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise UserError(
            f"{path}: the {kind} archive is damaged, or packed in a way that is not read: {error}",
            "unpack it, and name the folder",
        ) from None
    return sorted((name.removeprefix("./"), ArchivedFile(path, name, kind)) for name in names)
