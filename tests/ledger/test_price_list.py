"""`alpaca-pipe prices`: today's prices, the cheapest first, with their age."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.pricing.listing import age_of_the_book, blended, listing, print_prices
from alpaca_pipe.ledger.pricing.token_prices import price_of

DAY = date(2026, 11, 21)


def test_the_cheapest_come_first_and_none_is_of_the_past() -> None:
    listed = listing("", DAY)
    for kind in (listed.teachers, listed.gpus, listed.hosted):
        assert kind and all(row.holds(DAY) for row in kind)
    assert [blended(price) for price in listed.teachers] == sorted(
        blended(price) for price in listed.teachers
    )
    assert blended(price_of("gpt-4.1", DAY)) == (3 * 2 + 8) / 4


def test_a_part_of_a_name_or_provider_is_enough() -> None:
    assert {rate.gpu for rate in listing("h200", DAY).gpus} == {"H200"}
    assert {price.provider for price in listing("GROQ", DAY).teachers} == {"groq"}
    with pytest.raises(UserError, match="nothing in the price book is called 'no-such'.*pin-price"):
        listing("no-such", DAY)


def test_all_shows_past_and_announced_prices_too() -> None:
    assert (
        len([p for p in listing("argon", DAY, everything=True).teachers if p.mode == "online"]) == 2
    )
    assert len([p for p in listing("argon", DAY).teachers if p.mode == "online"]) == 1


def test_a_page_says_how_old_and_who(capsys: pytest.CaptureFixture[str]) -> None:
    print_prices("gpt-4.1-mini", DAY, teachers=True)
    page = capsys.readouterr().out
    lines = [line.split() for line in page.splitlines() if line.startswith("gpt-4.1-mini")]
    assert [line[:4] for line in lines] == [
        ["gpt-4.1-mini", "openai", "0.20", "0.80"],
        ["gpt-4.1-mini", "openai", "0.40", "0.10"],
    ]
    assert "505 days ago" in page and "+1 dated" in page and "in batches" in page
    assert "source: https://developers.openai.com" in page and "ledger pin-price" in page


def test_without_a_word_a_page_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    print_prices(today=DAY)
    page = capsys.readouterr().out
    assert len(page.splitlines()) < 80
    assert (
        "more: alpaca-pipe prices --teachers" in page and "more: alpaca-pipe prices --gpus" in page
    )
    print_prices(today=DAY, gpus=True)
    page = capsys.readouterr().out
    assert "teachers" not in page and "more:" not in page and "MI300X" in page


def test_as_json_every_figure_is_exact(capsys: pytest.CaptureFixture[str]) -> None:
    print_prices("gpt-4.1-mini", DAY, as_json=True)
    said = json.loads(capsys.readouterr().out)
    online = next(row for row in said["teachers"] if row["mode"] == "online")
    assert online["per_million"]["uncached_in"] == "0.4" and online["blended"] == "0.7"
    assert online["days_since_checked"] == 505 and online["own"] is False and said["gpus"] == []


def test_ones_own_rows_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "prices.yaml"
    mine.write_text(
        "- {model: gpt-4.1-mini, provider: openai, in: 0.01, out: 0.02, checked: 2026-11-20}\n"
    )
    monkeypatch.setenv("ALPACA_PIPE_PRICES", str(mine))
    print_prices("gpt-4.1-mini", DAY, as_json=True)
    rows = json.loads(capsys.readouterr().out)["teachers"]
    assert [row["blended"] for row in rows if row["own"]] == ["0.0125"]
    assert f"1 row of your own in {mine} win" in age_of_the_book(DAY).replace("wins", "win")
    print_prices("gpt-4.1-mini", DAY)
    assert "1 day ago" in capsys.readouterr().out
