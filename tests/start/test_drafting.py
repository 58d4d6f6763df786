"""`seeds draft`: asked from notes, decided one by one in a terminal, priced and capped, killed and run again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.generate.seeds.seeds import read_seeds
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.start.draft_log import DraftLog
from alpaca_pipe.start.folder import begin
from tests.command import command
from tests.terminal import Terminal
from tests.waiting import killed, until

NOTES = {
    "rules.md": """# House rules

The clinic is open from Monday to Friday from 8:00 to 18:30 and on Saturday from 9:00 to 12:00. On Sundays it is closed for all.

Please cancel an appointment at least 24 hours before. For one that was missed without word we charge 20 euros at the next visit.

Dogs wait on a lead and cats in a carrier. Rabbits wait in the room on the left, where no dog or cat may enter at any time.

Treatments are paid on the same day, in cash or by card. For operations above 400 euros we offer three monthly instalments.
""",
    "after.md": """Your animal had a general anaesthetic today. It may be drowsy and unsteady until tomorrow morning, so keep it warm.

Look at the wound twice a day. It should be dry and closed, and slight swelling during the first three days is normal.

The collar stays on day and night until the stitches are out. We take them out after 10 to 12 days, by appointment only.
""",
}
PROMPT = "q quit > "
SCRIPTED = ("teacher.kind=rehearsed", "teacher.model=gpt-4.1-nano", "teacher.served=served.jsonl")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    begin("vet", "a clinic")
    (tmp_path / "notes").mkdir()
    for name, text in NOTES.items():
        (tmp_path / "notes" / name).write_text(text)
    return tmp_path


def words(*more: str, want: int = 6) -> list[str]:
    return [
        sys.executable,
        "-m",
        "alpaca_pipe",
        "seeds",
        "draft",
        "vet",
        "--from",
        "notes/after.md",
        "notes/rules.md",
        "--want",
        str(want),
        *more,
        *SCRIPTED,
    ]


def run(*more: str, want: int = 6, code: int = 0, given: str = "") -> str:
    said = command(*words(*more, want=want)[3:], cwd=Path.cwd(), typed=given)
    assert said.code == code, said.out + said.err
    return said.out + said.err


def drafted() -> list[str]:
    return [
        seed.example.instruction
        for seed in read_seeds(Path("vet/seeds.csv"))
        if seed.example.origin.details
    ]


def served() -> Counter[str]:
    return (
        Counter(row["asked"] for row in read_jsonl(Path("vet/served.jsonl")))
        if Path("vet/served.jsonl").exists()
        else Counter()
    )


def spent() -> int:
    with Journal.open(Path("runs/ledger.sqlite"), read_only=True) as journal:
        return journal.totals("vet", stage="seeds").settled


def test_for_scripts_all_sound_drafts_are_taken_with_their_source_and_nothing_is_bought_twice(
    home: Path,
) -> None:
    said = run("--yes")
    assert re.search(
        r"3 requests to a script in place of gpt-4.1-nano for up to 3 drafts each: about \$0.000\d, at most \$0.00\d+; budget.api has \$5.00 left",
        said,
    )
    assert (
        "6 of 6 drafts confirmed; vet/seeds.csv holds 16 seed tasks; 10 of them are still the template's"
        in said
    )
    seeds = [seed for seed in read_seeds(Path("vet/seeds.csv")) if seed.example.origin.details]
    for seed in seeds:
        source, model = (
            seed.example.origin.details["source"],
            seed.example.origin.details["drafted_by"],
        )
        file, start, end = re.fullmatch(r"(.+)#(\d+)-(\d+)", source).groups()  # type: ignore[union-attr]
        assert " ".join(seed.example.output.split()) in " ".join(
            Path(file).read_text()[int(start) : int(end)].split()
        )
        assert model == "a script in place of gpt-4.1-nano"
    assert {seed.example.origin.details["source"].split("#")[0] for seed in seeds} == {
        "notes/after.md",
        "notes/rules.md",
    }
    cost, before = spent(), Path("vet/seeds.csv").read_bytes()
    assert cost > 0 and "6 of 6 drafts confirmed" in run("--yes")
    assert (spent(), Path("vet/seeds.csv").read_bytes()) == (cost, before) and set(
        served().values()
    ) == {1}


# Ctrl-C reaches only the session whose own terminal it is.
_TAKES_IT = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


def test_each_draft_is_decided_in_a_terminal_and_what_was_not_comes_back(home: Path) -> None:
    editor = home / "editor.py"
    editor.write_text(
        "import sys, re\np = sys.argv[1]\nt = open(p).read()\n"
        "open(p, 'w').write(re.sub(r'instruction: .-\\n  .*', 'instruction: What does my clinic charge, I ask?', t))\n"
    )
    with Terminal(
        home, *words()[3:], env={"EDITOR": f"{sys.executable} {editor}", "COLUMNS": "200"}
    ) as there:
        for line in ("y\n", "n\n", "maybe\n", "e\n", "q\n"):
            there.until(PROMPT)
            there.type(line)
        assert there.end()[0] == 0, there.screen
    assert "one of y, e, n, q" in there.screen and "what was not decided comes back" in there.screen
    first, second = drafted()
    assert second == "What does my clinic charge, I ask?"
    rows = list(read_jsonl(Path("runs/vet/drafts.jsonl")))
    assert [row["decision"] for row in rows] == ["yes", "no", "editing", "edited"]
    shown = re.findall(r"instruction  (.*?)\n", there.screen)
    with Terminal(home, *words()[3:], env={"COLUMNS": "200"}) as again:
        again.until(PROMPT)
        again.interrupt()
        assert again.end()[0] == 130, again.screen
    back = re.findall(r"instruction  (.*?)\n", again.screen)
    assert back == [shown[3]] and "3 of 6" in again.screen
    assert drafted() == [first, second] and set(served().values()) == {1}
    made = Path("runs/vet/drafts.jsonl")
    made.write_bytes(
        b"".join(made.read_bytes().splitlines(keepends=True)[:3])
    )  # as if killed between the edited row and its decision
    with Terminal(home, *words()[3:], env={"COLUMNS": "200"}) as killed:
        killed.until(PROMPT)
        killed.type("q\n")
        assert killed.end()[0] == 0, killed.screen
    assert (
        re.findall(r"instruction  (.*?)\n", killed.screen) == [shown[3]]
        and "3 of 6" in killed.screen
    )
    assert (
        drafted() == [first, second]
        and [row["decision"] for row in read_jsonl(made)][-1] == "edited"
    )


def test_killed_while_it_asks_it_buys_only_what_has_no_reply(home: Path) -> None:
    process = subprocess.Popen(
        words("--yes", "teacher.concurrency=1", "teacher.delay=0.4", want=12),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    until(lambda: sum(served().values()) >= 3, process)
    killed(process)
    with Journal.open(Path("runs/ledger.sqlite")) as journal:
        stored = journal.totals("vet").requests
        journal.recover("vet")
    before = served()
    said = run("--yes", want=12)
    both = served()
    assert (
        0 < stored < sum(both.values())
        and sum(both.values()) - sum(before.values()) == len(both) - stored
    )
    assert max(both.values()) <= 2 and sum(count - 1 for count in both.values()) <= 1
    assert f"{len(drafted())} of 12 drafts confirmed" in said


def test_a_decision_that_a_kill_cut_off_is_not_one(tmp_path: Path) -> None:
    made = DraftLog(tmp_path)
    made.make("e1-1", "yes")
    made.make("e1-2", "no")
    file = tmp_path / "drafts.jsonl"
    file.write_bytes(file.read_bytes()[:-9])
    again = DraftLog(tmp_path)
    assert "e1-1" in again and "e1-2" not in again and again.confirmed == 1
    again.make("e1-2", "edited")
    assert [json.loads(line)["decision"] for line in file.read_text().splitlines()] == [
        "yes",
        "edited",
    ]


def test_an_edit_that_was_begun_is_no_decision(tmp_path: Path) -> None:
    DraftLog(tmp_path).intend("e1-1", "e1-9")
    again = DraftLog(tmp_path)
    assert "e1-1" not in again and again.confirmed == 0 and again.becoming("e1-1") == "e1-9"
    again.make("e1-1", "edited", became="e1-9")
    assert "e1-1" in DraftLog(tmp_path) and DraftLog(tmp_path).confirmed == 1


def test_the_budget_holds_and_what_was_answered_is_kept(home: Path) -> None:
    said = run("--yes", "budget.api=0.0009", "teacher.concurrency=1", code=2)
    assert "the budget of $0.0009 (budget.api) is reached" in said
    assert 0 < len(drafted()) < 6 and spent() <= 900_000
    rows = drafted()
    Path(
        "runs/vet/drafts.jsonl"
    ).unlink()  # as if killed between a row and its decision: it counts as confirmed
    assert "what was not decided comes back" in run(
        given="y\nn\n"
    )  # a pipe that ends decides nothing more
    assert len(drafted()) == len(rows) + 1 and set(served().values()) == {1}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ["generate.seeds=short", "--yes"],
            "short.jsonl: these seed tasks are shipped, and not yours to add to",
        ),
        (
            ["notes/nowhere.md", "--yes"],
            "notes/nowhere.md: no such file or folder - name your notes with --from",
        ),
        (["teacher.model=nobody", "--yes"], "nobody"),
    ],
)
def test_what_cannot_be_drafted_is_said_before_anything_is_asked(
    home: Path, more: list[str], said: str
) -> None:
    asked = [
        word
        for word in words(*more)
        if not (word == "teacher.model=gpt-4.1-nano" and "teacher.model=nobody" in more)
    ]
    done = command(*asked[3:], cwd=Path.cwd())
    assert done.code == 2 and said in done.err and not served(), done.out + done.err
