"""The dated table of licences and terms: every row is whole, the well-known names are found, the unknown is asked about."""

from __future__ import annotations

import re
from datetime import date
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.ingredient import Ingredient, Kind
from alpaca_pipe.data.cards import dataset_card
from alpaca_pipe.data.commercial_use import as_chapter, selling
from alpaca_pipe.data.own_terms import read_terms
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
        ("base", "Qwen3-8B", "yes yes yes"),
        ("base", "somebody/Qwen3-8B-nc", "ask ask ask"),  # a tune of it, under terms of its own
        ("base", "somebody/Llama-3.1-8B-theirs", "yes yes ask"),
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


def own_words(said: str, name: str = "somebody/own") -> str:
    brings = [Ingredient("teacher", name, said)]
    return " ".join(findings(brings, use)[0].answer for use in USES)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("CC BY-NC 4.0: non-commercial research only", "ask no no"),
        ("CC BY-NC 4.0", "ask ask no"),
        ("cc-by-nc-sa-3.0", "ask ask no"),
        ("https://creativecommons.org/licenses/by-nc/4.0/", "ask ask no"),
        ("Apache-2.0, but non commercial", "ask ask no"),
        ("MIT for the code; the output may not be used for commercial purposes", "ask ask no"),
        ("commercial use is prohibited", "ask ask no"),
        ("commercial use requires a licence of its own", "ask ask no"),
        ("not for sale", "ask ask no"),
        ("for academic use only", "ask no no"),
        ("may only be used for research", "ask no no"),
        ("internal evaluation only", "ask no no"),
        ("the output may not be used to train other models", "ask no no"),
        ("no fine-tuning on outputs", "ask no no"),
        ("the output may not be used to train competing models", "ask ask ask"),
        ("contract of 2026-05, annex B", "ask ask ask"),
        ("https://example.org/terms", "ask ask ask"),
        ("commercial and non-commercial use", "ask ask ask"),
        ("not MIT", "ask ask ask"),
        ("MIT-like", "ask ask ask"),
        ("CC BY-SA 4.0", "ask ask ask"),
        ("CC BY-ND 4.0", "ask ask ask"),
        ("yes", "ask ask ask"),
        ("MIT", "yes yes yes"),
        ("the MIT License.", "yes yes yes"),
        ("Apache-2.0", "yes yes yes"),
        ("Apache License, Version 2.0", "yes yes yes"),
        ("https://www.apache.org/licenses/LICENSE-2.0", "yes yes yes"),
        ("CC-BY-4.0", "yes yes yes"),
        ("https://creativecommons.org/licenses/by/4.0/", "yes yes yes"),
        ("CC0", "yes yes yes"),
    ],
)
def test_the_recipes_own_words_allow_only_as_the_name_of_an_open_licence(
    said: str, read: str
) -> None:
    assert own_words(said) == read
    assert own_words(f"  {said.upper()} ") == read


@pytest.mark.parametrize(
    ("name", "said", "read"),
    [
        ("gpt-oss-20b", "see our wiki", "ask ask ask"),
        ("gpt-oss-20b", "MIT", "yes yes yes"),
        ("gpt-4.1-nano", "contract of 2026-05, annex B", "ask ask ask"),
        ("mistral-small-3.2", "Apache-2.0", "yes yes yes"),
        ("llama-2-70b-chat", "contract of 2026-05, annex B", "ask no no"),
        ("llama-2-70b-chat", "MIT", "yes ask ask"),
        ("gpt-oss-20b", "research only", "ask no no"),
    ],
)
def test_own_words_never_allow_what_our_table_forbids(name: str, said: str, read: str) -> None:
    assert own_words(said, name) == read


@given(st.text(max_size=60), st.sampled_from(["gpt-oss-20b", "llama-2-70b", "own"]))
def test_no_words_but_a_licence_make_a_yes(words: str, name: str) -> None:
    assert "yes" not in own_words(f"terms {words}", name)


def test_own_words_stand_beside_what_the_table_says() -> None:
    (found,) = findings(
        [Ingredient("teacher", "gpt-4.1-nano", "contract of 2026-05, annex B")], "commercial"
    )
    assert found.says.startswith(
        "as the recipe says: contract of 2026-05, annex B (words in which we recognise no licence); by our table: OpenAI's terms"
    )
    assert "https://openai.com" in found.source


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("no restrictions on commercial use", "unread"),
        ("free to use without restriction, including commercial use", "unread"),
        ("commercial use is not a problem", "unread"),
        ("no limit on selling", "unread"),
        ("MIT (no training restrictions)", "unread"),
        ("we do not need permission to train", "unread"),
        ("no restrictions, except no commercial use", "not to be sold"),
        ("no commercial use without permission", "not to be sold"),
        ("no fee, no resale", "not to be sold"),
        ("no training without permission", "not to train on"),
    ],
)
def test_what_is_said_not_to_be_restricted_is_not_forbidden(words: str, read: str) -> None:
    """Nor allowed: it is asked about."""
    assert read_terms(words) == read


@pytest.mark.parametrize("kind", ["base", "data", "teacher", "judge"])
def test_words_about_any_ingredient_are_read_alike(kind: Kind) -> None:
    brings = [Ingredient(kind, "own", "non-commercial research only")]
    told = "\n".join(as_chapter(brings))
    assert "**No: at least one of them forbids it.**" in told and f"- no: own ({kind})" in told


def test_words_about_one_teacher_are_not_said_of_another() -> None:
    brings = [["teacher", "first", "MIT"], ["teacher", "second", "research only"]]
    card = dataset_card(
        {"rows": 2}, {"generated": 2}, "first-2026-01, other", ("json",), terms={"brings": brings}
    )
    assert "- yes: first-2026-01 (teacher): as the recipe says: MIT" in card
    assert "- ask: other (teacher): not in our table" in card
    assert "- no: second (teacher): as the recipe says: research only" in card


def test_words_about_a_model_are_not_said_of_a_longer_name() -> None:
    brings = [["teacher", "somebody/4", "MIT"]]
    card = dataset_card(
        {"rows": 1}, {"generated": 1}, "somebody/4o-mini", ("json",), terms={"brings": brings}
    )
    assert "- ask: somebody/4o-mini (teacher): not in our table" in card
    assert "- yes: somebody/4 (teacher): as the recipe says: MIT" in card


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
