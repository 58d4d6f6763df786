"""A user's own documents, cut into passages of whole paragraphs that a task can be grounded in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.word_count import word_size, word_spans

_FEWEST = 20  # words; less is a heading or a page number, and grounds nothing
_ROUNDING = 1e-6  # words: of a sum of shares


@dataclass(frozen=True)
class Chunk:
    """A passage. start, end: characters within the text that was read from the file."""

    file: str  # name below the folder that the user named
    start: int
    end: int
    text: str


def chunks(paths: Sequence[Path], words: int) -> list[Chunk]:
    """The passages of all files, files in the order of their names; each has about `words` words, never more.

    txt and md are read as they are; html, pdf and docx by beautifulsoup4, pypdf and python-docx (extra `documents`).
    Raises UserErrors for files that cannot be read, and where nothing is found.
    """
    found: list[Chunk] = []
    errors: list[UserError] = []
    for root in paths:
        for file in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if (
                not file.is_file()
                or file.name.startswith(".")
                or (root.is_dir() and file.suffix.lower() not in READERS)
            ):
                continue
            try:
                name = file.relative_to(root).as_posix() if root.is_dir() else file.name
                found += [
                    Chunk(name, start, end, text)
                    for start, end, text in passages(read_text(file), words)
                ]
            except UserError as error:
                errors.append(error)
    if errors:
        raise UserErrors(errors)
    if not found:
        raise UserError(
            f"no passage of {_FEWEST} words or more in {', '.join(map(str, paths))}",
            f"name files of text ({', '.join(READERS)}), or a folder that holds some",
        )
    return found


def read_text(file: Path) -> str:
    """The text of a file, by its suffix. Raises UserError."""
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise UserError(
            f"{file}: files of this kind are not read",
            f"convert it to one of: {', '.join(READERS)}",
        )
    try:
        text = reader(file)
    except UserError:
        raise
    except ModuleNotFoundError as error:
        raise UserError(
            f"{file}: reading it needs {error.name}", "pip install 'alpaca-pipe[documents]'"
        ) from None
    except Exception as error:  # noqa: BLE001 - the readers raise whatever a broken file makes them
        raise UserError(
            f"{file}: cannot be read: {type(error).__name__}: {error}",
            "open and save it again, or convert it to plain text",
        ) from None
    if not text.strip():
        raise UserError(
            f"{file}: it holds no text", "a scanned document needs OCR first; or take the file out"
        )
    return text


def passages(text: str, words: int) -> Iterator[tuple[int, int, str]]:
    """(start, end, text) of passages: whole paragraphs as long as they fit, else whole sentences, else words."""
    start, end, count = 0, 0, 0.0
    for begin, stop in _pieces(text, words):
        more = word_size(text[begin:stop])
        if count and count + more > words + _ROUNDING:
            if count >= _FEWEST:
                yield start, end, text[start:end]
            count = 0.0
        start = start if count else begin
        end, count = stop, count + more
    if count >= _FEWEST:
        yield start, end, text[start:end]


def _pieces(text: str, words: int) -> Iterator[tuple[int, int]]:
    """Spans of at most so many words each, as large as they can be."""
    for begin, end in _spans(text, 0, len(text), r"\n[ \t]*\n\s*"):
        if word_size(text[begin:end]) <= words:
            yield begin, end
            continue
        for first, last in _spans(text, begin, end, r"(?<=[.!?])\s+|(?<=[。！？])\s*"):
            for start, stop in _runs(text[first:last], words):
                yield first + start, first + stop


def _runs(text: str, words: int) -> Iterator[tuple[int, int]]:
    """Spans of so many words that follow each other, the last one of fewer; the signs before a word go with it."""
    start, size, stop = 0, 0.0, 0
    for word in word_spans(text):
        if size and size + word.share > words + _ROUNDING:
            yield start, stop
            start, size = (
                stop + len(text[stop : word.start]) - len(text[stop : word.start].lstrip()),
                0.0,
            )
        size, stop = size + word.share, word.end
    if size:
        yield start, len(text.rstrip())


def _spans(text: str, begin: int, end: int, between: str) -> Iterator[tuple[int, int]]:
    """What stands between the breaks, without the blanks around it."""
    at = begin
    for gap in [*re.finditer(between, text[begin:end]), None]:
        stop = begin + gap.start() if gap else end
        piece = text[at:stop]
        if piece.strip():
            yield at + len(piece) - len(piece.lstrip()), at + len(piece.rstrip())
        at = begin + gap.end() if gap else end


def _plain(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}: not UTF-8 at byte {error.start}",
            f"convert it: iconv -f latin1 -t utf-8 {file.name} > fixed-{file.name}",
        ) from None


def _html(file: Path) -> str:
    from bs4 import BeautifulSoup

    page = BeautifulSoup(file.read_bytes(), "html.parser")
    for part in page(["script", "style", "nav", "header", "footer", "noscript", "template"]):
        part.decompose()
    blocks = page.find_all(
        ["p", "li", "h1", "h2", "h3", "h4", "td", "th", "pre", "blockquote", "dd", "dt"]
    )
    texts = [
        " ".join(block.get_text(" ").split())
        for block in blocks
        if not block.find_parent(["li", "blockquote", "pre"])
    ]
    return "\n\n".join(text for text in texts if text) or " ".join(page.get_text(" ").split())


def _pdf(file: Path) -> str:
    from pypdf import PdfReader

    return "\n\n".join(page.extract_text() for page in PdfReader(file).pages)


def _docx(file: Path) -> str:
    from docx import Document

    document = Document(str(file))
    cells = (cell.text for table in document.tables for row in table.rows for cell in row.cells)
    return "\n\n".join([*(paragraph.text for paragraph in document.paragraphs), *cells])


READERS: dict[str, Callable[[Path], str]] = {
    ".txt": _plain,
    ".md": _plain,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".docx": _docx,
}
