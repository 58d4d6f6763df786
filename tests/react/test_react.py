"""Thought, Action, Observation: the form, the tools, and a whole question over HTTP with every cent in the ledger."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.react.calculator import NotCalculated, calculator
from alpaca_pipe.react.solve import solve
from alpaca_pipe.react.steps import read_step, system_text
from alpaca_pipe.react.tools import tools_named
from alpaca_pipe.react.wikipedia import NoPage, page_text
from tests.command import command
from tests.react.places import listening, model, wiki

RECIPE = """name: asking
teacher: {{kind: openai_chat, model: worker, base_url: {url}/v1, price: {{in: 1, out: 2}}}}
budget: {{api: 1}}
generate: {{count: 2}}
"""
whole = st.integers(-(10**9), 10**9)


@given(whole, whole, st.sampled_from(["+", "-", "*"]))
def test_whole_numbers_stay_exact(one: int, other: int, sign: str) -> None:
    wanted = {"+": one + other, "-": one - other, "*": one * other}[sign]
    assert calculator(f"({one}) {sign} ({other})") == str(wanted)


@given(whole, whole.filter(bool))
def test_a_division_is_exact_or_rounded(one: int, other: int) -> None:
    found, wanted = Fraction(calculator(f"{one} / ({other})")), Fraction(one, other)
    assert found == wanted or abs(found - wanted) <= abs(wanted) / 10**14


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_thousands_are_read(one: int, other: int) -> None:
    assert calculator(f"{one:,} + {other:,}") == str(one + other)


@given(st.text(max_size=80))
def test_any_text_is_calculated_or_refused(text: str) -> None:
    try:
        assert calculator(text)
    except NotCalculated as error:
        assert str(error)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2,248,780 ** 2", "5057011488400"),
        ("2248780^2 =", "5057011488400"),
        ("(3 + 4) / 2", "3.5"),
        ("10 / 5", "2"),
        ("-7 // 2", "-4"),
        ("2 ** -1", "0.5"),
        ("sqrt(2)", "1.4142135623731"),
        ("round(2.34567, 2)", "2.35"),
        ("max(1, 2, 3) × 2", "6"),
    ],
)
def test_known_answers(text: str, wanted: str) -> None:
    assert calculator(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9**9**9",
        "(2**4000)**4000",
        "1/0",
        "0**-1",
        "(-8)**0.5",
        "1e308*10",
        "__import__('os').system('true')",
        "().__class__",
        "[1][0]",
        "lambda: 1",
        "True + 1",
        "'a' * 9",
        "max(*[1])",
        "round(1, ndigits=2)",
        "x",
        "(" * 300 + "1" + ")" * 300,
        "1+" * 249 + "1" * 10,
        "a := 1",
    ],
)
def test_what_is_no_arithmetic_or_too_much_is_refused(text: str) -> None:
    with pytest.raises(NotCalculated):
        calculator(text)


def test_the_wiki_is_read_by_its_own_api() -> None:
    with listening(wiki) as address:
        found = page_text("population of Paris", address)
        assert found.startswith("Paris: Paris is the capital") and "2,248,780" in found
        assert found.endswith("(See also: Paris, Texas)")
        with pytest.raises(NoPage, match="no page was found"):
            page_text("Xyzzy", address)
    with pytest.raises(NoPage, match="did not answer"):
        page_text("Paris", address)


@pytest.mark.parametrize(
    ("reply", "tool", "given", "answer", "text"),
    [
        ("Thought: a\nAction: calculator[1 + 1]", "calculator", "1 + 1", None, None),
        ("Action: calculator(1 + 1)", "calculator", "1 + 1", None, None),
        ("**Action:** calculator[max(1, [2])]", "calculator", "max(1, [2])", None, None),
        ("Thought: b\nAnswer: 42", "", "", "42", None),
        ("Final Answer: two\nlines", "", "", "two\nlines", None),
        (
            "Action: calculator[2]\nObservation: 3\nAnswer: 3",
            "calculator",
            "2",
            None,
            "Action: calculator[2]",
        ),
        ("Observation: made up", "", "", None, ""),
        ("Just words.", "", "", None, "Just words."),
        ("Action: calculator", "calculator", "", None, None),
    ],
)
def test_a_reply_is_read(
    reply: str, tool: str, given: str, answer: str | None, text: str | None
) -> None:
    step = read_step(reply)
    assert (step.tool, step.given, step.answer) == (tool, given, answer)
    assert step.text == (reply if text is None else text)


@given(st.text())
def test_any_reply_is_read_and_holds_no_observation(reply: str) -> None:
    step = read_step(reply)
    assert not any(
        line.strip(" \t*_").lower().startswith("observation:") for line in step.text.split("\n")
    )


def test_wrong_actions_are_told_and_the_loop_ends(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        'def shout(text):\n    """Writes it in capitals."""\n    return text.upper()\n\n'
        'def breaks(text):\n    """Raises."""\n    raise RuntimeError("out of order")\n'
    )
    mine = tmp_path / "mine.py"
    tools = tools_named(["calculator", f"{mine}:shout", f"{mine}:breaks"])
    assert "- shout[...]: Writes it in capitals." in system_text(tools)
    said = iter(["What?", "Action: fly[up]", "Action: breaks[x]", "Action: shout[hi]", *"yz" * 9])
    found: list[str] = []

    async def ask(system: str, messages: Sequence[Message]) -> str:
        found.append(messages[-1].text)
        return next(said)

    solved = asyncio.run(solve("Why?", tools, ask, most=5))
    assert solved.answer is None and len(found) == 5
    assert found[0] == "Question: Why?" and "write" in found[1]
    assert "there is no tool 'fly', only calculator, shout, breaks" in found[2]
    assert found[3] == "Observation: error: out of order" and found[4] == "Observation: HI"
    assert solved.messages[-1].role == "assistant"


def test_no_loss_sees_an_observation() -> None:
    texts = iter(["Action: calculator[6 * 7]", "Answer: 42"])

    async def ask(system: str, messages: Sequence[Message]) -> str:
        return next(texts)

    row = asyncio.run(solve("6 * 7?", tools_named(["calculator"]), ask)).example(Origin("seed"))
    learned = [one.text for one in row.conversation() if one.is_learned]
    assert learned == ["Action: calculator[6 * 7]", "Answer: 42"]
    assert [one.text for one in row.conversation()][2] == "Observation: 42"
    assert Example.from_row(row.to_row()) == row


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([""], "no tool is named"),
        (["calculater"], "did you mean 'calculator'"),
        (["gone.py:f"], "gone.py"),
        (["calculator", "calculator"], "two tools are called calculator"),
    ],
)
def test_a_tool_that_cannot_be_had_is_one_sentence(names: list[str], says: str) -> None:
    with pytest.raises(UserError) as error:
        tools_named(names)
    assert says in str(error.value)


def test_the_population_of_paris_squared(tmp_path: Path) -> None:
    """The wiki and the endpoint over HTTP, the teacher metered: three requests of 100 tokens in and 20 out at $1 and $2 a million."""
    with listening(wiki) as place, listening(model) as url:
        (tmp_path / "asking.yaml").write_text(RECIPE.format(url=url))
        words = ["chat", "asking.yaml", "--teacher", "--tools", "calculator,search_wikipedia"]
        words += ["--prompt", "Population of Paris, squared?"]
        done = command(*words, cwd=tmp_path, ALPACA_PIPE_WIKIPEDIA=place)
        again = command(*words, "--json", cwd=tmp_path, ALPACA_PIPE_WIKIPEDIA=place)
    assert done.code == 0, done.err
    assert done.out.endswith("Answer: 5,057,011,488,400\n") and "1 inhabitant" not in done.out
    assert "3 requests, $0.00042" in done.err
    (file, *_) = sorted((tmp_path / "runs" / "asking" / "chats").iterdir())
    row = json.loads(file.read_text().splitlines()[0])
    assert row["answer"] == "5,057,011,488,400" and row["nanodollars"] == 420_000
    said = [one.text for one in Example.from_row(row).conversation()]
    assert "2,248,780" in said[2] and said[4] == "Observation: 5057011488400"
    assert json.loads(again.out)["answer"] == "5,057,011,488,400"
    with sqlite3.connect(tmp_path / "runs" / "ledger.sqlite") as ledger:
        told = ledger.execute(
            "select stage, count(*), sum(nanodollars) from entries where kind = 'settled'"
        ).fetchall()
    assert told == [("chat", 3, 420_000)], "asked again, nothing is bought again"


def test_options_that_do_not_go_together_are_one_sentence(tmp_path: Path) -> None:
    for words, says in (
        (["--teacher"], "--teacher goes with --tools"),
        (["--tools", "calculator", "--base"], "takes a question alone"),
        (["--tools", "calculater"], "did you mean 'calculator'"),
    ):
        done = command("chat", "x", *words, cwd=tmp_path)
        assert done.code == 2 and says in done.err
