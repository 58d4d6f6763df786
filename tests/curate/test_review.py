"""`alpaca-pipe review` as a person uses it: keys in a terminal, lines over a pipe, an editor, Ctrl-C, kill -9, and the run after."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.cli import main
from alpaca_pipe.core.files import read_json, read_jsonl, write_jsonl
from alpaca_pipe.curate.review.console import visible
from alpaca_pipe.curate.review.editing import understood, written
from alpaca_pipe.ledger.store.journal import Journal
from tests.terminal import Terminal

PROMPT = "[q]uit ? > "
RECIPE = "gpu: {human_per_hour: 36}\ncurate:\n  from: rows.jsonl\n  held_out: 1\n"
TEXTS = (
    ("Name three drinks that are served hot.", "Tea, coffee and cocoa."),
    ("Explain why leaves turn red.", "Other pigments show."),
    ("Suggest a title for a story about a lighthouse.", "The Last\u200b Keeper"),
    ("Name the opposite of generous.", "Stingy."),
    ("Name three drinks that are served very hot.", "Tea."),
    ("Draw it for me, please now.", "<noinput>"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that was run: four rows kept, one duplicate and one that a filter dropped."""
    home = tmp_path_factory.mktemp("made")
    write_jsonl(
        home / "rows.jsonl", ({"instruction": one, "output": other} for one, other in TEXTS)
    )
    (home / "vet.yaml").write_text(RECIPE)
    pipe(home, "run", "vet.yaml")
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "home"))


def pipe(home: Path, *arguments: str, typed: str = "", code: int = 0) -> str:
    """The command with lines in place of keys, in this process: what it printed."""
    out = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(home),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
        pytest.raises(SystemExit) as left,
    ):
        for name in ("EDITOR", "VISUAL"):
            patch.delenv(name, raising=False)
        patch.setattr(sys, "argv", ["alpaca-pipe", *arguments])
        patch.setattr(sys, "stdin", io.StringIO(typed))
        main()
        sys.exit(0)
    assert (left.value.code or 0) == code, out.getvalue()
    return out.getvalue()


def lines(home: Path) -> list[dict[str, Any]]:
    path = home / "decisions.jsonl"
    return list(read_jsonl(path)) if path.exists() else []


def verdicts(home: Path) -> list[str]:
    return [line["verdict"] for line in lines(home)]


def kept(home: Path) -> dict[str, dict[str, Any]]:
    step = read_json(home / "runs" / "vet" / "lock.json")["steps"]["curate"]
    return {row["id"]: row for row in read_jsonl(home / "runs" / "store" / step / "examples.jsonl")}


def test_keys_in_a_terminal(home: Path) -> None:
    """Each decision is in the file before the next row is on the screen; the next sitting begins at the first unread row."""
    with Terminal(home, "review", "vet.yaml", "--who", "anna") as there:
        first = there.until(PROMPT)
        assert (
            "4 rows, 4 unread" in first
            and "1 of 4" in first
            and "Name three drinks" in first
            and "kept, " in first
        )
        assert "imported from rows.jsonl#1" in first and "1 dropped for it" in first
        there.type("k")
        there.until("2 of 4")
        assert verdicts(home) == ["keep"]
        there.until(PROMPT)
        there.type("d")
        there.until("why")
        there.type("not our domain\n")
        there.until("3 of 4")
        assert lines(home)[-1] | {"when": "", "seconds": 0, "session": ""} == {
            "id": lines(home)[-1]["id"],
            "verdict": "drop",
            "why": "not our domain",
            "about": "Explain why leaves turn red.",
            "who": "anna",
            "when": "",
            "seconds": 0,
            "session": "",
        }
        assert "before invisible: e1-" in there.until(PROMPT)
        there.type("n")
        there.until("note: ")
        there.type("ask Bert\n")
        there.until(PROMPT)
        there.type("s")
        there.until("4 of 4")
        there.until(PROMPT)
        there.type("\x1b[D")
        assert "noted by anna" in there.until(PROMPT)
        there.type("?")
        assert "take" in there.until(PROMPT)
        there.type("u")
        assert "nothing was decided" in there.until(PROMPT)
        there.type("q")
        code, said = there.end()
    assert code == 0 and "1 to keep, 1 to drop, 1 noted" in said and "hold from the next" in said
    again = pipe(home, "review", "vet.yaml", typed="q\n")
    assert "4 rows, 1 unread" in again and "1 of 1" in again and "opposite of generous" in again
    assert " like e1-" in again  # its nearest row is looked for, since no stage has recorded one
    again = pipe(home, "review", "vet.yaml", "--all", typed="s\ns\nq\n")
    assert (
        again.index("opposite of generous") < again.index("served hot") and "kept by anna" in again
    )


