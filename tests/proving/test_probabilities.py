"""`teacher.top_logprobs`: what a teacher might have said in place of each token is kept with its reply, packed."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.token_choices import (
    TokenChoice,
    choices_of_chat,
    choices_of_completions,
    choices_of_gemini,
    pack,
    unpack,
)
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.ledger.store.merge_ledgers import merge
from alpaca_pipe.ledger.store.reply_choices import choices_of
from alpaca_pipe.teachers.config import TeacherTable
from tests.proving.replies import alternatives
from tests.proving.start import Proving, proving
from tests.proving.test_as_they_answer import Run, whole


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proving]:
    books = tmp_path_factory.mktemp("probabilities") / "books.sqlite"
    with proving(books, batch_seconds=0.1) as running:
        yield running


@pytest.fixture
def run(server: Proving, tmp_path: Path) -> Run:
    server.weather(script=[], faults={}, nature={}, seed=0)
    return Run(tmp_path, server).anew()


@pytest.mark.parametrize("kind", ["openai_chat", "openai_completions", "gemini", "openai_batch"])
def test_they_are_asked_for_kept_and_read_back(run: Run, kind: str) -> None:
    run.fields |= {"kind": kind, "top_logprobs": 20, "identity": f"as {kind}"}
    run.fields |= {"base_url": f"{run.server.url}beta"} if kind == "gemini" else {}
    run.fields |= {"poll": 0.1} if kind == "openai_batch" else {}
    (reply,) = whole(*run.ask("Say something of forty words or so."))
    with Journal.open(run.folder / "ledger.sqlite", read_only=True) as journal:
        kept = choices_of(journal, reply.key)
    wanted = alternatives(reply.text, 20)
    assert "".join(one.token for one in kept) == reply.text and len(kept) == len(wanted) > 5
    for one, told in zip(kept, wanted, strict=True):
        assert [token for token, _ in one.others] == [token for token, _ in told]
        for (_, level), (_, said) in zip(one.others, told, strict=True):
            assert level == pytest.approx(said, abs=0.0006)
    assert not run.anomalies()
    if kind != "openai_batch":  # whose price this ledger was not told
        assert run.settled() == run.billed() > 0, "they cost nothing more"


def test_a_reply_without_them_is_another_request(run: Run) -> None:
    whole(*run.ask("One."))
    run.fields["top_logprobs"] = 5
    (reply,) = whole(*run.ask("One."))
    assert not reply.from_store and run.kinds().count("settled") == 2


def test_a_server_that_tells_none_is_an_anomaly(run: Run) -> None:
    run.fields["top_logprobs"] = 5
    run.server.weather(script=["logprobs_missing"])
    whole(*run.ask("One."))
    assert "it was asked for log probabilities, and tells none" in run.anomalies()[0]


def test_what_is_kept_is_small_and_goes_where_its_reply_goes(run: Run, tmp_path: Path) -> None:
    run.fields["top_logprobs"] = 20
    (reply,) = whole(*run.ask("Say something of forty words or so."))
    ledger = run.folder / "ledger.sqlite"
    with sqlite3.connect(ledger) as db:
        ((packed, text),) = db.execute(
            "SELECT length(packed), length(text) FROM choices JOIN replies USING (key)"
        )
        with pytest.raises(sqlite3.Error, match="append-only"):
            db.execute("DELETE FROM choices")
    places = math.ceil(text / 4)
    assert packed < 8 * 21 * places, "a pair of token and figure takes a few bytes"
    with Journal.open(tmp_path / "other.sqlite"):
        pass
    assert merge(tmp_path / "other.sqlite", ledger).replies == 1
    with Journal.open(tmp_path / "other.sqlite", read_only=True) as journal:
        assert len(choices_of(journal, reply.key)) == places
        assert choices_of(journal, "r1-nobody") == ()


def test_a_kind_that_tells_none_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="tells no probabilities"):
        TeacherTable.model_validate({"kind": "anthropic_messages", "model": "m", "top_logprobs": 5})


LEVELS = st.floats(-32.7, 0)
CHOICES = st.lists(
    st.builds(
        TokenChoice,
        st.text(max_size=6),
        LEVELS,
        st.lists(st.tuples(st.text(max_size=6), LEVELS), max_size=5).map(tuple),
    ),
    max_size=12,
)


@given(CHOICES)
def test_packed_they_are_what_they_were_to_a_thousandth(choices: list[TokenChoice]) -> None:
    again = unpack(pack(choices))
    assert [one.token for one in again] == [one.token for one in choices]
    for one, was in zip(again, choices, strict=True):
        assert [token for token, _ in one.others] == [token for token, _ in was.others]
        levels = zip(
            [(one.token, one.logprob), *one.others],
            [(was.token, was.logprob), *was.others],
            strict=True,
        )
        assert all(abs(a[1] - b[1]) <= 0.00051 for a, b in levels)


@pytest.mark.parametrize("level", [-9999.0, -math.inf, 5.0])
def test_levels_out_of_range_stay_in_it(level: float) -> None:
    (one,) = unpack(pack([TokenChoice("a", level)]))
    assert one.logprob == (0 if level > 0 else -32.768)


@pytest.mark.parametrize("data", [b"", b"\x02abc", b"\x01abc", pack([TokenChoice("a", -1.0)])[:-3]])
def test_what_we_did_not_pack_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        unpack(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "content",
                    "token",
                    "logprob",
                    "top_logprobs",
                    "tokens",
                    "token_logprobs",
                    "candidates",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@given(JSON)
def test_nothing_that_is_told_of_them_raises(said: Any) -> None:
    for read in (choices_of_chat, choices_of_completions, choices_of_gemini):
        data = read(said)
        assert isinstance(data, bytes) and (not data or unpack(data))
