"""The engineer's week: own rows in a CSV, read at a terminal and in a browser; a template of the house, a tune, people and a judge on
its answers, a colleague's machine; a GGUF file, a server, OpenAI's client. Real processes, a pseudo-terminal, Chromium.

The lines build on each other, so they are tests in an order, over one folder.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_pipe.core.files import read_json, read_jsonl
from tests.browser import chromium
from tests.command import command, told
from tests.serve.conftest import served
from tests.terminal import Terminal
from tests.week.books import amounts, in_dollars, settled

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest.importorskip("trl")

TEMPLATE = "Desk of the depot.\nGuest: {{ instruction }}\nDesk: {{ output }}\n"
STOPS = ("the fair", "Hill Street", "the lake", "North Gate", "the zoo", "Old Market")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engineer")
    with (folder / "tickets.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["Customer Question", "Agent Reply"])
        for n in range(48):
            name = "".join("abcdefghij"[int(digit)] for digit in f"{n * 7919:06d}")
            rows.writerow(
                [
                    f"When does the tram to {name} leave?",
                    f"The tram to {name} leaves at {n % 12 + 6}.",
                ]
            )
    (folder / "questions.txt").write_text(
        "".join(f"When does the tram to {name} leave?\n" for name in STOPS)
    )
    (folder / "mine.jinja").write_text(TEMPLATE)
    (folder / "desk.yaml").write_text(
        "base: {model: tiny}\ngpu: {per_hour: 0}\nbudget: {api: 1}\n"
        "curate: {from: tickets.csv, held_out: 12, filters: none, likeness: 0.99}\n"
        "train: {template: mine.jinja, max_steps: 6, learning_rate: 1e-2, max_length: 600, control: none}\n"
        "evaluate:\n  samples: 0\n  judge:\n    teacher: {kind: rehearsed, model: gpt-4.1}\n"
        "    prompts: questions.txt\n    answer_tokens: 12\n"
        "export: {gguf: [f16]}\n"
    )
    return folder


@pytest.fixture
def colleague(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "ALPACA_PIPE_CACHE": str(tmp_path / "cache")}


def test_a_wrong_template_costs_nothing(desk: Path) -> None:
    (desk / "bad.jinja").write_text("{% include 'x' %}{{ instruction }}{{ output }}")
    for words in (("plan", "desk"), ("run", "desk")):
        done = command(*words, "train.template=bad.jinja", cwd=desk)
        assert done.code == 2 and "bad.jinja:1: it reads another file" in done.err
        assert "Traceback" not in done.err
    assert not list((desk / "runs").glob("store/train-*"))


def test_plan_counts_the_rows(desk: Path) -> None:
    assert "about 48 rows" in " ".join(told("plan", "desk", "-v", cwd=desk).split())


def decided(desk: Path) -> list[tuple[str, str]]:
    rows = [row for path in desk.glob("**/decisions.jsonl") for row in read_jsonl(path)]
    return sorted({(row["verdict"], row["why"]) for row in rows if row["verdict"] == "drop"})


def test_rows_are_read_at_a_terminal(desk: Path) -> None:
    assert command("run", "desk", "--until", "curate", cwd=desk).code == 0
    with Terminal(desk, "review", "desk") as there:
        there.until("uit ? > ")
        there.type("k")
        there.until("uit ? > ")
        there.type("d")
        there.until("why")
        there.type("no such tram\n")
        there.until("uit ? > ")
        there.type("q")
        assert there.end()[0] == 0
    assert decided(desk) == [("drop", "no such tram")]


def test_and_on_a_page(desk: Path) -> None:
    told("review", "desk", "--html", "review.html", cwd=desk)
    with chromium() as browser:
        page = browser.new_page()
        page.goto((desk / "review.html").as_uri())
        page.keyboard.press("d")
        page.keyboard.type("asked twice")
        page.keyboard.press("Enter")
        with page.expect_download() as download:
            page.keyboard.press("w")
        download.value.save_as(desk / "from-the-page.jsonl")
    told("review", "desk", "--take", "from-the-page.jsonl", cwd=desk)
    assert decided(desk) == [("drop", "asked twice"), ("drop", "no such tram")]


def test_it_is_tuned_and_judged_without_what_was_dropped(desk: Path) -> None:
    done = command("run", "desk", "--until", "evaluate", cwd=desk)
    assert done.code == 0, done.err
    dropped = {text for verdict, text in decided(desk)}
    assert dropped
    gone = json.loads(told("rows", "desk", "--rejected", "--json", cwd=desk))
    assert {row["reason"] for row in gone} == dropped
    assert len(json.loads(told("rows", "desk", "--sample", "99", "--json", cwd=desk))) == (
        48 - len(dropped)
    )
    assert settled(desk) > 0  # the judge's


def test_the_mask_is_the_own_template(desk: Path) -> None:
    said = told("show-mask", "desk", cwd=desk)
    assert "Desk of the depot.\nGuest: When does" in said and "⟦The tram to" in said


def test_a_person_rates_the_answers_and_nothing_is_judged_again(desk: Path) -> None:
    (rating,) = (desk / "runs" / "store").glob("evaluate-*/rating.html")
    with chromium() as browser:
        page = browser.new_page()
        page.goto(rating.as_uri())
        page.click("#say-A")
        page.keyboard.press("t")
        with page.expect_download() as saved:
            page.click("#save")
        saved.value.save_as(desk / "ratings.json")
    before = settled(desk)
    done = command(
        *("run", "desk", "--until", "evaluate", "evaluate.judge.ratings=ratings.json"), cwd=desk
    )
    assert done.code == 0, done.err
    assert settled(desk) == before
    lock = read_json(desk / "runs" / "desk" / "lock.json")
    summary = read_json(desk / "runs" / "store" / lock["steps"]["evaluate"] / "done.json")[
        "summary"
    ]
    assert summary["people"]["wins"] + summary["people"]["losses"] == 1
    assert summary["people"]["ties"] == 1


def dollars_on(page_of: Path, browser: Browser) -> str:
    """The figure that stands at the head of a report, and what is said of it."""
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_of.as_uri())
    (figure,) = page.locator(".figures div", has_text="dollars").all_inner_texts()
    assert asked == [page_of.as_uri()]  # nothing from elsewhere
    page.close()
    return str(figure)


def test_a_colleague_has_the_same_rows_and_is_told_where_the_cents_are(
    desk: Path, colleague: dict[str, str], tmp_path: Path
) -> None:
    """On another machine: a home and a cache of its own."""
    told("pack", "desk", "-o", "desk.tar.zst", cwd=desk)
    (tmp_path / "desk.tar.zst").write_bytes((desk / "desk.tar.zst").read_bytes())
    done = command("unpack", "desk.tar.zst", "--yes", cwd=tmp_path, **colleague)
    assert done.code == 0, done.err
    steps = json.loads(told("plan", "desk", "--json", cwd=tmp_path, **colleague))["steps"]
    verdicts = {step["stage"]: step["verdict"] for step in steps}
    assert {verdicts[stage] for stage in ("curate", "train", "evaluate")} == {"up to date"}
    rows = [
        told("rows", "desk", "--sample", "99", "--json", cwd=place) for place in (desk, tmp_path)
    ]
    assert rows[0] == rows[1]
    told("report", "desk", cwd=tmp_path, **colleague)
    with chromium() as browser:
        shown = [
            dollars_on(place / "runs" / "desk" / "report.html", browser)
            for place in (desk, tmp_path)
        ]
    assert amounts(shown[0]) == [in_dollars(settled(desk), amounts(shown[0])[0])]
    assert "$0\n" in shown[1] and "without what came in the pack" in shown[1]
    said = told("report", "desk", "--summary", cwd=tmp_path, **colleague)
    assert "curate, train and evaluate came in a pack" in said and "report.html" in said
    assert settled(tmp_path) == 0  # nothing is bought again


@pytest.mark.slow
def test_a_rehearsal_goes_to_the_end(desk: Path) -> None:
    pytest.importorskip("xllamacpp")
    assert "a rehearsal: $0.00 was spent" in told("run", "desk", "--rehearse", cwd=desk)


@pytest.mark.slow
def test_it_is_exported_and_talked_to_at_a_terminal(desk: Path) -> None:
    pytest.importorskip("xllamacpp")
    done = command("run", "desk", cwd=desk)
    assert done.code == 0, done.err
    assert "model-f16.gguf" in done.out + done.err and "verdict" in done.out
    with Terminal(desk, "chat", "desk", "--max-tokens", "8") as there:
        there.until("> ")
        there.type("When does the tram to abc leave?\n")
        there.until("\n> ")
        there.type("/save talk.jsonl\n")
        there.until("1 answers written")
        there.type("/quit\n")
        assert there.end()[0] == 0
    (row,) = read_jsonl(desk / "talk.jsonl")
    assert row["instruction"] == "When does the tram to abc leave?"


@pytest.mark.slow
def test_what_is_shipped_asks_with_it_when_the_file_is_gone(desk: Path) -> None:
    pytest.importorskip("xllamacpp")
    (desk / "mine.jinja").unlink()
    (model,) = (desk / "runs" / "store").glob("export-*/merged")
    note = json.loads((model / "template.json").read_text())
    assert (
        note["template"] == "mine.jinja"
        and "Desk of the depot." in (model / "chat_template.jinja").read_text()
    )
    (gguf,) = (desk / "runs" / "store").glob("export-*/**/*f16.gguf")
    assert "Desk of the depot." in (gguf.parent / "Modelfile").read_text()
    import openai

    question: Any = [{"role": "user", "content": "When does the tram to abc leave?"}]
    with served(str(gguf)) as (url, _):
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        (name, *_) = [one.id for one in client.models.list()]
        answer = client.chat.completions.create(
            model=name, messages=question, temperature=0, max_tokens=8
        )
    asked = len("<") + len(b"Desk of the depot.\nGuest: When does the tram to abc leave?\nDesk: ")
    assert (
        answer.usage is not None and answer.usage.prompt_tokens == asked
    )  # a token a byte, and BOS
    assert answer.usage.completion_tokens > 0
