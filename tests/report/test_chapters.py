"""The chapters of the page: each a module with its template, found by their folder, in the order that they say."""

from __future__ import annotations

import re

from alpaca_pipe.core.registry import members
from alpaca_pipe.report.chapters.base import ReportChapter, with_figures
from alpaca_pipe.report.facts import gather
from alpaca_pipe.report.report_page import CHAPTERS, render
from tests.house.test_layers import PACKAGE
from tests.report.conftest import Workspace

FOLDER = PACKAGE / "report" / "chapters"


def every_chapter() -> tuple[ReportChapter, ...]:
    return members(CHAPTERS, ReportChapter)


def test_each_has_a_place_of_its_own_and_a_template() -> None:
    chapters = every_chapter()
    assert (
        len({one.order for one in chapters}) == len({one.name for one in chapters}) == len(chapters)
    )
    for one in chapters:
        assert (FOLDER / one.template).is_file(), f"chapter '{one.name}' has no {one.template}"
        text = (FOLDER / one.template).read_text(encoding="utf-8")
        assert f'<section id="{one.name}">' in text or one.template == "figures.html.j2", one.name
    assert {path.name for path in FOLDER.glob("*.j2")} == {one.template for one in chapters}


def test_those_that_have_something_to_say_stand_in_the_page_in_their_order(
    workspace: Workspace,
) -> None:
    facts = gather(workspace.root, "tea")
    said = [one for one in every_chapter() if one.told(facts) is not None]
    assert len(said) > 5
    wanted = [one.name for one in sorted(said, key=lambda one: one.order)]
    assert re.findall(r'<section id="(\w+)"', render(facts)) == wanted


def test_a_chapter_of_title_sentences_and_figures_is_escaped() -> None:
    told = with_figures("A <b>title</b>", ["One & two."], [])
    assert told == {"title": "A <b>title</b>", "sentences": ("One & two.",), "figures": ()}
