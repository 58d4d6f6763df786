"""Packs and results as from a stranger: read whole before anything is done, refused whole in a sentence, and nothing of them reaches
beyond its own folder, its own recipe and its own books."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.ledger.entries import LedgerEntry
from alpaca_pipe.ledger.store.journal import Journal
from tests.attack import forging
from tests.attack.commands import call
from tests.attack.examples import some
from tests.attack.forging import Parts, at, sealed, taken_apart, tree
from tests.attack.test_own_files import changed
from tests.terminal import take_terminal

Forge = Callable[[Parts], object]


@pytest.fixture(scope="session")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """home/ and away/, with a recipe's pack and its results: copy before you change them."""
    folder = tmp_path_factory.mktemp("sent")
    forging.made(folder / "home", folder / "away")
    return folder


def forged(sent: Path, tmp_path: Path, which: str, forge: Forge) -> Path:
    """The recipe's pack, or the results, as somebody changed it."""
    name = {"recipe": "home/small.tar.zst", "results": "away/small-results.tar.zst"}[which]
    parts = taken_apart(sent / name, tmp_path / "parts")
    forge(parts)
    return sealed(parts, tmp_path / f"forged-{which}.tar.zst")


def home_of(sent: Path, tmp_path: Path) -> Path:
    """The laptop, as it was when its pack went out."""
    shutil.rmtree(tmp_path / "home", ignore_errors=True)
    shutil.copytree(sent / "home", tmp_path / "home")
    return tmp_path / "home"


def refused(folder: Path, *words: str) -> str:
    """The sentence with which a command is refused; and nothing in the folder is another."""
    before = tree(folder)
    with at(folder):
        code, said = call(*words)
    assert code == 2 and "a bug in alpaca-pipe" not in said and "Traceback" not in said, (
        code,
        said,
    )
    assert tree(folder) == before, said
    return said


def entries(folder: Path) -> set[Any]:
    with at(folder), Journal.open(folder / "runs" / "ledger.sqlite") as journal:
        journal.check()
        return set(map(str, journal.entries()))


def settled(folder: Path) -> int:
    with at(folder), Journal.open(folder / "runs" / "ledger.sqlite") as journal:
        return journal.totals().spent


anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["../x", -1, "{}", "[]", "1e999", 1 << 80, "2026-11-30T10:00:00+00:00"])
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
    | st.lists(st.integers(), max_size=2)
)


# ---- results that come home


def entry(parts: Parts, kind: str = "settled", class_: str = "api") -> dict[str, Any]:
    return next(
        row["row"]
        for row in parts.rows("books.jsonl")
        if row["table"] == "entries" and (row["row"]["kind"], row["row"]["class"]) == (kind, class_)
    )


def books(change: Callable[[str, dict[str, Any]], Any]) -> Forge:
    """Changes each row of the books; one that answers False is left out."""

    def forge(parts: Parts) -> None:
        rows = parts.rows("books.jsonl")
        kept = [one for one in rows if change(one["table"], one["row"]) is not False]
        parts.put("books.jsonl", kept)

    return forge


def in_books(table: str, column: str, value: Any) -> Forge:
    return books(lambda name, row: row.update({column: value}) if name == table else None)


def added(**values: Any) -> Forge:
    """One more entry of the machine, made of one that is there."""

    def forge(parts: Parts) -> None:
        row = {**entry(parts, "settled", "machine"), "request": "extra-1", "attempt": 1, **values}
        parts.put("books.jsonl", [*parts.rows("books.jsonl"), {"table": "entries", "row": row}])

    return forge


def as_home(parts: Parts) -> None:
    home = parts.facts["home"]
    parts.facts["machine"] = home
    in_books("entries", "machine", home)(parts)


def as_home_beside(parts: Parts) -> None:
    parts.facts["machines"] = [parts.facts["home"]]


def one_more_step(parts: Parts) -> None:
    name = next(name for name in parts.files if name.startswith("store/curate-"))
    folder = name.split("/")[1]
    for file in [file for file in parts.files if file.startswith(f"store/{folder}/")]:
        other = file.replace(folder, folder[:-1] + ("0" if folder[-1] != "0" else "1"))
        parts.files[other] = parts.files[file]


