"""The user's own price file: it wins over the book, and says where it is wrong."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from alpaca_pipe.core.completion import Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.pricing.gpu_rates import gpu_rates, hosted_rates, rate_of
from alpaca_pipe.ledger.pricing.token_prices import own_prices, price_of, prices_on
from alpaca_pipe.ledger.pricing.user_prices import own_file

DAY = date(2026, 11, 21)
OPENAI = "api.openai.com"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "prices.yaml"
    monkeypatch.setenv("ALPACA_PIPE_PRICES", str(path))
    return path


def test_it_lies_among_the_users_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALPACA_PIPE_PRICES")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert own_file() == tmp_path / "alpaca-pipe" / "prices.yaml"
    assert own_prices() == ()  # none is there


def test_its_row_wins_over_the_book_at_its_place_in_its_mode_and_on_its_days(mine: Path) -> None:
    mine.write_text(
        "- {model: gpt-4o-mini, provider: openai, in: 0.1, out: 0.5, from: 2026-11-01, to: 2026-11-30}\n"
    )
    assert price_of("gpt-4o-mini", DAY, host=OPENAI).per_million["visible_out"] == Decimal("0.5")
    assert price_of("gpt-4o-mini", DAY).per_million["visible_out"] == Decimal("0.5")  # and on paper
    assert price_of("gpt-4o-mini", DAY, host=OPENAI, mode="batch").per_million[
        "visible_out"
    ] == Decimal("0.3")
    for outside in (date(2026, 10, 31), date(2026, 12, 1)):
        assert price_of("gpt-4o-mini", outside, host=OPENAI).per_million["visible_out"] == Decimal(
            "0.6"
        )


def test_a_recipe_wins_over_both(mine: Path) -> None:
    from alpaca_pipe.ledger.pricing.token_prices import PriceTable

    mine.write_text("- {model: gpt-4o-mini, provider: openai, in: 0.1, out: 0.5}\n")
    assert price_of("gpt-4o-mini", DAY, PriceTable.model_validate("free"), host=OPENAI).free


def test_the_row_that_begins_later_is_the_price(mine: Path) -> None:
    mine.write_text(
        "- {model: m, host: LLM.example.com, in: 2, out: 4, from: 2026-11-10}\n"
        "- {model: m, host: llm.example.com, in: 1, out: 2}\n".replace("LLM", "llm")
    )
    assert price_of("m", DAY, host="llm.example.com").per_million["uncached_in"] == 2
    assert price_of("m", date(2026, 11, 9), host="llm.example.com").per_million["uncached_in"] == 1
    assert [price.per_million["uncached_in"] for price in prices_on(DAY) if price.model == "m"] == [
        2
    ]


def test_a_host_of_ones_own_is_priced_and_only_it(mine: Path) -> None:
    mine.write_text(
        "- {model: gpt-4o-mini, host: llm.example.com, in: 0.2, out: 0.7, cache_read: 0.02, most_in: 8000}\n"
    )
    price = price_of("gpt-4o-mini", DAY, host="llm.example.com")
    assert (price.provider, price.most_in) == ("llm.example.com", 8000)
    assert price.cost(Usage(10, 100, 0, 1, 0)) == 10 * 200 + 100 * 20 + 700
    assert price_of("gpt-4o-mini", DAY, host=OPENAI).per_million["uncached_in"] == Decimal("0.15")
    with pytest.raises(UserError, match="known at api.openai.com, llm.example.com"):
        price_of("gpt-4o-mini", DAY, host="other.example.com")


def test_gpus_and_tuning_of_ones_own(mine: Path) -> None:
    mine.write_text(
        "# my prices\n- {gpu: H100, provider: my-lab, per_hour: 1.10, granularity: 60}\n"
        "- {gpu: H200, provider: runpod, per_hour: 2.22, from: 2026-11-20}\n"
        "- {tuning: up-to-16B, provider: together, method: lora, per_million: 0.11}\n"
    )
    rate = rate_of("H100", DAY)
    assert (rate.provider, rate.per_hour, rate.granularity) == ("my-lab", Decimal("1.1"), 60)
    assert "prices.yaml:2" in rate.source
    assert [
        each.per_hour for each in gpu_rates(DAY) if (each.gpu, each.provider) == ("H200", "runpod")
    ] == [Decimal("2.22")]
    assert rate_of("H200", date(2026, 11, 19), "runpod").per_hour == Decimal("4.59")
    assert hosted_rates(DAY)[0].per_million == Decimal("0.11")


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("- {model: m, host: h, in: 1\n", 2, ""),
        ("models: {}\n", 1, "a price file is a list of rows"),
        ("- {in: 1, out: 2}\n", 1, "a row names one of model, gpu, tuning"),
        ("# a comment\n\n- {model: m, host: h, in: 1}\n", 3, "out: field required"),
        (
            "- {model: m, host: h, in: 1, out: -2}\n",
            1,
            "out: input should be greater than or equal to 0",
        ),
        (
            "- {model: m, host: h, in: 1, out: 2, form: 2026-11-01}\n",
            1,
            "form: extra inputs are not permitted",
        ),
        ("- {model: m, host: h, in: 1, out: 2, from: soon}\n", 1, "from: 'soon' is not a day"),
        (
            "- {model: m, host: h, in: 1, out: 2, from: 2026-11-02, to: 2026-11-01}\n",
            1,
            "it ends on 2026-11-01, before",
        ),
        ("- {model: m, in: 1, out: 2}\n", 1, "say whose price it is: either host"),
        (
            "- {model: m, host: h, provider: p, in: 1, out: 2}\n",
            1,
            "say whose price it is: either host",
        ),
        ("- {model: m, host: h, in: cheap, out: 2}\n", 1, "in: input should be"),
        ("- 7\n", 1, "a row names one of"),
    ],
)
def test_a_broken_file_says_where(mine: Path, text: str, line: int, what: str) -> None:
    mine.write_text(text)
    with pytest.raises(UserError, match=rf"prices\.yaml:{line}: .*{what}.* - fix"):
        price_of("gpt-4o-mini", DAY, host=OPENAI)


def test_a_broken_gpu_row_says_where(mine: Path) -> None:
    mine.write_text("- {model: m, host: h, in: 1, out: 2}\n- {gpu: H100, per_hour: 2}\n")
    with pytest.raises(UserError, match=r"prices\.yaml:2: provider: field required"):
        rate_of("H100", DAY)


def test_a_file_that_is_no_text_is_an_error(mine: Path) -> None:
    mine.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read.*ALPACA_PIPE_PRICES"):
        own_prices()
