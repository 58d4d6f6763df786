"""The dated table of licences and terms: every row is whole, the well-known names are found, the unknown is asked about."""

from __future__ import annotations

import re
from datetime import date
from itertools import product

import pytest

from alpaca_pipe.core.ingredient import Ingredient, Kind
from alpaca_pipe.data.commercial_use import as_chapter, selling
from alpaca_pipe.data.terms import USES, answer, findings, table, terms_of


def verdicts(kind: Kind, name: str, *beside: Ingredient) -> str:
    return " ".join(
        next(
            one.answer
            for one in findings([Ingredient(kind, name), *beside], use)
            if one.ingredient.name == name
        )
        for use in USES
    )


def test_each_row_says_what_binds_where_it_is_written_and_how_old_it_is() -> None:
    order = ("no", "ask", "yes")
    for row in table():
        assert (
            row.of in ("base", "teacher", "data")
            and row.where.startswith("https://")
            and row.whose
            and row.licence
            and row.says
        )
        assert set(row.uses) == set(USES) and set(row.uses.values()) <= set(order)
        assert re.fullmatch(r"\d{4}-\d\d(-\d\d)?", row.as_of) and (
            row.checked == "-" or date.fromisoformat(row.checked) <= date.today()
        )
        ranks = [order.index(row.uses[use]) for use in USES]
        assert ranks == sorted(ranks, reverse=True), (
            f"{row.licence}: what research may not, nobody may"
        )


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("base", "huggyllama/llama-7b", "yes no no"),
        ("base", "meta-llama/Llama-2-7b-hf", "yes yes ask"),
        ("base", "meta-llama/Meta-Llama-3-8B", "yes yes ask"),
        ("base", "meta-llama/Llama-3.2-1B", "yes yes ask"),
        ("base", "HuggingFaceTB/SmolLM2-1.7B", "yes yes yes"),
        ("base", "mistralai/Mistral-7B-v0.3", "yes yes yes"),
        ("base", "Qwen/Qwen2.5-7B", "yes yes yes"),
        ("base", "Qwen/Qwen2.5-3B", "yes ask no"),
        ("base", "Qwen/Qwen3-8B", "yes yes yes"),
        ("base", "google/gemma-3-4b-pt", "yes yes ask"),
        ("base", "somebody/their-own", "ask ask ask"),
        ("teacher", "gpt-4.1-nano-2025-04-14", "yes ask ask"),
        ("teacher", "openai/gpt-oss-20b", "yes yes yes"),
        ("teacher", "claude-sonnet-4-5", "yes ask ask"),
        ("teacher", "gemini-2.5-flash", "yes ask ask"),
        ("teacher", "o3-mini", "yes ask ask"),
        ("teacher", "text-davinci-003", "yes ask ask"),
        ("teacher", "Meta-Llama-3-8B-Instruct-Lite", "ask no no"),
        ("teacher", "llama-3.1-8b-instant", "yes yes ask"),
        ("teacher", "smollm2-135m-instruct", "yes yes yes"),
        ("judge", "gpt-4.1-mini", "yes ask ask"),
        ("data", "hub:tatsu-lab/alpaca", "yes ask no"),
        ("data", "alpaca_data.json.gz", "yes ask no"),
        ("data", "sharegpt_v3.json", "ask ask no"),
        ("data", "our-own.csv", "ask ask ask"),
    ],
)
def test_well_known_names(kind: Kind, name: str, said: str) -> None:
    assert verdicts(kind, name) == said


def test_a_licence_that_binds_output_to_its_own_family_lifts_for_that_base() -> None:
    assert (
        verdicts("teacher", "llama-2-70b-chat", Ingredient("base", "meta-llama/Llama-2-7b-hf"))
        == "yes ask ask"
    )
    assert (
        verdicts("teacher", "llama-2-70b-chat", Ingredient("base", "Qwen/Qwen2.5-7B"))
        == "ask no no"
    )


@pytest.mark.parametrize(
    "names", list(product(("SmolLM2-1.7B", "their-own", "llama-7b"), repeat=2))
)
def test_all_together_are_as_free_as_the_least_free(names: tuple[str, ...]) -> None:
    found = findings([Ingredient("base", name) for name in names], "commercial")
    worst = "no" if "llama-7b" in names else "ask" if "their-own" in names else "yes"
    assert answer(found) == worst == found[0].answer
    assert answer(()) == "yes"


def test_the_recipes_own_words_about_a_teacher_go_first() -> None:
    (found,) = findings(
        [Ingredient("teacher", "gpt-4.1-nano", "contract of 2026-05, annex B")], "commercial"
    )
    assert (
        found.answer == "yes" and found.says == "as the recipe says: contract of 2026-05, annex B"
    )


def test_a_sentence_names_source_and_age() -> None:
    assert "compete with OpenAI (https://openai.com/" in terms_of(
        "gpt-4.1-nano"
    ) and "checked 2026-" in terms_of("gpt-4.1-nano")
    assert "not in our table" in terms_of("somebody/own")


def test_the_chapter_answers_with_reasons_sources_and_no_advice() -> None:
    brings = [Ingredient("base", "huggyllama/llama-7b"), Ingredient("teacher", "gpt-4.1-nano")]
    accepted = {"use": "internal", "of": ["huggyllama/llama-7b"], "at": "2026-11-29T10:00:00+00:00"}
    text = "\n".join(as_chapter(brings, accepted))
    assert "## May we sell it?" in text and "**No: at least one of them forbids it.**" in text
    assert (
        "- no: huggyllama/llama-7b (base): LLaMA 1" in text
        and "- ask: gpt-4.1-nano (teacher): OpenAI's terms" in text
    )
    assert (
        text.count("https://") == 2
        and "not legal advice" in text
        and "said on 2026-11-29 to have read and accepted" in text
    )
    assert selling(()).answer == "yes" and "Nothing of others went in" in selling(()).sentence
