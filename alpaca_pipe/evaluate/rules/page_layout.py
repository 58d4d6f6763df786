"""How an answer is laid out: lists, sections, titles, tables."""

from __future__ import annotations

import re

from alpaca_pipe.evaluate.rules.base import outside, rule
from alpaca_pipe.evaluate.rules.text_units import lines_of

_GROUP = "layout"


@rule(_GROUP)
def bullets(answer: str, count: int) -> str | None:
    """Lines that begin with a bullet, `*` or `-`."""
    found = re.findall(r"^[^\S\n]*(?:\*(?!\*)|-(?!--)|•).+$", answer, re.MULTILINE)
    return outside(len(found), "bullets", count, count)


@rule(_GROUP)
def numbered(answer: str, count: int) -> str | None:
    """Lines that begin with 1., 2., 3. and so on, in order."""
    found = [int(one) for one in re.findall(r"^[^\S\n]*(\d+)[.)]\s+\S", answer, re.MULTILINE)]
    if found != list(range(1, len(found) + 1)):
        return f"the lines are numbered {', '.join(map(str, found))}"
    return outside(len(found), "numbered lines", count, count)


@rule(_GROUP)
def sections(answer: str, word: str, at_least: int) -> str | None:
    """Parts that are headed by a word and a number: `Part 1`."""
    found = re.findall(rf"{re.escape(word)}\s?\d+", answer)
    return outside(len(found), f"headings '{word} N'", at_least, None)


@rule(_GROUP)
def highlights(answer: str, at_least: int) -> str | None:
    """Passages in asterisks: `*one*` or `**one**`."""
    found = [
        one for one in re.findall(r"\*\*[^\n*]+\*\*|\*[^\n*]+\*", answer) if one.strip("*").strip()
    ]
    return outside(len(found), "highlights", at_least, None)


@rule(_GROUP)
def title(answer: str) -> str | None:
    """A title in double angle brackets: `<<A title>>`."""
    found = re.findall(r"<<([^\n]+?)>>", answer)
    return None if any(one.strip(" <>") for one in found) else "there is no <<title>>"


@rule(_GROUP)
def placeholders(answer: str, at_least: int) -> str | None:
    """Places to fill in, in square brackets: `[name]`."""
    return outside(len(re.findall(r"\[.*?\]", answer)), "placeholders", at_least, None)


@rule(_GROUP)
def table(answer: str, columns: int) -> str | None:
    """A Markdown table with so many columns, a rule under its head, and a row at least."""
    rows = [line.strip("|").split("|") for line in lines_of(answer) if "|" in line]
    ruled = any(all(re.fullmatch(r"\s*:?-{1,}:?\s*", cell) for cell in row) for row in rows)
    if not ruled or len(rows) < 3:
        return "there is no table"
    return outside(min(map(len, rows)), "columns", columns, columns)


@rule(_GROUP)
def divided(answer: str, count: int) -> str | None:
    """Parts with `***` between them."""
    parts = re.split(r"\s?\*\*\*\s?", answer.strip())
    if len(parts) > 1 and not parts[0].strip():
        parts = parts[1:]
    if len(parts) > 1 and not parts[-1].strip():
        parts = parts[:-1]
    if not all(part.strip() for part in parts):
        return "a part between two dividers is empty"
    return outside(len(parts), "parts", count, count)


@rule(_GROUP)
def line_count(answer: str, count: int) -> str | None:
    """Lines, blank ones not counted."""
    return outside(len(lines_of(answer)), "lines", count, count)
