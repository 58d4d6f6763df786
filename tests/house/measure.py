"""How long a function or a class is: what it does is counted, not how wide it is written."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator

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
