"""One word, one idea; no import cycle; functions and classes that fit a screen or two."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.test_layers import FILES, PACKAGE

# A name that says which part of a room a file is; every other file name tells what is in it, so it is used once.
PARTS = {"__init__", "__main__", "base", "config", "run", "stage"}
LONGEST_FUNCTION, LONGEST_CLASS = 60, 250  # lines of code: see `code_lines`
WHOLE = {
    "similarity/kernels.py:greedy",  # Numba compiles the loop as one; split, it is slower
}


def module_of(path: Path) -> str:
    name = ".".join(("alpaca_pipe", *path.relative_to(PACKAGE).with_suffix("").parts))
    return name.removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def imported(path: Path) -> set[str]:
    """Our modules that a file imports, at the top or inside a function; what is for types alone is no import."""
    found: set[str] = set()

    def walk(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                inside = {f"{child.module}.{alias.name}" for alias in child.names}
                found.update((inside & MODULES.keys()) or {child.module or ""})
            walk(child)

    walk(ast.parse(path.read_text(encoding="utf-8")))
    return (found & MODULES.keys()) - {module_of(path)}


def test_no_import_runs_in_a_circle() -> None:
    """Modules that import nothing are taken away, then those that import only these, and so on: what stays is a circle."""
    left = {module: imported(path) for module, path in MODULES.items()}
    assert sum(map(len, left.values())) > 1000  # the walk does see imports
    while free := {module for module, below in left.items() if not below & left.keys()}:
        left = {module: below for module, below in left.items() if module not in free}
    on_it = {module: sorted(below & left.keys()) for module, below in left.items()}
    assert not on_it, f"on a circle, or above one: {on_it}"


def test_a_class_name_means_one_thing() -> None:
    where = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                where[node.name].append(module)
    twice = {name: modules for name, modules in where.items() if len(modules) > 1}
    assert not twice, f"two ideas under one name: {twice}"


def test_a_file_name_means_one_thing() -> None:
    where = defaultdict(list)
    for path in FILES:
        where[path.stem].append(path.relative_to(PACKAGE).as_posix())
    twice = {name: paths for name, paths in where.items() if len(paths) > 1 and name not in PARTS}
    assert not twice, f"two ideas under one name: {twice}"


# ---- sizes

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def docstring_of(node: ast.AST) -> ast.Expr | None:
    first = node.body[0] if isinstance(node, Definition) else None
    constant = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return first if constant and isinstance(first.value.value, str) else None  # type: ignore[union-attr,return-value]


def code_lines(text: str) -> Iterator[tuple[str, Definition, int]]:
    """(dotted name, node, size) of every function and class of a file.

    The size of a function counts the lines of its body that hold code: not its signature, its docstring, comments, blank
    lines, or lines of nothing but closing brackets. That of a class is the sum over its methods and its own statements.
    """
    tree, holds = ast.parse(text), set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.NAME, tokenize.NUMBER, tokenize.STRING) or (
            token.type == tokenize.OP and token.string not in ")]},"
        ):
            holds.update(range(token.start[0], token.end[0] + 1))

    def size(node: ast.AST) -> int:
        skipped = docstring_of(node)
        statements = [part for part in node.body if part is not skipped]  # type: ignore[attr-defined]
        if isinstance(node, ast.ClassDef):
            return sum(
                size(part) if isinstance(part, Definition) else lines(part) for part in statements
            )
        return sum(lines(part) for part in statements)

    def lines(part: ast.stmt) -> int:
        inner = [docstring_of(node) for node in ast.walk(part)]
        without = {
            line for doc in inner if doc for line in range(doc.lineno, (doc.end_lineno or 0) + 1)
        }
        return len({*range(part.lineno, (part.end_lineno or 0) + 1)} & holds - without)

    def walk(node: ast.AST, name: str) -> Iterator[tuple[str, Definition, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Definition):
                own = f"{name}.{child.name}" if name else child.name
                yield own, child, size(child)
                yield from walk(child, own)
            else:
                yield from walk(child, name)

    return walk(tree, "")


def test_the_measure_counts_code_and_nothing_else() -> None:
    text = '''
class One:
    """Three lines
    of words that are
    not counted."""

    kind: str = "a"

    def two(
        self,
        wide: int,
    ) -> int:
        """Nor these."""
        # nor this
        found = max(
            wide,
            2,
        )

        return found


def three() -> str:
    return """a text
    is code"""
'''
    assert {name: size for name, _, size in code_lines(text)} == {
        "One": 5,
        "One.two": 4,
        "three": 2,
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_functions_and_classes_are_short(path: Path) -> None:
    where = path.relative_to(PACKAGE).as_posix()
    for name, node, size in code_lines(path.read_text(encoding="utf-8")):
        most = LONGEST_CLASS if isinstance(node, ast.ClassDef) else LONGEST_FUNCTION
        assert size <= most or f"{where}:{name}" in WHOLE, (
            f"{where}: {name} has {size} lines of code, at most {most} wanted: split it"
        )
