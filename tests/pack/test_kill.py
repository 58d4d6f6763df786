"""kill -9 between any two acts of packing and unpacking: the same command again ends where an undisturbed one does."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.budget_shares import caps_of, out
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.pricing.user_prices import use_packed
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.store.writer import Writer
from alpaca_pipe.pack.manifest import RecipePack, opened
from tests.pack.places import Place

POINTS = int(os.environ.get("KILL_POINTS", "7"))  # of each command; a large number tries all
ACTS = {
    "os.rename",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.link",
    "shutil.rmtree",
    "shutil.copyfile",
    "fcntl.flock",
}
SHARE = 5 * NANO


def killed_at(act: int, work: Callable[[], object]) -> int:
    """Runs `work` in a process of its own and kills it before its n-th act on the disk; answers how many there were, or -1."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        seen = 0

        def tick() -> None:
            nonlocal seen
            if seen == act:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            if (
                event in ACTS
                or event == "open"
                and isinstance(arguments[2], int)
                and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            ):
                tick()

        commit = Writer._commit

        def committed(self: Writer, batch: object) -> None:
            tick()
            commit(self, batch)  # type: ignore[arg-type]
            tick()

        Writer._commit = committed  # type: ignore[method-assign,assignment]
        sys.addaudithook(hook)
        signal.alarm(60)
        try:
            work()
            os.write(writing, str(seen).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return int(said) if said else -1


def facts(place: Place) -> object:
    """What a place holds, but for times and chance."""
    files = sorted(
        path.relative_to(place.folder).as_posix()
        for path in place.folder.rglob("*")
        if path.is_file()
        and not path.name.endswith((".lock", "-wal", "-shm"))
        and "cache" not in path.parts
    )
    with Journal.open(place.workspace.ledger) as journal:
        journal.check()
        return files, journal.totals(), place.verdicts()


def tried(
    place: Place, saved: Path, work: Callable[[], object], between: Callable[[], object]
) -> None:
    """Kills `work` at many moments, looks at what is there, lets it go on, and compares with the undisturbed one."""

    def restore() -> None:
        shutil.rmtree(place.folder)
        shutil.copytree(saved, place.folder)

    shutil.copytree(place.folder, saved)
    acts = killed_at(1 << 30, work)
    assert acts > 10
    whole = facts(place)
    print(f"{acts} acts")
    hit = 0
    for act in sorted(
        {
            round(number * (acts - 1) / max(1, min(POINTS, acts) - 1))
            for number in range(min(POINTS, acts))
        }
    ):
        restore()
        hit += killed_at(act, work) == -1
        if place.workspace.ledger.exists():
            between()
        work()
        assert facts(place) == whole, f"killed before act {act} of {acts}"
    assert hit >= min(POINTS, acts) // 2


def test_pack(home: Place, tmp_path: Path) -> None:
    file = home.folder / "field.tar.zst"

    def between() -> None:
        lent = home.totals().lent
        assert lent in (0, SHARE)
        if file.exists():
            with (
                Journal.open(home.workspace.ledger, read_only=True) as journal,
                journal.read() as db,
            ):
                found = opened(file)
                assert isinstance(found, RecipePack)
                assert [share.id for share in out(db)] == [found.share.id]

    def work() -> None:
        done = _noted(home)
        try:
            home.pack(gpu=SHARE)
        except UserError as error:
            assert done and "was packed before, and its share" in str(error)

    tried(home, tmp_path / "saved", work, between)
    assert home.totals().lent == SHARE


def _noted(home: Place) -> bool:
    with Journal.open(home.workspace.ledger, read_only=True) as journal, journal.read() as db:
        return bool(db.execute("SELECT 1 FROM shares WHERE event = 'packed'").fetchone())


def test_unpack_a_recipe(home: Place, away: Place, tmp_path: Path) -> None:
    packed = home.pack(gpu=SHARE).file

    def between() -> None:
        if (away.folder / "field.yaml").exists():  # it could be run: then its share holds
            caps = caps_of(away.workspace.ledger, "field")
            assert caps is not None and caps.gpu == SHARE

    tried(away, tmp_path / "saved", lambda: away.unpack(packed), between)


def test_unpack_a_recipe_with_prices(
    home: Place, away: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("- {gpu: H100, provider: my-cloud, per_hour: 2.49, from: 2026-11-21}\n")
    text = (home.folder / "field.yaml").read_text()
    (home.folder / "field.yaml").write_text(
        text.replace(
            "gpu: {per_hour: 18, lease_start: gpu}", "gpu: {provider: my-cloud, lease_start: gpu}"
        )
    )
    monkeypatch.setenv("ALPACA_PIPE_PRICES", str(own))
    packed = home.pack(gpu=SHARE).file
    monkeypatch.setenv("ALPACA_PIPE_PRICES", str(tmp_path / "none.yaml"))
    prices = away.workspace.packed_prices("field")

    def between() -> None:
        if (away.folder / "field.yaml").exists():
            assert "my-cloud" in prices.read_text()

    try:
        tried(away, tmp_path / "saved", lambda: away.unpack(packed), between)
    finally:
        use_packed(None)
    assert "my-cloud" in prices.read_text() and not (tmp_path / "none.yaml").exists()


def test_pack_and_unpack_results(home: Place, away: Place, tmp_path: Path) -> None:
    away.unpack(home.pack(gpu=SHARE).file)
    away.run()
    file, spent = away.folder / "field-results.tar.zst", away.totals().settled

    def closed() -> None:
        if file.exists():
            caps = caps_of(away.workspace.ledger, "field")
            assert caps is not None and caps.gpu == spent

    tried(away, tmp_path / "saved", away.results, closed)
    before = home.totals().settled

    def either() -> None:
        assert (home.totals().lent, home.totals().settled) in ((SHARE, before), (0, before + spent))

    tried(home, tmp_path / "saved too", lambda: home.unpack(file), either)
    assert home.totals().settled == before + spent
