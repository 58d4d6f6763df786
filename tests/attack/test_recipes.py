"""Any bytes as a recipe, and any words behind it: exit 0 or 2, one sentence, never a fault of ours."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.guarded_yaml import NotYaml, load_yaml
from alpaca_pipe.ledger.budget import BudgetTable
from alpaca_pipe.recipe.located_yaml import read_yaml
from alpaca_pipe.teachers.kinds.openai_chat import OpenAIChatTable
from alpaca_pipe.teachers.openai.extra_fields import billed_apart
from tests.attack.commands import call
from tests.attack.conftest import RECIPE
from tests.attack.examples import many, some

BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{','.join(['*' + chr(97 + level)] * 9)}]\n"
    for level in range(6)
)
TOO_MUCH = {
    "aliases": BOMB,
    "an alias within itself": "a: &x [*x]",
    "brackets": "a: " + "[" * 3000,
    "braces": "{" * 2000,
    "lists on a line": "- " * 60_000 + "1",
    "keys on a line": "? " * 60_000,
    "indentation": "".join(" " * level + f"k{level}:\n" for level in range(500)),
    "values": "a: [" + "1," * 60_000 + "1]",
    "digits": "a: " + "9" * 5000,
    "hexadecimal digits": "a: 0x" + "f" * 20_000,
    "characters": "a: |\n" + "  x\n" * 100_000,
    "a tag": "a: !!python/object/apply:os.system [ls]",
    "a tag of a text": "a: !x 1",
    "a set": "a: !!set {1, 2}",
    "two keys of one spelling": "a: {1: 2, '1': 3}",
    "a list as a key": "? [a, b]\n: 1",
    "no date": "a: 2026-13-45",
    "no merge": "<<: 1",
    "no text": "\x00",
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_yaml_beyond_any_bound_is_one_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotYaml):
        load_yaml(TOO_MUCH[name], with_lines=True)
    (tmp_path / "r.yaml").write_text(TOO_MUCH[name])
    code, said = call("plan", "r.yaml")
    assert code == 2 and "a bug in alpaca-pipe" not in said and len(said) < 1000


def test_merge_keys_work_and_each_key_knows_its_line() -> None:
    text = """name: x
generate: &most
  count: 5
  max_tokens: 80
curate:
  <<: *most
  count: 7
