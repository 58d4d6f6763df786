"""What to look for in a text: the patterns behind the filters and repairs that need no file of their own."""

from __future__ import annotations

import re

from alpaca_pipe.core.example import Example

FIELDS = ("instruction", "input", "output", "system")

_AROUND = (
    r"""[\s"'`<>()\[\]{}\\.,:!?]*"""  # quotes, brackets and stops that a placeholder is dressed in
)
_NEEDED = (
    r"(?:\s+(?:is\s+|was\s+)?(?:required|needed|necessary|provided|given|available|applicable))?"
)
_NO_INPUT = re.compile(
    rf"{_AROUND}(?:no[\s_-]*inputs?{_NEEDED}|n\s*/\s*a|none|null|not applicable){_AROUND}",
    re.IGNORECASE,
)
# "none" may be an answer, and so it is no placeholder here
_NO_OUTPUT = re.compile(
    rf"{_AROUND}(?:no[\s_-]*(?:in|out)puts?{_NEEDED}|n\s*/\s*a|null|not applicable){_AROUND}",
    re.IGNORECASE,
)

# `11. Instruction:` as the replies of Stanford's prompt number their tasks, `### Instruction:` as its template does
_HEADER = re.compile(r"^[ \t]*(?:\d+\.[ \t]*|#{2,}[ \t]*)Instruction:.*$", re.MULTILINE)
_ABOUT_TASKS = re.compile(r"\b(?:instructions?|tasks?|prompts?)\b", re.IGNORECASE)
# A line between two tasks: signs only, or one figure three times and more; an opened fence or comment is such a line too.
_BETWEEN = re.compile(r"\s*(?:[^\w\s][^\w\n]*|_[_\W]*|(\d)\1{2,}\s*)$")
_ENDED = re.compile(r"[.!?:][\"'”’)\]*_]*$")

_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)

# a comma, or a word that cannot end a sentence without another one (as "to look at" and "to live with" can)
_OPEN = re.compile(
    r"(?:,|\b(?:the|a|an|and|or|of|to|as|that|which|is|are|was|were|be|will|can|but"
    r"|if|because|its|their|your|my|our|his|her))$"
)
_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
# "20." stops a reply after its last task, and cuts "in 2020." and "$20." as well (stanford_alpaca's stop sequences).
_STUMP = re.compile(
    rf"(?:\b(?:in|since|until|till|during|early|late|as of|(?:{_MONTH})(?: \d{{1,2}},)?) (?:19|20)|\s[$€£])$"
)
_STUMP_WORDS = 5

# Tasks that leave no text as it was; one that selects, sorts, checks or corrects may well find nothing to do.
_CHANGES = re.compile(
    r"^(?:please |can you |could you )?(?:re(?:write|phrase|word|structure|construct|organi[sz]e|vise|formulate|do|make)"
    r"|paraphrase|edit|convert|change|transform|translate|summari[sz]e|shorten|condense|compress|delete|remove|add|insert|replace"
    r"|substitute|modify|improve|expand|extend|elaborate|simplify|minimi[sz]e|reverse|invert|turn|make|adapt|alter|enhance"
    r"|construct|compose|generate|create|write|design|develop|answer|explain|describe|analy[sz]e|interpret|predict|calculate)\w*\b",
    re.IGNORECASE,
)
_FEWEST_TO_CHANGE = 4  # words; "sheep" is its own plural
_MAY_STAY = re.compile(
    r"\b(?:if (?:it is |there (?:is|are) |they are )?(?:any|needed|necessary|required|applicable|incorrect|wrong)"
    r"|British|American|machine-readable|comma[- ]separated|cop(?:y|ies)|output the (?:input|text|result))\b",
    re.IGNORECASE,
)


def is_no_input(text: str) -> bool:
    """One of the spellings of "there is no input": `No input`, `<noinput>.`, `N/A`, `None` ... and nothing else."""
    return bool(_NO_INPUT.fullmatch(text)) and any(map(str.isalpha, text))


def is_no_output(text: str) -> bool:
    """One of the spellings of "there is no output", and nothing else."""
    return bool(_NO_OUTPUT.fullmatch(text))


def leaked_header(example: Example) -> str:
    """The header line of a next task inside the output, or "". A task about tasks may well answer with one."""
    found = _HEADER.search(example.output)
    if not found or (
        _ABOUT_TASKS.search(example.instruction) and not example.output[: found.start()].strip()
    ):
        return ""
    return found.group()


def before_next_task(example: Example) -> str:
    """The output up to the next task and the line between the two; "" where cutting there would not be safe: no task
    follows, nothing is left, or what is left neither ends a sentence nor had such a line after it."""
    found = _HEADER.search(example.output) if leaked_header(example) else None
    if not found:
        return ""
    lines = example.output[: found.start()].splitlines()
    kept = lines[:]
    while kept and (not kept[-1].strip() or _BETWEEN.fullmatch(kept[-1])):
        kept.pop()
    divided = any(line.strip() for line in lines[len(kept) :])
    text = "\n".join(kept).rstrip()
    if open_end(text, 1) or stump(text) or fences(text) % 2:
        return ""
    return text if divided or _ENDED.search(text) else ""


def fences(text: str) -> int:
    """Lines that open or close a code block."""
    return len(_FENCE.findall(text))


def open_end(output: str, least_words: int) -> str:
    """The last word, where the output is prose of `least_words` or more and needs one more; else "".

    The last line must be of six words or more: lists, code, tables and closings of letters end openly and rightly.
    """
    lines = output.rstrip().splitlines()
    if not lines or len(last := lines[-1].split()) < 6 or not _OPEN.search(last[-1]):
        return ""
    return last[-1] if len(output.split()) >= least_words else ""


def stump(output: str) -> str:
    """The end of an output that was cut inside a number, or ""."""
    found = (
        _STUMP.search(output[-60:].rstrip())
        if len(output.split(maxsplit=_STUMP_WORDS)) >= _STUMP_WORDS
        else None
    )
    return found.group().strip() if found else ""


def only_copied(example: Example) -> bool:
    """The output is the input, or both say that there is none, though the task leaves no text as it was."""
    text = example.input.strip()
    if not text or example.output.strip() != text:
        return False
    if is_no_output(text):
        return True
    return (
        len(text.split()) >= _FEWEST_TO_CHANGE
        and bool(_CHANGES.search(example.instruction))
        and not _MAY_STAY.search(example.instruction)
    )


def says_again(input: str, instruction: str) -> bool:
    """The input holds the instruction, of four words or more, word for word."""
    wanted = " ".join(re.findall(r"\w+", instruction.casefold()))
    return wanted.count(" ") >= 3 and wanted in " ".join(re.findall(r"\w+", input.casefold()))


def without_instruction(example: Example) -> str | None:
    """The input without the instruction that it begins with; None where it does not."""
    start, instruction = example.input.lstrip(), example.instruction.strip()
    if len(instruction.split()) < 4 or not start.casefold().startswith(instruction.casefold()):
        return None
    return start[len(instruction) :].lstrip(" \t\r\n:.-")