def machine_entry_of_home(sent: Path) -> LedgerEntry:
    with at(sent / "home"), Journal.open(sent / "home/runs/ledger.sqlite") as journal:
        return next(one for one in journal.entries() if one.class_ == "machine")


def ends_the_share(parts: Parts) -> None:
    share = parts.facts["shares"][0]
    added(request=f"{share}-api", kind="lent", nanodollars=1, **{"class": "api"})(parts)


RESULTS: dict[str, Forge] = {
    "amounts below nothing": in_books("entries", "nanodollars", -5),
    "a correction below nothing": added(kind="correction", nanodollars=-(10**9)),
    "released at a cost": added(kind="released", nanodollars=5),
    "more than a million": added(nanodollars=10**15 + 1),
    "many that are more than a million": lambda parts: [
        added(request=f"extra-{number}", nanodollars=6 * 10**14)(parts) for number in range(2)
    ],
    "beyond all numbers": added(nanodollars=1 << 70),
    "a part of a nano-dollar": added(nanodollars=0.5),
    "true for one": added(nanodollars=True),
    "frees what was not reserved": added(frees=5),
    "home's own machine": as_home,
    "home's machine beside it": as_home_beside,
    "another machine": in_books("entries", "machine", "somebody"),
    "a machine with a path in it": in_books("entries", "machine", "../x"),
    "another recipe": in_books("entries", "recipe", "other"),
    "replies that nothing pays for": books(
        lambda table, row: not (table == "entries" and row["kind"] == "settled")
    ),
    "a reply of another key": in_books("replies", "key", "r1-00000000000000000000000000000000"),
    "a request that is not JSON": in_books("replies", "request", "{"),
    "a request without messages": in_books("replies", "request", "{}"),
    "a teacher that is a list": in_books("replies", "teacher", "[]"),
    "usage that is not JSON": in_books("entries", "usage", "no"),
    "usage nested by the thousand": in_books("entries", "usage", '{"a":' + "[" * 100_000),
    "usage beyond arithmetic": in_books("entries", "usage", '{"visible_out": 1e999999}'),
    "usage below nothing": in_books("entries", "usage", '{"visible_out": -1}'),
    "usage of very many digits": in_books("entries", "usage", '{"seconds": ' + "9" * 5000 + "}"),
    "tokens of a reply below nothing": in_books("replies", "visible_out", -1),
    "tokens that are a text": in_books("replies", "visible_out", "7"),
    "a day that is none": in_books("entries", "at", "yesterday"),
    "a day without a zone": in_books("entries", "at", "2026-11-30T10:00:00"),
    "a day beyond all clocks": in_books("entries", "at", "9999-12-31T23:59:59+00:00"),
    "a reply's day that is none": in_books("replies", "at", ""),
    "a beat's day that is none": in_books("beats", "at", "soon"),
    "a lease that is not there": in_books("beats", "lease", "2026-01-01T00-00-00-abcd"),
    "a lease that is not closed": books(
        lambda table, row: not (table == "beats" and row["phase"] == "closed")
    ),
    "a lease that says nothing": in_books("beats", "detail", '{"stage": "generate"}'),
    "a beat that is not JSON": in_books("beats", "detail", "["),
    "time billed into the future": in_books(
        "entries", "usage", '{"seconds": 1, "until": 99999999999999, "phases": {}}'
    ),
    "a person's minutes without minutes": added(**{"class": "human"}),
    "a kind that nobody knows": in_books("entries", "kind", "gift"),
    "a class that nobody knows": in_books("entries", "class", "fun"),
    "a request with a path in it": in_books("entries", "request", "../../x"),
    "an attempt of number 0": in_books("entries", "attempt", 0),
    "a note of half a character": in_books("entries", "note", "\ud800"),
    "a price that is not the one that it is called": in_books("prices", "price", "{}"),
    "a price that is not there": in_books("entries", "price", "p1-0000000000000000"),
    "a column more": in_books("entries", "more", 1),
    "a column less": books(lambda table, row: row.pop("note", None) and None),
    "a table of another kind": lambda parts: parts.put(
        "books.jsonl", [*parts.rows("books.jsonl"), {"table": "shares", "row": {}}]
    ),
    "a table that is code": lambda parts: parts.put(
        "books.jsonl", [{"table": "entries; DROP TABLE entries", "row": {}}]
    ),
    "rows that are lists": lambda parts: parts.put("books.jsonl", [[1, 2]]),
    "books that are no JSON": lambda parts: parts.files.update({"books.jsonl": b"\xff\x00{"}),
    "a line that is a number": lambda parts: parts.files.update({"books.jsonl": b"7\n"}),
    "the end of a share": ends_the_share,
    "a batch that is open": lambda parts: parts.put(
        "books.jsonl",
        [
            *parts.rows("books.jsonl"),
            {
                "table": "batches",
                "row": {
                    "at": parts.facts["made"],
                    "intent": "b1-1",
                    "event": "intended",
                    "recipe": "small",
                    "run": "",
                    "stage": "",
                    "address": "https://evil.example.com/v1",
                    "teacher": "{}",
                    "provider": "",
                    "note": "",
                },
            },
        ],
    ),
    "history rows without fields": lambda parts: parts.put("history.jsonl", [{"run": "x"}]),
    "a run with a path in its name": lambda parts: parts.put(
        "history.jsonl", [parts.rows("history.jsonl")[-1] | {"run": "../../out"}]
    ),
    "history that is not JSON": lambda parts: parts.files.update({"history.jsonl": b"{"}),
    "a log that is not JSON": lambda parts: parts.files.update({"log.jsonl": b"[1]\n"}),
    "a step that no run made": one_more_step,
    "a step that was changed": lambda parts: parts.text(
        next(n for n in parts.files if n.endswith("/held_out.jsonl")), lambda text: text + " "
    ),
    "no books": lambda parts: parts.files.pop("books.jsonl"),
    "a share of somebody else": lambda parts: parts.facts.update(shares=["share-0000000000000000"]),
    "no share": lambda parts: parts.facts.update(shares=[]),
    "another home": lambda parts: parts.facts.update(home="0123456789ab"),
    "a made that is not a date": lambda parts: parts.facts.update(made="now"),
    "a fact that nobody knows": lambda parts: parts.facts.update(hook="rm"),
    "steps with a path": lambda parts: parts.facts.update(steps={"curate": "../x"}),
    "a recipe with a path": lambda parts: parts.facts.update(recipe="../small"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_forged_results_are_refused_whole(sent: Path, tmp_path: Path, name: str) -> None:
    file = forged(sent, tmp_path, "results", RESULTS[name])
    home = home_of(sent, tmp_path)
    books_before = entries(home)
    refused(home, "unpack", str(file))
    assert entries(home) == books_before


def test_results_of_a_run_or_a_rental_of_home_are_refused_whole(sent: Path, tmp_path: Path) -> None:
    """They would say how long home's machine is paid for."""
    mine, home = machine_entry_of_home(sent), home_of(sent, tmp_path)
    for forge, says in (
        (added(run=mine.run), "which is not its own"),
        (added(request=mine.request, attempt=9), "which is another machine's"),
    ):
        file = forged(sent, tmp_path, "results", forge)
        assert says in refused(home, "unpack", str(file))


@some
@given(data=st.data())
def test_no_forged_row_lowers_a_sum_or_changes_a_row_of_home(
    sent: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """One cell of one row, or a part of the JSON in it, becomes anything: refused whole, or merged beside all that was there."""
    tmp_path = tmp_path_factory.mktemp("row")

    def forge(parts: Parts) -> None:
        rows = parts.rows("books.jsonl")
        row = rows[data.draw(st.integers(0, len(rows) - 1))]["row"]
        column, new = data.draw(st.sampled_from(sorted(row))), data.draw(anything)
        if str(row[column]).startswith("{") and data.draw(st.booleans()):
            inside = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=3))
            new = json.dumps(changed(json.loads(row[column]), inside, new))
        row[column] = new
        parts.files["books.jsonl"] = b"".join(json.dumps(one).encode() + b"\n" for one in rows)

    file = forged(sent, tmp_path, "results", forge)
    home = home_of(sent, tmp_path)
    before, spent = entries(home), settled(home)
    with at(home):
        code, said = call("unpack", str(file))
    assert code in (0, 2) and "a bug in alpaca-pipe" not in said, said
    after = entries(home)
    assert before <= after and (code == 0 or before == after), said
    assert settled(home) >= spent
    with at(home):
        asked = (
            ("ledger",),
            ("ledger", "--focus", "f.csv"),
            ("status",),
            ("verify",),
            ("run", "small.yaml"),
        )
        for words in asked if code == 0 else ():
            answer, told = call(*words)
            assert answer == 0, (words, told)
    shutil.rmtree(tmp_path)


def test_results_that_lower_what_earlier_ones_said_are_asked_about(
    sent: Path, tmp_path: Path
) -> None:
    """A machine may correct its own books; the sums here fall only where the user says so."""

    def lost(parts: Parts) -> None:
        row = entry(parts, "settled", "api")
        added(**{**row, "request": "r1-extra", "kind": "reserved", "frees": 0, "usage": None})(
            parts
        )
        reserved = row["nanodollars"]
        added(**{**row, "request": "r1-extra", "kind": "lost", "frees": reserved, "usage": None})(
            parts
        )

    def found(parts: Parts) -> None:
        lost(parts)
        row = entry(parts, "lost", "api")
        added(**{**row, "kind": "reconciled", "nanodollars": 1})(parts)

    home = home_of(sent, tmp_path)
    first = forged(sent, tmp_path, "results", lost)
    with at(home):
        assert call("unpack", str(first))[0] == 0
    spent = settled(home)
    second = forged(sent, tmp_path, "results", found)
    assert "less was spent than earlier results" in refused(home, "unpack", str(second))
    with at(home):
        assert call("unpack", str(second), "--yes")[0] == 0
    assert settled(home) < spent


def test_results_come_home_all_the_same(sent: Path, tmp_path: Path) -> None:
    """The genuine ones, so that what is refused above is refused for its fault."""
    home = home_of(sent, tmp_path)
    file = forged(sent, tmp_path, "results", lambda parts: None)
    before, spent = entries(home), settled(home)
    with at(home):
        code, said = call("unpack", str(file))
        assert code == 0, said
        assert call("verify")[0] == 0
    assert before < entries(home) and settled(home) > spent


# ---- a recipe that arrives


def recipe(change: Callable[[str], str]) -> Forge:
    return lambda parts: parts.text("recipe/small.yaml", change)


def teacher(line: str) -> Forge:
    """Another table `teacher:` in the packed recipe."""

    def change(text: str) -> str:
        head, _, rest = text.partition("teacher:")
        after = rest.split("\n")
        end = next(n for n, row in enumerate(after[1:], 1) if row and not row.startswith(" "))
        return head + f"teacher: {line}\n" + "\n".join(after[end:])

    return recipe(change)


def without_steps(parts: Parts) -> None:
    parts.facts["steps"] = {}
    for name in [name for name in parts.files if name.startswith("store/")]:
        del parts.files[name]


def named(path: str) -> Forge:
    """Rows from a file that the pack does not hold."""

    def forge(parts: Parts) -> None:
        without_steps(parts)
        recipe(lambda text: text.replace("curate:", f"curate:\n  contamination: ['{path}']", 1))(
            parts
        )

    return forge


OUTSIDE = {
    "an absolute path": "/etc/passwd",
    "a path that climbs": "../../secret.jsonl",
    "a path of the working directory": "secret.jsonl",
    "a path of the user's": "~/secret.jsonl",
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_recipe_in_a_pack_names_no_file_outside_it(
    sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    away = tmp_path / "away"
    away.mkdir()
    monkeypatch.setenv("HOME", str(away))
    (away / "secret.jsonl").write_text('{"instruction": "secret", "output": "secret"}\n')
    file = forged(sent, tmp_path, "recipe", named(OUTSIDE[name]))
    said = refused(away, "unpack", str(file))
    assert "is not in it" in said or "no such file" in said
    assert not (away / "runs").exists()


@pytest.mark.parametrize(
    "line",
    [
        "{kind: rehearsed, model: m, price: {in: 1, out: 1}, served: /tmp/served-by-a-pack.log}",
        "{kind: rehearsed, model: m, price: {in: 1, out: 1}, served: ../served.log}",
        "{kind: rehearsed, model: m, price: {in: 1, out: 1}, lines: /etc/passwd}",
        "{kind: openai_chat, model: m, price: {in: 1, out: 1}, ca_file: /etc/passwd}",
        "{kind: openai_chat, model: m, price: {in: 1, out: 1}, base_url: 'https://k:p@x/v1'}",
        "{kind: local_server, model: ../small.gguf}",
    ],
)
def test_a_teacher_in_a_pack_names_no_file_outside_it(
    sent: Path, tmp_path: Path, line: str
) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (tmp_path / "small.gguf").write_bytes(b"GGUF" + bytes(64))

    def forge(parts: Parts) -> None:
        without_steps(parts)
        teacher(line)(parts)

    refused(away, "unpack", str(forged(sent, tmp_path, "recipe", forge)))
    assert not (away / "runs").exists() and not Path("/tmp/served-by-a-pack.log").exists()


TEXTS = st.sampled_from(
    [
        "../out",
        "/tmp/somebody/out",
        "~/out",
        "store",
        "x.yaml",
        ".",
        "",
        "small.files/../../out",
        "ledger.sqlite",
    ]
) | st.text(max_size=8)


@some
@given(data=st.data())
def test_unpack_changes_nothing_outside_its_folders(
    sent: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A fact, a name, a line of the recipe or a file of the workspace becomes anything."""
    tmp_path = tmp_path_factory.mktemp("outside")
    away = tmp_path / "away"
    away.mkdir()
    (away / "mine.txt").write_text("mine")

    def forge(parts: Parts) -> None:
        what = data.draw(st.sampled_from(["fact", "share", "step", "file", "line"]))
        if what == "fact":
            name = data.draw(st.sampled_from(sorted(parts.facts)))
            parts.facts[name] = data.draw(anything | TEXTS)
        elif what == "share":
            name = data.draw(st.sampled_from(sorted(parts.facts["share"])))
            parts.facts["share"][name] = data.draw(anything | TEXTS)
        elif what == "step":
            parts.facts["steps"] = {data.draw(TEXTS): data.draw(TEXTS)}
        elif what == "file":
            parts.files[data.draw(st.sampled_from(["", "recipe/", "store/x/"])) + "y"] = b"1"
        else:
            lines = parts.files["recipe/small.yaml"].decode().split("\n")
            place = data.draw(st.integers(0, len(lines) - 1))
            key, colon, _ = lines[place].partition(":")
            lines[place] = f"{key}{colon} {json.dumps(data.draw(TEXTS))}"
            parts.files["recipe/small.yaml"] = "\n".join(lines).encode()

    file = forged(sent, tmp_path, "recipe", forge)
    before = tree(tmp_path)
    with at(away):
        code, said = call("unpack", str(file), "--yes")
    assert code in (0, 2) and "a bug in alpaca-pipe" not in said, said
    changed = {name for name, data in tree(tmp_path).items() if before.get(name) != data}
    own = ("away/runs/", "away/small.yaml", "away/small.files/")
    assert all(name.startswith(own) for name in changed) and (code == 0 or not changed), changed
    assert before.keys() <= tree(tmp_path).keys()
    shutil.rmtree(tmp_path)


def test_a_recipe_in_a_pack_extends_nothing(sent: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (away / "other.yaml").write_text("seed: 7\n")
    for what in ("other.yaml", "quickstart"):
        forge = recipe(lambda text, what=what: f"extends: {what}\n{text}")  # type: ignore[misc]
        file = forged(sent, tmp_path, "recipe", forge)
        assert "extends" in refused(away, "unpack", str(file))


RECIPES: dict[str, Forge] = {
    "another name": recipe(lambda text: text.replace("name: small", "name: other")),
    "no YAML": lambda parts: parts.files.update({"recipe/small.yaml": b"\x00[[["}),
    "a giant": lambda parts: parts.files.update({"recipe/small.yaml": b"# " + b"x" * (1 << 21)}),
    "no recipe": lambda parts: parts.files.pop("recipe/small.yaml"),
    "a share below nothing": lambda parts: parts.facts["share"].update(api=-1),
    "a share beyond all sums": lambda parts: parts.facts["share"].update(api=1 << 62),
    "a share that is a text": lambda parts: parts.facts["share"].update(gpu="5"),
    "a share of another recipe": lambda parts: parts.facts["share"].update(recipe="other"),
    "a share without a home": lambda parts: parts.facts["share"].pop("home"),
    "a share with a path": lambda parts: parts.facts["share"].update(file="../x"),
    "a share called otherwise": lambda parts: parts.facts["share"].update(id="share-x'; DROP"),
    "no share": lambda parts: parts.facts.pop("share"),
    "a step that is not in it": lambda parts: parts.facts["steps"].update(
        curate="curate-0123456789abcdef"
    ),
    "a stage of no recipe": lambda parts: parts.facts["steps"].update(cook="cook-0123456789abcdef"),
    "a step that was changed": lambda parts: parts.text(
        next(n for n in parts.files if n.endswith("/examples.jsonl")), lambda text: text + " "
    ),
    "a file of the workspace": lambda parts: parts.files.update({"ledger.sqlite": b"x"}),
    "a file beside the recipe": lambda parts: parts.files.update({"recipe/.bashrc": b"x"}),
    "another recipe's files": lambda parts: parts.files.update({"recipe/o.files/x": b"x"}),
    "replies that are no JSON": lambda parts: parts.files.update({"replies.jsonl": b"{"}),
    "entries among the replies": lambda parts: parts.put(
        "replies.jsonl", [{"table": "entries", "row": {}}]
    ),
    "prices that are no YAML": lambda parts: parts.files.update({"prices.yaml": b"\x00{"}),
    "a price of another model": lambda parts: parts.files.update(
        {"prices.yaml": b"- {model: gpt-6-luna, host: api.openai.com, in: 0.0001, out: 0.0001}\n"}
    ),
    "a price below nothing": lambda parts: parts.files.update(
        {"prices.yaml": b"- {gpu: H100, provider: lambda, per_hour: -1}\n"}
    ),
    "a price beyond all sums": lambda parts: parts.files.update(
        {"prices.yaml": b"- {gpu: H100, provider: lambda, per_hour: 1e300}\n"}
    ),
    "a price of tuning": lambda parts: parts.files.update(
        {"prices.yaml": b"- {tuning: x, provider: together, per_million: 1}\n"}
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_forged_recipe_is_refused_whole(
    sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    away = tmp_path / "away"
    away.mkdir()
    monkeypatch.setenv("ALPACA_PIPE_PRICES", str(away / "mine.yaml"))
    (away / "mine.yaml").write_text("[]\n")
    file = forged(sent, tmp_path, "recipe", RECIPES[name])
    refused(away, "unpack", str(file))
    assert sorted(path.name for path in away.iterdir() if path.name != "cache") == ["mine.yaml"]


PRICED = "kind: openai_chat, model: m, price: {in: 1, out: 1}"
AT_X = f"{PRICED}, base_url: 'https://x.example.com/v1'"
ASKED = {
    "a key at another host": (
        f"{{{AT_X}, api_key_env: OPENAI_API_KEY}}",
        "OPENAI_API_KEY to x.example.com",
    ),
    "another maker's key": (
        f"{{{PRICED}, base_url: 'https://api.groq.com/v1', api_key_env: ANTHROPIC_API_KEY}}",
        "ANTHROPIC_API_KEY to api.groq.com",
    ),
    "over plain http": (
        f"{{{PRICED}, base_url: 'http://api.openai.com/v1', api_key_env: OPENAI_API_KEY}}",
        "over plain http",
    ),
    "any variable that is set": (
        f"{{{AT_X}, api_key_env: DATABASE_PASSWORD}}",
        "DATABASE_PASSWORD to x.example.com",
    ),
    "by way of a proxy": (
        f"{{{PRICED}, proxy: 'http://x.example.com:8080'}}",
        "through the proxy",
    ),
    "at a price below the book": (
        "{kind: openai_chat, model: gpt-4.1-nano, price: {in: 0.0001, out: 0.0001}}",
        "below the",
    ),
    "for nothing": ("{kind: openai_chat, model: gpt-4.1-nano, price: free}", "below the"),
}


@pytest.mark.parametrize("name", ASKED)
def test_where_a_key_goes_is_asked_first(
    sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    line, says = ASKED[name]
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2hunter2")
    away = tmp_path / "away"
    away.mkdir()

    def forge(parts: Parts) -> None:
        without_steps(parts)
        teacher(line)(parts)

    file = forged(sent, tmp_path, "recipe", forge)
    said = refused(away, "unpack", str(file))
    assert says in said and "--yes" in said and "hunter2" not in said
    assert not (away / "runs").exists()
    with at(away):
        code, said = call("unpack", str(file), "--yes")
    assert code == 0 and "a run may ask" in said, said


RUNS = {
    "a command": (
        lambda text: f"{text}\non: {{done: 'touch here'}}\n",
        "a command of its own on this machine: touch here",
    ),
    "an address": (
        lambda text: f"{text}\non: {{failed: 'https://x.example.com/told'}}\n",
        "it tells https://x.example.com/told how its runs end",
    ),
    "a filter": (
        lambda text: text.replace("curate:", "curate:\n  filters: [small.files/mine.py:look]", 1),
        "code that came with it, mine.py:look",
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_what_it_would_run_here_is_asked_first(sent: Path, tmp_path: Path, name: str) -> None:
    change, says = RUNS[name]
    away = tmp_path / "away"
    away.mkdir()

    def forge(parts: Parts) -> None:
        without_steps(parts)
        parts.files["recipe/small.files/mine.py"] = b"def look(row): ..."
        recipe(change)(parts)

    file = forged(sent, tmp_path, "recipe", forge)
    said = refused(away, "unpack", str(file))
    assert says in said and "--yes" in said
    assert not (away / "runs").exists()


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 2), (b"y\n", 0), (b"\x03", 130)])
def test_at_a_terminal_it_is_a_question(
    sent: Path, tmp_path: Path, answer: bytes, code: int
) -> None:
    away = tmp_path / "away"
    away.mkdir()

    def forge(parts: Parts) -> None:
        without_steps(parts)
        teacher(ASKED["over plain http"][0])(parts)

    file = forged(sent, tmp_path, "recipe", forge)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "alpaca_pipe", "unpack", str(file)],
        cwd=away,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_terminal,  # noqa: PLW1509
    ) as process:
        os.close(theirs)
        said = b""
        while b"[y/N]" not in said:
            said += os.read(ours, 4096)
        os.write(ours, answer)
        with suppress(OSError):  # the end of a terminal
            while more := os.read(ours, 4096):
                said += more
        assert process.wait() == code, said
    os.close(ours)
    assert b"careful: it sends the key in OPENAI_API_KEY" in said
    assert (away / "runs").exists() == (code == 0)


def test_what_a_usual_pack_would_spend_is_said_and_not_asked(sent: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()

    def forge(parts: Parts) -> None:
        without_steps(parts)
        teacher("{kind: openai_chat, model: gpt-4.1-nano}")(parts)

    with at(away):
        code, said = call("unpack", str(forged(sent, tmp_path, "recipe", forge)))
    assert code == 0, said
    assert (
        "a run may ask api.openai.com for gpt-4.1-nano, with the key in OPENAI_API_KEY, for at most $0.25"
        in said
    )


def test_a_price_in_a_pack_stays_in_the_workspace(
    sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = tmp_path / "away"
    away.mkdir()
    monkeypatch.setenv("ALPACA_PIPE_PRICES", str(away / "mine.yaml"))
    row = b"- {model: house-model, host: llm.example.com, in: 3, out: 7, from: 2026-11-01}\n"

    def forge(parts: Parts) -> None:
        without_steps(parts)
        teacher("{kind: openai_chat, model: house-model, base_url: 'https://llm.example.com/v1'}")(
            parts
        )
        parts.files["prices.yaml"] = row

    with at(away):
        code, said = call("unpack", str(forged(sent, tmp_path, "recipe", forge)))
        assert code == 0 and not (away / "mine.yaml").exists(), said
        code, said = call("plan", "small.yaml", "-v")
        assert code == 0 and "house-model" in said, said
        (away / "other.yaml").write_text(
            "teacher: {kind: openai_chat, model: house-model, base_url: 'https://llm.example.com/v1'}\n"
            "generate: {count: 2}\n"
        )
        code, said = call("plan", "other.yaml")
        assert code == 2 and "no price is known for the model 'house-model'" in said


def test_a_pack_whose_names_differ_in_case_alone_is_refused(sent: Path, tmp_path: Path) -> None:
    from alpaca_pipe.core.errors import UserError
    from tests.pack.test_box import packed

    for one, other in (("a/B", "a/b"), ("A/x", "a/y"), ("straße", "strasse"), ("ﬁ", "fi")):
        with pytest.raises(UserError, match="where case does not count"):
            sealed(Parts({"kind": "recipe"}, {one: b"1", other: b"2"}), tmp_path / "x.tar.zst")
        file = packed(tmp_path / "y.tar.zst", {one: b"1", other: b"2"})
        (tmp_path / "out").mkdir(exist_ok=True)
        assert "where case does not count" in refused(tmp_path / "out", "unpack", str(file))


def test_a_pack_that_swells_a_thousand_times_is_refused(sent: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()

    def forge(parts: Parts) -> None:
        parts.files["recipe/small.files/zeros"] = bytes(1 << 28)

    file = forged(sent, tmp_path, "recipe", forge)
    assert file.stat().st_size < 1 << 18
    assert "nothing real packs so small" in refused(away, "unpack", str(file))


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 400 + "b", "a\u202eb"])
def test_names_that_a_disk_or_a_screen_does_not_take(sent: Path, tmp_path: Path, name: str) -> None:
    from tests.pack.test_box import packed

    (tmp_path / "out").mkdir()
    file = packed(tmp_path / "p", {f"recipe/a.files/{name}": b"1"}, members=[])
    said = refused(tmp_path / "out", "unpack", str(file))
    assert "\u202e" not in said


def test_a_pack_with_damage_in_it_is_not_lent(sent: Path, tmp_path: Path) -> None:
    """A byte that a disk changed, its time and size kept: seen before a share is lent."""
    home = home_of(sent, tmp_path)
    with at(home):
        assert call("unpack", "small.tar.zst", "--give-up", "--spent", "0")[0] == 0
        step = next(home.glob("runs/store/generate-*/examples.jsonl"))
        state, data = step.stat(), bytearray(step.read_bytes())
        data[10] ^= 1
        step.write_bytes(data)
        os.utime(step, ns=(state.st_atime_ns, state.st_mtime_ns))
    said = refused(home, "pack", "small.yaml", "--for", "curate", "--share", "0.1", "-o", "b")
    assert "was changed" in said
    with at(home):
        assert "lent" not in call("ledger", "small")[1]


def test_a_folder_where_a_pack_should_be_written_is_one_sentence(
    sent: Path, tmp_path: Path
) -> None:
    home = home_of(sent, tmp_path)
    (home / "out").mkdir()
    said = refused(home, "pack", "small.yaml", "--for", "curate", "-o", "out")
    assert "out is a folder" in said


def test_what_is_to_be_read_first_can_be_read(sent: Path, tmp_path: Path) -> None:
    """Before anything of it is unpacked, and nothing is left of it afterwards."""
    away = tmp_path / "away"
    away.mkdir()

    def forge(parts: Parts) -> None:
        without_steps(parts)
        parts.files["recipe/small.files/mine.py"] = b"def look(row): ..."
        recipe(RUNS[next(iter(RUNS))][0])(parts)

    file = forged(sent, tmp_path, "recipe", forge)
    assert "--read` prints its recipe and its code" in refused(away, "unpack", str(file))
    with at(away):
        code, said = call("unpack", str(file), "--read")
    assert code == 0 and said.index("small.yaml") < said.index("def look(row): ...")
    assert not list(away.iterdir())


def test_a_template_can_be_read_however_it_is_called(sent: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()

    def forge(parts: Parts) -> None:
        parts.files["recipe/small.files/question.txt"] = b"Which of {{ A }} and {{ B }}?"
        parts.files["recipe/small.files/notes.txt"] = b"long notes"
        judge = "{judge: {question: small.files/question.txt}}"
        recipe(lambda text: f"{text}\nevaluate: {judge}\n")(parts)

    file = forged(sent, tmp_path, "recipe", forge)
    with at(away):
        code, said = call("unpack", str(file), "--read")
    assert code == 0 and "Which of {{ A }} and {{ B }}?" in said and "long notes" not in said
