"""`ledger pin-price`: rows are appended to the user's file, and nothing that stands there is touched."""

from __future__ import annotations

import os
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from alpaca_pipe.cli.ledger_commands import ledger as app
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.pricing.gpu_rates import rate_of
from alpaca_pipe.ledger.pricing.pin_price import TypedPrices, pin_gpu, pin_price
from alpaca_pipe.ledger.pricing.token_prices import CLASSES, own_prices, price_of
from tests.ledger.conftest import Book

DAY = date(2026, 11, 21)
HOST = "llm.example.com"
PRINTED = st.characters(codec="utf-8").filter(str.isprintable)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings" / "prices.yaml"
    monkeypatch.setenv("ALPACA_PIPE_PRICES", str(path))
    return path


def test_what_was_pinned_is_the_price(mine: Path) -> None:
    said = pin_price(
        "my-model",
        TypedPrices("0.15", "0.60", "0.0028"),
        DAY,
        host=HOST,
        source='a letter: "so much"',
    )
    price = price_of("my-model", DAY, host=HOST)
    assert [price.per_million[name] for name in CLASSES] == [
        Decimal(cost) for cost in ("0.15", "0.0028", "0.15", "0.6", "0.6")
    ]
    assert (price.start, price.checked, price.source) == (DAY, DAY, 'a letter: "so much"')
    assert str(mine) in said[0] and "in: 0.15" in said[1] and "it had no price before" in said[2]


def test_rows_are_appended_and_what_stands_there_stays(mine: Path) -> None:
    mine.parent.mkdir()
    mine.write_text(
        "# my own words\n- {model: a, host: h, in: 1, out: 2}  # and these"
    )  # no line feed at the end
    before = mine.read_text()
    pin_price("b", TypedPrices("1", "2"), DAY, host=HOST)
    pin_gpu("NVIDIA H100 80GB HBM3", "2.49", "my-lab", DAY, granularity=60)
    assert mine.read_text().startswith(before + "\n") and mine.read_text().count("\n") == 4
    assert [price.model for price in own_prices()] == ["a", "b"]
    assert rate_of("H100", DAY, "my-lab").per_hour == Decimal("2.49")


def test_a_newer_price_supersedes_and_says_what_it_was(mine: Path) -> None:
    pin_price("gpt-4o-mini", TypedPrices("0.1", "0.5"), DAY, start=date(2026, 11, 1))
    said = pin_price("gpt-4o-mini", TypedPrices("0.2", "0.7"), DAY)
    assert (
        "from 2026-11-21 on this is the price of 'gpt-4o-mini' at api.openai.com; it was $0.1 in, $0.5 out"
        in said[2]
    )
    assert price_of("gpt-4o-mini", DAY, host="api.openai.com").per_million[
        "uncached_in"
    ] == Decimal("0.2")
    assert price_of("gpt-4o-mini", date(2026, 11, 20), host="api.openai.com").per_million[
        "uncached_in"
    ] == Decimal("0.1")
    assert price_of("gpt-4o-mini", date(2026, 10, 31), host="api.openai.com").per_million[
        "uncached_in"
    ] == Decimal("0.15")


def test_two_prices_for_one_day_are_refused_and_nothing_is_written(mine: Path) -> None:
    pin_price("m", TypedPrices("1", "2"), DAY, host=HOST)
    pin_gpu("H100", "2", "my-lab", DAY)
    before = mine.read_bytes()
    with pytest.raises(
        UserError, match=r"prices\.yaml:3 already pins this price from 2026-11-21 on.*--from"
    ):
        pin_price("m", TypedPrices("1", "3"), DAY, host=HOST)
    with pytest.raises(UserError, match="already pins"):
        pin_gpu("H100", "3", "my-lab", DAY)
    assert mine.read_bytes() == before
    pin_price(
        "m", TypedPrices("0.5", "1"), DAY, host=HOST, mode="batch"
    )  # another mode is another price
    assert price_of("m", DAY, host=HOST, mode="batch").per_million["visible_out"] == 1
    assert price_of("m", DAY, host=HOST).per_million["visible_out"] == 2


def test_without_a_host_it_is_the_one_where_the_model_is_known(mine: Path) -> None:
    assert 'host: "api.openai.com"' in pin_price("gpt-4.1-nano", TypedPrices("1", "2"), DAY)[1]
    assert 'host: "api.openai.com"' in pin_price("nobody-knows", TypedPrices("1", "2"), DAY)[1]
    assert (
        'host: "api.anthropic.com"' in pin_price("claude-haiku-4-5", TypedPrices("1", "2"), DAY)[1]
    )
    with pytest.raises(
        UserError, match="known at several hosts: api.groq.com, .*openrouter.ai.*--host"
    ):
        pin_price("openai/gpt-oss-120b", TypedPrices("1", "2"), DAY)


