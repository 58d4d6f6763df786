"""How fast teachers are asked, and what a mishap costs: `make bench-teachers`, or `python -m tests.bench.teachers b peers`.

(a) 256 at once at 5 s latency, (b) against a bare `openai` client, (c) at a provider's limits, and beside two peers. All
against the proving server (tests/proving) in its own process, all counted there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.peers.run import PACKAGES, VENVS, Ran, ask, install, version
from tests.bench.table import publish
from tests.proving.books import reading
from tests.proving.start import Proving, proving

Row = dict[str, Any]
_RUNS = 5  # of each, alternating, in (b)
_PEER_ROWS, _PEER_AT_ONCE, _PEER_LATENCY = 2000, 64, 0.05
_MINUTE = 60.0
_STEADY, _MEASURED = (
    60.0,
    180.0,
)  # seconds after which the limits are in their stride, and for which we look then


def questions(count: int, letters: int = 0) -> list[str]:
    return [
        f"Question {number}: what is it? {'word ' * (letters // 5)}".strip()
        for number in range(count)
    ]


def many_at_once(folder: Path) -> list[Row]:
    """(a) As many replies a second as so many slow ones at once can bring."""
    at_once, latency, count = 256, 5.0, 256 * 8
    with proving(folder / "books.sqlite", latency=latency) as server:
        ran = ask("ours", folder / "ours", server.url, questions(count), at_once)
        rate = count / ran.said["seconds"]
        most = server.state()["most_in_flight"]
    return [
        {
            "what": f"(a) {at_once} at once, {latency:g} s each, {count} requests",
            "ours": f"{rate:.1f} requests/s",
            "against": f"{at_once / latency:.1f} = concurrency / latency",
            "share": f"{rate / (at_once / latency):.1%}",
            "limit": ">= 95 %",
            "held": _held(rate / (at_once / latency) >= 0.95),
            "note": f"{most} at once at the server",
        }
    ]


def against_bare(folder: Path) -> list[Row]:
    """(b) What ledger, cap and pace cost beside the bare client, runs taking turns."""
    at_once, count = 256, 5000
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    cpu: dict[str, list[float]] = {"ours": [], "bare": []}
    with proving(folder / "books.sqlite", latency=0.05) as server:
        for number in range(_RUNS):
            for who, seen in rates.items():
                ran = ask(who, folder / f"{who}{number}", server.url, questions(count), at_once)
                _check(ran, count)
                seen.append(count / ran.said["seconds"])
                cpu[who].append(1000 * ran.cpu / count)
    ours, bare = median(rates["ours"]), median(rates["bare"])
    return [
        {
            "what": f"(b) {count:,} requests at 50 ms, {at_once} at once, median of {_RUNS}",
            "ours": f"{ours:.0f} requests/s",
            "against": f"{bare:.0f} of a bare openai client",
            "share": f"{ours / bare:.1%}",
            "limit": ">= 90 %",
            "held": _held(ours / bare >= 0.9),
            "note": f"{_spread(rates['ours'])} against {_spread(rates['bare'])}; CPU-ms a request, start included: "
            f"{median(cpu['ours']):.2f} against {median(cpu['bare']):.2f}",
        }
    ]


def at_the_limits(folder: Path) -> list[Row]:
    """(c) All variants side by side: they wait most of the time."""
    told = {"requests_per_minute": 500, "tokens_per_minute": 200_000}
    variants = [
        (f"{where}; the server {how}", counts, recipe)
        for where, recipe in (("limits in the recipe", told), ("limits from the headers alone", {}))
        for how, counts in (
            ("gives back what was not used", "used"),
            ("charges what was asked for", "asked"),
        )
    ]

    def one(variant: tuple[str, str, dict[str, int]]) -> Row:
        name, counts, recipe = variant
        own = folder / name.replace(" ", "-").replace(";", "")
        own.mkdir(parents=True)
        with (
            proving(
                own / "books.sqlite", latency=1.0, sigma=0.3, tokens=200, counts=counts, **told
            ) as server,
            ThreadPoolExecutor() as pool,
        ):
            running = pool.submit(
                ask,
                "ours",
                own / "ours",
                server.url,
                questions(5000, letters=1600),
                64,
                seconds=_STEADY + _MEASURED + 5,
                max_tokens=400,
                attempts=20,
                **recipe,
            )
            time.sleep(_STEADY)
            before = _first_seen(server, own)
            time.sleep(_MEASURED)
            after = server.state()
            running.result()
            whole = server.state()
        span = (after["at"] - before["at"]) / _MINUTE
        used = (after["charged"] - before["charged"]) / (told["tokens_per_minute"] * span)
        refused = whole["faults"].get("limit", 0) / whole["arrived"]
        return {
            "what": f"(c) 500 requests and 200K tokens a minute, {name}",
            "ours": f"{used:.1%} of the tokens",
            "against": f"{refused:.2%} of the requests met a 429",
            "share": f"{used:.1%}",
            "limit": ">= 97 % and <= 0.5 %",
            "held": _held(used >= 0.97 and refused <= 0.005),
            "note": f"{whole['arrived']} requests in {(_STEADY + _MEASURED) / 60:.0f} min, measured over the last {span:.1f}",
        }

    with ThreadPoolExecutor() as pool:
        return list(pool.map(one, variants))


def _first_seen(server: Proving, folder: Path) -> dict[str, Any]:
    state = server.state()
    if not state["arrived"]:
        raise RuntimeError(
            f"nothing was asked within {_STEADY:.0f} s: {(folder / 'ours' / 'log.txt').read_text()[-1000:]}"
        )
    return state


def beside_peers(folder: Path) -> list[Row]:
    """The same questions to each; what is billed again is counted in the server's books."""
    measures: dict[str, dict[str, str]] = {}
    for who in ("ours", *PACKAGES):
        why = install(who) if who in PACKAGES else ""
        measures[who] = _peer(who, folder / who) if not why else {"": why}
    names = list(max(measures.values(), key=len))
    return [
        {"what": name, **{who: seen.get(name, seen.get("", "-")) for who, seen in measures.items()}}
        for name in names
    ]


