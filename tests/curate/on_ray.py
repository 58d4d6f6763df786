"""The same rows by both engines, in a process of its own: a Ray cluster of two workers on the loopback, and one of them may be
killed half-way. Prints one JSON line.

Usage: python -m tests.curate.on_ray FILE ROWS none|process|machine
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.curate.filter_config import Filters
from alpaca_pipe.curate.pipeline import judged
from alpaca_pipe.curate.rules import CurationRules
from tests.bench.join import grown, instructions

os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}  # the last: loopback alone


@dataclass(frozen=True)
class Rows:
    """The released instructions, and as many more as are wanted; every 50th asks for a drawing, every 70th has "No input"."""

    texts: list[str]

    def __iter__(self) -> Iterator[Example]:
        for place, text in enumerate(self.texts):
            text = f"Draw a picture. {text}" if place % 50 == 0 else text
            yield Example.of(
                text,
                "No input" if place % 70 == 0 else "",
                f"{place} of them.",
                Origin("generated", "r1-0"),
            )


def verdicts(
    rows: Rows, how: CurationRules, tick: Callable[[int], None] = lambda done: None
) -> dict[str, Any]:
    began = time.perf_counter()
    found = judged(rows, how, tick)
    seconds = time.perf_counter() - began
    answers = [
        (one.example.id, one.rejected.rule, one.rejected.reason, one.rejected.nearest)
        if one.rejected
        else one.example.id
        for one in found
    ]
    return {
        "rows": len(answers),
        "kept": sum(isinstance(one, str) for one in answers),
        "groups": len(found.groups),
        "digest": digest_of([answers, list(found.groups_told())]),
        "seconds": round(seconds, 1),
    }


def main(file: Path, count: int, victim: str) -> dict[str, Any]:
    rows = Rows(grown(instructions(file), count))
    how = CurationRules(Filters().active(), True, Decimal("0.7"), "rouge")
    here = verdicts(rows, how)
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    workers = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    cluster.wait_for_nodes()
    killed: list[int] = []

    def tick(done: int) -> None:
        if victim == "none" or killed or done % 500 or done < count // 4:
            return
        if victim == "machine":
            cluster.remove_node(workers[1], allow_graceful=False)
            killed.append(0)
            return
        for pid in busy():
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    there = verdicts(rows, replace(how, engine="ray"), tick)
    alive = sum(node["Alive"] for node in ray.nodes())
    ray.shutdown()
    cluster.shutdown()
    return {
        "local": here,
        "ray": there,
        "same": here["digest"] == there["digest"],
        "killed": len(killed),
        "alive": alive,
    }


def busy() -> list[int]:
    """One of the workers that do something just now."""
    import psutil

    mine = psutil.Process().children(recursive=True)
    return [one.pid for one in mine if one.name().startswith("ray::") and "IDLE" not in one.name()][
        :1
    ]


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))
