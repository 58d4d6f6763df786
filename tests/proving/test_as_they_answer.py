"""Servers as they really answer, after public reports: each kind met by the real client, against the proving server.

What each report was about, and what is right, stands in the sentence of its test.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.entries import LedgerEntry
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import connect
from tests.proving.books import reading
from tests.proving.start import Proving, proving

SCHEMA = {"type": "json_schema", "json_schema": {"name": "tasks", "schema": {}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proving]:
    books = tmp_path_factory.mktemp("as_they_answer") / "books.sqlite"
    with proving(books, retry_after=0.1, batch_seconds=0.1) as running:
        yield running


@dataclass
class Run:
    """Requests of one teacher, one after the other, and what came of them."""

    folder: Path
    server: Proving
    fields: dict[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    before: int = 0  # rows of the server's books that are of other runs

    def ask(self, *texts: str, **decoding: Any) -> list[Completion | Exception]:
        """The replies; an error ends it, and is the last of them."""

        async def main() -> list[Completion | Exception]:
            with Journal.open(self.folder / "ledger.sqlite") as journal:
                table = TeacherTable.model_validate(
                    {
                        "kind": "openai_chat",
                        "model": "m",
                        "base_url": self.server.url,
                        "identity": "the proving server",
                        "price": {"in": 0.15, "out": 0.6, "cache_read": 0.0375},
                        **self.fields,
                    }
                )
                async with connect(
                    table,
                    journal=journal,
                    caps=Caps(),
                    recipe="it",
                    run=f"{len(self.said)}",
                    stage="generate",
                    log=self.folder / "log",
                    say=self.said.append,
                ) as teacher:
                    replies: list[Completion | Exception] = []
                    for text in texts:
                        request = Request(
                            (PromptMessage("user", text),), {"max_tokens": 400, **decoding}
                        )
                        try:
                            replies.append(await teacher.ask(request))
                        except UserError as error:
                            replies.append(error)
                            break
                    return replies

        return asyncio.run(main())

    def entries(self) -> list[LedgerEntry]:
        with Journal.open(self.folder / "ledger.sqlite", read_only=True) as journal:
            return list(journal.entries())

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.entries()]

    def anomalies(self) -> list[str]:
        return [entry.note for entry in self.entries() if entry.kind == "anomaly"]

    def settled(self) -> int:
        return sum(entry.nanodollars for entry in self.entries() if entry.kind == "settled")

    def billed(self) -> int:
        """By the server's own books, of this run's requests."""
        self.server.quiet()
        with reading(self.server.books) as db:
            costs = db.execute("SELECT nanodollars FROM requests WHERE id > ?", (self.before,))
            return sum(cost for (cost,) in costs)

    def anew(self) -> Run:
        """Another ledger, of which the same server's books hold nothing yet."""
        self.server.quiet()
        with reading(self.server.books) as db:
            before = db.execute("SELECT MAX(id) FROM requests").fetchone()[0] or 0
        folder = self.folder / f"from {before}"
        folder.mkdir()
        return Run(folder, self.server, before=before)


@pytest.fixture
def run(server: Proving, tmp_path: Path) -> Run:
    server.weather(script=[], faults={}, nature={}, seed=0)
    return Run(tmp_path, server).anew()


def whole(*replies: Completion | Exception) -> list[Completion]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return list(replies)  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", ["thinking", "thinking_closed", "channels", "template_end"])
def test_thinking_and_template_marks_are_no_part_of_what_is_read(run: Run, fault: str) -> None:
    (plain,) = whole(*run.ask("Write tasks.", response_format=SCHEMA))
    run = run.anew()
    run.server.weather(script=[fault])
    (reply,) = whole(*run.ask("Write tasks.", response_format=SCHEMA))
    assert reply.text != plain.text, "what is stored is all that came"
    assert reply.for_the_reader().text == plain.text
    assert json.loads(reply.for_the_reader().text) and run.settled() == run.billed() > 0


@pytest.mark.parametrize("fault", ["finish_eos", "finish_upper", "finish_null"])
def test_other_words_for_the_end_of_a_whole_reply(run: Run, fault: str) -> None:
    run.server.weather(script=[fault])
    (reply,) = whole(*run.ask("Say something."))
    assert reply.finish == "stop"
    assert bool(run.anomalies()) == (fault == "finish_null")


def test_a_stream_that_nobody_asked_for_is_read(run: Run) -> None:
    (plain,) = whole(*run.ask("Say something."))
    run = run.anew()
    run.server.weather(script=["sse"])
    (reply,) = whole(*run.ask("Say something."))
    assert (reply.text, reply.usage, reply.finish) == (plain.text, plain.usage, plain.finish)
    assert run.kinds() == ["reserved", "settled"] and run.settled() == run.billed()


