"""Each rule: answers that keep it and answers that break it; and the prompts that are shipped with them."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.evaluate.evaluations.forgetting_suite import questions
from alpaca_pipe.evaluate.evaluations.rule_following import broken, prompts
from alpaca_pipe.evaluate.rules.answer_language import language_of
from alpaca_pipe.evaluate.rules.base import rules
from alpaca_pipe.evaluate.rules.text_units import paragraphs_of, sentences_of, words_of
from tests.evaluate.rule_samples import SAMPLES

ALL = prompts(10_000)


@pytest.mark.parametrize("name", sorted(rules()))
def test_a_rule_is_kept_and_broken(name: str) -> None:
    assert SAMPLES.get(name), f"rule '{name}' has no samples in rule_samples.py"
    for args, keeps, breaks in SAMPLES[name]:
        for answer in keeps:
            assert rules()[name](answer, **args) is None, (args, answer)
        for answer in breaks:
            assert rules()[name](answer, **args), (args, answer)
        assert rules()[name](" \n", **args) == "the answer is empty"
    assert keeps and breaks and rules()[name].says.endswith(".")


def test_there_are_prompts_for_every_rule_and_each_names_a_rule_with_its_arguments() -> None:
    assert len(ALL) >= 200 and len({row["id"] for row in ALL}) == len(ALL)
    assert len({row["prompt"] for row in ALL}) == len(ALL)
    used: set[str] = set()
    for row in ALL:
        assert row["rules"], row["id"]
        for one in row["rules"]:
            args = {name: value for name, value in one.items() if name != "rule"}
            inspect.signature(rules()[one["rule"]].check).bind("answer", **args)
            used.add(one["rule"])
    assert used == set(rules()) and len(used) >= 25


def test_few_prompts_still_ask_for_every_rule() -> None:
    some = prompts(len(rules()))
    assert len({row["rules"][0]["rule"] for row in some}) == len(rules())


def test_no_prompt_is_kept_by_giving_it_back() -> None:
    """An echo of the prompt follows few instructions: what is asked is not in the asking."""
    kept = [row["id"] for row in ALL if not broken(row["prompt"], row["rules"])]
    assert len(kept) < 0.35 * len(ALL)


def test_all_rules_of_a_prompt_must_hold() -> None:
    wanted = [{"rule": "words", "at_most": 3}, {"rule": "lowercase"}]
    assert broken("one two three", wanted) == []
    assert broken("One two three four", wanted) == [
        "words: 4 words, at most 3 wanted",
        "lowercase: 'O' is a capital",
    ]


@given(st.text())
def test_no_answer_breaks_a_rule_check(answer: str) -> None:
    for name, some in SAMPLES.items():
        for args, *_ in some:
            found = rules()[name](answer, **args)
            assert found is None or (found and "\n" not in found.strip("\n"))


@given(st.lists(st.sampled_from(["One is.", "Two go?", "Three!"]), min_size=1, max_size=9))
def test_joined_sentences_are_counted(parts: list[str]) -> None:
    assert sentences_of(" ".join(parts)) == parts
    assert paragraphs_of("\n\n".join(parts)) == parts
    assert len(words_of(" ".join(parts))) == sum(len(part.split()) for part in parts)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Il cane è un animale che vive con gli uomini e non è molto grande.", "it"),
        ("O cão é um animal que vive com as pessoas e não é muito grande.", "pt"),
        ("De hond is een dier dat met ons leeft en niet zo groot is.", "nl"),
        ("今日はとても良い天気です。", "ja"),
        ("今天天气很好，我们去公园散步。", "zh"),
        ("Ο σκύλος είναι ένα ζώο.", "el"),
        ("오늘은 날씨가 좋습니다.", "ko"),
        ("हम बाज़ार जाते हैं।", "hi"),
        ("الطقس جميل اليوم", "ar"),
        ("qwx zzt", ""),
        ("123", ""),
    ],
)
def test_languages_are_told_apart(text: str, code: str) -> None:
    assert language_of(text) == code


def test_small_questions_have_one_right_answer_of_four() -> None:
    found = questions()
    assert len(found) >= 100 and len({row["id"] for row in found}) == len(found)
    for row in found:
        assert len({row["answer"], *row["others"]}) == 4, row["id"]