train: {<<: [*most, {q: 1}], z: 2}
"""
    data, places = read_yaml(text, "r.yaml")
    assert data["curate"] == {"count": 7, "max_tokens": 80}
    assert data["train"] == {"z": 2, "count": 5, "max_tokens": 80, "q": 1}
    assert places["curate", "count"].line == 7 and str(places["train", "q"]) == "r.yaml:8"


def test_a_recipe_with_a_merge_key_runs(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "name: r\nteacher: {kind: rehearsed, model: gpt-4.1-nano}\nbudget: &caps {api: 1}\n"
        "generate: {count: 4, round_size: 4}\ncurate: {held_out: 1}\n"
    )
    assert call("plan", "r.yaml")[0] == 0
    text = (tmp_path / "r.yaml").read_text()
    (tmp_path / "r.yaml").write_text(text.replace("&caps {api: 1}", "{<<: {api: 1}, total: 2}"))
    code, said = call("plan", "r.yaml")
    assert code == 0, said


PIECES = st.sampled_from(
    ["name", "teacher", "generate", ": ", "\n", "  ", "{", "}", "[", "]", "&a ", "*a", "<<", "- ", "? ", "|\n", ">", "'",
     '"', "!!", "%", "@", "`", "#", "\t", "\x1b", "\u202e", "\u2028", "1e999", ".nan", "0x", "9" * 50, "null", "~", "true",
     "extends", "kind", "rehearsed", "../..", "\\", "é", "\ud800"]
)  # fmt: skip


def planned(text: str, home: Path, *words: str) -> None:
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = text.encode("utf-8", "surrogatepass")
    (home / "r.yaml").write_bytes(data)
    os.chdir(home)
    code, said = call("plan", "r.yaml", *words)
    assert code in (0, 2) and "a bug in alpaca-pipe" not in said, said
    assert not set(said) & set("\x1b\u202e\u2028\r")


@some
@given(st.binary(max_size=200))
def test_any_bytes_are_planned_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    planned(data.decode("utf-8", "surrogateescape"), tmp_path_factory.mktemp("r"))


@some
@given(st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=60))
def test_any_text_is_planned_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    planned(text, tmp_path_factory.mktemp("r"))


@some
@given(st.integers(0, 2**32), st.integers(1, 4), st.lists(PIECES, min_size=4, max_size=4))
def test_any_recipe_with_something_else_in_it_is_planned_or_refused(
    tmp_path_factory: pytest.TempPathFactory, seed: int, times: int, pieces: list[str]
) -> None:
    chance, text = random.Random(seed), RECIPE
    for piece in pieces[:times]:
        at = chance.randrange(len(text))
        text = text[:at] + piece + text[at + chance.choice([0, 1, 5, 20]) :]
    planned(text, tmp_path_factory.mktemp("r"))


@some
@given(
    st.sampled_from(["name", "generate.count", "budget.api", "teacher.price.in", "curate", "x.y.z", ""]),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
    | st.sampled_from(list(TOO_MUCH.values())[:11] + ["1e999", ".inf", ".nan", "-1", "1e-400", "9" * 400]),
)  # fmt: skip
def test_any_override_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: str
) -> None:
    planned(RECIPE, tmp_path_factory.mktemp("r"), f"{key}={value.replace(chr(0), '')}")


@many
@given(st.floats() | st.integers(-(10**40), 10**40) | st.sampled_from([10**400, 1e-300, 1e300]))
def test_any_number_is_a_cap_or_refused(number: float) -> None:
    try:
        caps = BudgetTable(api=number).caps()  # type: ignore[arg-type]
    except ValidationError:
        return
    assert caps.api is not None and 0 <= caps.api < 1 << 90


# ---- what a recipe adds to every request


TEACHER: dict[str, Any] = {
    "kind": "openai_chat",
    "model": "m",
    "base_url": "http://127.0.0.1:1/v1",
    "price": {"in": 1, "out": 2},
}
BILLED: list[dict[str, Any]] = [
    {"n": 4},
    {"tools": [{"type": "web_search"}]},
    {"web_search_options": {}} | {"web_search_options": {"search_context_size": "high"}},
    {"plugins": [{"id": "web"}]},
    {"modalities": ["text", "audio"]},
    {"prediction": {"type": "content", "content": "x"}},
    {"thinking": {"type": "enabled", "budget_tokens": 30_000}},
    {"reasoning": {"max_tokens": 20_000}},
    {"google": {"thinking_config": {"thinking_budget": 9_000}}},
    {"extra": {"deep": [{"enable_search": True}]}},
    {"search_parameters": {"mode": "on"}},
    {"Tools": [{"type": "x"}]},
]


@pytest.mark.parametrize("body", BILLED, ids=lambda body: next(iter(body)))
def test_what_is_billed_beside_the_tokens_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="remove it"):
        OpenAIChatTable.model_validate(TEACHER | {"extra_body": body})
    if "n" not in body:
        OpenAIChatTable.model_validate(TEACHER | {"extra_body": body, "price": "free"})


@pytest.mark.parametrize(
    "body",
    [
        {"top_k": 5, "min_p": 0.1},
        {"thinking": {"type": "disabled"}},
        {"enable_thinking": False, "tools": [], "modalities": ["text"]},
        {"chat_template_kwargs": {"enable_thinking": True}},
        {"response_format": {"json_schema": {"schema": {"properties": {"tools": {"type": "array"}}}}}},
        {"reasoning": {"effort": "none"}, "reasoning_effort": "none"},
        {"google": {"thinking_config": {"thinking_budget": 0}}},
    ],
)  # fmt: skip
def test_what_asks_for_nothing_more_is_taken(body: dict[str, Any]) -> None:
    assert billed_apart(body) is None
    OpenAIChatTable.model_validate(TEACHER | {"extra_body": body})


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "b\r\nX-Evil: c"},
        {"X-A": "b\nc"},
        {"X-A\r\nHost": "b"},
        {"X A": "b"},
        {"": "b"},
        {"X-A": "\x00"},
        {"X-A": "\u202e"},
        {"X-A": "\ud800"},
    ],
)
def test_no_header_holds_another_one(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="header"):
        OpenAIChatTable.model_validate(TEACHER | {"default_headers": headers})


@many
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=12), max_size=3))
def test_headers_that_are_taken_can_be_sent(headers: dict[str, str]) -> None:
    try:
        taken = OpenAIChatTable.model_validate(TEACHER | {"default_headers": headers})
    except (ValidationError, UserError):
        return
    for name, value in taken.default_headers.items():
        assert not set(name + value) & set("\r\n\x00")
        assert name.isascii() and ":" not in name
        value.encode("latin-1")
