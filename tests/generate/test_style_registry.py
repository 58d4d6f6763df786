"""Each style is one module, found by its folder, with all that the recipe, the forecast and the manual need of it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from alpaca_pipe.core.completion import Completion, Usage
from alpaca_pipe.generate.config import GenerateConfig
from alpaca_pipe.generate.parsing.reply import Draft, Piece
from alpaca_pipe.generate.prior import Prior
from alpaca_pipe.generate.style_registry import style_class, style_names
from alpaca_pipe.generate.styles import style_of
from alpaca_pipe.teachers.config import TeacherTable
from tests.generate.scripted import ROWS, TEACHER, VET, seat
from tools.reference import FOLDER

NEEDED: dict[str, Any] = {"documents": (VET,)}  # of the keys that a style cannot do without
each_style = pytest.mark.parametrize("name", style_names())


def config(name: str, **keys: Any) -> GenerateConfig:
    own = style_class(name)
    return GenerateConfig.model_validate(
        {"style": name, "count": 5} | {key: NEEDED[key] for key in own.needs} | keys
    )


@each_style
def test_a_style_has_priors_of_its_own_for_the_forecast(name: str) -> None:
    """Inherited from another style they would be a silent guess about this one."""
    own = vars(style_class(name))
    for prior in ("prior", "scripted_prior"):
        assert isinstance(own.get(prior), Prior), f"style '{name}' has no `{prior}` of its own"
    real = TeacherTable(kind="openai_chat", model="gpt-6-luna")
    assert style_class(name).prior_of(real) is own["prior"]
    assert style_class(name).prior_of(TEACHER) is own["scripted_prior"]


@each_style
def test_a_style_says_what_it_asks_for_in_the_manual(name: str) -> None:
    rows = (FOLDER / "recipes.md").read_text(encoding="utf-8").splitlines()
    says = style_class(name).says
    assert says and any(row.startswith(f"| `{name}` |") and says in row for row in rows), (
        f"style '{name}' has no row in the manual: python -m tools.reference"
    )
    assert style_class(name).name == name


@each_style
def test_the_keys_of_a_style_are_keys_of_generate(name: str) -> None:
    own = style_class(name)
    some = set(GenerateConfig.of_some_styles())
    assert set(own.keys) <= some and set(own.needs) <= set(own.keys)
    assert set(own.defaults) <= set(GenerateConfig.model_fields)
    made = config(name)
    assert {key: getattr(made, key) for key in own.defaults} == own.defaults
    given = {"max_tokens": 99, "words": "unicode", "times": 3, "shown": 5, "temperature": 0.1}
    wanted = {key: given[key] for key in own.defaults}
    assert {key: getattr(config(name, **wanted), key) for key in wanted} == wanted


def test_each_key_that_only_some_styles_have_is_one_of_some_style() -> None:
    used = {key for name in style_names() for key in style_class(name).keys}
    assert used == set(GenerateConfig.of_some_styles())


@each_style
def test_a_key_of_other_styles_is_refused_with_their_names(name: str) -> None:
    values = {"tasks": 2, "passage": 99, "depth": 2, "times": 3, "domain": "law"}
    for key in sorted(values.keys() - set(style_class(name).keys)):
        having = [one for one in style_names() if key in style_class(one).keys]
        with pytest.raises(ValidationError, match=f"style {name} has no '{key}'") as caught:
            config(name, **{key: values[key]})
        assert f"use style: {' or '.join(having)}" in str(caught.value)


def made_of(name: str, text: str) -> list[Piece]:
    style = style_of(config(name), TEACHER, TEACHER.takes)
    topics, lacks = ("bread",) * style.topics, ("writing",) * style.topics
    place = replace(seat(ROWS[0], shown=3), topics=topics, lacks=lacks)
    request = style.request_for(place)
    assert request.messages and request.messages[-1].content.strip()
    pieces = style.parse(place, Completion(text, "stop", Usage()))
    for piece in pieces:
        if isinstance(piece, Draft):
            style.rejection(place, piece)
    return pieces


@each_style
@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=300))
def test_whatever_comes_back_becomes_at_least_one_piece(name: str, text: str) -> None:
    assert made_of(name, text)


def test_an_unknown_style_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValidationError, match="Input should be 'alpaca', 'alpaca-2023', .* or '"):
        GenerateConfig.model_validate({"style": "alpacca", "count": 5})


def test_only_the_style_that_is_asked_for_is_imported() -> None:
    code = (
        "import sys; from alpaca_pipe.generate.config import GenerateConfig as C;"
        "C.model_validate({'style': 'two-step', 'count': 5, 'domain': 'law'});"
        "print(sorted(m.rpartition('.')[2] for m in sys.modules if '.generate.styles.' in m))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['alpaca', 'base', 'two_step']"  # it shares words with alpaca
