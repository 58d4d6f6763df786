"""Who else asks a teacher thousands of questions: each in its own venv, driven alike, measured from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[3]
VENVS = ROOT / ".venv-peers"
PACKAGES = {
    "curator": ["bespokelabs-curator"],
    "distilabel": ["distilabel[openai]", "requests"],
}  # which it needs and does not name
_PACKAGE_OF = {"curator": "bespokelabs-curator", "distilabel": "distilabel"}
_INSTALL_WITHIN, _ANSWER_WITHIN = 1200, 240  # seconds; the longest of these runs takes ten
_LOOK_EVERY = 0.1  # seconds


@dataclass(frozen=True)
class Ran:
    """One process and its children. peak: bytes resident, children included (pages that they share count twice)."""

    code: int
    cpu: float  # seconds
    peak: int
    said: dict[str, Any]  # the line of JSON that it printed
    log: str

    @property
    def rows(self) -> str:
        """How many questions were answered, or how it ended instead."""
        if "rows" in self.said:
            return f"{self.said['rows']:,}"
        if self.code == -signal.SIGKILL:
            return f"no end within {_ANSWER_WITHIN} s"
        errors = [
            line for line in self.log.splitlines() if re.match(r"[\w.]+(Error|Exception)\b", line)
        ]
        return f"none: exit {self.code}, {errors[-1][:60] if errors else 'no reason given'}"


def install(peer: str) -> str:
    """Why a peer cannot be used; "" where it can."""
    python = VENVS / peer / "bin" / "python"
    done = VENVS / peer / ".installed"
    if done.exists():
        return ""
    try:
        subprocess.run(
            [sys.executable, "-m", "venv", str(VENVS / peer)], check=True, capture_output=True
        )
        subprocess.run(
            [
                str(python),
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                *PACKAGES[peer],
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=_INSTALL_WITHIN,
        )
    except subprocess.TimeoutExpired:
        return f"not installed within {_INSTALL_WITHIN} s"
    except subprocess.CalledProcessError as error:
        return f"pip could not install it: {str(error.stderr).strip().splitlines()[-1:]}"
    done.touch()
    return ""


def version(peer: str) -> str:
    code = f"from importlib.metadata import version; print(version('{_PACKAGE_OF[peer]}'))"
    done = subprocess.run(
        [str(VENVS / peer / "bin" / "python"), "-c", code],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def ask(
    who: str,
    folder: Path,
    url: str,
    questions: list[str],
    concurrency: int,
    kill_when: Callable[[], bool] | None = None,
    **more: Any,
) -> Ran:
    """Has `who` ("ours", "bare" or a peer) answer the questions; kills it and its children when `kill_when` says so."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "questions.json"
    file.write_text(json.dumps(questions))
    asked = {
        "who": who,
        "url": url,
        "questions": str(file),
        "concurrency": concurrency,
        "folder": str(folder),
        **more,
    }
    if who in PACKAGES:
        command = [
            str(VENVS / who / "bin" / "python"),
            str(Path(__file__).parent / f"drive_{who}.py"),
        ]
    else:
        command = [sys.executable, "-m", "tests.bench.asking"]
    log = folder / "log.txt"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [*command, json.dumps(asked)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=stream,
            start_new_session=True,
            env={k: v for k, v in os.environ.items() if "PROXY" not in k.upper()},
        )
    said = bytearray()
    assert process.stdout is not None
    out = process.stdout
    reading = threading.Thread(target=lambda: said.extend(out.read()), daemon=True)
    reading.start()
    peak = _follow(process, kill_when)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    reading.join(10)
    return Ran(
        process.returncode,
        usage.ru_utime + usage.ru_stime,
        peak,
        _json(said.decode(errors="replace")),
        log.read_text(errors="replace")[-2000:],
    )


def _follow(process: subprocess.Popen[bytes], kill_when: Callable[[], bool] | None) -> int:
    """Until it is over; answers the most memory that it and its children held."""
    own, peak, until = psutil.Process(process.pid), 0, time.monotonic() + _ANSWER_WITHIN
    while True:
        try:
            if own.status() == psutil.STATUS_ZOMBIE:
                return peak
            family = [own, *own.children(recursive=True)]
            peak = max(peak, sum(_resident(member) for member in family))
        except psutil.NoSuchProcess:
            return peak
        if time.monotonic() > until or (kill_when and kill_when()):
            os.killpg(process.pid, signal.SIGKILL)  # the session that it leads
            return peak
        time.sleep(_LOOK_EVERY if kill_when is None else 0.01)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _json(printed: str) -> dict[str, Any]:
    for line in reversed(printed.splitlines()):
        if line.startswith("{"):
            said: dict[str, Any] = json.loads(line)
            return said
    return {}
