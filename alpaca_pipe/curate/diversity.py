"""How varied the kept rows are: what they ask for (verb and object), how long they are, how near each one's nearest is.

Verb and object are read as in the figure of Self-Instruct (Wang et al. 2022, fig. 3), by a lighter way than its parser,
whose model of spaCy its makers put in no package registry (others' copies of it are there): the verb is the first word that a list knows, within the first
five of the sentence; the object is the head of the first run of words after it that ends before a preposition, a
conjunction, a verb form or a stop. A question without such a verb counts as none. Of 60 rows of the 52K that it was not
tuned on, read by hand: 53 of its 54 answers right, 3 verbs not known to it (re-write, recognize, output), 3 questions.
English only.
"""

from __future__ import annotations

import random
import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.word_count import word_count
from alpaca_pipe.similarity.rouge import Index
from alpaca_pipe.similarity.words import Words

VERBS_SHOWN, OBJECTS_SHOWN = (
    20,
    4,
)  # Self-Instruct's figure: the 20 commonest verbs, each with its 4 commonest objects
_SAMPLE = 500  # rows whose nearest is looked for: the median is known to within 0.02
AMONG = 20_000  # rows among which it is looked for: 2 s, and datasets of different sizes compare
_BULK_FROM = 10_000  # texts: below, loading Numba costs more than it saves
_LENGTHS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)  # words; each bin begins here


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


VERBS = _listed("""
accept achieve act adapt add address adjust advise aggregate alter analyse analyze annotate answer apply appraise argue arrange
articulate ask assemble assess assign assume balance brainstorm break build calculate categorise categorize change characterize
check choose cite clarify classify clean code collect combine come comment compare compile complete compose compress compute
conclude condense conduct consider construct contrast convert copy correct count craft create critique debug decide decode
deduce define delete demonstrate derive describe design detail detect determine develop devise diagnose differentiate discuss
display distinguish divide document draft draw edit elaborate eliminate emphasize encode enumerate estimate evaluate examine
execute expand explain explore express extend extract factor fill filter find finish fix flag forecast form format formulate
gather generate get give group guess help highlight identify illustrate imagine implement improve include increase indicate
infer insert inspect instruct integrate interpret introduce invent invert investigate join judge justify label list locate make
map match measure mention merge minimize model modify move name narrate negate normalize note obtain offer optimize order
organise organize outline output paraphrase parse perform personify pick plan play point polish portray predict prepare present
print prioritize process produce prompt proofread propose prove provide punctuate put quote rank rate read rearrange recall
recommend record recreate rectify reduce refactor refer reformat reformulate refute relate remove rename reorder reorganize
rephrase replace reply report represent reproduce research resolve respond restate restructure retrieve return reverse review
revise reword rewrite rhyme round scan schedule score search select separate sequence set shorten show simplify simulate sketch
solve sort specify spell split state structure study subtract suggest sum summarise summarize supply support swap synthesize
tell test trace transcribe transform translate transpose turn type uncover underline update use validate verify visualize
write""")
_BEFORE = _listed("""a an the this these those my your his her its our their some any each every all both one two three
four five six seven eight nine ten me us it them him you following given provided new appropriate possible different another
more most least few several many such at only very best good better short long brief simple creative unique original detailed
common other single main major specific particular possible relevant suitable correct great interesting real own final first
second third last next additional various top key important up out down""")
_ARTICLES = _listed("a an the this these following given")
_STOPS = _listed("""about above according across after against along among and are around as at based because before behind
below between but by can could describing during each explaining for from how if in including inside into is it like near of
off on onto or over per regarding should so such than that the their then these they this through to toward towards under
until upon using via was were what when where whether which while who whom whose why will with within without would you your
containing involving related featuring given called titled""")
_NOUNS = _listed("""advertising beginning building cooking drawing ending engineering feeling finding gaming greeting heading
housing hundred learning listing marketing meaning meeting morning painting planning pricing processing programming reading
recording saying setting spelling spring string thing training understanding warning wedding wording writing list form code
plan design report review sentence model map change sequence label type summary question name order answer response play prompt
outline argument set format score sketch research test study function record draft copy guess word order match""")
_PIECE = re.compile(r"[a-z]+(?:['’-][a-z]+)*|\d+|[^\w\s]")
_ANY_CASE = re.compile(_PIECE.pattern, re.IGNORECASE)
_NO_QUOTES = frozenset("(\"“”'‘’")
_GIVEN = re.compile(r"\(.*?\)|[\"“”'‘](?=\w).*?[\"“”'’](?!\w)")


