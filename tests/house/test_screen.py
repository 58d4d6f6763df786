"""Nothing in the package prints but core/screen.py, through which everything from outside passes."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "alpaca_pipe"
SCREEN = "core/screen.py"
CHILDREN = {  # what they print is read by their parent
    "teachers/local/child_process.py",
    "weights/llama_cpp_ids.py",
    "teachers/local/local_server_child.py",
    "teachers/scripted/scripted_server.py",
}
PRINTERS = {
    "print",
    "typer.echo",
    "typer.secho",
    "click.echo",
    "Console",
    "sys.stdout.write",
    "sys.stderr.write",
}


def test_only_the_screen_prints() -> None:
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        if name == SCREEN or name in CHILDREN or "_shipped" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in PRINTERS:
                found.append(f"{name}:{node.lineno} {ast.unparse(node.func)}")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in (
                "typer.echo",
                "sys.stdout.write",
            ):
                found.append(f"{name}:{node.lineno} {ast.unparse(node)}")
    assert not found, "echo, echo_json and new_console of core/screen.py print: " + "; ".join(found)
