"""Our rules and lm-eval's IFEval functions say the same of the same answers, for the kinds that both have.

Needs lm-eval 0.4.13 or later: in this environment, or in another whose Python LM_EVAL_PYTHON names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.evaluate.rules.base import rules
from tests.evaluate.rule_samples import SAMPLES

SCRIPT = Path(__file__).with_name("ifeval_verdicts.py")
Args = dict[str, Any]


def _bound(count: str, relation: str = "relation") -> Callable[[Args], Args]:
    """Ours allow both bounds; IFEval has `at least` and `less than`."""

    def told(args: Args) -> Args:
        if "at_least" in args:
            return {count: args["at_least"], relation: "at least"}
        return {count: args["at_most"] + 1, relation: "less than"}

    return told


SAME: dict[str, tuple[str, Callable[[Args], Args]]] = {
    "words": ("length_constraints:number_words", _bound("num_words")),
    "sentences": ("length_constraints:number_sentences", _bound("num_sentences")),
    "include": ("keywords:existence", lambda args: {"keywords": args["words"]}),
    "exclude": ("keywords:forbidden_words", lambda args: {"forbidden_words": args["words"]}),
    "word_count": (
        "keywords:frequency",
        lambda args: {"keyword": args["word"]} | _bound("frequency")(args),
    ),
    "letter_count": (
        "keywords:letter_frequency",
        lambda args: {"letter": args["letter"]} | _bound("let_frequency", "let_relation")(args),
    ),
    "bullets": (
        "detectable_format:number_bullet_lists",
        lambda args: {"num_bullets": args["count"]},
    ),
    "sections": (
        "detectable_format:multiple_sections",
        lambda args: {"section_spliter": args["word"], "num_sections": args["at_least"]},
    ),
    "highlights": (
        "detectable_format:number_highlighted_sections",
        lambda args: {"num_highlights": args["at_least"]},
    ),
    "title": ("detectable_format:title", lambda args: {}),
    "placeholders": (
        "detectable_content:number_placeholders",
        lambda args: {"num_placeholders": args["at_least"]},
    ),
    "divided": (
        "length_constraints:number_paragraphs",
        lambda args: {"num_paragraphs": args["count"]},
    ),
    "lowercase": ("change_case:english_lowercase", lambda args: {}),
    "uppercase": ("change_case:english_capital", lambda args: {}),
    "capital_words": (
        "change_case:capital_word_frequency",
        _bound("capital_frequency", "capital_relation"),
    ),
    "without": ("punctuation:no_comma", lambda args: {}),
    "ends_with": ("startend:end_checker", lambda args: {"end_phrase": args["text"]}),
    "quoted": ("startend:quotation", lambda args: {}),
    "postscript": (
        "detectable_content:postscript",
        lambda args: {"postscript_marker": args["marker"]},
    ),
    "paragraph_starts": (
        "length_constraints:nth_paragraph_first_word",
        lambda args: {
            "num_paragraphs": args["of"],
            "nth_paragraph": args["paragraph"],
            "first_word": args["word"],
        },
    ),
    "language": ("language:response_language", lambda args: {"language": args["code"]}),
    "json_answer": ("detectable_format:json_format", lambda args: {}),
    "two_answers": ("combination:two_responses", lambda args: {}),
    "repeats": ("combination:repeat_prompt", lambda args: {"prompt_to_repeat": args["text"]}),
}

_SHORT = "IFEval guesses the language too, by langdetect, which takes a few words for another one"
OTHERWISE: dict[tuple[str, str], str] = {
    ("lowercase", "it rains."): _SHORT,
    ("lowercase", "ça va"): "IFEval wants English; the casing is what is asked",
    ("uppercase", "WAIT: 2 DAYS"): _SHORT,
    (
        "repeats",
        "Why do cats purr? ",
    ): "repeated and not answered: IFEval looks at the beginning alone",
}


def _asked() -> list[tuple[str, Args, str]]:
    found = []
    for name in SAME:
        for args, keeps, breaks in SAMPLES[name]:
            if name == "without" and args["mark"] != ",":
                continue
            if name == "json_answer" and args:
                continue  # IFEval knows no keys and no items
            found += [(name, args, answer) for answer in (*keeps, *breaks)]
    return found


def _python() -> str:
    named = os.environ.get("LM_EVAL_PYTHON", "")
    if named or all(map(find_spec, ("lm_eval", "langdetect", "immutabledict", "nltk"))):
        return named or sys.executable
    pytest.skip("lm-eval is not installed here, and LM_EVAL_PYTHON names no Python that has it")


def test_they_agree() -> None:
    asked = _asked()
    given = [(SAME[name][0], SAME[name][1](args), answer) for name, args, answer in asked]
    ran = subprocess.run(
        [_python(), str(SCRIPT)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    theirs = json.loads(ran.stdout.rpartition("\n")[2])
    assert len(theirs) == len(asked)
    apart, heard = [], set()
    for (name, args, answer), verdict in zip(asked, theirs, strict=True):
        ours = rules()[name](answer, **args) is None
        if verdict is None:
            continue
        heard.add(name)
        if ours != verdict and (name, answer) not in OTHERWISE:
            apart.append((name, args, answer, f"ours {ours}, IFEval {verdict}"))
        if (name, answer) in OTHERWISE:
            assert ours != verdict, f"no longer otherwise: {name}, {answer!r}"
    assert not apart, "\n".join(map(str, apart))
    assert set(SAME) - heard <= {"sentences", "capital_words"}  # these need NLTK's punkt


def test_most_kinds_of_ifeval_are_among_ours() -> None:
    assert len({id for id, _ in SAME.values()}) == len(SAME) >= 24
