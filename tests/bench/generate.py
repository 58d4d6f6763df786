"""Stanford's 52K through the whole of generation, and how fast candidates are judged: `make bench-generate`.

(a) A server in its own process serialises the released rows, 16 to a reply, in the layout of Stanford's prompt, with and
without applying `stop`; the recipe's style alpaca-2023 asks it over HTTP at text-davinci-003's price, stores, parses, filters
and compares. (b) Candidates a second against pools of up to 52K on one core, beside rouge-score and rapidfuzz by brute
force. All of it on two cores. `python -m tests.bench.generate a` or `b` for one of them.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from alpaca_pipe.core.files import file_digest, read_json, read_jsonl
from alpaca_pipe.generate.styles.alpaca_2023 import STOPS
from alpaca_pipe.ledger.money import shown
from alpaca_pipe.ledger.store.journal import Journal
from tests.bench.candidates import PASSES
from tests.bench.table import ROOT, publish
from tests.proving.released import ROWS, tasks
from tests.proving.start import proving

Row = dict[str, Any]
DATA = Path(os.environ.get("ALPACA_PIPE_DATA", ROOT.parent / "shared" / "data"))
RELEASED, CANDIDATES = DATA / "alpaca_data.json.gz", DATA / "datasets" / "self_instruct_5k.jsonl.gz"
CORES = 2
_PRICE = {"in": 20, "out": 20}  # $ a million: $0.02 a thousand, as Stanford paid
_REPLAYS = 3
_LIMITS = {"rows": 51_900, "seconds": 180.0, "MB": 1500, "candidates a second": 2000}

_RECIPE = """recipe_version: 1
teacher:
  kind: openai_completions
  model: text-davinci-003
  base_url: {url}
  identity: the released 52K
  price: {price}
  concurrency: 64
generate:
  style: alpaca-2023
  count: {count}
  round_size: 512
  max_requests: {requests}
  max_tokens: 4096              # some 16 released rows together are longer than any reply of 2023 was
