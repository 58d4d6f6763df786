"""What to look for in a text: the patterns behind the filters and repairs."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["control_character", "fences", "is_no_input", "is_no_output", "leaked_header",
           "open_end", "refusal", "repeated_share"]

_AROUND = r"""[\s"'`<>()\[\]{}\\.,:!?]*"""  # quotes, brackets and stops that a placeholder is dressed in
_NEEDED = r"(?:\s+(?:is\s+|was\s+)?(?:required|needed|necessary|provided|given|available|applicable))?"
_NO_INPUT = re.compile(
    rf"{_AROUND}(?:no[\s_-]*inputs?{_NEEDED}|n\s*/\s*a|none|null|not applicable){_AROUND}", re.IGNORECASE)
# "none" may be an answer, and so it is no placeholder here
_NO_OUTPUT = re.compile(
    rf"{_AROUND}(?:no[\s_-]*(?:in|out)puts?{_NEEDED}|n\s*/\s*a|null|not applicable){_AROUND}", re.IGNORECASE)

# `11. Instruction:` as the replies of Stanford's prompt number their tasks, `### Instruction:` as its template does
_HEADER = re.compile(r"^[ \t]*(?:\d+\.[ \t]*|#{2,}[ \t]*)Instruction:.*$", re.MULTILINE)

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")
_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*(?:\d+[.)]|[-*•])[ \t]+(.*\S)", re.MULTILINE)

_SORRY = r"(?:(?:I['’]m|I am)\s+)?(?:very\s+)?(?:sorry|afraid|unfortunately|I apologi[sz]e)\b"
_CANNOT = (r"(?:can ?not|can['’]t|could not|(?:am|are|is|['’]m|['’]re) (?:not able|unable|not capable)|not possible"
           r"|unable to|beyond (?:the|my|our)|not (?:equipped|designed|programmed))")
_DECLINED_ACT = (r"(?:assist|help|create|generate|provide|fulfil|complete|perform|access|answer|comply|engage|browse"
                 r"|do (?:that|this)|play|draw|write|produce|process|see|view)\b")
_REFUSALS = tuple(re.compile(pattern, re.IGNORECASE | re.DOTALL) for pattern in (
    # "Sorry, this task involves ... which the model cannot ..."
    rf"{_SORRY}[^.!?\n]{{0,40}}\b(?:task|request|question|prompt|instruction)s?\b.{{0,200}}?{_CANNOT}",
    # "I'm sorry, but I can't assist with that"
    (rf"(?:{_SORRY}[\s,.:;-]+)?(?:but\s+)?I\s*(?:can ?not|can['’]t|(?:am|['’]m) (?:not able|unable) to"
     rf"|(?:do not|don['’]t) have (?:the|any) (?:ability|capability) to)\s+{_DECLINED_ACT}"),
    # "As an AI language model, I do not ..."
    (rf"(?:{_SORRY}[\s,.:;-]+)?(?:but\s+)?as an? (?:AI|artificial intelligence|(?:large )?language model)\b"
     rf"[^.!?\n]{{0,80}}?\bI\s*(?:{_CANNOT}|do(?: not|n['’]t)|have no)"),
    # "No output as GPT models cannot create visuals"
    rf"\W*(?:no output|n/a)\b[^.!?\n]{{0,90}}\bmodels?\b[^.!?\n]{{0,20}}{_CANNOT}",
))

# a comma, or a word that cannot end a sentence without another one
_OPEN = re.compile(r"(?:,|\b(?:the|a|an|and|or|of|to|at|by|for|with|from|as|that|which|is|are|was|were|be|will|can|but"
                   r"|if|because|its|their|your|my|our|his|her))$")


def is_no_input(text: str) -> bool:
    """One of the spellings of "there is no input": `No input`, `<noinput>.`, `N/A`, `None` ... and nothing else."""
    return bool(_NO_INPUT.fullmatch(text)) and any(map(str.isalpha, text))


def is_no_output(text: str) -> bool:
    """One of the spellings of "there is no output", and nothing else."""
    return bool(_NO_OUTPUT.fullmatch(text))


def leaked_header(output: str) -> str:
    """The header line of a next task inside an output, or ""."""
    found = _HEADER.search(output)
    return _short(found.group()) if found else ""


def refusal(output: str) -> str:
    """The words that decline the task, where the output begins with them, or ""."""
    start = output.lstrip()
    found = next(filter(None, (pattern.match(start) for pattern in _REFUSALS)), None)
    return _short(found.group()) if found else ""


def control_character(text: str) -> str:
    """The first character that no text holds, or ""."""
    found = _CONTROL.search(text)
    return found.group() if found else ""


def fences(text: str) -> int:
    """Lines that open or close a code block."""
    return len(_FENCE.findall(text))


def open_end(output: str, least_words: int) -> str:
    """The last word, where the output is prose of `least_words` or more and needs one more; else "".

    The last line must be of six words or more: lists, code, tables and closings of letters end openly and rightly.
    """
    lines = output.rstrip().splitlines()
    if len(output.split()) < least_words or len(last := lines[-1].split()) < 6:
        return ""
    return last[-1] if _OPEN.search(last[-1]) else ""


def repeated_share(text: str, least_words: int) -> float:
    """Share of the five-word runs, or of the items of a list, that were there before; the larger of the two.

    Runs are counted from `least_words` words on, items from four items on.
    """
    words = text.casefold().split()
    runs = [tuple(words[i:i + 5]) for i in range(len(words) - 4)] if len(words) >= least_words else []
    items = [item.strip() for item in _ITEM.findall(text.casefold())]
    return max(_share_again(runs), _share_again(items) if len(items) >= 4 else 0.0)


def _share_again(things: Sequence[object]) -> float:
    return 1 - len(set(things)) / len(things) if things else 0.0


def _short(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most - 3]}..."
