"""Cards, the FOCUS CSV and the pages: a name of others is a name there."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.data.cards import dataset_card, model_card, teachers_of
from alpaca_pipe.data.commercial_use import as_chapter
from alpaca_pipe.data.markdown import as_text, fenced
from alpaca_pipe.export.browser.static_folder import ENGINE as WLLAMA_ENGINE
from alpaca_pipe.export.onnx.onnx_folder import ENGINE as TRANSFORMERS_ENGINE
from alpaca_pipe.export.static_page.static_page import PageEngine
from alpaca_pipe.ledger.entries import LedgerEntry
from alpaca_pipe.ledger.statements.focus import Charge, focus_row
from tests.attack.examples import many

ROOT = Path(__file__).resolve().parents[2] / "alpaca_pipe"
NAMES = st.text(
    st.characters(codec="utf-8") | st.sampled_from("<>|[](){}*_`~#!\\\n=+-@"), max_size=40
)
BAD = [
    "<script>alert(1)</script>",
    "x\n---\nlicense: mit\n",
    "[a](http://evil)",
    "![a](http://evil/p.png)",
    "`a` | b | c",
    "\x1b[31m\u202e",
    "**yes**",
]
PAGES = [
    "report/report.html.j2",
    "curate/review/review_page.html",
    "teacher_comparison/comparison_page.py",
    "serve/chat_page.html",
    "export/static_page/static_page.html",
    "watch/watch_page.html",
    "evaluate/judge/rating_page.html",
]


@many
@given(NAMES)
def test_a_name_in_a_card_is_one_line_that_means_nothing(name: str) -> None:
    text = as_text(name)
    assert "\n" not in text and not re.search(r"(?<!\\)(?:\\\\)*[<>\[\]`*|]", text)
    assert (
        re.sub(r"\\([\\`*\[\]<>|~$_#])", r"\1", text).split()
        == as_text(name).replace("\\\\", "\0").replace("\\", "").replace("\0", "\\").split()
    )


@pytest.mark.parametrize(
    "name", ["gpt-4.1-nano", "HuggingFaceTB/SmolLM2-135M", "my_model_v2", "qwen2.5:7b"]
)
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert as_text(name) == name


@pytest.mark.parametrize("name", BAD)
def test_no_name_ends_the_head_of_a_card_or_writes_in_it(name: str) -> None:
    card = dataset_card({"rows": 1}, {"generated": 1}, name, ("json",))
    head, body = card.removeprefix("---\n").split("\n---\n", 1)
    assert [line.split(":")[0] for line in head.splitlines()] == [
        "license",
        "task_categories",
        "tags",
        "alpaca_pipe_teachers",
    ]
    assert "license: mit" not in body.splitlines() and "<script>" not in body
    assert "](http" not in body.replace("\\]", "")
    assert teachers_of(card) == tuple(name.split(", "))
    tuned = model_card(name, "lora", f"```\n{name}", [("base", name)], [("check", name)])
    assert "<script>" not in tuned.split("## Prompt")[0] and "\x1b" not in tuned
    assert tuned.split("\n---\n", 1)[1].split("## Prompt")[0].count("\n---") == 0
    chapter = "\n".join(as_chapter([Ingredient("teacher", name, name)]))
    assert "<script>" not in chapter.replace("\\<script", "") and "](http" not in chapter.replace(
        "\\]", ""
    )


def test_a_block_of_code_is_ended_by_no_line_of_its_text() -> None:
    fence, text, end = fenced("a\n````\nb")
    assert fence == end == "`````" and text == "a\n````\nb"


@many
@given(NAMES, st.integers(-(10**9), 10**9))
def test_no_cell_of_the_focus_csv_is_a_formula(name: str, nanodollars: int) -> None:
    at = datetime(2026, 11, 30, tzinfo=UTC).isoformat()
    entry = LedgerEntry(
        1, at, "m", name, "r", "s", name, 1, "correction", "api", nanodollars, note=name
    )
    row = focus_row(Charge(entry, at, at, {"model": name, "provider": name}, {}))
    out = io.StringIO()
    csv.writer(out).writerow(row.values())
    for cell in next(csv.reader(io.StringIO(out.getvalue()))):
        assert re.fullmatch(r"-?\d+(\.\d+)?", cell) or cell[:1] not in tuple("=+-@\t\r\n")
    assert row["BilledCost"].startswith("-") == (nanodollars < 0)


class _Policy(HTMLParser):
    found = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        said = dict(attributes)
        if tag == "meta" and said.get("http-equiv") == "Content-Security-Policy":
            self.found = said.get("content") or ""


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_a_policy_that_asks_nothing_of_the_network(page: str) -> None:
    reader = _Policy()
    reader.feed(
        (ROOT / page).read_text(encoding="utf-8").replace('\\"', '"').replace('"\n    "', "")
    )
    assert "default-src 'none'" in reader.found and "script-src 'unsafe" not in reader.found
    assert "http" not in reader.found


@pytest.mark.parametrize("engine", [WLLAMA_ENGINE, TRANSFORMERS_ENGINE])
def test_a_page_with_an_engine_asks_its_own_folder_and_nothing_else(engine: PageEngine) -> None:
    page, reader = engine.page("t", {}), _Policy()
    reader.feed(page)
    said = dict(part.strip().split(" ", 1) for part in reader.found.split(";"))
    assert said["default-src"] == "'none'" and "{{" not in page
    for kind in ("worker-src", "connect-src"):
        assert set(said[kind].split()) <= {"'self'", "blob:"}


def test_no_other_page_is_written() -> None:
    pages = [
        p
        for p in ROOT.rglob("*")
        if p.suffix in (".html", ".j2", ".py") and "_shipped" not in p.parts
    ]
    heads = {
        p.relative_to(ROOT).as_posix()
        for p in pages
        if re.search("<!doctype html", p.read_text(encoding="utf-8"), re.IGNORECASE)
    }
    assert heads == set(PAGES)
