"""A file from elsewhere: whole or refused with a sentence, and nothing of it gets out of its folder."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import canonical
from alpaca_pipe.pack.archive import FORMAT, look, read_box, write_box
from alpaca_pipe.pack.manifest import opened

FILES = {
    "recipe/a.yaml": b"a: 1\n",
    "store/x/empty": b"",
    "store/x/" + "long" * 60 + "/ö.bin": os.urandom(3000),
}
FACTS = {"kind": "results", "recipe": "a"}


@pytest.fixture
def box(tmp_path: Path) -> Path:
    path = tmp_path / "a.tar.zst"
    os.replace(write_box(path, FACTS, FILES), path)
    return path


def packed(
    path: Path,
    contents: dict[str, bytes],
    members: list[tarfile.TarInfo | tuple[str, bytes]] | None = None,
    version: object = 1,
    after: bytes = b"",
    **facts: object,
) -> Path:
    """A pack by another hand: any manifest, any tar."""
    import pyarrow

    seals = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in contents.items()
    }
    manifest = canonical(
        {"format": FORMAT, "version": version, **FACTS, "files": seals, **facts}
    ).encode()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        first = (f"manifest.{hashlib.sha256(manifest).hexdigest()}.json", manifest)
        for member in [first, *(members if members is not None else sorted(contents.items()))]:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member[0])
            data = b"" if isinstance(member, tarfile.TarInfo) else member[1]
            info.size = info.size or len(data)
            tar.addfile(info, io.BytesIO(data + bytes(info.size - len(data))))
    with pyarrow.CompressedOutputStream(str(path), "zstd") as out:
        out.write(raw.getvalue() + after)
    return path


def refused(path: Path, into: Path) -> str:
    into.mkdir(exist_ok=True)
    with pytest.raises(UserError) as error:
        read_box(path, into)
    assert error.value.cure
    return str(error.value)


def test_what_was_packed_comes_out(box: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    manifest = read_box(box, tmp_path / "out")
    found = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == FILES
    assert look(box) == manifest and manifest.bytes == sum(map(len, FILES.values()))
    again = tmp_path / "b.tar.zst"
    os.replace(write_box(again, FACTS, FILES), again)
    assert again.read_bytes() == box.read_bytes()  # nothing of when, who or where


def test_any_tar_lists_it(box: Path) -> None:
    import pyarrow

    with (
        pyarrow.CompressedInputStream(str(box), "zstd") as plain,
        tarfile.open(fileobj=io.BytesIO(plain.read())) as tar,
    ):
        assert [name for name in tar.getnames() if not name.startswith("long/")][1:] == [
            "recipe/a.yaml",
            "store/x/empty",
        ]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_one_bit_is_enough(box: Path, tmp_path: Path, data: st.DataObject) -> None:
    whole = bytearray(box.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    other = tmp_path / "tipped.tar.zst"
    other.write_bytes(whole)
    out = tmp_path / "out"
    import shutil

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    try:
        read_box(other, out)
    except UserError:
        return
    found = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }
    assert found == FILES  # a bit that says nothing, as one of zstd's header


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_cut_off(box: Path, tmp_path: Path, share: float) -> None:
    whole = box.read_bytes()
    box.write_bytes(whole[: int(len(whole) * share)])
    assert any(
        words in refused(box, tmp_path / "out")
        for words in ("not whole", "damaged", "is not a pack")
    )


def test_foreign_files(tmp_path: Path) -> None:
    import pyarrow

    for name, data in (("text", b"hello"), ("gzip", b"\x1f\x8b123"), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        assert "is not a pack of alpaca-pipe" in refused(tmp_path / name, tmp_path / "out")
    with pyarrow.CompressedOutputStream(str(tmp_path / "zst"), "zstd") as out:
        out.write(b"no tar at all" * 100)
    assert "is damaged" in refused(tmp_path / "zst", tmp_path / "out")
    assert "cannot be read" in refused(tmp_path / "none", tmp_path / "out")
    assert "is not a pack of alpaca-pipe" in refused(
        packed(tmp_path / "p", {}, format="other"), tmp_path / "out"
    )


def test_a_newer_format_is_told(tmp_path: Path) -> None:
    said = refused(packed(tmp_path / "p", {"a": b"1"}, version=2), tmp_path / "out")
    assert (
        "was packed by a newer alpaca-pipe (its format is 2, known here is 1) - update alpaca-pipe"
        in said
    )


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "/etc/passwd",
        "a/../../b",
        "./a",
        "a//b",
        "a/",
        "",
        "..",
        "a\\b",
        "C:/x",
        "a\x00b",
        "a\nb",
    ],
)
def test_names_that_climb_out(tmp_path: Path, name: str) -> None:
    said = refused(packed(tmp_path / "p", {name: b"1"}, members=[]), tmp_path / "out")
    assert "under a name that is not taken" in said and "do not trust it" in said
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        tarfile.XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_SPARSE,
    ],
)
def test_nothing_but_plain_files(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("a")
    info.type, info.linkname = kind, "/etc/passwd"
    said = refused(packed(tmp_path / "p", {"a": b""}, members=[info]), tmp_path / "out")
    assert "not a plain file" in said or "is damaged" in said
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("members", "files"),
    [
        ([("a", b"1"), ("a", b"2")], {"a": b"1"}),
        ([("a", b"1"), ("b", b"2")], {"a": b"1"}),
        ([("b", b"1")], {"a": b"1"}),
        ([], {"a": b"1"}),
        ([("a", b"2")], {"a": b"1"}),
        ([("a", b"11")], {"a": b"1"}),
        ([("a", b"1"), ("a/b", b"2")], {"a": b"1", "a/b": b"2"}),
    ],
)
def test_a_tar_that_does_not_keep_to_its_manifest(
    tmp_path: Path, members: list[tarfile.TarInfo | tuple[str, bytes]], files: dict[str, bytes]
) -> None:
    said = refused(packed(tmp_path / "p", files, members), tmp_path / "out")
    assert "is damaged" in said or "breaks off" in said or "is a file and a folder in it" in said


def test_bombs(tmp_path: Path) -> None:
    """A size that the disk has not, a tail of zeros without end, a manifest without end: none is unpacked."""
    huge = {"a": {"sha256": "0" * 64, "size": 1 << 60}}
    assert "unpacks to 1,152,921,504,606,846,976 bytes, and" in refused(
        packed(tmp_path / "p", {}, files=huge), tmp_path / "out"
    )
    assert "its end is not as it was packed" in refused(
        packed(tmp_path / "q", {"a": b"1"}, after=bytes(1 << 26)), tmp_path / "out"
    )
    assert "is damaged" in refused(
        packed(tmp_path / "r", {"a": b"1"}, after=b"more"), tmp_path / "out2"
    )
    info = tarfile.TarInfo(f"manifest.{'0' * 64}.json")
    info.size = 1 << 40
    import pyarrow

    with pyarrow.CompressedOutputStream(str(tmp_path / "s"), "zstd") as out:
        out.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))
    assert "is not a pack of alpaca-pipe" in refused(tmp_path / "s", tmp_path / "out")


def test_a_manifest_nested_without_end(tmp_path: Path) -> None:
    import pyarrow

    manifest = b'{"format":' + b"[" * 200_000
    info = tarfile.TarInfo(f"manifest.{hashlib.sha256(manifest).hexdigest()}.json")
    info.size = len(manifest)
    with pyarrow.CompressedOutputStream(str(tmp_path / "p"), "zstd") as out:
        out.write(info.tobuf(tarfile.USTAR_FORMAT) + manifest + bytes(-len(manifest) % 512 + 1024))
    assert "is not a pack of alpaca-pipe" in refused(tmp_path / "p", tmp_path / "out")


@pytest.mark.parametrize(
    "facts",
    [
        {"kind": "other"},
        {"recipe": "../up"},
        {"recipe": "store"},
        {"steps": []},
        {"shares": "x"},
        {"files": {"store/a": {"sha256": "0" * 64, "size": 1}}},
        {"files": {"home/.bashrc": {"sha256": "0" * 64, "size": 1}}},
        {"files": {"ledger.sqlite": {"sha256": "0" * 64, "size": 1}}},
    ],
)
def test_a_manifest_that_says_nothing_of_ours(tmp_path: Path, facts: dict[str, object]) -> None:
    sound: dict[str, object] = {
        "kind": "results",
        "recipe": "a",
        "steps": {},
        "made": "2026-11-30T10:00:00+00:00",
        "by": "0.1.0",
        "shares": ["share-0123456789abcdef"],
        "machine": "m",
        "home": "h",
    }
    assert opened(packed(tmp_path / "p", {}, **sound)).recipe == "a"
    with pytest.raises(UserError, match="do not trust it"):
        opened(packed(tmp_path / "p", {}, **{**sound, **facts}))
