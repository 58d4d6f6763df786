"""Packages of npm that our pages are served with: pinned, fetched once into the cache, each file known by its digest."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from alpaca_pipe.core.errors import UserError, first_line
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import cache_dir, file_digest, write_atomic


@dataclass(frozen=True)
class NpmPackage:
    """integrity: sha512 of the tarball as npm writes it.  members: path in the tarball -> (our name, sha256)."""

    name: str
    version: str
    integrity: str
    members: Mapping[str, tuple[str, str]]

    @property
    def tarball(self) -> str:
        registry = os.environ.get("NPM_CONFIG_REGISTRY") or "https://registry.npmjs.org"
        file = f"{self.name.rpartition('/')[2]}-{self.version}.tgz"
        return f"{registry.rstrip('/')}/{self.name}/-/{file}"


@dataclass(frozen=True)
class FetchedPackages:
    """Packages that lie in one folder of the cache. setup: what fetches them, as a cure says it; megabytes: of disk."""

    folder_name: str
    packages: Sequence[NpmPackage]
    setup: str
    megabytes: int

    @property
    def folder(self) -> Path:
        return cache_dir() / "npm" / self.folder_name

    def files(self) -> dict[str, Path]:
        """Our name -> the file in the cache, each of them as known. Raises UserError where one is missing or was changed."""
        found: dict[str, Path] = {}
        for package in self.packages:
            for name, digest in package.members.values():
                found[name] = path = self.folder / name
                if not path.is_file():
                    raise UserError(
                        f"{package.name} is not on this machine (looked for {self.folder})",
                        self.setup,
                    )
                if file_digest(path) != digest:
                    raise UserError(f"{path} is damaged: its sha256 is another", self.setup)
        return found

    def fetch(self, say: Callable[[str], None]) -> Path:
        """The folder in the cache, filled and checked. Raises UserError where npm's registry cannot be reached, or what came is
        not what is known here."""
        try:
            self.files()
        except UserError:
            for package in self.packages:
                say(f"{package.name} {package.version} from {package.tarball}")
                self._unpack(package, _downloaded(package))
            self.files()
        return self.folder

    def _unpack(self, package: NpmPackage, tarball: bytes) -> None:
        try:
            with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as archive:
                for member, (name, _) in package.members.items():
                    stream = archive.extractfile(member)
                    assert stream is not None, member
                    write_atomic(self.folder / name, stream.read())
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be written: {error.strerror or error}",
                f"make room there ({self.megabytes} MB), or set ALPACA_PIPE_CACHE to another folder",
            ) from None


def _downloaded(package: NpmPackage) -> bytes:
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(package.tarball, timeout=60) as reply:
            tarball: bytes = reply.read()
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise UserError(
            f"{package.tarball} could not be fetched: {first_line(error)}",
            "connect to the internet and try again; `NPM_CONFIG_REGISTRY` names another registry",
        ) from None
    found = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()
    if found != package.integrity:
        raise UserError(
            f"{package.tarball} has another sha512 than the one known here",
            "do not use it; try again from another network or registry",
        )
    return tarball
