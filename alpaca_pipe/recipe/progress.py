"""Where a running step is: rate, ETA and money on one line of a terminal, or a line every few seconds elsewhere.

All of it is kept in log.jsonl too, a JSON object a line, where `alpaca-pipe status` finds it: `at` (UTC), `run`, `stage`, `level`
(info, detail, error), `event` (began, said, progress, and how the run ended: done, stopped, failed), and `sentence`, or what was
counted: `done`, `total`, `unit`, `a_minute`, `eta` (seconds), `money`, `note`.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alpaca_pipe.core.duration import spell
from alpaca_pipe.core.text import whole

if TYPE_CHECKING:
    from rich.console import Console

_EVERY = 10.0  # seconds between two lines where there is no terminal
_NOTED = 3.0  # seconds between two lines of progress in log.jsonl
Level = Literal["info", "detail", "error"]


class Screen:
    """Says sentences and counts, to people and to log.jsonl. money: asked for at each line. verbose: details are shown, and
    kept, too: what was asked, what was dropped and why."""

    def __init__(
        self,
        console: Console,
        log: Path,
        money: Callable[[], str],
        run: str = "",
        verbose: bool = False,
    ) -> None:
        self.console, self.log, self.money, self.run, self.verbose = (
            console,
            log,
            money,
            run,
            verbose,
        )
        self.stage = ""
        self.listeners: list[Callable[[dict[str, Any]], None]] = []  # of each line of the log
        self._total = self._done = self._before = 0
        self._unit = self._note = ""
        self._began = self._said = time.monotonic()
        self._noted = 0.0
        self._live: Any = None

    def begin(self, stage: str) -> None:
        self.stage = stage
        self._total = self._done = self._before = 0
        self._began = self._said = time.monotonic()

    def end(self) -> None:
        """Takes the live line away."""
        if self._live:
            self._live.stop()
            self._live = None

    def start(self, total: int, unit: str, done: int = 0) -> None:
        self._total, self._unit, self._done, self._before, self._note = total, unit, done, done, ""
        self._began = time.monotonic()
        self._keep_count()
        if self.console.is_terminal and not self.console.quiet and self._live is None:
            from rich.live import Live

            self._live = Live(
                get_renderable=self.line, console=self.console, refresh_per_second=4, transient=True
            )
            self._live.start()

    def at(self, done: int, note: str = "") -> None:
        if done < self._before:  # a resumed step went back to its last checkpoint
            self._before, self._began = done, time.monotonic()
        self._done, self._note = done, note
        now = time.monotonic()
        if now - self._noted >= _NOTED:
            self._keep_count()
        if self._live is None and now - self._said >= _EVERY:
            self._said = now
            self.console.print(self.line(), highlight=False)

    def say(self, sentence: str) -> None:
        self.console.print(f"  {self.stage:<9} {sentence}", highlight=False)
        self.write("said", sentence=sentence)

    def detail(self, sentence: str) -> None:
        """For -v alone."""
        if self.verbose:
            self.console.print(f"  {self.stage:<9} {sentence}", style="dim", highlight=False)
            self.write("said", "detail", sentence=sentence)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While the block runs, what the rooms below log of single requests and rows are details."""
        logger, handler = logging.getLogger("alpaca_pipe"), _Details(self)
        if not self.verbose:
            yield
            return
        before = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)

    def line(self) -> str:
        """`  generate  34/60 examples  9.1/min  ETA 3 min  $0.00`"""
        rate = self._rate()
        speed = f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.1f}/min"
        eta = (
            f"ETA {spell((self._total - self._done) / rate / 60)}"
            if rate > 0 and self._done < self._total
            else ""
        )
        counts = f"{self._done}/{self._total} {self._unit}" if self._total else ""
        parts = [f"  {self.stage:<9}", counts, speed if rate else "", eta, self.money(), self._note]
        return " ".join(f"{part} " for part in parts if part).rstrip()

    def write(self, event: str, level: Level = "info", **facts: Any) -> None:
        """One line in log.jsonl. A log that cannot be written is no reason to stop paid work."""
        row = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "run": self.run,
            "stage": self.stage,
            "level": level,
            "event": event,
            **facts,
        }
        try:
            with self.log.open("a", encoding="utf-8") as stream:
                stream.write(whole(json.dumps(row, ensure_ascii=False)) + "\n")
        except OSError:
            pass
        for listener in tuple(self.listeners):
            try:
                listener(row)
            except Exception as error:  # noqa: BLE001  whatever it is, it is no reason to stop paid work
                self.listeners.remove(listener)
                self.say(f"who listens to the progress failed, and hears no more of it: {error!r}")

    def _rate(self) -> float:
        """Units a second."""
        seconds = time.monotonic() - self._began
        return (self._done - self._before) / seconds if seconds > 0 else 0.0

    def _keep_count(self) -> None:
        self._noted, rate = time.monotonic(), self._rate()
        eta = (
            round((self._total - self._done) / rate)
            if rate > 0 and self._done < self._total
            else None
        )
        self.write(
            "progress",
            pid=os.getpid(),
            done=self._done,
            total=self._total,
            unit=self._unit,
            a_minute=round(60 * rate, 2),
            eta=eta,
            money=self.money(),
            note=self._note,
        )


class _Details(logging.Handler):
    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.detail(record.getMessage())
