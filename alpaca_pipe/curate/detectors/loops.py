"""Texts that repeat themselves: loops, which small models fall into, and lists that say an item twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from alpaca_pipe.core.lazy_regex import lazy_regex
from alpaca_pipe.core.word_count import word_count, words

_ITEM = lazy_regex(r"^[ \t]*(?:\d+(?:[.)][ \t]+|[、．）])|[-*•・][ \t]+)(.*\S)")
_LONGEST_LOOP = 40  # words of what is said again and again
_FEWEST_ITEMS = 4
_LONGEST_ITEM = 4  # words; longer ones are steps, and a step may come again
_STATEMENT = lazy_regex(r"(?:end|else|if|return|loop|repeat|next|break|continue)\b")
_IN_SEQUENCE = lazy_regex(
    r"\b(?:steps?|instructions|commands?|programs?|process|procedure|algorithm|sequence|operations|rhythms?|beats?|music\w*"
    r"|melod\w+|songs?|lyrics|chants?|jingles?|carols?|raps?|poems?|patterns?|routines?|workouts?|schedules?|timetables?"
    r"|agendas?|itinerar\w+|conjugat\w+|recipes?|dialogue|tables?|matri\w+|vectors?|code|function)\b",
    re.IGNORECASE,
)
_MARKS = lazy_regex(r"(?:\A|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])[ \t]*(?:\d|[-*•・][ \t])")
_BETWEEN = lazy_regex(r"[,、，،]\s*(?:and\s+)?|\s+and\s+")  # items
_FIGURES = lazy_regex(r"[\d{}\[\]()=:;]")


def may_repeat(instruction: str) -> bool:
    """Songs, steps, schedules and drills say things again, and rightly."""
    return bool(_IN_SEQUENCE.search(instruction))


def words_to_repeat(text: str, least_words: int) -> list[str]:
    """The words of a text, in lower case; [] where it has fewer than so many."""
    if text.isascii() and len(text) < 2 * least_words - 1:
        return []
    said = words(text.casefold())
    return said if len(said) >= least_words else []


def repeated_share(said: Sequence[str], least_share: float = 0) -> float:
    """Share of the five-word runs that were there before; runs without any letter (rows of a table, vectors) are not
    counted. 0 where it cannot be above `least_share`: a run that holds a word for the first time was never there before, so
    there are hardly fewer new runs than words of the text's own."""
    different, enough = set(said), (1 - least_share) * len(said)
    if sum(map(str.islower, different)) - 4 >= enough:
        return 0.0
    letters = {word for word in different if _has_letter(word)}
    return 0.0 if len(letters) - 4 >= enough else _share_of_runs(said, letters)


def _share_of_runs(said: Sequence[str], letters: AbstractSet[str]) -> float:
    runs = [
        run
        for at in range(len(said) - 4)
        if not letters.isdisjoint(run := tuple(said[at : at + 5]))
    ]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def last_loop(said: Sequence[str], least_times: int, least_words: int) -> str:
    """What the words end in saying at least so many times on end, over at least so many words; or ""."""
    if not said or said.count(said[-1]) < least_times:
        return ""
    for length in range(1, min(_LONGEST_LOOP, len(said) // least_times) + 1):
        same = 0
        while same + length < len(said) and said[-1 - same] == said[-1 - same - length]:
            same += 1
        if same + length >= max(length * least_times, least_words) and any(
            map(_has_letter, said[-length:])
        ):
            one = said[-length:]
            return ("" if all(len(word) == 1 for word in one) else " ").join(one)
    return ""


def repeated_item(text: str, prompt: str) -> str:
    """The first item that a list of four or more says again, or ""; what the prompt says itself may come again.

    A list is lines with the same kind of mark one below the other, or a whole text of words between commas.
    """
    if not _may_be_list(text):
        return ""
    known = prompt.casefold()
    for items in _lists(text):
        seen: set[str] = set()
        for item in items if len(items) >= _FEWEST_ITEMS else ():
            if (
                item in seen
                and item not in known
                and _has_letter(item)
                and word_count(item) <= _LONGEST_ITEM
                and not _STATEMENT.match(item)
            ):
                return item
            seen.add(item)
    return ""


def _may_be_list(text: str) -> bool:
    """Lines with marks, or as many items in one line as such a list has."""
    if len(text.splitlines()) >= _FEWEST_ITEMS and _MARKS.search(text):
        return True
    if "\n" in text.strip():
        return False
    signs = (",", "and") if text.isascii() else (",", "、", "，", "،", "and")
    between = sum(map(text.casefold().count, signs))
    return between >= _FEWEST_ITEMS - 1


def _lists(text: str) -> Iterator[Sequence[str]]:
    block: list[str] = []
    for line in text.casefold().splitlines():
        if found := _ITEM.match(line):
            block.append(found[1].strip(" .,;。"))
        else:
            yield block
            block = []
    yield block
    if "\n" not in text.strip() and not _FIGURES.search(text):
        line = text.casefold().strip(" .,\n。")
        if not 0 < word_count(_BETWEEN.split(line, 1)[0].strip(" .。")) <= 3:
            return
        parts = [part.strip(" .。") for part in _BETWEEN.split(line)]
        if all(0 < word_count(part) <= 3 for part in parts):
            yield parts


def _has_letter(text: str) -> bool:
    return any(map(str.isalpha, text))
