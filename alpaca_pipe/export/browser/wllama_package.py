"""llama.cpp for browsers, from npm: two pinned packages, fetched once, known by their digests."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from alpaca_pipe.core.errors import UserError, first_line
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import cache_dir, file_digest, write_atomic

SETUP = "run `alpaca-pipe setup browser` once"
VERSION = "3.13.0"


@dataclass(frozen=True)
class NpmPackage:
    """integrity: sha512 of the tarball as npm writes it.  members: path in the tarball -> (our name, sha256)."""

    name: str
    integrity: str
    members: Mapping[str, tuple[str, str]]

    @property
    def tarball(self) -> str:
        registry = os.environ.get("NPM_CONFIG_REGISTRY") or "https://registry.npmjs.org"
        file = f"{self.name.rpartition('/')[2]}-{VERSION}.tgz"
        return f"{registry.rstrip('/')}/{self.name}/-/{file}"


# MIT, by Xuan-Son Nguyen. The second is for browsers without JSPI or 64-bit memories: the first would load it from a CDN.
PACKAGES = (
    NpmPackage(
        "@wllama/wllama",
        "sha512-ZvoRdQAn+E+18EvQ9qS036gudiI9rbZRBJgG/qNICPPwrA0Y6SMMdbziz/j7K/0WxcbJlhaRraVIYsnEy732NA==",
        {
            "package/esm/index.js": (
                "wllama.js",
                "fffd95c16ca191f31f4303664a05189c43d0cb20c52b67276c04e8857b138b64",
            ),
            "package/esm/wasm/wllama.wasm": (
                "wllama.wasm",
                "79ac5be917b71d50571a4f584436a9f6baf6b6e57719d094ed8bd950e9a65780",
            ),
            "package/LICENCE": (
                "LICENCE",
                "5866e3bd7e3cbd3f7c8bea6efd8a1e7fa7cc8de68c30f428aff7c6584a0fb720",
            ),
        },
    ),
    NpmPackage(
        "@wllama/wllama-compat",
        "sha512-MSWwyzVXpwkstvIGzOsQ9jlRm8kY5S5J0Gdw4E6M9mXqhgO/5tj+YNfxSoqN1GvsAOwui95JPtwX3hO6VZkbzg==",
        {
            "package/wasm/wllama.js": (
                "compat.js",
                "942062a7495790a317061b27a6bcd2bd3b247e2ddef53a069baf5abb07284758",
            ),
            "package/wasm/wllama.wasm": (
                "compat.wasm",
                "35df8c1e2f7dbd74b8e8b01054fb9f1fbe86cf566945fbf4cef3965855a8b92e",
            ),
        },
    ),
)


def wllama_files() -> dict[str, Path]:
    """Our name -> the file in the cache, each of them as known. Raises UserError where one is missing or was changed."""
    folder = _folder()
    found = {name: folder / name for package in PACKAGES for name, _ in package.members.values()}
    for package in PACKAGES:
        for name, digest in package.members.values():
            if not (folder / name).is_file():
                raise UserError(
                    f"{package.name} is not on this machine (looked for {folder})", SETUP
                )
            if file_digest(folder / name) != digest:
                raise UserError(f"{folder / name} is damaged: its sha256 is another", SETUP)
    return found


def fetch_wllama(say: Callable[[str], None]) -> Path:
    """The folder in the cache, filled and checked. Raises UserError where npm's registry cannot be reached, or what came is not
    what is known here."""
    try:
        wllama_files()
    except UserError:
        for package in PACKAGES:
            say(f"{package.name} {VERSION} from {package.tarball}")
            _unpack(package, _downloaded(package))
        wllama_files()
    return _folder()


def _folder() -> Path:
    return cache_dir() / "npm" / f"wllama-{VERSION}"


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


def _unpack(package: NpmPackage, tarball: bytes) -> None:
    folder = _folder()
    try:
        with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as archive:
            for member, (name, _) in package.members.items():
                stream = archive.extractfile(member)
                assert stream is not None, member
                write_atomic(folder / name, stream.read())
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written: {error.strerror or error}",
            "make room there (60 MB), or set ALPACA_PIPE_CACHE to another folder",
        ) from None