@pytest.mark.parametrize("fault", ["400_unparsed", "400_crashed", "400_odd", "413"])
def test_a_passing_refusal_is_asked_again_and_is_no_answer(run: Run, fault: str) -> None:
    run.server.weather(script=["", fault, ""])
    first, second = whole(*run.ask("One.", "Two."))
    assert (first.finish, second.finish) == ("stop", "stop")
    assert run.kinds() == ["reserved", "settled", "reserved", "released", "reserved", "settled"]


@pytest.mark.parametrize("fault", ["400_unparsed", "400_crashed"])
def test_words_that_pass_are_known_at_the_first_request_too(run: Run, fault: str) -> None:
    run.server.weather(script=[fault])
    assert whole(*run.ask("One."))[0].finish == "stop"


def test_a_refusal_that_stays_is_the_answer_at_the_third_time(run: Run) -> None:
    run.server.weather(script=["", "400_odd", "400_odd", "400_odd", ""])
    one, two, three = whole(*run.ask("One.", "Two.", "Three."))
    assert (one.finish, two.finish, three.finish) == ("stop", "refused", "stop")
    assert two.text == "This request is not acceptable."


@pytest.mark.parametrize("fault", ["401", "403", "404"])
def test_a_key_or_model_that_was_good_a_moment_ago_is_not_blamed(run: Run, fault: str) -> None:
    run.server.weather(script=["", "", fault])
    assert len(whole(*run.ask("One.", "Two.", "Three."))) == 3
    assert run.said == [said for said in run.said if "it has answered before" in said] != []


@pytest.mark.parametrize("fault", ["401", "403", "404"])
def test_a_key_or_model_that_was_never_good_stops_at_once(run: Run, fault: str) -> None:
    run.server.weather(script=[fault])
    (error,) = run.ask("One.")
    assert isinstance(error, UserError) and run.kinds() == ["reserved", "released"]


@pytest.mark.parametrize("fault", ["429_words", "429_info"])
def test_the_wait_that_stands_in_the_body_is_waited_for(run: Run, fault: str) -> None:
    run.server.weather(script=[fault])
    (reply,) = whole(*run.ask("One."))
    with reading(run.server.books) as db:
        run.server.quiet()
        at = [row[0] for row in db.execute("SELECT at FROM requests ORDER BY id DESC LIMIT 2")]
    assert reply.finish == "stop" and at[0] - at[1] >= 0.3


def test_a_prompt_that_fails_with_its_seed_is_asked_with_another(run: Run) -> None:
    run.server.weather(nature={"500_seed": 0.5})
    texts = [f"Say {number}." for number in range(12)]
    replies = whole(*run.ask(*texts, seed=5))
    assert all(reply.finish == "stop" for reply in replies)
    kinds = run.kinds()
    assert kinds.count("released") >= 2 and kinds.count("settled") == 12
    assert len({entry.request for entry in run.entries()}) == 12, "the key stays"


def test_a_prompt_that_always_fails_becomes_an_answer_of_its_own(run: Run) -> None:
    run.fields = {"max_attempts": 3, "concurrency": 8}

    async def main() -> list[Completion]:
        with Journal.open(run.folder / "ledger.sqlite") as journal:
            table = TeacherTable.model_validate(
                {
                    "kind": "openai_chat",
                    "model": "m",
                    "base_url": run.server.url,
                    "price": {"in": 0.15, "out": 0.6, "cache_read": 0.0375},
                    **run.fields,
                }
            )
            async with connect(
                table,
                journal=journal,
                caps=Caps(),
                recipe="it",
                run="1",
                stage="generate",
                log=run.folder / "log",
                say=run.said.append,
            ) as teacher:
                requests = [
                    Request((PromptMessage("user", f"Say {number}."),), {"max_tokens": 50})
                    for number in range(60)
                ]
                return await asyncio.gather(*(teacher.ask(request) for request in requests))

    run.server.weather(nature={"500": 0.05}, seed=3)
    replies = asyncio.run(main())
    failed = [reply for reply in replies if reply.finish == "failed"]
    assert 1 <= len(failed) <= 3, "choose another seed: by chance none, or too many, always fail"
    assert all("server had an error" in reply.text for reply in failed)
    assert sum("so that is its answer" in said for said in run.said) == 1
    assert run.settled() == run.billed()