def _peer(who: str, folder: Path) -> dict[str, str]:
    asked, seen = questions(_PEER_ROWS), {}
    folder.mkdir(parents=True)
    try:
        with proving(folder / "one.sqlite", latency=_PEER_LATENCY) as server:
            start = ask(who, folder / "start", server.url, asked[:1], _PEER_AT_ONCE)
            _check(start, 1)
        with proving(folder / "speed.sqlite", latency=_PEER_LATENCY) as server:
            ran = ask(who, folder / "speed", server.url, asked, _PEER_AT_ONCE)
            _check(ran, _PEER_ROWS)
            first, last = _span(server)
            seen["requests/s, first to last at the server"] = (
                f"{_PEER_ROWS / (last - first + _PEER_LATENCY):.0f}"
            )
            seen["CPU-ms a request, start not counted"] = (
                f"{1000 * (ran.cpu - start.cpu) / (_PEER_ROWS - 1):.2f}"
            )
            seen["peak memory, MiB (with its children)"] = f"{ran.peak / 2**20:.0f}"
            longer = ask(
                who, folder / "speed", server.url, [*asked, "One row more?"], _PEER_AT_ONCE
            )
            seen["billed again when one row is appended"] = _again(server)
            seen["rows with the one that was appended"] = longer.rows
        with proving(folder / "fail.sqlite", latency=_PEER_LATENCY, nature={"500": 0.01}) as server:
            failing = ask(who, folder / "fail", server.url, asked, _PEER_AT_ONCE)
            server.weather(nature={})
            seen["rows of a run in which 1 % fail for good, of 2,000"] = failing.rows
            healed = ask(who, folder / "fail", server.url, asked, _PEER_AT_ONCE)
            seen["billed again when that is run again"] = _again(server)
            seen["rows then"] = healed.rows
        with proving(folder / "kill.sqlite", latency=_PEER_LATENCY) as server:
            ask(
                who,
                folder / "kill",
                server.url,
                asked,
                _PEER_AT_ONCE,
                kill_when=partial(_half_way, server),
            )
            resumed = ask(who, folder / "kill", server.url, asked, _PEER_AT_ONCE)
            seen["billed again when it is killed half-way"] = _again(server)
            seen["rows when that is run again"] = resumed.rows
    except RuntimeError as error:
        seen[""] = f"could not be driven: {error}"
    return seen


def _half_way(server: Proving) -> bool:
    return bool(server.state()["answered"] >= _PEER_ROWS // 2)


def _span(server: Proving) -> tuple[float, float]:
    server.quiet()
    with reading(server.books) as db:
        first, last = db.execute(
            "SELECT MIN(at), MAX(at) FROM requests WHERE nanodollars > 0"
        ).fetchone()
    return first, last


def _again(server: Proving) -> str:
    """Replies that were billed although the same question had been answered and billed before."""
    server.quiet()
    with reading(server.books) as db:
        billed, different = db.execute(
            "SELECT COUNT(*), COUNT(DISTINCT asked) FROM requests WHERE nanodollars > 0"
        ).fetchone()
    return f"{billed - different:,}"


def _check(ran: Ran, count: int) -> None:
    if ran.said.get("rows") != count:
        raise RuntimeError(
            f"{ran.said.get('rows')} rows of {count}, exit {ran.code}: {ran.log.strip()[-300:]}"
        )


def _spread(rates: Sequence[float]) -> str:
    return f"{min(rates):.0f}-{max(rates):.0f}"


def _held(held: bool) -> str:
    return "yes" if held else "NO"


def main(parts: Sequence[str]) -> None:
    measures: dict[str, Callable[[Path], list[Row]]] = {
        "a": many_at_once,
        "b": against_bare,
        "c": at_the_limits,
    }
    with TemporaryDirectory() as name:
        rows = []
        for part, measure in measures.items():
            if part in parts or not parts:
                (Path(name) / part).mkdir()
                rows += measure(Path(name) / part)
        if rows:
            publish("teachers", rows)
        if "peers" in parts or not parts:
            publish(
                "teachers-peers",
                beside_peers(Path(name) / "peers"),
                {peer: version(peer) for peer in PACKAGES if (VENVS / peer).exists()},
            )


if __name__ == "__main__":
    main(sys.argv[1:])