"""


def released() -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(gzip.decompress(RELEASED.read_bytes()))
    return rows


# ---- (a) the replay


def replay(rows: Sequence[dict[str, str]], folder: Path, applies_stop: bool = True) -> Row:
    """One run of the recipe in a process of its own: what it made of the rows, its seconds and its most memory."""
    folder.mkdir(parents=True)
    requests = -(-len(rows) // ROWS)
    with proving(
        folder / "books.sqlite",
        released=str(RELEASED),
        applies_stop=applies_stop,
        price={
            name: "20" for name in ("uncached_in", "cache_read", "visible_out", "reasoning_out")
        },
        cached=0.0,
        reasoning=0.0,
    ) as server:
        (folder / "released.yaml").write_text(
            _RECIPE.format(
                url=server.url, price=json.dumps(_PRICE), count=len(rows), requests=requests
            )
        )
        began = time.perf_counter()
        peak = _run(folder)
        seconds = time.perf_counter() - began
        state = server.state()
    assert state["applies_stop"] == applies_stop and state["answered"] == requests, state
    step = (
        folder
        / "runs"
        / "store"
        / read_json(folder / "runs" / "released" / "lock.json")["steps"]["generate"]
    )
    with Journal.open(folder / "runs" / "ledger.sqlite", read_only=True) as journal:
        spent = journal.totals().spent
    return {
        "seconds": seconds,
        "MB": peak / 1e6,
        "requests": requests,
        "spent": spent,
        **_found(rows, step),
    }


def _run(folder: Path) -> int:
    """Runs the recipe; answers the most bytes that it and its children held."""
    with (folder / "log.txt").open("w") as log:
        process = psutil.Popen(
            [sys.executable, "-m", "alpaca_pipe", "run", "released.yaml", "--until", "generate"],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_NUM_THREADS": str(CORES)},
        )
        peak = 0
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                peak = max(
                    peak,
                    sum(
                        one.memory_info().rss
                        for one in [process, *process.children(recursive=True)]
                    ),
                )
            time.sleep(0.1)
    if process.returncode:
        raise RuntimeError((folder / "log.txt").read_text()[-2000:])
    return peak


def _found(rows: Sequence[dict[str, str]], step: Path) -> Row:
    """Which of the rows came back as they were, and by which rule each of the others went."""

    def whole(row: dict[str, Any]) -> tuple[str, str, str]:
        return row["instruction"], row.get("input", ""), row.get("output", "")

    back = {whole(row) for row in read_jsonl(step / "examples.jsonl")}
    seeds = {row["id"] for row in read_jsonl(step / "seeds.jsonl")}
    dropped = [
        (
            one.get("text") or one["instruction"],
            "near a seed task" if one.get("nearest") in seeds else one["rule"],
        )
        for one in read_jsonl(step / "rejected.jsonl")
    ]
    why: Counter[str] = Counter()
    for place, row in enumerate(rows):
        if whole(row) not in back:
            why[
                next((rule for text, rule in dropped if row["instruction"] in text), "")
                or _after_a_stop(rows, place)
            ] += 1
    return {
        "back": len(rows) - why.total(),
        "strange": len(back - set(map(whole, rows))),
        "why": why,
        "digest": file_digest(step / "examples.jsonl"),
    }


def _after_a_stop(rows: Sequence[dict[str, str]], place: int) -> str:
    """A row that nothing is left of: a stop string stands before its end, in its reply."""
    before = tasks(rows[place - place % ROWS : place + 1])
    return "cut by a stop string" if any(stop in before for stop in STOPS) else "no reason found"


def the_replay(folder: Path) -> list[Row]:
    rows = released()
    runs = {
        "server applies stop": [
            replay(rows, folder / f"stops{number}") for number in range(_REPLAYS)
        ],
        "server ignores stop": [replay(rows, folder / "ignored", applies_stop=False)],
    }
    table = []
    for said, several in runs.items():
        one = several[0]
        seconds, peak = (
            median(each["seconds"] for each in several),
            max(each["MB"] for each in several),
        )
        apart = one["why"]["near a seed task"]
        why = (
            ", ".join(
                f"{count} {rule}"
                for rule, count in one["why"].most_common()
                if rule != "near a seed task"
            )
            or "none"
        )
        table += [
            _line(
                f"(a) {said}: rows of {len(rows):,} that come back",
                f"{one['back']:,} + {apart} near our seeds",
                f">= {_LIMITS['rows']:,.0f}, seeds apart",
                one["back"] + apart >= _LIMITS["rows"] and not one["why"]["no reason found"],
                f"missing: {why}; {one['strange']} rows that were not there",
            ),
            _line(
                "    seconds, start to seal",
                f"{seconds:.1f}",
                f"<= {_LIMITS['seconds']:.0f}",
                seconds <= _LIMITS["seconds"],
                f"{one['requests']:,} requests over HTTP; median of {len(several)}; the server is on the same {CORES} cores",
            ),
            _line(
                "    peak memory, MB",
                f"{peak:,.0f}",
                f"<= {_LIMITS['MB']:,.0f}",
                peak <= _LIMITS["MB"],
                "without the server",
            ),
            _line(
                "    what it would have cost in 2023",
                shown(one["spent"]),
                "",
                None,
                "the ledger's sum, $0.02 for 1,000 tokens; the "
                "server counts 4 characters a token; Stanford: under $500, with what its filters dropped",
            ),
        ]
    alike = {one["digest"] for several in runs.values() for one in several}
    table.append(
        _line(
            "    the same rows, byte for byte, whether stop is applied or not",
            "yes" if len(alike) == 1 else "NO",
            "yes",
            len(alike) == 1,
            "",
        )
    )
    return table


def _line(what: str, value: str, limit: str, held: bool | None, note: str) -> Row:
    return {
        "what": what,
        "value": value,
        "limit": limit,
        "held": "" if held is None else "yes" if held else "NO",
        "note": note,
    }


# ---- (b) candidates a second


def candidates() -> list[Row]:
    """In a process of its own, bound to one core."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.candidates", str(RELEASED), str(CANDIDATES)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        env=os.environ | {"NUMBA_NUM_THREADS": "1"},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    seen: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    most = max(seen, key=int)
    table = []
    for size, one in seen.items():
        last = size == most
        rate = one["rate"]
        table.append(
            _line(
                f"(b) candidates a second, pool of {int(size):,}",
                f"{rate:,.0f}",
                f">= {_LIMITS['candidates a second']:,}" if last else "",
                rate >= _LIMITS["candidates a second"] if last else None,
                f"parse + filters + novelty, {one['judged']:,.0f} candidates of Self-Instruct, one core, median of {PASSES}",
            )
        )
        for peer, how in (
            ("rouge-score", "its inner function as Stanford calls it, words split beforehand"),
            ("rapidfuzz", "cdist over words as characters, cutoff 0.7, one worker"),
        ):
            table.append(
                _line(
                    f"    {peer}, brute force",
                    f"{one[peer]:,.2f}",
                    "",
                    None,
                    f"{how}; {one[f'{peer} sample']:.0f} candidates drawn; ours is {rate / one[peer]:,.0f} times as fast",
                )
            )
    sizes = sorted(seen, key=int)
    for who, name in (("rate", "ours"), ("rouge-score", "rouge-score"), ("rapidfuzz", "rapidfuzz")):
        grows = seen[sizes[0]][who] / seen[most][who]
        table.append(
            _line(
                f"    cost a candidate, {int(most) / int(sizes[0]):.0f} times the pool: {name}",
                f"x {grows:.2f}",
                "",
                None,
                "",
            )
        )
    return table


def main(parts: Sequence[str]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    measures: dict[str, Callable[[], list[Row]]] = {"a": _replays, "b": candidates}
    rows = [
        row for part, measure in measures.items() if part in parts or not parts for row in measure()
    ]
    publish(
        "generate", rows, {peer: version(peer) for peer in ("rouge-score", "rapidfuzz", "numba")}
    )


def _replays() -> list[Row]:
    with TemporaryDirectory() as name:
        return the_replay(Path(name))


if __name__ == "__main__":
    main(sys.argv[1:])
