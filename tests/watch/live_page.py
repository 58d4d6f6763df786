"""`alpaca-pipe watch` and its page in Chromium, for whoever looks at a run while it runs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@contextmanager
def watching(*words: str | Path, cwd: Path) -> Iterator[str]:
    """`alpaca-pipe watch` as a process of its own, on a free port; it must end cleanly by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "alpaca_pipe", "watch", *map(str, words), "--port", "0"],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        address = process.stdout.readline().strip()
        assert address, process.stderr.read()
        yield address
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0 and not out and "Traceback" not in err, err
        assert "the run was not touched" in err
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def seen(browser: Browser, url: str) -> Iterator[Page]:
    """The page in a phone's width; nothing may be complained of, or asked for elsewhere."""
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page, wrong = context.new_page(), list[str]()
    page.set_default_timeout(PATIENCE * 1000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: None if asked.url.startswith(url) else wrong.append(asked.url))
    page.goto(url)
    yield page
    assert not wrong
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "phone width"
    context.close()


def says(page: Page, words: str) -> None:
    """Waits until the headline says it."""
    page.wait_for_function(
        "words => document.getElementById('headline').textContent.includes(words)", arg=words
    )