def _pieces(text: str) -> list[str]:
    """Where case is no matter of ASCII: `İ` becomes two characters, one of which is no letter."""
    return [piece.lower() for piece in _ANY_CASE.findall(text)]


def verb_and_object(instruction: str) -> tuple[str, str] | None:
    """("write", "story") of "Write a short story about a lost dog."; the object is "" where none follows."""
    text = instruction if _NO_QUOTES.isdisjoint(instruction) else _GIVEN.sub(" ", instruction)
    low = text.lower()
    words = _PIECE.findall(low) if low.isascii() else _pieces(text)
    begins = [
        *range(min(5, len(words))),
        *(at + 1 for at, word in enumerate(words[:-1]) if word == ","),
    ]
    place = next(
        (at for at in begins if words[at] in VERBS and (at == 0 or words[at - 1] not in _ARTICLES)),
        None,
    )
    if place is None or any(word in ".?!;" for word in words[:place]):
        return None
    rest = words[place + 1 :]
    if rest[:1] == ["and"] and rest[1:2] and rest[1] in VERBS:  # compare and contrast
        rest = rest[2:]
    return words[place], _object(rest)


def _object(words: Sequence[str]) -> str:
    run: list[str] = []
    for word, following in pairwise([*words, "."]):
        if not word[0].isalpha():
            if run:
                break
            if word in ",.;:?!" or not word.isdigit():
                return ""
            continue
        if not run and (word in _BEFORE or _is_form(word, "ed")):
            continue
        if (
            not run
            and word in VERBS
            and word not in _NOUNS
            and following[0].isalpha()
            and following not in _STOPS
        ):
            continue
        if run and (
            _is_form(word, "ed")
            or (_is_form(word, "ing") and following[0].isalpha() and following not in _STOPS)
        ):
            break
        if word in _STOPS or (run and word.endswith("ly")):
            if run:
                break
            if word in (
                "of",
                "to",
                "about",
                "with",
                "on",
                "for",
                "from",
                "into",
                "in",
                "if",
                "whether",
                "how",
                "why",
                "what",
                "who",
                "where",
                "when",
                "which",
                "that",
            ):
                return ""
            continue
        run.append(word)
    return _singular(run[-1]) if run else ""


def _is_form(word: str, ending: str) -> bool:
    """Proposed, targeting: a form of a verb by its ending; not seed, not meeting."""
    return (
        word.endswith(ending)
        and len(word) > len(ending) + 1
        and not word.endswith("eed")
        and word not in _NOUNS
    )


def _singular(word: str) -> str:
    if len(word) < 4 or word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y" if word != "series" else word
    return word[:-2] if word.endswith(("sses", "shes", "ches", "xes")) else word[:-1]