@pytest.mark.parametrize(
    ("figures", "what"),
    [
        (TypedPrices("cheap", "1"), "--in cheap: not a figure"),
        (TypedPrices("1", "-1"), "--out -1: a price is zero or more"),
        (TypedPrices("nan", "1"), "--in nan"),
        (TypedPrices("1", "1", cache_read="Infinity"), "--cache-read Infinity"),
    ],
)
def test_a_figure_that_is_none_is_refused(mine: Path, figures: TypedPrices, what: str) -> None:
    with pytest.raises(UserError, match=what):
        pin_price("m", figures, DAY, host=HOST)
    assert not mine.exists()


@pytest.mark.parametrize(
    "text", ["[{model: a, host: h, in: 1, out: 2}]\n", "models: {}\n", "- {model: a"]
)
def test_a_file_to_which_no_row_can_be_appended_is_left_alone(mine: Path, text: str) -> None:
    mine.parent.mkdir()
    mine.write_text(text)
    with pytest.raises(UserError, match="prices.yaml"):
        pin_price("m", TypedPrices("1", "2"), DAY, host=HOST)
    assert mine.read_text() == text


def test_what_was_paid_stays_paid_at_its_price(mine: Path, book: Book) -> None:
    book.settle(book.opened("r1-a"))
    pin_price("gpt-4o-mini", TypedPrices("9", "9"), DAY)
    after = Book(book.journal, price=price_of("gpt-4o-mini", DAY))
    after.settle(after.opened("r1-b"))
    assert [entry.price for entry in book.journal.entries() if entry.kind == "settled"] == [
        book.price.id,
        after.price.id,
    ]
    row = book.journal.reply_row("r1-a")
    assert (
        row
        and row["price"]["per_million"]["visible_out"] == "0.6"
        and book.price.id != after.price.id
    )


def test_a_link_stays_a_link(mine: Path, tmp_path: Path) -> None:
    mine.parent.mkdir()
    dotfile = tmp_path / "dotfile.yaml"
    dotfile.write_text("")
    os.symlink(dotfile, mine)
    pin_price("m", TypedPrices("1", "2"), DAY, host=HOST)
    assert mine.is_symlink() and "model" in dotfile.read_text()


def test_an_unknown_gpu_is_pinned_with_a_note(mine: Path) -> None:
    said = pin_gpu("H2000", "1", "my-lab", DAY)
    assert "no datasheet is known for 'H2000'" in said[-1] and "H200" in said[-1]
    assert rate_of("H2000", DAY).per_hour == 1


def test_text_of_several_lines_is_refused(mine: Path) -> None:
    with pytest.raises(UserError, match="characters that cannot be printed"):
        pin_price("m", TypedPrices("1", "2"), DAY, host=HOST, source="one\ntwo")
    assert not mine.exists()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(PRINTED, min_size=1).filter(str.strip),
    st.decimals(0, 10_000, places=6),
    st.text(PRINTED),
)
def test_any_name_figure_and_source_come_back_as_they_were(
    mine: Path, model: str, cost: Decimal, source: str
) -> None:
    mine.unlink(missing_ok=True)
    pin_price(model, TypedPrices(str(cost), "1"), DAY, host=HOST, source=source)
    price = price_of(model, DAY, host=HOST)
    assert price.per_million["uncached_in"] == cost
    assert source in ("", price.source)


@pytest.mark.parametrize(
    ("host", "plain"),
    [("https://LLM.example.com/v1", HOST), ("llm.example.com:8000", HOST), (HOST, HOST)],
)
def test_an_address_is_pinned_by_its_host_under_which_the_price_is_looked_up(
    mine: Path, host: str, plain: str
) -> None:
    pin_price("m", TypedPrices("1", "2"), DAY, host=host)
    assert price_of("m", DAY, host=plain).per_million["visible_out"] == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["m", "--in", "1", "--out", "2", "--per-hour", "3"],
            "--per-hour says nothing about the price of a model",
        ),
        (["m", "--in", "1", "--out", "2", "--provider", "x"], "--provider says nothing"),
        (
            ["--gpu", "H100", "--per-hour", "2", "--in", "4"],
            "--in says nothing about the price of a GPU",
        ),
        (["--gpu", "H100", "--per-hour", "2", "--host", "h"], "--host says nothing"),
        (["--gpu", "H100", "--per-hour", "2", "--mode", "batch"], "--mode says nothing"),
        (["m", "--in", "1", "--out", "2", "--host", "https://"], "--host https://: no host"),
        (["m", "--in", "1", "--out", "2", "--host", "my host"], "--host my host: no host"),
        (["", "--in", "1", "--out", "2"], "the model has no name"),
        (["m", "--in", "1"], "needs --in and --out"),
        (["m", "--in", "1", "--out", "2", "--from", "monday"], "'monday' is not a date"),
        ([], "a MODEL or to a --gpu"),
    ],
)
def test_no_option_is_dropped_without_a_word(mine: Path, arguments: list[str], says: str) -> None:
    done = CliRunner().invoke(app, ["pin-price", *arguments])
    assert isinstance(done.exception, UserError) and says in str(done.exception)
    assert not mine.exists()
