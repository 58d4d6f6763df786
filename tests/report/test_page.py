"""The page: whole in itself, safe with any row, plain in its words."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.example import Example, Origin, Rejected
from alpaca_pipe.report.facts import gather
from alpaca_pipe.report.report_page import render, write
from alpaca_pipe.report.verdict_text import in_words
from tests.report.conftest import FREE, VERDICT, Workspace, buy, examples

EVIL = '<script>alert("x")</script><img src=x onerror=alert(1)>\'"&{{ 7 * 7 }}{% raw %}'


class Page(HTMLParser):
    """Tags, addresses and visible text of a page; fails on a tag that is not closed by its own."""

    VOID = frozenset({"meta", "br", "img", "link"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [
            value or "" for name, value in attrs if name in ("href", "src", "xlink:href")
        ]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def page(workspace: Workspace) -> Page:
    buy(workspace.root, [f"r1-{n:032x}" for n in range(4)])
    return Page(write(workspace.root, "tea").read_text())


def test_it_says_what_the_run_came_to(page: Page) -> None:
    for words in (
        "The tuned model is better than the base",
        "On 16 examples that it never saw, its loss fell from 2.131 to 1.672 nats per token: by 0.459",
        "(95 % interval 0.371 to 0.552). On average the right next token became 1.58 times as likely as before.",
        "It also beats both controls",
        "Against the base model, prompted with its own chat template: −0.262 [−0.360, −0.166], beaten.",
        "$0.0014 settled over all runs of this recipe, $0.0014 of it in this one; nothing lost.",
        "agree to the nano-dollar: 1,399,200 settled, 0 lost, 0 open.",
        "It adds up: 8 = 5 kept + 3 dropped, counted again in the files.",
        "Tea, coffee and cocoa.",
        "the output stops in mid-sentence",
        "torch 2.13.0",
    ):
        assert words in page.text, words


def test_it_needs_nothing_else(page: Page) -> None:
    assert [address for address in page.addresses if not address.startswith("#")] == []
    assert not {"script", "link", "iframe", "img"} & set(page.tags)


def test_it_is_small_and_its_figures_are_text_in_the_pages_colours(workspace: Workspace) -> None:
    html = write(workspace.root, "tea").read_text()
    assert len(html.encode()) < 1_000_000
    assert html.count("<svg") == 2 and "@import" not in html and "url(http" not in html
    svg = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert ">shuffled</text>" in svg and ">tuned</text>" in svg and "var(--tuned)" in svg
    assert not re.search(r"#[0-9a-f]{6}\b", svg) and "font-family" not in svg
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_a_run_keeps_its_page_and_the_same_facts_make_the_same_page(workspace: Workspace) -> None:
    path = write(workspace.root, "tea")
    first = path.read_bytes()
    assert path == workspace.root / "tea" / "report.html"
    assert (workspace.root / "tea" / "reports" / "run-1.html").read_bytes() == first
    assert write(workspace.root, "tea").read_bytes() == first


def test_no_text_of_a_row_becomes_markup(tmp_path: Path) -> None:
    rows = [Example.of(f"{EVIL} {n}", EVIL, EVIL, Origin("generated", EVIL)) for n in range(4)]
    made = Workspace(tmp_path, "tea")
    made.generate(
        rows, [Rejected(EVIL, EVIL, EVIL, EVIL), Rejected(rows[0], "likeness", EVIL, nearest=EVIL)]
    )
    made.curate(rows)
    made.evaluate(rows[:1], VERDICT | {"missing": {"chat": EVIL}})
    made.config["teacher"] = {"model": EVIL}
    made.close()
    page = Page(render(gather(tmp_path, "tea")))
    assert not {"script", "img"} & set(page.tags) and page.handlers == []
    assert (
        page.text.count('<script>alert("x")</script>') > 12
        and "{{ 7 * 7 }}" in page.text
        and "49" not in page.text
    )


def test_free_is_said(workspace: Workspace) -> None:
    workspace.config["teacher"] = {"kind": "local_server", "price": {"in": "0", "out": "0"}}
    workspace.close()
    buy(workspace.root, ["r1-1"], price=FREE)
    text = Page(render(gather(workspace.root, "tea"))).text
    assert "The local teacher is free: no API was paid, $0." in text


def test_a_rehearsal_says_that_its_money_is_on_paper(workspace: Workspace) -> None:
    workspace.close(rehearsal=True)
    buy(workspace.root, ["r1-1"])
    text = Page(render(gather(workspace.root, "tea"))).text
    assert (
        "On paper, for a rehearsal pays nothing: $0.0003 settled" in text
        and "its losses mean nothing" in text
    )


def test_half_a_run_and_no_run_make_a_page(tmp_path: Path) -> None:
    made = Workspace(tmp_path)
    made.generate(examples(), accepted=7)
    made.close(outcome="stopped")
    text = Page(render(gather(tmp_path, "tea"))).text
    assert (
        "No verdict yet" in text and "The run was stopped" in text and "It does not add up" in text
    )
    assert (
        "Missing: nothing is known of a run of 'milk'"
        in Page(render(gather(tmp_path, "milk"))).text
    )


def changed(**difference: tuple[float, float, float]) -> dict[str, Any]:
    gaps = {
        name: dict(zip(("mean", "lo", "hi"), gap, strict=True)) for name, gap in difference.items()
    }
    return VERDICT | {
        "verdict": "not shown to be better",
        "difference": VERDICT["difference"] | gaps,
    }


def test_words_for_other_verdicts() -> None:
    unsure = in_words(changed(shuffled=(-0.1, -0.3, 0.1)), "done")
    assert unsure.headline == "The tuned model is not shown to be better" and unsure.tone == ""
    assert unsure.lead.endswith(
        "But it does not clearly beat a control trained for as many steps on the same rows, with the answers "
        "shuffled among the instructions."
    )
    assert [entry.tone for entry in unsure.rounds] == ["won", "won", "unsure"]
    worse = in_words(changed(base=(0.2, 0.1, 0.3)) | {"verdict": "worse"}, "done")
    assert (
        worse.headline == "The tuned model is worse than the base"
        and worse.rounds[0].tone == "lost"
    )
    assert (
        "its loss rose from" in worse.lead
        and "by 0.200 (95 % interval 0.100 to 0.300)" in worse.lead
    )
    assert "1.22 times less likely" in worse.lead
    loses = in_words(changed(shuffled=(0.2, 0.1, 0.3)) | {"verdict": "worse"}, "done")
    assert loses.headline == "The tuned model loses to a control" and loses.tone == "worse"
    assert (
        "its loss fell from" in loses.lead
        and "But it loses to a control trained for as many steps" in loses.lead
    )
    assert in_words(None, "failed").lead.startswith("The run failed")


def test_a_loss_that_is_no_number_makes_a_page_that_says_so(workspace: Workspace) -> None:
    nan = (float("nan"),) * 3
    broken = changed(base=nan, chat=nan, shuffled=nan)
    broken["loss"] = VERDICT["loss"] | {"tuned": dict(zip(("mean", "lo", "hi"), nan, strict=True))}
    workspace.evaluate(
        examples()[:2], broken | {"sentence": "not shown to be better: the training diverged"}
    )
    workspace.close()
    text = Page(render(gather(workspace.root, "tea"))).text
    assert (
        "The tuned model is not shown to be better not shown to be better: the training diverged"
        in text
    )
    assert text.count("a loss is not a number.") == 3 and "its loss rose" not in text


def test_it_names_files_and_not_where_they_lie(workspace: Workspace) -> None:
    workspace.config["generate"] = {
        "seeds": "/home/ada/secret/tasks.jsonl",
        "more": ["/home/ada/a.jsonl"],
    }
    workspace.config["base"] = {"model": "/home/ada/weights/small.gguf"}
    workspace.config["on"] = {
        "done": ["https://hooks.example/T1/abc-secret"],
        "failed": ["tell --key abc-secret"],
    }
    workspace.close()
    (workspace.root / "ledger.sqlite").write_text("no ledger " * 200)
    facts = gather(workspace.root, "tea")
    overrides = ["base.model=/home/ada/weights/small.gguf", "train.method=full"]
    others = [
        'curate.protect=["/home/ada/p.jsonl", ../../ada-home/q.jsonl]',
        "generate.seeds=~/ada-home/r.jsonl",
        'teacher.headers={"X-Api-Key": "abc-secret"}',
        "judge.headers.X-Api-Key=abc-secret",
        "on.done=https://chat.example/abc-secret",
        'on={"failed": ["curl -H abc-secret", "https://ada:abc-secret@mail.example/x"]}',
    ]
    overrides += others
    text = Page(render(replace(facts, run={**facts.run, "overrides": overrides}))).text
    assert f"alpaca-pipe run {facts.recipe} base.model=small.gguf train.method=full" in text
    assert "ada-home" not in text and "abc-secret" not in text
    assert "/home/ada" not in text and str(workspace.root) not in text
    for name in (
        "tasks.jsonl",
        '"a.jsonl"',
        "base.model=small.gguf train.method=full",
        "ledger.sqlite is not a ledger",
        "p.jsonl",
        "q.jsonl",
        "generate.seeds=r.jsonl",
        "hooks.example",
        "on.done=chat.example",
        "mail.example",
    ):
        assert name in text, name
