"""There and back: what is packed is up to date there, what comes back is one set of books, and nothing counts twice."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from alpaca_pipe.cli import pack_commands
from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.ledger import budget_shares
from alpaca_pipe.ledger.budget_shares import caps_of
from alpaca_pipe.ledger.entries import Short
from alpaca_pipe.ledger.money import NANO
from alpaca_pipe.ledger.pricing.user_prices import use_packed
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.pack.archive import look
from alpaca_pipe.pack.import_results import give_up
from alpaca_pipe.recipe.status import lines, status
from tests.pack.places import Place


def counted(tmp_path: Path) -> list[str]:
    return [
        line
        for line in (tmp_path / "counts").read_text().splitlines()
        if " " not in line and ":" not in line
    ]


def test_data_made_here_worked_on_there_and_one_set_of_books(
    home: Place, away: Place, tmp_path: Path
) -> None:
    packed = home.pack(gpu=5 * NANO)
    assert packed.share is not None and home.totals().lent == 5 * NANO
    arrived = away.unpack(packed.file)
    assert arrived.share == 5 * NANO and set(arrived.steps) == {"sow"}
    assert away.verdicts() == {"sow": "up to date", "reap": "run", "sell": "run"}
    said = away.run()
    assert "sow       up to date" in said and counted(tmp_path) == ["sow", "reap", "sell"]
    results = away.results()
    assert set(look(results.file).facts["steps"]) == {"sow", "reap", "sell"}
    assert not any(
        "store/sow" in name for name in look(results.file).files
    )  # the other machine has it
    before, there = home.entries(), away.entries()
    came = home.unpack(results.file)
    spent = away.totals().settled
    assert came.spent == spent > 0
    assert home.totals().lent == home.totals().open == 0
    assert {(entry.name, entry.kind, entry.nanodollars) for entry in home.entries()} == {
        (entry.name, entry.kind, entry.nanodollars) for entry in [*before, *there]
    } | {(f"{packed.share.id}-gpu.1.{packed.share.home}", "released", 0)}
    assert home.totals().settled == sum(
        entry.nanodollars for entry in [*before, *there] if entry.kind == "settled"
    )
    assert home.verdicts() == {"sow": "up to date", "reap": "up to date", "sell": "up to date"}
    history = list(read_jsonl(home.folder / "runs/field/history.jsonl"))
    assert [set(row["steps"]) for row in history] == [{"sow"}, {"sow", "reap", "sell"}]
    assert history[1]["machine"] == away.entries()[0].machine and str(
        away.folder
    ) not in json.dumps(history)
    assert "reap" in (home.folder / "runs/field/log.jsonl").read_text()
    assert json.loads((home.folder / "runs/field/lock.json").read_text())["steps"] == dict(
        results.steps
    )


def test_status_tells_of_a_pack_that_is_out(home: Place, away: Place) -> None:
    def said() -> str:
        with home.at():
            return "\n".join(lines(status(home.workspace, "field")))

    away.unpack(home.pack(gpu=5 * NANO).file)
    assert (
        "  pack      field.tar.zst is out since 20" in said()
        and "with $5.00 for the machine" in said()
    )
    away.run()
    home.unpack(away.results().file)
    assert "  pack " not in said()


def test_unpacked_twice_nothing_changes(home: Place, away: Place) -> None:
    def state(place: Place) -> dict[str, bytes]:
        return {
            str(path): path.read_bytes()
            for path in sorted(place.folder.rglob("*"))
            if path.is_file() and "ledger" not in path.name and not path.name.endswith(".lock")
        }

    packed = home.pack(gpu=NANO)
    away.unpack(packed.file)
    there = state(away), away.entries()
    away.unpack(packed.file)
    assert (state(away), away.entries()) == there
    away.run()
    results = away.results()
    home.unpack(results.file)
    here = state(home), home.entries(), home.totals()
    assert home.unpack(results.file).entries == 0
    assert home.unpack(away.results().file).entries == 0  # packed again: the same
    assert (state(home), home.entries(), home.totals()) == here


def test_two_machines_at_once_stay_below_the_cap(home: Place, away: Place, tmp_path: Path) -> None:
    other, began = Place.away(tmp_path / "other"), home.totals().settled  # machine time of sow
    one, two = (
        home.pack(gpu=4 * NANO, api=NANO),
        home.pack(gpu=3 * NANO, out=Path("second.tar.zst")),
    )
    with pytest.raises(
        UserError,
        match=r"nothing is left of budget.total|a share of .* does not fit: \$(2.00|1.\d+) is left of budget.total",
    ):
        home.pack(gpu=3 * NANO, out=Path("third.tar.zst"))
    away.unpack(one.file)
    other.unpack(two.file)
    assert isinstance(home.ask("a", 3), Short)
    assert not isinstance(home.ask("b", 1.5), Short)
    assert not isinstance(away.ask("c", 1), Short)
    short, here = away.ask("d", 0.01), other.ask("e", 0.01)
    assert isinstance(short, Short) and short.budget == "share.api"
    assert isinstance(here, Short) and here.budget == "share.api"
    assert isinstance(home.ask("f", 0.6), Short)  # 1.5 spent here, 5 and 3 lent
    home.unpack(away.results(replies=True).file)
    assert home.totals().lent == 3 * NANO and home.totals().settled == began + 2.5 * NANO
    assert not isinstance(home.ask("f", 0.6), Short)
    assert home.ask("c", 1).from_store  # type: ignore[attr-defined]  # bought there, with its reply
    home.unpack(other.results().file)
    assert (home.totals().lent, home.totals().settled) == (0, began + 3_100_000_000)


def test_again_with_a_second_share(home: Place, away: Place) -> None:
    away.unpack(home.pack(gpu=NANO).file)
    away.run(until="reap")
    home.unpack(away.results().file)
    first, there = home.totals().settled, away.totals().settled
    assert isinstance(away.ask("x", 0.01), Short)  # the first share went back
    home.folder.joinpath("field.yaml").write_text(
        (home.folder / "field.yaml").read_text().replace("sell: {}", "sell: {day: Friday}")
    )
    away.unpack(home.pack("sell", gpu=NANO, api=NANO).file)
    assert away.verdicts() == {"sow": "up to date", "reap": "up to date", "sell": "run"}
    assert not isinstance(away.ask("x", 1), Short)
    assert isinstance(away.ask("y", 0.01), Short)
    away.run()
    home.unpack(away.results().file)
    spent = away.totals().settled - there  # a request, and machine time
    assert spent >= NANO and home.totals().settled == first + spent
    assert home.totals().lent == 0 and home.verdicts()["sell"] == "up to date"


def test_a_machine_that_never_answers(home: Place, away: Place) -> None:
    began = home.totals().settled
    packed = home.pack(gpu=5 * NANO)
    away.unpack(packed.file)
    away.run()
    with home.at():
        assert give_up(str(packed.file), None, home.workspace) == packed.share
        with pytest.raises(UserError, match="no share of .* is out - nothing is lent here"):
            give_up(str(packed.file), None, home.workspace)
    assert (home.totals().lost, home.totals().open) == (5 * NANO, 0)
    spent = away.totals().settled
    home.unpack(away.results().file)  # it answers all the same
    assert (home.totals().lost, home.totals().open, home.totals().settled) == (
        0,
        0,
        began + spent,
    )


def test_a_file_of_that_name_may_be_of_two_shares(home: Place) -> None:
    first, second = (
        home.pack(gpu=NANO, out=Path(folder) / "field.tar.zst") for folder in ("one", "two")
    )
    with home.at():
        with pytest.raises(
            UserError,
            match="2 shares are out with a file of that name: .* - name the share in place of the file",
        ):
            give_up("field.tar.zst", None, home.workspace)
        assert first.share and give_up(first.share.id, 0, home.workspace) == first.share
        assert give_up(str(second.file), 0, home.workspace) == second.share
    assert home.totals().open == 0


def test_a_share_cannot_have_cost_more_than_it_was(home: Place) -> None:
    packed = home.pack(gpu=2 * NANO)
    with (
        home.at(),
        pytest.raises(
            UserError,
            match=r"a share of \$2.00 cannot have cost \$5.00: its caps held there too - say at most --spent 2;",
        ),
    ):
        give_up(str(packed.file), 5 * NANO, home.workspace)
    assert home.totals().open == 2 * NANO


def test_results_of_nothing_close_the_share_and_say_so(
    home: Place, away: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    away.unpack(home.pack(gpu=NANO).file)
    home.unpack(away.results().file)
    assert (
        "nothing of 'field' was made or spent here; its share is closed anyway"
        in capsys.readouterr().out
    )
    assert home.totals().open == 0


def test_a_share_holds_for_no_other_name(home: Place, away: Place) -> None:
    """What is spent under another name would come home with no results."""
    away.unpack(home.pack(gpu=NANO).file)
    with pytest.raises(
        UserError,
        match=r"field.yaml came in a pack as 'field', and its share holds for no other name - run it as 'field'",
    ):
        away.run("name=meadow")
    (away.folder / "field.yaml").rename(away.folder / "base.yaml")
    (away.folder / "field.yaml").write_text("extends: base.yaml\nname: meadow\n")
    with pytest.raises(UserError, match="base.yaml came in a pack as 'field'"):
        away.run()
    (away.folder / "field.yaml").unlink()
    (away.folder / "base.yaml").rename(away.folder / "field.yaml")
    away.run()


def test_a_ledger_that_cannot_be_read_lifts_no_cap(away: Place, home: Place) -> None:
    away.unpack(home.pack(gpu=NANO).file)
    with closing(sqlite3.connect(away.workspace.ledger)) as db:
        db.execute("DROP TABLE shares")
    with pytest.raises(UserError, match="could not be used: no such table: shares"):
        caps_of(away.workspace.ledger, "field")


def test_a_ledger_of_an_older_version_has_received_nothing(away: Place, tmp_path: Path) -> None:
    """A plan reads it before any run has brought it up to date."""
    file = tmp_path / "any.yaml"
    file.write_text("curate: {}\n")
    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as db:
        db.execute("PRAGMA user_version = 1")
    assert caps_of(tmp_path / "old.sqlite", "field", [file]) is None


def test_results_of_rows_that_were_made_anew_meanwhile(
    home: Place, away: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    away.unpack(home.pack(gpu=NANO).file)
    away.run()
    home.run("sow.count=6", until="sow")
    before = (home.folder / "runs/field/lock.json").read_text()
    home.unpack(away.results().file)
    assert (
        "sow of the last run of field here is another one: what came stands in its history"
        in capsys.readouterr().out
    )
    assert (home.folder / "runs/field/lock.json").read_text() == before
    home.run()  # the recipe as it was packed: nothing of it is made again
    assert home.verdicts() == dict.fromkeys(("sow", "reap", "sell"), "up to date")


def test_a_pack_that_was_unpacked_on_two_machines_is_told(
    home: Place, away: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, packed = Place.away(tmp_path / "other"), home.pack(gpu=5 * NANO)
    began = home.totals().settled
    for place in (away, other):
        place.unpack(packed.file)
        place.run()
    home.unpack(away.results().file)
    assert "two machines" not in capsys.readouterr().out
    home.unpack(other.results().file)
    said = capsys.readouterr().out
    assert "was unpacked on two machines: its $5.00 were spendable twice" in said
    assert "was made here too" not in said  # the same bytes
    assert home.totals().settled - began == away.totals().settled + other.totals().settled


def test_a_share_that_is_lent_on_comes_home_with_whose_it_is(
    home: Place, away: Place, tmp_path: Path
) -> None:
    """Home lends to away, which lends a part of it to a third machine."""
    third = Place.away(tmp_path / "third")
    away.unpack(home.pack(gpu=5 * NANO, api=NANO).file)
    third.unpack(away.pack(gpu=2 * NANO, api=NANO // 2).file)
    assert not isinstance(third.ask("t", 0.25), Short)
    third.run(until="reap")
    away.unpack(third.results(replies=True).file)
    away.run()
    before, there = home.totals(), away.totals()
    came = home.unpack(away.results(replies=True).file)
    assert home.totals().settled == before.settled + there.settled and came.spent == there.settled
    assert home.totals().open == 0 and home.verdicts()["sell"] == "up to date"
    machines = {entry.machine for entry in home.entries()}
    assert {entry.machine for entry in third.entries()} < machines


def test_what_must_run_first_and_what_is_not_overwritten(home: Place, away: Place) -> None:
    with pytest.raises(UserError, match="sell: reap must run first .*run RECIPE --until reap"):
        home.pack("sell")
    with pytest.raises(UserError, match="there is no stage 'train' - it has: sow, reap, sell"):
        home.pack("train")
    packed = home.pack(gpu=NANO)
    with pytest.raises(UserError, match="was packed before, and its share .* is out"):
        home.pack(gpu=NANO)
    with pytest.raises(
        UserError,
        match="field.tar.zst was made in this workspace|this pack of 'field' was made in this workspace",
    ):
        home.unpack(packed.file)
    (home.folder / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="mine.txt is not a pack of alpaca-pipe"):
        home.pack(gpu=NANO, out=Path("mine.txt"))
    with pytest.raises(UserError, match="was not unpacked in"):
        home.results()
    (away.folder / "field.yaml").write_text("mine")
    with pytest.raises(UserError, match="field.yaml is here already, and is not the packed one"):
        away.unpack(packed.file)
    assert (
        not away.workspace.store.root.exists()
        and (away.folder / "field.yaml").read_text() == "mine"
    )
    assert away.totals() == type(away.totals())()
    away.unpack(packed.file, away.folder / "else")
    assert (away.folder / "else" / "field.yaml").exists()
    with away.at(), Journal.open(away.workspace.ledger) as journal, journal.read() as db:
        assert len(budget_shares.received(db, "field")) == 1


def test_results_of_somebody_else_are_refused(home: Place, away: Place, tmp_path: Path) -> None:
    away.unpack(home.pack(gpu=NANO).file)
    away.run()
    stranger = Place.home(tmp_path / "stranger")
    with pytest.raises(UserError, match="which was not packed in"):
        stranger.unpack(away.results().file)
    stranger.run(until="sow")
    before = stranger.entries()
    with pytest.raises(UserError, match="that was not packed in this workspace"):
        stranger.unpack(away.results().file)
    assert stranger.entries() == before and stranger.verdicts()["reap"] == "run"


def test_other_results_of_the_same_step_stay_apart(
    home: Place, away: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both made the step, with other bytes, as two GPUs may: ours stays, and what was made from theirs is not for ours."""
    away.unpack(home.pack(gpu=NANO).file)
    away.run()
    home.run(until="reap")
    mine = next(home.workspace.store.root.glob("reap-*"))
    done = json.loads((mine / "done.json").read_text())
    (mine / "crop.json").write_text("[0]")
    from alpaca_pipe.core.files import file_digest, write_json
    from alpaca_pipe.data.own_files import seal_of

    done["files"] = {"crop.json": {"sha256": file_digest(mine / "crop.json"), "size": 3}}
    write_json(mine / "done.json", done | {"seal": seal_of(done)})
    home.unpack(away.results().file)
    assert "was made here too, with other bytes; ours stays" in capsys.readouterr().out
    assert (mine / "crop.json").read_text() == "[0]"
    assert home.verdicts() == {"sow": "up to date", "reap": "up to date", "sell": "run"}