def test_ctrl_c_leaves_a_question_and_then_the_sitting(home: Path) -> None:
    with Terminal(home, "review", "vet.yaml") as there:
        there.until(PROMPT)
        there.type("k")
        there.until(PROMPT)
        there.type("d")
        there.until("why")
        there.interrupt()
        there.until(PROMPT)
        there.interrupt()
        code, said = there.end()
    assert (
        code == 130
        and verdicts(home) == ["keep"]
        and "1 to keep" in said
        and "Traceback" not in said
    )


# Two seconds pass between any two looks at the clock, so that there is something to enter.
SLOW_READER = "import itertools, time; time.monotonic = itertools.count(0.0, 2.0).__next__"


def test_kill_9_loses_nothing_and_minutes_are_entered_once(home: Path) -> None:
    with Terminal(home, "review", "vet.yaml", before=SLOW_READER) as there:
        there.until(PROMPT)
        there.type("k")
        there.until("2 of 4")
        os.kill(there.process.pid, signal.SIGKILL)
        there.process.wait()
    assert verdicts(home) == ["keep"]
    for _ in range(2):
        pipe(home, "review", "vet.yaml", typed="q\n")
    with Terminal(home, "review", "vet.yaml", before=SLOW_READER) as there:
        there.until(PROMPT)
        there.type("k")
        there.until("2 of 3")
        there.type("q")
        there.end()
    seconds: dict[str, float] = {}
    for line in lines(home):
        seconds[line["session"]] = seconds.get(line["session"], 0.0) + line.get("seconds", 0)
    with Journal.open(home / "runs" / "ledger.sqlite", read_only=True) as journal:
        entries = [entry for entry in journal.entries() if entry.class_ == "human"]
    entered: dict[str, int] = {}  # two sittings within a second have one name
    for entry in entries:
        name = entry.request.removeprefix("human-")
        entered[name] = entered.get(name, 0) + entry.nanodollars
    assert len(entries) == 2 and entered == {
        name: round(spent) * 10_000_000 for name, spent in seconds.items()
    }  # $36 an hour: a cent a second


def test_an_edit_in_the_editor(home: Path) -> None:
    editor = home / "editor.py"
    editor.write_text(
        "import sys\nfrom pathlib import Path\npath = Path(sys.argv[1])\n"
        "path.write_text(path.read_text().replace('Tea, coffee and cocoa.', 'Tea.\\n\\nAnd cocoa.'))\n"
    )
    with Terminal(
        home, "review", "vet.yaml", env={"EDITOR": f"{sys.executable} {editor}"}
    ) as there:
        there.until(PROMPT)
        there.type("e")
        there.until("2 of 4")
        there.until(PROMPT)
        there.type("e")
        assert "nothing was changed" in there.until(PROMPT)
        there.type("b")
        assert "edited by" in there.until(PROMPT)
        there.type("q")
        there.end()
    [line] = lines(home)
    assert line["texts"] == {
        "instruction": TEXTS[0][0],
        "input": "",
        "output": "Tea.\n\nAnd cocoa.",
    }


def test_an_edit_field_by_field_where_there_is_no_editor(home: Path) -> None:
    with Terminal(home, "review", "vet.yaml") as there:
        there.until(PROMPT)
        there.type("e")
        for field, text in (
            ("instruction: ", "\n"),
            ("input: ", "\n"),
            ("output: ", "Tea.\\\n"),
            ("... ", "Köstlich.\n"),
        ):
            there.until(field)
            there.type(text)
        there.until("2 of 4")
        there.type("e")
        for field, text in (("instruction: ", "-\n"), ("input: ", "\n"), ("output: ", "\n")):
            there.until(field)
            there.type(text)
        assert "the instruction is empty" in there.until(PROMPT)
        there.type("q")
        there.end()
    assert [line["texts"]["output"] for line in lines(home)] == ["Tea.\nKöstlich."]