@dataclass
class Diversity:
    """Grows row by row; memory: a text for each row, and the counts."""

    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    lengths: dict[str, Counter[int]] = field(
        default_factory=lambda: {name: Counter() for name in ("instruction", "input", "output")}
    )
    texts: list[str] = field(default_factory=list)

    def add(self, example: Example) -> None:
        """Of a conversation the first question's verb counts, and the length of all questions and of all answers."""
        if found := verb_and_object(example.instruction):
            self.asked[found] += 1
        texts = {
            "instruction": example.instruction,
            "input": example.input,
            "output": example.output,
        }
        if example.messages:
            texts |= {"instruction": example.asked, "output": example.answered}
        for name, counts in self.lengths.items():
            counts[_bin(word_count(texts[name]))] += 1
        self.texts.append(texts["instruction"])

    def update(self, other: Diversity) -> None:
        """With the rows of another one behind its own."""
        self.asked.update(other.asked)
        for name, counts in self.lengths.items():
            counts.update(other.lengths[name])
        self.texts += other.texts

    def to_row(self, words: Words, seed: int = 0) -> dict[str, Any]:
        """verbs: the commonest, each with its count and its commonest objects. lengths: rows by words, each bin by where it
        begins. nearest: ROUGE-L F to the nearest other instruction, of `sample` rows, in tenths."""
        verbs: Counter[str] = Counter()
        for (verb, _), count in self.asked.items():
            verbs[verb] += count
        shown = [
            {"verb": verb, "count": count, "objects": self._objects(verb)}
            for verb, count in _most(verbs, VERBS_SHOWN)
        ]
        scores = nearest(self.texts, words, seed)
        return {
            "rows": len(self.texts),
            "with_verb": sum(verbs.values()),
            "verbs": len(verbs),
            "pairs": sum(1 for _, it in self.asked if it),
            "shown": shown,
            "lengths": {
                name: {str(bin): counts[bin] for bin in sorted(counts)}
                for name, counts in self.lengths.items()
            },
            "nearest": {
                "sample": len(scores),
                "among": min(AMONG, len(self.texts)),
                "median": round(sorted(scores)[len(scores) // 2], 3) if scores else None,
                "tenths": [
                    sum(int(min(score, 0.999) * 10) == tenth for score in scores)
                    for tenth in range(10)
                ],
            },
        }

    def _objects(self, verb: str) -> list[dict[str, Any]]:
        own = Counter(
            {it: count for (word, it), count in self.asked.items() if word == verb and it}
        )
        return [{"object": it, "count": count} for it, count in _most(own, OBJECTS_SHOWN)]


def _most(counts: Counter[str], shown: int) -> list[tuple[str, int]]:
    """The commonest, of equals the first in the alphabet."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:shown]


def _bin(words: int) -> int:
    return _LENGTHS[bisect(_LENGTHS, words) - 1]


def nearest(
    texts: Sequence[str], words: Words, seed: int = 0, sample: int = _SAMPLE, among: int = AMONG
) -> list[float]:
    """F to the nearest other text, of so many texts drawn at random (of few texts, of all), among so many drawn at random."""
    drawn = random.Random(seed).sample(range(len(texts)), min(among, len(texts)))
    found = _nearest_in_bulk if len(drawn) >= _BULK_FROM and find_spec("numba") else _nearest_of_few
    return found([texts[place] for place in drawn], words, drawn, sample)


def _nearest_in_bulk(
    texts: Sequence[str], words: Words, drawn: Sequence[int], sample: int
) -> list[float]:
    """As below, compiled."""
    from alpaca_pipe.similarity.nearest_others import nearest_others

    scores = nearest_others(texts, min(sample, len(texts)), words)
    return [float(score) for _, score in sorted(zip(drawn, scores, strict=False))]


def _nearest_of_few(
    texts: Sequence[str], words: Words, drawn: Sequence[int], sample: int
) -> list[float]:
    """F to the nearest other of the drawn texts, of the first so many of them, in the order of their places."""
    index = Index(Decimal(1), words)
    best: list[Fraction] = []
    for text in texts[sample:]:
        index.add("other", text)
    for text in texts[:sample]:
        near = index.nearest(text)
        best.append(near.score if near else Fraction(0))
    some = range(min(sample, len(texts)))
    for order in (some, reversed(some)):  # within the sample each row would find itself
        before = Index(Decimal(1), words)
        for place in order:
            if near := before.nearest(texts[place]):
                best[place] = max(best[place], near.score)
            before.add("other", texts[place])
    return [float(score) for _, score in sorted(zip(drawn, best, strict=False))]


def diversity(examples: Iterable[Example], words: Words) -> dict[str, Any]:
    found = Diversity()
    for example in examples:
        found.add(example)
    return found.to_row(words)
