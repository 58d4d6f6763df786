"""Everything that can go wrong, at once, thirty times over: `make chaos`.

The whole command line is driven (`alpaca-pipe run`, a recipe of 10,000 requests), not a part of it: so the recovery at the
start, the recipe's lock, the rounds that ask again what they have, the cap of the recipe and the exit codes are all in it.
Two runs of the same recipe: a calm one, which says what it costs and which rows it makes, and the one in the storm, which
must make the same rows, byte for byte. The storm's server draws its faults for each attempt by a seed; kills come when so
many replies are out, and a random moment later; keys, quotas and models fail now and then, which stops the run until it is
started again, as it does at a cap, which is raised then.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from tests.bench.table import publish
from tests.proving.compare import asked_after_stored, compare, held_over_time, lost_by_kills
from tests.proving.faults import FATAL, ODD
from tests.proving.settings import PRICE
from tests.proving.start import ROOT, Proving, proving

# The share of attempts that meet each fault: one in six in all. The fatal ones come one by one: each of them may end a run.
# What changes the answer itself is in NATURE (the calm run meets it too), or has a test of its own (test_as_they_answer.py).
STORM = {
    "429": 0.01,
    "429_retry_after": 0.003,
    "500": 0.015,
    "503": 0.005,
    "reset": 0.01,
    "reset_billed": 0.01,
    "hang": 0.002,
    "hang_billed": 0.002,
    "cut_body": 0.01,
    "cut_chunks": 0.01,
    "malformed": 0.01,
    "empty_choices": 0.01,
    "usage_missing": 0.005,
    "usage_zero": 0.005,
    "usage_not_summing": 0.005,
    "other_model": 0.002,
    "400_unparsed": 0.005,
    "400_crashed": 0.005,
    "400_odd": 0.002,
    "413": 0.003,
    "403": 0.001,
    "404": 0.001,
    "429_words": 0.003,
    "429_info": 0.003,
    "sse": 0.005,
    **dict.fromkeys(("thinking", "thinking_closed", "channels", "template_end"), 0.004),
    **dict.fromkeys(("finish_eos", "finish_upper", "finish_null"), 0.004),
    **dict.fromkeys(("cost_low", "cost_high"), 0.003),
}
BATCH_STORM = {
    "line_twice": 0.02,
    "line_missing": 0.02,
    "line_error": 0.02,
    "batch_expired": 0.15,
    "batch_failed": 0.04,
    "office_429": 0.02,
    "office_500": 0.03,
    "office_401": 0.003,
    "office_reset": 0.02,
    "office_done_reset": 0.03,
    "office_error_body": 0.02,
    "batch_files_late": 0.1,
    **{name: chance for name, chance in STORM.items() if name in ODD and name != "sse"},
}
NATURE = {"length": 0.03, "content_filter": 0.01, "filtered_unread": 0.01}
RECIPE = """name: chaos
teacher:
  kind: {kind}
  model: proving-1
  identity: the proving server  # its port changes from run to run
  base_url: {url}
  price: {{in: {uncached_in}, out: {visible_out}, cache_read: {cache_read}}}
  concurrency: {concurrency}
  timeout: 6
  max_attempts: 12
{of_the_kind}budget:
  go_on: true  # a forecast past the cap does not stop it, so that the cap has to
generate:
  count: 1000000
  max_requests: {requests}
  round_size: {round_size}
  tasks: 1
  shown: 1
  max_tokens: 300