def test_an_editor_that_cannot_be_started(home: Path) -> None:
    """And lines over a real pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "alpaca_pipe", "review", "vet.yaml"],
        cwd=home,
        input="e\n\n\nBetter.\nq\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env={**os.environ, "EDITOR": "no-such-editor-at-all"},
    )
    assert "could not be started" in done.stdout and [
        line["texts"]["output"] for line in lines(home)
    ] == ["Better."]


def test_the_sheet_of_an_editor() -> None:
    before = {"instruction": "===== output =====", "input": "", "output": "a\n\n"}
    assert understood(written(before), before) == before  # the row's own text is no mark
    assert understood(written(before).replace("a\n\n", "b\n"), before)["output"] == "b"
    for broken in ("", written(before).replace("====== input ======", "")):
        with pytest.raises(Exception, match="put it back on a line of its own"):
            understood(broken, before)
    assert visible("a\x1b[0m\u202eb\r\nc\u200d") == "a⟨ESC⟩[0m⟨U+202E⟩b\nc\u200d"


def test_lines_over_a_pipe_and_the_run_after(home: Path) -> None:
    """Decisions hold in the next run and after a changed filter; both say so; nothing else runs again."""
    pipe(home, "review", "vet.yaml", typed="keep\nd wrong season\nn nice\ns\nq\n")
    rescued = pipe(home, "review", "vet.yaml", "--rejected", typed="k\nk\n")
    assert (
        "2 rows" in rescued
        and "dropped by curate, likeness" in rescued
        and "that was the last row" in rescued
    )
    planned = pipe(home, "plan", "vet.yaml")
    assert "curate.decisions was absent" in planned and "4 by hand" in planned
    done = pipe(home, "run", "vet.yaml")
    assert "manual decisions: 3 kept, 1 dropped; 2 of them a rule would have dropped" in done
    by_rule = pipe(home, "rows", "vet.yaml", "--rule", "by_hand")
    assert "wrong season" in by_rule and "Explain why leaves" in by_rule
    dropped, noted = lines(home)[1]["id"], lines(home)[2]["id"]
    assert (
        dropped not in kept(home)
        and {line["id"] for line in lines(home) if line["verdict"] == "keep"} <= kept(home).keys()
    )
    traced = pipe(home, "trace", dropped)
    assert "dropped by" in traced and "wrong season" in traced and "dropped, by_hand" in traced
    assert "noted by" in pipe(home, "trace", noted)
    media = next(line["id"] for line in lines(home) if "Draw" in line["about"])
    assert "or else it would have been dropped, empty_output" in pipe(home, "trace", media)
    assert "up to date" in pipe(home, "run", "vet.yaml")
    pipe(home, "run", "vet.yaml", "curate.likeness=0.3", "curate.filters=none")
    assert (
        dropped not in kept(home)
        and {line["id"] for line in lines(home) if line["verdict"] == "keep"} <= kept(home).keys()
    )
    page = (home / "runs" / "vet" / "report.html").read_text()
    assert "Manual decisions: 3 kept, 1 dropped" in page and '<td class="why">manual</td>' in page


def test_an_edit_is_traced_from_either_id(home: Path) -> None:
    pipe(home, "review", "vet.yaml", typed="e\n\n\nOnly tea.\nq\n")
    [line] = lines(home)
    pipe(home, "run", "vet.yaml")
    [new] = [row for row in kept(home).values() if row["output"] == "Only tea."]
    assert new["origin"]["parents"] == [line["id"]]
    traced = pipe(home, "trace", new["id"])
    assert (
        "edited by" in traced
        and "its output was 'Tea, coffee and cocoa.'" in traced
        and f"this row was {line['id']}" in traced
    )
    assert "4 rows, 3 unread" in pipe(
        home, "review", "vet.yaml", typed="q\n"
    )  # who wrote a row has read it


def test_what_cannot_be_reviewed_is_told(home: Path) -> None:
    assert "'--sample'" in pipe(home, "review", "vet.yaml", "--sample", "0", code=2)
    assert "--take goes with no other choice" in pipe(
        home, "review", "vet.yaml", "--take", "x", "--html", "y", code=2
    )
    assert "no row was dropped by a rule 'empty_ouput' - did you mean 'empty_output'?" in pipe(
        home, "review", "vet.yaml", "--rule", "empty_ouput", code=2
    )
    (home / "decisions.jsonl").write_text('{"id": "e1-a", "verdict": "kep"}\n')
    assert "decisions.jsonl:1: 'kep' is not a verdict - known are: keep" in pipe(
        home, "review", "vet.yaml", code=2
    )
    (home / "decisions.jsonl").unlink()
    (home / "new.yaml").write_text(RECIPE)
    assert "nothing was run" in pipe(home, "review", "new.yaml", code=2)
    (home / "vet.yaml").write_text(f"{RECIPE}  decisions: false\n")
    assert "decisions would play no part - remove that key" in pipe(
        home, "review", "vet.yaml", code=2
    )
