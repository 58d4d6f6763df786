"""Tells those whom the recipe names under `on:` what happened. Nothing of it stops a run or changes how it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from alpaca_pipe.recipe.hooks import HookEvent, Hooks, is_address, is_command, variable_of

_ATTEMPTS, _WITHIN, _FIRST_PAUSE = 3, 10.0, 1.0  # a try, and seconds
_A_COMMAND = 60.0  # seconds


@dataclass
class HookCalls:
    """The hooks of one run. facts: of the run as it is now, for the payload: no key and no text of a row is among them.

    The payload is a JSON object: event, sentence, and what runner.py says of the run (recipe, run, at, outcome, cause, dollars,
    dollars_of_all_runs, rows, verdict, report, minutes, rehearsal); and the same in a line as `text` and as `content`, which chat
    services show."""

    hooks: Hooks
    facts: Callable[[], Mapping[str, Any]]
    say: Callable[[str], None]
    pause: float = _FIRST_PAUSE
    keys: Collection[
        str
    ] = ()  # variables that hold a teacher's key: no command inherits one that it does not name
    _told: set[str] = field(default_factory=set)
    _threads: list[threading.Thread] = field(default_factory=list)

    def ended(self, outcome: HookEvent, sentence: str) -> None:
        """Waits until all are told, or every try failed: half a minute at most, a minute for a command."""
        self._begin(outcome, sentence)
        for thread in self._threads:
            thread.join()

    def budget_nearly_used(self, sentence: str) -> None:
        """Once a run, beside the work that goes on."""
        if "budget_80" not in self._told:
            self._begin("budget_80", sentence)

    def _begin(self, event: HookEvent, sentence: str) -> None:
        self._told.add(event)
        if not (calls := self.hooks.of(event)):
            return
        facts = {"event": event, **self.facts(), "sentence": sentence}
        line = f"{facts.get('recipe')}: {event}" + (f" - {sentence}" if sentence else "")
        payload = json.dumps({**facts, "text": line, "content": line}, default=str).encode()
        for hook in calls:
            thread = threading.Thread(target=self._call, args=(hook, event, payload), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _call(self, hook: str, event: str, payload: bytes) -> None:
        try:
            fault = (
                _run(hook, event, payload, self.keys)
                if is_command(hook)
                else self._post(hook, payload)
            )
        except Exception as error:  # noqa: BLE001  whatever it is, it is no reason to end a run
            fault = f"{type(error).__name__}: {error}"
        if fault:
            self.say(f"on.{event}: {_named(hook)} was not told: {fault}")

    def _post(self, hook: str, payload: bytes) -> str:
        """What went wrong, or "". An address often is a secret: only its host is ever named."""
        name = variable_of(hook)
        address = os.environ.get(name, "") if name else hook
        if not is_address(address):
            return "the variable holds no https:// address"
        fault = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            request = Request(address, payload, {"Content-Type": "application/json"})
            try:
                with build_opener(_NotElsewhere()).open(request, timeout=_WITHIN):
                    return ""
            except HTTPError as error:
                fault = f"it answered {error.code}"
                if error.code < 500 and error.code != 429:
                    return fault
            except (URLError, OSError) as error:
                fault = f"it cannot be reached ({getattr(error, 'reason', error)})"
        return fault


class _NotElsewhere(HTTPRedirectHandler):
    """urllib would go on to the other address without the payload, and call that told."""

    def redirect_request(self, *_: Any) -> None: ...


def _run(command: str, event: str, payload: bytes, keys: Collection[str]) -> str:
    hidden = {name for name in keys if not re.search(rf"\b{re.escape(name)}\b", command)}
    inherited = {name: value for name, value in os.environ.items() if name not in hidden}
    try:
        done = subprocess.run(
            command,
            shell=True,
            input=payload,
            capture_output=True,
            timeout=_A_COMMAND,
            env={**inherited, "ALPACA_PIPE_EVENT": event},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it ran for more than {_A_COMMAND:.0f} s and was ended"
    if done.returncode == 0:
        return ""
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return f"it ended with {done.returncode}" + (f": {said[-1][:200]}" if said else "")


def _named(hook: str) -> str:
    return str(urlsplit(hook).hostname) if is_address(hook) else f"`{hook}`"
