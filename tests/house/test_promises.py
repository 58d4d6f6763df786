"""A page of the manual that says what is tested names the test, and there is one of that name."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Pages whose promises about money, files and machines stand beside the names of their tests.
PROMISING = ("money.md", "machines.md", "doors.md")


def there_are_tests() -> set[str]:
    return {
        node.name
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def test_every_test_that_the_manual_names_is_there() -> None:
    known = there_are_tests()
    for page in (ROOT / "docs").glob("*.md"):
        named = set(re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")))
        assert named <= known, (page.name, sorted(named - known))


def test_pages_that_promise_name_their_tests() -> None:
    for page in PROMISING:
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert re.search(r"`test_\w+`", text), page


def test_every_test_of_an_attack_stands_in_the_manual() -> None:
    """The table of doors.md is whole: a file of tests/attack/ that it does not name is one that nobody finds."""
    page = (ROOT / "docs" / "doors.md").read_text(encoding="utf-8")
    for file in (ROOT / "tests" / "attack").glob("test_*.py"):
        assert f"`{file.name}`" in page, file.name
