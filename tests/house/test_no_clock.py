"""No test depends on a quiet machine: nothing sleeps and nothing reads a clock, but for what is named here with its reason."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
APART = ("bench", "proving")  # measurements; a server with latencies, and storms of random moments

# file -> why it may. An allowance that is not used any more fails too.
VIRTUAL = "in virtual time (tests/teachers/virtual.py)"
MAY = {
    "attack/fuzz.py": "no test: it continues for as many minutes as it is told to",
    "attack/hostile.py": "a server that is slow on purpose",
    "attack/hostile_replies.py": "a server that is slow on purpose",
    "waiting.py": "the one place that waits, for what others do",
    "road/test_road.py": "kills at moments of chance: right at each of them, on a slow machine too",
    "teachers/batch_server.py": "a provider whose batches take a while",
    "teachers/test_adapting.py": VIRTUAL,
    "teachers/test_limits.py": VIRTUAL,
    "teachers/test_paid_in_vain.py": VIRTUAL,
    "teachers/test_batch_kill.py": "kills at moments of chance: right at each of them",
    "teachers/test_openai.py": "a server that trickles, until the client gives up",
    "ledger/test_gpu.py": "compares with the moment at which this machine was started",
    "ledger/test_writer.py": "waits shortly for what must not come, however long one waits",
    "curate/on_ray.py": "prints what Ray takes; nothing depends on it",
}
CLOCKS = {
    f"{module}.{name}"
    for module, names in {
        "time": ("sleep", "monotonic", "monotonic_ns", "perf_counter", "process_time", "time"),
        "asyncio": ("sleep",),
    }.items()
    for name in names
}


# Where they are given a limit, it is generous: who waits for an event must not lose patience before a busy machine is done.
WAITS = ("wait", "wait_for", "communicate", "result", "run", "check_output", "check_call")
GENEROUS = 60  # seconds


def uses(tree: ast.AST) -> list[str]:
    """Calls of a clock or a sleep, but for `asyncio.sleep(0)`, which takes no time, and waits that end after a few seconds."""
    found = [node for node in ast.walk(tree) if _reads(node) or _ends_soon(node)]
    return [f"line {node.lineno}: {ast.unparse(node)}" for node in found]  # type: ignore[attr-defined]


def _reads(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "time"
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func) in CLOCKS
        and [ast.unparse(one) for one in node.args] != ["0"]
    )


def _ends_soon(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    limits = [one.value for one in node.keywords if one.arg == "timeout"]
    if node.func.attr == "wait_for":
        limits += node.args[1:]
    return node.func.attr in WAITS and any(
        not isinstance(one, ast.Name)
        and not (isinstance(one, ast.Constant) and (one.value is None or one.value >= GENEROUS))
        for one in limits
    )


FILES = sorted(
    path for path in TESTS.rglob("*.py") if path.relative_to(TESTS).parts[0] not in APART
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_nothing_sleeps_and_nothing_reads_a_clock(path: Path) -> None:
    found = uses(ast.parse(path.read_text(encoding="utf-8")))
    name = str(path.relative_to(TESTS))
    if name in MAY:
        assert found, f"{name} needs no allowance any more: remove it from MAY"
    else:
        assert not found, (
            f"{name}: {'; '.join(found)}. Wait for an event (tests/waiting.py) or hand in a clock."
        )


def test_the_rule_sees_each_kind() -> None:
    for line in (
        "time.sleep(1)",
        "from time import monotonic",
        "await asyncio.sleep(0.1)",
        "process.wait(timeout=5)",
        "process.wait(timeout=dice.uniform(1, 2))",
        "asyncio.wait_for(it, 20)",
    ):
        assert uses(ast.parse(line)), line
    for line in ("await asyncio.sleep(0)", "process.wait(timeout=PATIENCE)", "wait(timeout=120)"):
        assert not uses(ast.parse(line)), line
