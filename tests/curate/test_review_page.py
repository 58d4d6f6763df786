"""The page of a review in a real browser, without a network: keys, hostile texts, its memory, and the file that it saves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.files import read_jsonl
from alpaca_pipe.curate.review.decisions import Decision, Decisions, decision, read_decisions
from alpaca_pipe.curate.review.review_page import page_of, write_page
from alpaca_pipe.curate.review.session import ReviewItem, take
from tests.browser import chromium, reload_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = (
    "</script><script>document.title = 'taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "<!--<script>",
    "]]>&lt;b&gt;&amp;{{data}}\u2028\u2029",
    "a\u202eb\x1bc \ud7ff",
    "`${document.title = 'taken'}` \\u003c \\",
)


def items(*outputs: str) -> list[ReviewItem]:
    rows = [
        Example.of(
            f"Row {number}: {output}",
            output if number % 2 else "",
            output,
            Origin("generated", output),
        )
        for number, output in enumerate(outputs)
    ]
    return [
        ReviewItem(row, "kept, to train on", (row.origin.source, "x"), partial(str, row.output))
        for row in rows
    ]


def data_of(page: str) -> dict[str, Any]:
    [found] = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL
    )
    value: dict[str, Any] = json.loads(found)
    return value


def test_no_text_breaks_out_of_the_page() -> None:
    page = page_of(items(*HOSTILE), Decisions(), recipe="</title><script>x", who="<b>", sitting="s")
    assert [row["texts"]["output"] for row in data_of(page)["rows"]] == list(HOSTILE)
    assert (
        page.count("<script") == 2
        and page.count("</script>") == 2
        and "<!--" not in page
        and "<img" not in page
    )
    assert "&lt;/title&gt;&lt;script&gt;x" in page and page.count("</title>") == 1
    assert not re.search(
        r"(src|href)=|https?://|@import|url\(", page.split('id="data"')[0]
    )  # nothing from outside
    assert "default-src 'none'" in page and "unsafe" not in page


def test_the_unread_come_first_and_what_was_decided_is_in_it() -> None:
    rows = items("a", "b", "c")
    told = (decision(rows[0].example, "keep"), Decision("e1-elsewhere", "drop"))
    data = data_of(page_of(rows, Decisions(None, told), recipe="vet", who="anna", sitting="s"))
    assert [row["texts"]["output"] for row in data["rows"]] == ["b", "c", "a"]
    assert [line["id"] for line in data["lines"]] == [rows[0].example.id]
    again = data_of(page_of(rows, Decisions(), recipe="vet", who="anna", sitting="t"))
    assert (
        again["state"] == data["state"]
    )  # made anew for the same rows, it finds what the browser kept


# ---- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1000, "height": 800}, offline=True)
    opened = context.new_page()
    faults: list[str] = []
    asked: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on(
        "console",
        lambda message: (
            faults.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    opened.on("request", lambda request: asked.append(request.url))
    yield opened
    context.close()
    assert not faults
    assert {url.split(":")[0] for url in asked} <= {"file", "blob"}


def opened(
    page: Page, file: Path, rows: list[ReviewItem], lines: tuple[Decision, ...] = ()
) -> None:
    write_page(file, rows, Decisions(None, lines), recipe="vet", who="anna", sitting="s1")
    page.goto(file.as_uri())


def saved(page: Page, folder: Path, name: str) -> Path:
    with page.expect_download() as download:
        page.keyboard.press("w")
    assert download.value.suggested_filename == "decisions.jsonl"
    download.value.save_as(folder / name)
    return folder / name


def test_hostile_rows_are_shown_as_what_they_are(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path / "page.html", items(*HOSTILE))
    for text in HOSTILE:
        shown = re.sub(r"[\u2028\u2029\u202e\x1b]", lambda found: f"U+{ord(found[0]):04X}", text)
        assert page.locator("#parts .output .text").text_content() == shown
        page.keyboard.press("s")
    assert page.title() == "vet · review"
    assert page.locator("img").count() == 0


def test_a_review_by_keys_is_taken_in(page: Page, tmp_path: Path) -> None:
    rows = items("one", "two", "three", "four")
    opened(page, tmp_path / "page.html", rows)
    assert page.locator("#place").text_content() == "1 of 4"
    page.keyboard.press("k")
    page.keyboard.press("d")
    page.keyboard.type("kept short, not dropped dead")  # letters of a reason are no commands
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    page.keyboard.type("ask Bert")
    page.keyboard.press("Enter")
    page.keyboard.press("e")
    page.fill("#text-output", "Drei, </script> schön.\nUnd mehr.")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("k")
    page.keyboard.press("u")
    assert page.locator("#count").text_content() == "3 of 4 read"
    file = saved(page, tmp_path, "decisions.jsonl")
    assert "alpaca-pipe review vet --take decisions.jsonl" in str(
        page.locator("#said").text_content()
    )
    lines = read_decisions(file).lines  # the same checks as for lines of the terminal
    assert [(line.verdict, line.why) for line in lines] == [
        ("keep", ""),
        ("drop", "kept short, not dropped dead"),
        ("note", "ask Bert"),
        ("edit", ""),
        ("keep", ""),
        ("undo", ""),
    ]
    assert [line.id for line in lines] == [rows[place].example.id for place in (0, 1, 2, 2, 3, 3)]
    assert (
        {line.who for line in lines} == {"anna"}
        and {line.session for line in lines} == {"s1"}
        and all(line.when for line in lines)
    )
    edit = lines[3]
    assert edit.texts["output"] == "Drei, </script> schön.\nUnd mehr." and edit.to != edit.id
    assert decision(rows[2].example, "edit", texts=edit.texts).about == edit.about
    own = tmp_path / "own" / "decisions.jsonl"
    assert len(take(file, own, frozenset(row.example.id for row in rows)).new) == 6
    assert [json.dumps(line) for line in read_jsonl(own)] == [
        json.dumps(line.to_row()) for line in lines
    ]


def test_the_page_remembers(page: Page, tmp_path: Path) -> None:
    """A reload, and a page made anew of the same rows, go on where they were; a later file holds the earlier lines too."""
    rows = items("one", "two", "three")
    opened(page, tmp_path / "page.html", rows)
    page.keyboard.press("k")
    first = saved(page, tmp_path, "first.jsonl")
    reload_until(page, lambda: page.locator("#count").text_content() == "1 of 3 read")
    assert page.locator("#place").text_content() == "2 of 3"
    page.keyboard.press("d")
    page.keyboard.press("Enter")
    page.keyboard.press("b")
    assert page.locator("#chip").text_content() == "dropped" and "dropped by anna" in str(
        page.locator("#facts").text_content()
    )
    opened(page, tmp_path / "page.html", rows, read_decisions(first).lines)
    reload_until(page, lambda: page.locator("#count").text_content() == "2 of 3 read")
    page.keyboard.press("ArrowRight")
    own = tmp_path / "own.jsonl"
    assert len(take(first, own, frozenset()).new) == 1
    second = take(saved(page, tmp_path, "second.jsonl"), own, frozenset())
    assert (len(second.new), second.known) == (1, 1)


def test_filters_search_and_what_is_not_stored(page: Page, tmp_path: Path) -> None:
    rows = items("apple", "pear", "plum")
    opened(page, tmp_path / "page.html", rows)
    page.keyboard.press("k")
    page.select_option("#filter", "unread")
    assert page.locator("#place").text_content() == "1 of 2"
    page.select_option("#filter", "all")
    page.locator("#main").focus()
    page.keyboard.press("/")
    page.keyboard.type("plum")
    assert page.locator("#place").text_content() == "1 of 1"
    page.keyboard.press("Escape")
    assert page.locator("#place").text_content() == "1 of 3"
    page.keyboard.press("e")
    page.fill("#text-output", "  ")
    page.keyboard.press("Control+Enter")
    assert "empty" in str(page.locator("#said").text_content())
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    assert page.locator("#count").text_content() == "1 of 3 read"
    page.keyboard.press("?")
    page.fill("#who", "Bert")
    page.keyboard.press("Escape")
    page.locator("#drop").click()
    page.keyboard.press("Enter")
    assert [line.who for line in read_decisions(saved(page, tmp_path, "d.jsonl")).lines] == [
        "anna",
        "Bert",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_and_reached(browser: Browser, tmp_path: Path, scheme: Any) -> None:
    """Contrast of every colour of text on its ground at least 4.5 (WCAG AA), every control named and reached by Tab."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": 380, "height": 700})
    page = context.new_page()
    opened(page, tmp_path / "page.html", items("one " * 400, "two"))
    low = page.evaluate("""() => {
      const light = colour => { const [r, g, b] = colour.match(/[\\d.]+/g).map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
        return .2126 * r + .7152 * g + .0722 * b; };
      const style = getComputedStyle(document.documentElement), probe = document.body.appendChild(document.createElement("i"));
      const colour = name => { probe.style.color = style.getPropertyValue("--" + name); return light(getComputedStyle(probe).color); };
      return ["ink", "quiet", "keep", "drop", "edit", "note"].flatMap(name => ["paper", "card", "wash"].map(ground => {
        const [a, b] = [colour(name), colour(ground)].sort((x, y) => y - x); return [name, ground, (a + .05) / (b + .05)]; })).filter(one => one[2] < 4.5);
    }""")
    assert low == []
    assert page.evaluate(
        "document.documentElement.scrollWidth <= innerWidth"
    )  # nothing is cut off on a phone
    names = page.evaluate("""() => [...document.querySelectorAll("button, input, select")].filter(one => one.offsetParent)
      .map(one => one.getAttribute("aria-label") || one.textContent.trim() || (one.labels && one.labels[0] && one.labels[0].textContent) || "")""")
    assert len(names) >= 12 and all(names)
    reached = set()
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"filter", "search", "help", "keep", "drop", "edit", "note", "skip"} <= reached
    context.close()