@pytest.mark.parametrize("fault", ["cost_low", "cost_high"])
def test_a_gateways_own_cost_overrules_no_price_and_is_said(run: Run, fault: str) -> None:
    run.server.weather(script=[fault, ""])
    assert len(whole(*run.ask("One.", "Two."))) == 2
    (anomaly,) = run.anomalies()
    assert "the provider bills" in anomaly and "teacher.reported_cost" in anomaly
    assert run.settled() == run.billed()
    again = run.anew()
    again.fields = {"reported_cost": "ignore"}
    again.server.weather(script=[fault])
    assert len(whole(*again.ask("One."))) == 1
    assert not again.anomalies() and again.settled() == again.billed()


def test_a_tier_that_was_not_asked_for_stops_the_run_and_its_reply_is_kept(run: Run) -> None:
    run.server.weather(script=["", "tier"])
    first, error = run.ask("One.", "Two.", "Three.")
    assert isinstance(first, Completion) and isinstance(error, UserError)
    assert "'priority'" in error.what and "teacher.price" in error.cure
    assert run.kinds().count("settled") == 2 and run.settled() > run.billed()


def test_a_gateways_words_in_a_replys_place_are_no_reply(run: Run) -> None:
    run.server.weather(script=["", "gateway_text", ""])
    _, second = whole(*run.ask("One.", "Two."))
    assert (
        "gateway" not in second.text
        and run.kinds() == ["reserved", "settled", "reserved", "released"] + ["reserved", "settled"]
        and run.settled() == run.billed()
    )


def by_batch(run: Run, *texts: str, poll: float = 0.2) -> list[Completion | Exception]:
    """The replies to all of them, asked together, each with its error."""

    async def main() -> list[Any]:
        with Journal.open(run.folder / "ledger.sqlite") as journal:
            table = TeacherTable.model_validate(
                {
                    "kind": "openai_batch",
                    "model": "m",
                    "base_url": run.server.url,
                    "identity": "the proving server",
                    "price": {"in": 0.075, "out": 0.3},
                    "poll": poll,
                    "max_attempts": 4,
                }
            )
            async with connect(
                table,
                journal=journal,
                caps=Caps(),
                recipe="it",
                run=f"batch {len(run.said)}",
                stage="generate",
                log=run.folder / "log",
                say=run.said.append,
            ) as teacher:
                requests = [
                    Request((PromptMessage("user", text),), {"max_tokens": 300}) for text in texts
                ]
                replies = await asyncio.gather(
                    *(teacher.ask(request) for request in requests), return_exceptions=True
                )
                for reply in replies:
                    if isinstance(reply, Stopped):
                        raise reply  # as a stage ends; the desk says why
                return replies

    return asyncio.run(main())


TEXTS = tuple(f"Say {number}." for number in range(12))


def test_a_finished_batch_whose_file_comes_late_is_not_bought_again(run: Run) -> None:
    run.server.weather(faults={"batch_files_late": 1.0})
    assert len(whole(*by_batch(run, *TEXTS))) == 12
    assert run.kinds().count("reserved") == 12 and run.settled() == run.billed() > 0
    assert any("its file is not there yet" in said for said in run.said)


def test_a_finished_batch_whose_file_never_comes_is_left_open_and_collected_later(run: Run) -> None:
    run.server.weather(faults={"batch_files_never": 1.0})
    with pytest.raises(UserError, match="counts 12 answers .* shows no file.*left open"):
        by_batch(run, *TEXTS)
    assert run.kinds() == ["reserved"] * 12, "nothing is bought again"
    run.server.weather(faults={})
    with pytest.raises(UserError, match="shows no file"):  # this batch never shows it
        by_batch(run, *TEXTS)
    assert run.kinds() == ["reserved"] * 12


def test_a_gateways_words_in_a_line_are_asked_again(run: Run) -> None:
    run.server.weather(faults={"gateway_text": 0.3}, seed=2)
    replies = whole(*by_batch(run, *TEXTS))
    run.server.quiet()
    assert run.server.state()["faults"]["gateway_text"]
    assert not [reply for reply in replies if "gateway" in reply.text]


@pytest.mark.parametrize("fault", ["line_filtered", "line_null"])
def test_one_bad_line_is_that_requests_answer_and_not_the_batchs_end(run: Run, fault: str) -> None:
    run.server.weather(faults={fault: 0.25}, seed=1)
    replies = whole(*by_batch(run, *TEXTS))
    filtered = [reply for reply in replies if reply.finish == "content_filter"]
    assert 0 < len(filtered) < 12 and run.kinds().count("reserved") == 12
    assert run.settled() == run.billed()


def test_an_error_object_in_place_of_a_batch_is_an_error_and_is_said(run: Run) -> None:
    run.server.weather(faults={"office_error_body": 0.4}, seed=5)
    assert len(whole(*by_batch(run, *TEXTS))) == 12
    assert run.kinds().count("settled") == 12 and run.settled() == run.billed()
    run.server.quiet()
    assert run.server.state()["faults"].get("office_error_body")
