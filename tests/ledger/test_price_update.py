"""`alpaca-pipe prices update`: what a kept table says otherwise is shown, and appended where asked; nothing is edited."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from alpaca_pipe.cli import app
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.pricing.price_sources import kept_package, llm_prices_file
from alpaca_pipe.ledger.pricing.price_update import check_against, update_prices
from alpaca_pipe.ledger.pricing.token_prices import price_of, prices_on

DAY = date(2026, 11, 30)
OPENAI = "api.openai.com"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "prices.yaml"
    monkeypatch.setenv("ALPACA_PIPE_PRICES", str(path))
    return path


def table(tmp_path: Path, *rows: dict[str, Any], updated: str | None = "2026-11-28") -> Path:
    path = tmp_path / "current-v1.json"
    path.write_text(json.dumps({"updated_at": updated, "prices": list(rows)}))
    return path


def row(
    model: str, in_: float, out: float, cached: float | None = None, **more: Any
) -> dict[str, Any]:
    return {"id": model, "vendor": "openai", "name": model, "input": in_, "output": out} | (
        {"input_cached": cached, "from_date": None, "to_date": None} | more
    )


def test_a_changed_price_is_appended_and_is_the_price_from_today(
    mine: Path, tmp_path: Path
) -> None:
    mine.write_text(
        "# mine\n- {model: m, host: llm.example.com, in: 1, out: 2, from: 2026-11-01}\n"
    )
    before = mine.read_text()
    source = llm_prices_file(table(tmp_path, row("gpt-6-luna", 0.08, 0.45, 0.008)))
    found = check_against(source, DAY)
    assert [(one.word, one.model, one.mode) for one in found.news] == [
        ("changed", "gpt-6-luna", "online")
    ]
    update_prices(source, DAY)
    assert mine.read_text() == before, "without --write nothing is written"
    update_prices(source, DAY, write=True)
    assert mine.read_text().startswith(before)
    now = price_of("gpt-6-luna", DAY, host=OPENAI)
    assert (now.per_million["uncached_in"], now.per_million["cache_read"]) == (
        Decimal("0.08"),
        Decimal("0.008"),
    )
    assert now.checked == date(2026, 11, 28) or now.checked == DAY
    assert "llm-prices" in now.source and not now.doubt(DAY)
    yesterday = price_of("gpt-6-luna", date(2026, 11, 29), host=OPENAI)
    assert yesterday.per_million["uncached_in"] == Decimal("0.1"), "history is not priced again"


def test_a_price_that_is_confirmed_is_no_longer_doubted(mine: Path, tmp_path: Path) -> None:
    old = price_of("gpt-6-luna", DAY, host=OPENAI)
    assert "last checked" in old.doubt(DAY)
    update_prices(
        llm_prices_file(table(tmp_path, row("gpt-6-luna", 0.1, 0.5, 0.01))), DAY, write=True
    )
    # what the table does not hold (cache_write, the longest request) is not taken for confirmed
    assert not price_of("gpt-6-luna", DAY, host=OPENAI).doubt(DAY)


def test_a_table_without_a_day_confirms_nothing(mine: Path, tmp_path: Path) -> None:
    source = llm_prices_file(table(tmp_path, row("gpt-6-luna", 0.1, 0.5, 0.01), updated=None))
    assert all(one.word != "confirmed" for one in check_against(source, DAY).news)


def test_written_again_nothing_is_appended_twice(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = llm_prices_file(table(tmp_path, row("gpt-6-luna", 0.08, 0.45)))
    update_prices(source, DAY, write=True)
    once = mine.read_text()
    update_prices(source, DAY, write=True)
    assert mine.read_text() == once and "0 changed" in capsys.readouterr().out


def test_new_models_come_only_where_asked_for(mine: Path, tmp_path: Path) -> None:
    source = llm_prices_file(table(tmp_path, row("gpt-9-nova", 1, 2)))
    assert not check_against(source, DAY).news
    assert [one.word for one in check_against(source, DAY, add="NOVA").news] == ["new"]
    update_prices(source, DAY, add="nova", write=True)
    assert price_of("gpt-9-nova", DAY, host=OPENAI).per_million["visible_out"] == 2
    with pytest.raises(UserError, match="no further model"):
        update_prices(source, DAY, add="supernova")


def test_the_row_of_the_day_is_taken_from_a_history(mine: Path, tmp_path: Path) -> None:
    rows = (
        row("gpt-6-luna", 0.2, 1.0, to_date="2026-11-14"),
        row("gpt-6-luna", 0.05, 0.25, from_date="2026-11-15"),
    )
    update_prices(llm_prices_file(table(tmp_path, *rows)), DAY, write=True)
    assert price_of("gpt-6-luna", date(2026, 11, 20), host=OPENAI).per_million["uncached_in"] == (
        Decimal("0.05")
    ), "from the day that the table names"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1, 2", "no JSON"),
        ("{}", "holds no list of prices"),
        ('{"prices": [{"id": "m"}]}', "price 1 names no id and vendor"),
        (
            '{"prices": [{"id": "m", "vendor": "openai", "input": "1", "output": 2}]}',
            "is not a price",
        ),
        (
            '{"prices": [{"id": "m", "vendor": "openai", "input": -1, "output": 2}]}',
            "is not a price",
        ),
        ('{"updated_at": "soon", "prices": [{}]}', "'soon' is not a date"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_sentence(
    mine: Path, tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(UserError, match=sentence):
        llm_prices_file(tmp_path / "t.json")
    assert not mine.exists()


def test_the_shipped_book_is_the_kept_packages_row_by_row(mine: Path) -> None:
    """Its pinned version; a newer one may know better, and says so here."""
    pytest.importorskip("genai_prices")
    found = check_against(kept_package(), DAY)
    assert not [one for one in found.news if one.word == "changed"]
    known = [price for price in prices_on(DAY) if not price.free]
    assert found.unknown == 0 and found.equal > 0.7 * len(known) > 100


def test_a_price_that_is_lower_at_night_is_taken_at_its_highest(mine: Path) -> None:
    pytest.importorskip("genai_prices")
    peak = kept_package().find("deepseek", "deepseek-v4-pro", "online", DAY)
    assert (
        peak
        and peak.figures["out"]
        == price_of("deepseek-v4-pro", DAY, host="api.deepseek.com").per_million["visible_out"]
    )


def test_the_command_shows_and_writes(mine: Path, tmp_path: Path) -> None:
    file = str(table(tmp_path, row("gpt-6-luna", 0.08, 0.45)))
    shown = CliRunner().invoke(app, ["prices", "update", file])
    assert shown.exit_code == 0 and "changed" in shown.output and not mine.exists()
    found = json.loads(
        CliRunner().invoke(app, ["prices", "update", file, "--write", "--json"]).output
    )
    assert found["written"] and found["rows"][0]["in"] == "0.08" and mine.exists()
    for words in (["prices", "gpt", "--write"], ["prices", "update", "--gpus"]):
        assert CliRunner().invoke(app, words).exit_code != 0


def test_a_price_of_ones_own_without_a_day_is_doubted(mine: Path) -> None:
    mine.write_text("- {model: m, host: llm.example.com, in: 1, out: 2, source: their mail}\n")
    assert "no date says when" in price_of("m", DAY, host="llm.example.com").doubt(DAY)