def test_nothing_secret_travels(
    home: Place, away: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environmentenvironment")
    (home.folder / ".env").write_text("OPENAI_API_KEY=sk-secretsecretsecret")
    home.ask("a", 0.5)
    unpacked = tmp_path / "look"
    unpacked.mkdir()
    from alpaca_pipe.pack.archive import read_box

    manifest = read_box(home.pack(gpu=NANO).file, unpacked)
    whole = b"".join(path.read_bytes() for path in unpacked.rglob("*") if path.is_file())
    assert b"sk-" not in whole and b".env" not in whole and b"Good morning" not in whole
    assert not {"replies.jsonl", "prices.yaml"} & set(manifest.files)
    assert str(home.folder).encode() not in whole  # nor where it lies
    with_replies = tmp_path / "replies"
    with_replies.mkdir()
    read_box(home.pack(gpu=NANO, replies=True, out=Path("b.tar.zst")).file, with_replies)
    assert b"Good morning" in (with_replies / "replies.jsonl").read_bytes()
    away.unpack(home.folder / "b.tar.zst")
    with away.at(), Journal.open(away.workspace.ledger) as journal:
        assert journal.stored("r1-a") is not None and journal.totals().settled == 0


@pytest.mark.parametrize("wrong", ["name: field # {}", "paint: {{colour: '{}'}}"])
def test_a_key_in_the_recipe_stops_it(home: Place, wrong: str) -> None:
    text = (home.folder / "field.yaml").read_text()
    (home.folder / "field.yaml").write_text(
        text.replace("name: field\n", wrong.format("sk-0123456789abcdef") + "\n")
    )
    with pytest.raises(UserErrors, match="looks like a key") as refused:
        home.pack(gpu=NANO)
    assert "0123456789" not in str(refused.value) and not list(home.folder.glob("*.zst"))


def test_overrides_are_in_the_packed_recipe(home: Place, away: Place) -> None:
    home.run("sow.count=6", until="sow")
    away.unpack(home.pack(overrides=("sow.count=6", "reap.keep_even=false"), gpu=NANO).file)
    assert away.verdicts()["sow"] == "up to date"
    away.run()
    home.unpack(away.results().file)
    steps = json.loads((home.folder / "runs/field/lock.json").read_text())["steps"]
    assert json.loads((home.workspace.store.root / steps["reap"] / "crop.json").read_text()) == [
        0,
        1,
        2,
        3,
        4,
        5,
    ]


def test_pinned_prices_come_along(
    home: Place, away: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the machine that the recipe names, into the workspace: the other user's own file is his, and comes first."""
    mine, theirs = home.folder / "prices.yaml", away.folder / "prices.yaml"
    mine.write_text(
        "- {gpu: H100, provider: my-cloud, per_hour: 2.49, from: 2026-11-21}\n"
        "- {gpu: L4, provider: my-cloud, per_hour: 0.5, from: 2026-11-21}\n"
        "- {gpu: L4, provider: elsewhere, per_hour: 0.4, from: 2026-11-21}\n"
        "- {model: secret-project, host: x.example.com, in: 1, out: 2, from: 2026-11-21}\n"
    )
    theirs.write_text("- {gpu: L4, provider: my-cloud, per_hour: 0.7, from: 2026-11-21}")
    text = (home.folder / "field.yaml").read_text()
    (home.folder / "field.yaml").write_text(
        text.replace("gpu: {per_hour: 18, lease_start: gpu}", "gpu: {provider: my-cloud}")
    )
    monkeypatch.setenv("ALPACA_PIPE_PRICES", str(mine))
    packed = home.pack(gpu=NANO)
    monkeypatch.setenv("ALPACA_PIPE_PRICES", str(theirs))
    away.unpack(packed.file)
    away.unpack(packed.file)
    from alpaca_pipe.ledger.pricing.gpu_rates import gpu_rates

    try:
        rates = {
            (rate.gpu, rate.provider): str(rate.per_hour) for rate in gpu_rates(date(2026, 11, 30))
        }
    finally:
        use_packed(None)
    assert rates["H100", "my-cloud"] == "2.49" and rates["L4", "my-cloud"] == "0.7"
    assert theirs.read_text().count("\n") == 0  # as he wrote it
    came = away.workspace.packed_prices("field").read_text()
    assert "secret-project" not in came and "elsewhere" not in came


def test_a_finished_recipe_is_handed_over(home: Place, away: Place) -> None:
    """Nothing is left to run, and nothing is lent: all of it is up to date there."""
    with pytest.raises(UserError, match="reap must run first"):
        home.pack("sell")
    home.run()
    with pytest.raises(UserError, match="`alpaca-pipe pack RECIPE` hands it over as it is"):
        home.pack("reap")
    packed = home.pack("")
    assert set(packed.steps) == {"sow", "reap", "sell"} and home.totals().lent == 0
    assert packed.share is not None and packed.share.says() == "$0"
    away.unpack(packed.file)
    assert set(away.verdicts().values()) == {"up to date"}
    assert away.workspace.lock("field")["steps"] == dict(packed.steps)
    assert home.pack("").steps == packed.steps  # once more, over the same file


def test_who_gets_a_finished_recipe_is_told_to_look_at_it_and_not_to_send_it_back(
    home: Place, away: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    third = Place.away(tmp_path / "third")
    lent = home.pack(gpu=NANO, out=Path("lent.tar.zst"))
    pack_commands._tell(third.unpack(lent.file), "")
    pack_commands._show_packed(lent, "", as_json=False)
    said = capsys.readouterr().out
    assert "pack field --only results" in said and "reserved here until its results" in said
    away.unpack(lent.file)
    away.run()
    home.unpack(away.results().file)
    packed = home.pack("")
    pack_commands._tell(Place.away(tmp_path / "fourth").unpack(packed.file), " --runs there")
    pack_commands._show_packed(packed, "", as_json=False)
    said = capsys.readouterr().out
    assert "\nalpaca-pipe report field --runs there; alpaca-pipe rows field --runs there\n" in said
    assert "--only results" not in said and "share       $0, nothing is reserved here" in said


def test_a_recipe_handed_on_does_not_hold_back_its_results(
    home: Place, away: Place, tmp_path: Path
) -> None:
    """It lends nothing, so nothing of it can be spent; packed over the same file, one such share is out, not two."""
    away.unpack(home.pack(gpu=NANO).file)
    away.run()
    first = away.pack("")
    third = Place.away(tmp_path / "third")
    third.unpack(first.file)
    away.pack("")
    with away.at(), Journal.open(away.workspace.ledger) as journal, journal.read() as db:
        assert [share.says() for share in budget_shares.out(db, "field")] == ["$0"]
    away.unpack(third.results(out=Path("old.tar.zst")).file)  # of the older file, all the same
    home.unpack(away.results(out=Path("results.tar.zst")).file)
    assert home.totals().open == 0 and home.verdicts()["sell"] == "up to date"


def test_nothing_of_it_is_made_yet(tmp_path: Path) -> None:
    place = Place.home(tmp_path / "new")
    with pytest.raises(UserError, match="nothing of it is made yet"):
        place.pack("")
    assert not list(place.folder.glob("*.zst"))