"""
PRINTED = "printed.txt"
_NANO = 1_000_000_000
_A_SMALL_ONE = 5000  # requests; below that not every fault is sure to come
_BUDGET = "the budget of"
_PATIENCE = 120.0  # seconds without a reply after which a run that does next to nothing hangs
_BUSY = 0.05  # of a core: who computes so much is at work, on a machine that others use too


class Broken(AssertionError):
    """A promise that did not hold."""


@dataclass
class Chaos:
    """One storm, and what came of it."""

    home: Path
    server: Proving
    cap: int  # nano-dollars
    concurrency: int
    chance: random.Random
    fatal: list[tuple[int, str]]  # after so many answers, this comes
    caps: list[tuple[int, int]] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)  # of the runs
    written: Counter[str] = field(default_factory=Counter)  # rows by kind, by `ledger reconcile`
    reconciliations: int = 0

    @property
    def ledger(self) -> Path:
        return self.home / "runs" / "ledger.sqlite"

    def through(self, kills: list[int]) -> None:
        """Runs until the recipe is done; kills it when the server has answered so often, and a moment later."""
        kills = sorted(kills)
        self.raise_cap(self.cap)
        while True:
            killed = self._run(kills[0] if kills else None)
            if killed is None:
                if kills:
                    raise Broken(f"the run was done before {len(kills)} of its kills came")
                return
            if killed:
                kills.pop(0)
                self.reconcile()

    def _run(self, kill_at: int | None) -> bool | None:
        """One start of the command line: True if it was killed, False if it stopped and must be started again, None if it
        is done."""
        process = alpaca(
            "run",
            "chaos.yaml",
            "--until",
            "generate",
            f"budget.api={Decimal(self.cap) / _NANO:f}",
            home=self.home,
        )
        try:
            if self._watch(process, kill_at):
                self.ends["killed"] += 1
                return True
        finally:
            process.kill()
            process.wait()
        return self._ended(process.returncode, (self.home / PRINTED).read_text())

    def _watch(self, process: subprocess.Popen[bytes], kill_at: int | None) -> bool:
        """Until it ends, or should be killed: a moment after the mark, or, where it was past the mark when it started, at
        any moment of its first seconds."""
        began = answered = self.server.state()["answered"]
        heard, worked, die_at = time.monotonic(), 0.0, float("inf")
        while process.poll() is None:
            before, answered = answered, self.server.state()["answered"]
            now = time.monotonic()
            if answered != before:
                heard, worked = now, _cpu(process)
            if now - heard > _PATIENCE:
                if _cpu(process) - worked < _BUSY * (now - heard):
                    raise Broken(
                        f"no reply for {_PATIENCE:.0f} s: {(self.home / PRINTED).read_text()[-2000:]}"
                    )
                heard, worked = now, _cpu(process)
            while self.fatal and answered >= self.fatal[0][0]:
                self.server.weather(script=[self.fatal.pop(0)[1]])
            if die_at == float("inf") and kill_at is not None and answered >= kill_at:
                die_at = now + self.chance.uniform(0, 3.0 if began >= kill_at else 0.3)
            if now >= die_at:
                return True
            time.sleep(0.02)
        return False

    def _ended(self, code: int, printed: str) -> bool | None:
        last = printed.strip().splitlines()[-1] if printed.strip() else ""
        if code == 0:
            self.ends["done"] += 1
            return None
        if code != 2 or "Traceback" in printed:
            raise Broken(f"exit {code}:\n{printed[-3000:]}")
        if _BUDGET in last:
            if (
                self.reconcile() < self.cap * 3 // 4
            ):  # what was lost had been counted at its ceiling: there is room again
                self.ends["at the cap, and room again when reconciled"] += 1
            else:
                self.ends["at the cap"] += 1
                self.raise_cap(self.cap * 5 // 4 if len(self.caps) > 1 else self.cap * 2)
        else:
            self.ends[_kind(last)] += 1
        return False

    def raise_cap(self, cap: int) -> None:
        """Nothing runs now: entries from here on are below this cap."""
        last = 0
        if self.ledger.exists():
            db = sqlite3.connect(self.ledger)
            last = int(db.execute("SELECT MAX(id) FROM entries").fetchone()[0] or 0)
            db.close()
        self.cap = cap
        self.caps.append((last, cap))
        with (self.home / "caps").open("a") as stream:
            print(cap, file=stream)

    def reconcile(self) -> int:
        """Our own comparison, attempt by attempt, then `alpaca-pipe ledger reconcile`, which enters what the server's books
        say about what was lost, and corrects what came without a usage that could be believed, and nothing else. Answers
        what is held after that, in nano-dollars."""
        self.server.quiet()
        if not self.ledger.exists():
            return 0
        compared = compare(self.ledger, self.server.books)
        if compared.disagreements:
            raise Broken("\n".join(compared.disagreements[:10]))
        if not compared.theirs:
            return 0
        file = self.server.focus(self.home / "focus.csv")
        process = alpaca("ledger", "reconcile", str(file), "--write", "--complete", home=self.home)
        process.wait(timeout=120)
        printed = (self.home / PRINTED).read_text()
        written = next((line for line in printed.splitlines() if line.startswith("written: ")), "")
        if process.returncode or not written:
            raise Broken(f"ledger reconcile: exit {process.returncode}\n{printed[-2000:]}")
        rows = {
            kind: int(count.replace(",", ""))
            for count, kind in re.findall(r"(\d[\d,]*) (\w+)", written)
        }
        wanted = {"correction": compared.over, "reconciled": compared.lost}
        if rows != {kind: count for kind, count in wanted.items() if count}:
            raise Broken(f"ledger reconcile wrote {rows}, wanted is {wanted}\n{printed[-2000:]}")
        self.written.update(rows)
        self.reconciliations += 1
        after = compare(self.ledger, self.server.books)
        return after.ours + after.held


def _cpu(process: subprocess.Popen[bytes]) -> float:
    """Seconds that it has computed."""
    try:
        used = psutil.Process(process.pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(used.user + used.system)


def _kind(last: str) -> str:
    """Why a run stopped, in a word, from its last line."""
    for sign, word in (
        ("does not accept the key", "wrong key"),
        ("quota", "no quota"),
        ("does not exist", "no such model"),
        ("answered 403", "forbidden"),
        ("answered 404", "not found"),
        ("the teacher failed", "gave up"),
        ("refuses the batch", "batch refused"),
    ):
        if sign in last:
            return word
    raise Broken(f"a run stopped with a sentence that is not expected here: {last}")


def alpaca(*arguments: str, home: Path) -> subprocess.Popen[bytes]:
    """The command line in a process of its own; what it prints lies in PRINTED."""
    with (home / PRINTED).open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "alpaca_pipe", *arguments],
            cwd=home,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "1000"},
        )


@contextmanager
def watched(home: Path) -> Any:
    """Another process looks at the ledger all the time; what it saw is in the dict that the block gets."""
    saw: dict[str, Any] = {}
    (home / "caps").write_text(f"{1 << 62}\n")
    command = [
        sys.executable,
        "-m",
        "tests.proving.watcher",
        str(home / "runs" / "ledger.sqlite"),
        str(home / "caps"),
    ]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield saw
        finally:
            printed, _ = process.communicate("")
            saw.update(json.loads(printed))


def dataset(home: Path) -> dict[str, bytes]:
    """The files that generate made. A rejected text without the blanks at its end: where a fault put a mark of a template behind
    it, they went with the mark."""
    lock = json.loads((home / "runs" / "chaos" / "lock.json").read_text())
    folder = home / "runs" / "store" / lock["steps"]["generate"]
    made = {
        name: (folder / name).read_bytes()
        for name in ("examples.jsonl", "rejected.jsonl", "seats.jsonl")
    }
    return made | {"rejected.jsonl": re.sub(rb'(?: |\\n|\\t)+(?=")', b"", made["rejected.jsonl"])}


def chaos(
    home: Path,
    *,
    requests: int,
    kills: int,
    concurrency: int,
    seed: int,
    latency: float = 0.05,
    batches: bool = False,
    hostile: float = 0.0,
) -> dict[str, Any]:
    """The whole storm, online or by batch. hostile: the share of online attempts that are answered with any bytes. Raises
    Broken where a promise does not hold; answers the figures to print."""
    storm = BATCH_STORM if batches else STORM | ({"hostile": hostile} if hostile else {})
    settings = {
        "seed": seed,
        "nature": NATURE,
        "latency": latency,
        "sigma": 0.5,
        "load": 512,
        "price": PRICE,
        "retry_after": 0.3,
        "batch_price": PRICE,
        "queue": requests // 20,  # shorter than one whole file, however slowly files come
    }
    recipe = partial(
        RECIPE.format,
        concurrency=concurrency,
        requests=requests,
        round_size=min(2048, max(64, requests // 4)),
        kind="openai_batch" if batches else "openai_chat",
        of_the_kind=f"  poll: 0.2\n  most_requests: {requests // 16}\n" if batches else "",
        **PRICE,
    )
    began = time.monotonic()
    calm, full = _calm(home / "calm", settings, recipe)
    calmed = time.monotonic()
    chance = random.Random(seed)
    with proving(_folder(home / "storm") / "books.sqlite", faults=storm, **settings) as server:
        (server.books.parent / "chaos.yaml").write_text(recipe(url=server.url))
        fatal = () if batches else FATAL if requests >= _A_SMALL_ONE else (chance.choice(FATAL),)
        run = Chaos(
            server.books.parent,
            server,
            full // 2,
            concurrency,
            chance,
            sorted((chance.randrange(int(requests * 0.9)), name) for name in fatal),
        )
        with watched(run.home) as saw:
            run.through([chance.randrange(int(requests * 0.95)) for _ in range(kills)])
        run.reconcile()
        figures = _judge(run, saw, requests, calm)
        state = server.state()
    missed = {*storm, *NATURE, *(("queue_full",) if batches else ()), *fatal} - set(state["faults"])
    if missed and requests >= _A_SMALL_ONE:
        raise Broken(f"never met: {sorted(missed)}")
    return {
        "requests": requests,
        "concurrency": concurrency,
        "kills": kills,
        "seed": seed,
        "calm seconds": round(calmed - began, 1),
        "storm seconds": round(time.monotonic() - calmed, 1),
        "full price": full,
        "arrived at the server": state["arrived"],
        "most at once": state["most_in_flight"],
        "faults": dict(sorted(state["faults"].items())),
        **figures,
    }


def _calm(
    home: Path, settings: dict[str, Any], recipe: Callable[..., str]
) -> tuple[dict[str, bytes], int]:
    """The same recipe in fair weather: the rows that it makes, and what the server billed."""
    with proving(_folder(home) / "books.sqlite", **settings) as server:
        (home / "chaos.yaml").write_text(recipe(url=server.url))
        process = alpaca("run", "chaos.yaml", "--until", "generate", home=home)
        if process.wait(timeout=600):
            raise Broken(
                f"the calm run ended with exit {process.returncode}:\n{(home / PRINTED).read_text()[-3000:]}"
            )
        server.quiet()
        compared = compare(home / "runs" / "ledger.sqlite", server.books)
        if compared.disagreements or compared.ours != compared.theirs:
            raise Broken(f"in fair weather: {compared.disagreements[:5]}")
        return dataset(home), compared.theirs


def _judge(
    run: Chaos, saw: dict[str, Any], requests: int, calm: dict[str, bytes]
) -> dict[str, Any]:
    """Holds every promise against what is on both sides at the end."""
    last = compare(run.ledger, run.server.books)
    most, over = held_over_time(run.ledger, run.caps)
    again = asked_after_stored(run.ledger, run.server.books)
    lost = lost_by_kills(run.ledger)
    db = sqlite3.connect(run.ledger)
    replies = db.execute("SELECT COUNT(*) FROM replies").fetchone()[0]
    whole = db.execute("PRAGMA integrity_check").fetchone()[0]
    db.close()
    promises = {
        "at every moment settled + lost + open <= the cap in force (journal)": over,
        "the same, seen from outside": saw["over"]
        or ([] if saw["looks"] else ["the watcher saw nothing"]),
        "no stored reply is asked again": again,
        "lost attempts <= concurrency for each kill": [
            f"{n} in {name}" for name, n in lost.items() if n > run.concurrency
        ],
        "ledger = the server's books, lost apart": last.disagreements,
        "reconciled, nothing is left to differ": []
        if (last.ours, last.held) == (last.theirs, 0)
        else [f"ours {last.ours}, theirs {last.theirs}, still held {last.held}"],
        "the run finishes, every request answered": []
        if replies == requests
        else [f"{replies} replies of {requests}"],
        "the ledger's file is whole": [] if whole == "ok" else [whole],
        "the same rows as in fair weather": [
            name for name, made in dataset(run.home).items() if made != calm[name]
        ],
    }
    if broken := {promise: wrong[:5] for promise, wrong in promises.items() if wrong}:
        raise Broken(json.dumps(broken, indent=1))
    return {
        "promises": list(promises),
        "caps": [cap for _, cap in run.caps],
        "most held": most,
        "looks from outside": saw["looks"],
        "runs": dict(run.ends),
        "attempts": dict(last.attempts),
        "lost by kills": sum(lost.values()),
        "most lost by one kill": max(lost.values(), default=0),
        "anomalies": last.anomalies,
        "settled": last.ours,
        "billed": last.theirs,
        "reconciliations": run.reconciliations,
        "written by them": dict(run.written),
    }


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--batches", action="store_true", help="by files and batches")
    parser.add_argument("--hostile", type=float, default=0.0, help="share of hostile replies: 0.05")
    parser.add_argument("--home", type=Path, help="keep ledger and books there")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with TemporaryDirectory() as folder:
        figures = chaos(
            (given.home or Path(folder)).resolve(),
            requests=given.requests,
            kills=given.kills,
            concurrency=given.concurrency,
            seed=given.seed,
            batches=given.batches,
            hostile=given.hostile,
        )
    rows = [{"figure": promise, "value": "held"} for promise in figures.pop("promises")]
    rows += [{"figure": name, "value": str(value)} for name, value in figures.items()]
    publish("chaos-batches" if given.batches else "chaos", rows)


if __name__ == "__main__":
    main()
