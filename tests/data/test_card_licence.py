"""The `license:` of a card, where what went in is known: known answers, one by one."""

from __future__ import annotations

import re
from itertools import permutations

import pytest

from alpaca_pipe.core.ingredient import Ingredient
from alpaca_pipe.data.card_licence import licence_of
from alpaca_pipe.data.cards import adapter_card, dataset_card, model_card
from alpaca_pipe.data.commercial_use import selling

DOLLY = Ingredient("data", "databricks/databricks-dolly-15k")
ALPACA = Ingredient("data", "alpaca_data.json")
OASST = Ingredient("data", "OpenAssistant/oasst1")
WRITTEN_BY_GPT3 = Ingredient("data", "yizhongw/self_instruct")
OPENAI = Ingredient("teacher", "gpt-4o-mini")
OPEN_TEACHER = Ingredient("teacher", "Qwen/Qwen3-8B")
MIT_TEACHER = Ingredient("teacher", "deepseek-ai/DeepSeek-R1")
BASE = Ingredient("base", "HuggingFaceTB/SmolLM2-135M")
LLAMA = Ingredient("base", "huggyllama/llama-7b")
GEMMA = Ingredient("base", "google/gemma-2b")
OWN = Ingredient("data", "tickets.jsonl")

ROWS = [
    # what its publisher says of it
    ([DOLLY], "cc-by-sa-3.0", "CC BY-SA 3.0 holds for all of it."),
    ([ALPACA], "cc-by-nc-4.0", "CC BY-NC 4.0 holds for all of it."),
    ([OASST], "apache-2.0", "Apache-2.0 holds for all of it."),
    # an open licence beside one that wants its own kept: as in MosaicML's dolly_hhrlhf, MIT and CC BY-SA 3.0 are that
    (
        [DOLLY, OASST],
        "cc-by-sa-3.0",
        "the notices stay of OpenAssistant/oasst1 (data) under Apache-2.0",
    ),
    ([ALPACA, OASST], "cc-by-nc-4.0", "the notices stay"),
    ([OPEN_TEACHER, OASST], "apache-2.0", "holds for all of it"),
    # none for both
    ([DOLLY, ALPACA], "other", "cannot keep to both"),
    ([DOLLY, OPENAI], "other", "gpt-4o-mini (teacher) under OpenAI's terms"),
    ([ALPACA, OPENAI], "other", "under OpenAI's terms"),
    ([OPEN_TEACHER, MIT_TEACHER], "other", "Several open licences"),
    ([WRITTEN_BY_GPT3], "other", "OpenAI's terms bind too"),
    ([DOLLY, OWN], "other", r"tickets.jsonl (data) under terms that we do not know"),
    ([OASST._replace(name="answers-of-chatgpt-to-oasst1.jsonl")], "other", "we do not know"),
    ([], "other", ""),
]
MODELS = [
    ([BASE, OPEN_TEACHER], "apache-2.0", "holds for all of it"),
    ([BASE, ALPACA], "cc-by-nc-4.0", "the notices stay of HuggingFaceTB/SmolLM2-135M (base)"),
    ([BASE, DOLLY], "other", "a question that no table answers"),
    ([GEMMA, OASST], "gemma", "Gemma Terms of Use holds for all of it"),
    ([GEMMA, ALPACA], "other", "cannot keep to both"),
    ([LLAMA, OASST], "other", "LLaMA 1"),
    ([BASE, OPENAI], "other", "OpenAI's terms"),
    ([Ingredient("base", "somebody/SmolLM2-nc"), OPEN_TEACHER], "other", "under terms of its own"),
    ([Ingredient("base", "somebody/SmolLM2-nc"), ALPACA], "other", "under terms of its own"),
]


@pytest.mark.parametrize(("went_in", "name", "why"), ROWS)
def test_rows(went_in: list[Ingredient], name: str, why: str) -> None:
    for order in permutations(went_in):
        told = licence_of(order)
        assert told.name == name
        assert why in told.why.replace("\\", "")


@pytest.mark.parametrize(("went_in", "name", "why"), MODELS)
def test_weights(went_in: list[Ingredient], name: str, why: str) -> None:
    told = licence_of(went_in, weights=True)
    assert told.name == name and why in told.why.replace("\\", "")


@pytest.mark.parametrize(("went_in", "name", "why"), [*ROWS, *MODELS])
def test_a_name_that_allows_to_sell_stands_only_where_the_table_does(
    went_in: list[Ingredient], name: str, why: str
) -> None:
    if name in ("mit", "apache-2.0"):
        assert selling(went_in).answer == "yes"
    if any(one in (DOLLY, ALPACA, OPENAI) for one in went_in):
        assert selling(went_in).answer != "yes"


def head(card: str) -> str:
    found = re.search(r"(?m)^license: (.*)$", card)
    assert found
    return found[1]


def test_the_cards_carry_it_and_say_why() -> None:
    both = {"brings": [list(DOLLY), list(ALPACA)]}
    rows = dataset_card({"rows": 2}, {"imported": 2}, "", ("json",), terms=both)
    assert head(rows) == "other" and "cannot keep to both" in rows
    assert "**No: at least one of them forbids it.**" in rows
    generated = dataset_card(
        {"rows": 2},
        {"imported": 1, "generated": 1},
        "gpt-4o-mini-2024-07-18",
        ("json",),
        terms={"brings": [list(DOLLY), list(OPENAI)]},
    )
    assert head(generated) == "other" and "under OpenAI's terms" in generated
    assert "**Yes" not in generated
    alone = dataset_card(
        {"rows": 2}, {"imported": 2}, "", ("json",), terms={"brings": [list(DOLLY)]}
    )
    assert head(alone) == "cc-by-sa-3.0" and "Ask first" in alone
    went_in = {"brings": [list(BASE), list(OPEN_TEACHER)]}
    for card in (
        model_card("org/base", "LoRA", "###", [], [], went_in),
        adapter_card("org/base", [], [], went_in),
    ):
        assert head(card) == "apache-2.0" and "Apache-2.0 holds for all of it" in card
    assert head(dataset_card({"rows": 1}, {"seed": 1}, "", ("json",))) == "other"
