"""A real browser for the pages that we make."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless Chromium; skips the test, with what is missing, where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (the extra `dev` brings it)"
    )
    path = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if path is None:
        pytest.skip("no Chromium is installed here (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield launched
        launched.close()


def reload_until(page: Page, shown: Callable[[], bool]) -> None:
    """Reloads a page until it shows what it stored. Chromium (156) hands what a page puts into localStorage
    to the process that keeps it a moment later: a reload at once may read what was there before."""

    def again() -> bool:
        page.reload()
        return shown()

    until(again)
