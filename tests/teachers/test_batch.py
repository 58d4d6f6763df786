"""Batches against a provider in a process of its own: every way in which one comes back, or does not."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request
from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.ledger.budget import Caps, OverBudget, ceiling_of
from alpaca_pipe.ledger.pricing.token_prices import PriceTable
from alpaca_pipe.ledger.store.batch_jobs import BatchJobs
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.base import Fatal
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.teachers.factory import cancel_batches, connect
from tests.teachers.batch_server import Running, running
from tests.waiting import PATIENCE

PRICE = PriceTable.model_validate({"in": Decimal("0.1"), "out": Decimal("0.4")})
COST = 10 * 100 + 5 * 400  # nano-dollars of one reply


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_PIPE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "ledger.sqlite") as journal:
        yield journal


@pytest.fixture
def desk(server: Running, journal: Journal, tmp_path: Path) -> Iterator[Runs]:
    server.faults()
    yield Runs(server, journal, tmp_path)
    server.faults()


def question(text: str) -> Request:
    return Request((PromptMessage("user", text),), {"max_tokens": 20})


class Runs:
    """Runs of one recipe against the server, each with words of its own."""

    def __init__(self, server: Running, journal: Journal, folder: Path) -> None:
        self.server, self.journal, self.folder = server, journal, folder
        self.said: list[str] = []
        self.before = server.books()
        self.count = 0

    def table(self, **fields: Any) -> TeacherTable:
        return TeacherTable.model_validate(
            {
                "kind": "openai_batch",
                "model": "m",
                "base_url": f"{self.server.url}/v1",
                "price": PRICE,
                "poll": 0.1,
                **fields,
            }
        )

    def run(
        self,
        texts: Sequence[str],
        caps: Caps = Caps(),  # noqa: B008
        recipe: str = "r",
        stopping: Callable[[], bool] = lambda: False,
        **fields: Any,
    ) -> list[Any]:
        """The replies' texts, or the errors; an error of opening or closing as the only one."""
        self.count += 1

        async def main() -> list[Any]:
            self.journal.recover(recipe)
            async with connect(
                self.table(**fields),
                journal=self.journal,
                caps=caps,
                recipe=recipe,
                run=f"run{self.count}",
                stage="generate",
                log=self.folder / "log",
                stopping=stopping,
                say=self.said.append,
            ) as teacher:
                got = await asyncio.gather(
                    *(teacher.ask(question(f"{self.folder.name} {text}")) for text in texts),
                    return_exceptions=True,
                )
                stopped = [error for error in got if isinstance(error, Stopped)]
                if stopped and not any(isinstance(error, UserError) for error in got):
                    raise stopped[0]
                return [
                    reply.text.removeprefix(f"reply to {self.folder.name} ")
                    if isinstance(reply, Completion)
                    else reply
                    for reply in got
                ]

        try:
            return asyncio.run(asyncio.wait_for(main(), PATIENCE))
        except (UserError, Stopped) as error:
            return [error]

    def key(self, text: str) -> str:
        return question(f"{self.folder.name} {text}").key(self.table().identity())

    def kinds(self, text: str) -> list[str]:
        return [entry.kind for entry in self.journal.entries_of(self.key(text))]

    def billed(self) -> Counter[str]:
        """How often the server was paid for each question of this test."""
        return Counter(
            {
                text.removeprefix(f"{self.folder.name} "): times
                for text, times in self.server.books()["asked"].items()
                if text.startswith(f"{self.folder.name} ")
            }
        )

    def written(self) -> None:
        """What was handed to the ledger is in it."""
        self.journal.write(lambda db: None).result()

    def of(self, name: str) -> int:
        """How often that happened at the server in this test."""
        return int(self.server.books()[name]) - int(self.before[name])

    def sound(self) -> None:
        """Nothing is open, and ours are the server's books: settled once for each reply that was billed."""
        self.written()
        assert BatchJobs(self.journal).open("r") == []
        totals = self.journal.totals("r")
        assert (totals.open, totals.pending) == (0, 0)
        names = Counter(
            entry.name
            for entry in self.journal.entries()
            if entry.kind == "settled" and entry.nanodollars
        )
        theirs = Counter(
            name
            for name, times in self.server.books()["names"].items()
            for _ in range(times)
            if name.rsplit(".", 2)[0] in {entry.request for entry in self.journal.entries()}
        )
        assert names == theirs
        assert totals.settled == COST * sum(self.billed().values())


WORDS = [f"q{i}" for i in range(12)]


def test_a_batch_is_bought_at_its_own_price_and_never_again(desk: Runs) -> None:
    assert desk.run(WORDS) == WORDS
    assert desk.of("creates") == 1 and desk.billed() == Counter(WORDS)
    row = desk.journal.reply_row(desk.key("q0"))
    assert row is not None and row["price"]["mode"] == "batch" and row["settled"] == COST
    assert desk.run(WORDS) == WORDS
    assert desk.run(WORDS, kind="openai_chat", poll=60.0) == WORDS  # found online too
    assert desk.of("creates") == 1 and desk.of("online") == 0
    assert desk.of("files") == 1  # ours is deleted, the answers stay there
    desk.sound()
    assert desk.run(["new"], kind="openai_chat", poll=60.0) == ["new"]
    assert desk.run(["new"]) == ["new"]  # and the other way round
    assert desk.of("online") == 1 and desk.of("creates") == 1


def test_it_says_where_a_batch_is(desk: Runs) -> None:
    desk.server.faults(seconds=0.6)
    desk.run(WORDS)
    assert desk.said[0].endswith("12 requests handed in")
    assert "in_progress: " in desk.said[1] and desk.said[1].endswith("of 12 answered")
    assert desk.said[-1].endswith("completed: 12 answers")


def test_files_are_cut_by_requests_and_by_bytes(desk: Runs) -> None:
    assert desk.run(WORDS, most_requests=5) == WORDS
    assert desk.of("creates") == 3
    long = [f"{word} {'x' * 3000}" for word in WORDS]
    assert [text[:2] for text in desk.run(long, most_bytes=10_000)] == [word[:2] for word in WORDS]
    assert desk.of("creates") == 3 + 4
    [error, *_] = desk.run(["y" * 20_000], most_bytes=10_000)
    assert isinstance(error, Fatal) and "more than a file may have" in error.what
    desk.sound()


def test_lines_that_come_twice_or_from_nowhere_or_torn(desk: Runs) -> None:
    desk.server.faults(twice=1, torn=1)
    assert desk.run(WORDS) == WORDS  # the first of each counts
    notes = desk.journal.read()
    with notes as db:
        [note] = db.execute("SELECT note FROM batches WHERE event = 'collected'").fetchone()
    assert note == (
        "completed; 1 lines came again, and the first of each counts; 1 lines answer nothing that was asked; "
        "1 lines cannot be read"
    )
    assert note.removeprefix("completed; ") in desk.said[-1]
    desk.sound()


def test_a_line_that_does_not_come_back_is_asked_again(desk: Runs) -> None:
    assert desk.run(["a", "!missing b", "c"]) == ["a", "!missing b", "c"]
    assert desk.kinds("!missing b") == ["reserved", "released", "reserved", "settled"]
    desk.sound()


def test_a_line_that_was_billed_and_does_not_come_back_is_lost(desk: Runs) -> None:
    assert desk.run(["a", "!hidden b", "c"]) == ["a", "!hidden b", "c"]
    assert desk.kinds("!hidden b") == ["reserved", "lost", "reserved", "settled"]
    assert desk.journal.totals("r").lost > 0
    desk.sound()


def test_error_lines_are_read_as_online(desk: Runs) -> None:
    texts = ["a", "!429 b", "!500 c", "!400 d"]
    assert desk.run(texts) == ["a", "!429 b", "!500 c", "too odd"]
    assert (
        desk.kinds("!429 b")
        == desk.kinds("!500 c")
        == ["reserved", "released", "reserved", "settled"]
    )
    assert desk.kinds("!400 d") == ["reserved", "settled"]  # its answer, for nothing
    assert desk.of("creates") == 2
    desk.sound()


def test_no_quota_stops_the_run_and_keeps_what_came(desk: Runs) -> None:
    [fine, error] = desk.run(["a", "!quota b"])
    assert fine == "a" and isinstance(error, Fatal) and "add credit" in error.cure
    assert desk.kinds("!quota b") == ["reserved", "released"]
    desk.sound()


def test_a_fatal_error_does_not_wait_for_the_other_batches(desk: Runs) -> None:
    desk.server.faults(hold="!hold")
    held, fine, error = desk.run(["!hold c", "a", "!quota b"], most_requests=1)
    assert fine == "a" and isinstance(error, Fatal) and isinstance(held, Stopped)
    assert desk.kinds("!hold c") == ["reserved"]
    desk.server.faults()
    assert desk.run(["a", "!hold c"]) == ["a", "!hold c"]
    desk.sound()


def test_an_expired_batch_gives_back_what_is_finished_and_only_the_rest_is_sent_again(
    desk: Runs,
) -> None:
    desk.server.faults(expire=1)
    assert desk.run(WORDS) == WORDS
    assert desk.billed() == Counter(WORDS)
    assert [batch["request_counts"]["total"] for batch in desk.server.books()["batches"][-2:]] == [
        12,
        6,
    ]
    assert "expired: 6 answers, 6 requests without" in "\n".join(desk.said)
    desk.sound()


def test_a_batch_that_is_refused_whole_stops_the_run_with_its_reason(desk: Runs) -> None:
    desk.server.faults(fail=1)
    errors = desk.run(WORDS)
    assert all(isinstance(error, Fatal) for error in errors)
    assert (
        "line 3: This line is not JSON. (and 1 more)" in errors[0].what
        and "nothing of it was billed" in errors[0].cure
    )
    assert desk.journal.totals("r").settled == 0 and desk.of("files") == 0
    desk.sound()
    assert desk.run(WORDS) == WORDS


def test_a_queue_that_is_too_short_is_filled_in_smaller_files_one_after_the_other(
    desk: Runs,
) -> None:
    desk.server.faults(queue=4)
    assert desk.run(WORDS) == WORDS
    assert desk.billed() == Counter(WORDS)
    assert "is too much now" in "\n".join(desk.said)
    desk.sound()


@pytest.mark.parametrize(
    "fault", ["upload_busy", "upload_lost", "create_busy", "poll_busy", "content_busy"]
)
def test_a_provider_that_stumbles_is_asked_again(desk: Runs, fault: str) -> None:
    desk.server.faults(**{fault: 1})
    assert desk.run(WORDS[:3]) == WORDS[:3]
    assert desk.billed() == Counter(WORDS[:3])
    desk.sound()


@pytest.mark.parametrize("more", [{}, {"no_metadata": True}])
def test_a_batch_whose_creation_was_not_answered_is_found_by_listing(
    desk: Runs, more: dict[str, Any]
) -> None:
    desk.server.faults(create_lost=1, **more)
    assert desk.run(WORDS) == WORDS
    assert desk.of("creates") == 1 and desk.billed() == Counter(WORDS)
    desk.sound()


@pytest.mark.parametrize("fault", ["create_never", "create_late"])
def test_a_batch_that_was_never_made_cannot_be_made_any_more(desk: Runs, fault: str) -> None:
    """Late: the call arrives after we have looked at the list; its file is not there any more."""
    desk.server.faults(**{fault: 1})
    assert desk.run(WORDS) == WORDS
    assert desk.of("creates") == 2 and desk.billed() == Counter(WORDS)
    assert desk.kinds("q0") == ["reserved", "released", "reserved", "settled"]
    desk.sound()


def test_where_files_cannot_be_deleted_an_unanswered_creation_is_lost(desk: Runs) -> None:
    desk.server.faults(create_never=1, no_delete=True)
    assert desk.run(WORDS[:2]) == WORDS[:2]
    assert desk.kinds("q0") == ["reserved", "lost", "reserved", "settled"]
    desk.sound()


def stop_when(desk: Runs, said: str) -> Callable[[], bool]:
    return lambda: any(said in sentence for sentence in desk.said)


def test_a_stop_leaves_the_batch_there_and_the_next_run_collects_it(desk: Runs) -> None:
    desk.server.faults(hold="")
    [error] = desk.run(WORDS, stopping=stop_when(desk, "handed in"))
    assert isinstance(error, Stopped)
    assert desk.said[-1].endswith(
        "stays with the provider (12 requests): the same command collects it"
    )
    assert desk.journal.totals("r").pending == 12 and desk.kinds("q0") == ["reserved"]
    desk.server.faults()
    assert desk.run([*WORDS, "more"]) == [*WORDS, "more"]
    assert desk.billed() == Counter([*WORDS, "more"]) and desk.kinds("q0") == [
        "reserved",
        "settled",
    ]
    assert {entry.run for entry in desk.journal.entries_of(desk.key("q0"))} == {"run1"}
    desk.sound()


def test_a_stop_before_the_file_is_full_sends_nothing_and_costs_nothing(desk: Runs) -> None:
    [error] = desk.run(WORDS, stopping=lambda: desk.journal.totals("r").pending > 0)
    assert isinstance(error, Stopped)
    desk.sound()
    assert desk.of("creates") == 0 and desk.kinds("q0") in ([], ["reserved", "released"])


def test_a_loop_that_dies_loses_nothing_that_is_with_the_provider(desk: Runs) -> None:
    """The second Ctrl-C."""
    desk.server.faults(hold="")

    def interrupted() -> bool:
        if any("handed in" in sentence for sentence in desk.said):
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        desk.run(WORDS, stopping=interrupted)
    desk.server.faults()
    desk.said.clear()
    assert desk.run(WORDS) == WORDS and desk.billed() == Counter(WORDS)
    assert desk.journal.totals("r").lost == 0
    desk.sound()


def test_a_run_online_collects_the_batch_first(desk: Runs) -> None:
    desk.server.faults(hold="")
    desk.run(WORDS, stopping=stop_when(desk, "handed in"))
    desk.server.faults()
    assert desk.run(WORDS, kind="openai_chat", poll=60.0) == WORDS
    assert desk.of("online") == 0
    desk.sound()


def test_another_model_meanwhile_and_the_batch_is_still_collected(desk: Runs) -> None:
    desk.server.faults(hold="")
    desk.run(WORDS, stopping=stop_when(desk, "handed in"))
    desk.server.faults()
    assert desk.run(["x"], model="other") == ["x"]
    assert desk.kinds("q0") == ["reserved", "settled"]
    assert desk.run(WORDS) == WORDS and desk.of("creates") == 2


def test_batches_of_another_recipe_or_provider_are_left_alone(desk: Runs) -> None:
    desk.server.faults(hold="")
    desk.run(WORDS, stopping=stop_when(desk, "handed in"))
    desk.server.faults()
    desk.said.clear()
    assert desk.run(["x"], recipe="other") == ["x"]
    with running() as elsewhere:
        assert desk.run(["y"], base_url=f"{elsewhere.url}/v1") == ["y"]
    assert f"a batch of this recipe is with {desk.server.url}/v1" in "\n".join(desk.said)
    assert desk.kinds("q0") == ["reserved"]
    assert desk.run(WORDS) == WORDS


def test_a_key_that_is_refused_while_a_batch_is_there_leaves_it_open(desk: Runs) -> None:
    desk.server.faults(poll_denied=1)
    [error] = desk.run(WORDS)
    assert isinstance(error, Fatal) and "does not accept the key" in error.what
    assert desk.kinds("q0") == ["reserved"]
    assert desk.run(WORDS) == WORDS and desk.billed() == Counter(WORDS)
    desk.sound()


def test_a_batch_that_the_provider_does_not_know_is_an_error_and_can_be_counted_as_lost(
    desk: Runs,
) -> None:
    desk.server.faults(forgets=True)
    [error] = desk.run(WORDS)
    assert (
        isinstance(error, UserError)
        and "does not know the batch" in error.what
        and "teachers cancel r" in error.cure
    )
    assert desk.kinds("q0") == ["reserved"]
    collected = cancel(desk)
    assert (collected.batches, collected.answered, collected.unanswered) == (1, 0, 12)
    assert desk.kinds("q0") == ["reserved", "lost"]
    assert BatchJobs(desk.journal).open("r") == []


def cancel(desk: Runs) -> Any:
    return asyncio.run(
        cancel_batches(
            desk.table(),
            journal=desk.journal,
            recipe="r",
            log=desk.folder / "log",
            say=desk.said.append,
        )
    )


def test_a_cancelled_batch_gives_back_what_is_finished(desk: Runs) -> None:
    desk.server.faults(seconds=30)
    desk.run(WORDS, stopping=stop_when(desk, "of 12 answered"))
    collected = cancel(desk)
    assert (
        collected.batches == 1
        and collected.answered + collected.unanswered == 12
        and collected.unanswered > 0
    )
    assert sum(desk.billed().values()) == collected.answered
    desk.sound()


def test_files_are_cut_to_the_budget_and_the_cap_holds_at_every_moment(desk: Runs) -> None:
    """A cap for three of ten: several batches in turn; the ceiling is far above the cost."""
    texts = [f"b{i}" for i in range(16)]
    identity = desk.table()
    ceiling = ceiling_of(question(f"{desk.folder.name} b10"), identity.priced())
    cap = 6 * ceiling
    assert desk.run(texts, Caps(api=cap)) == texts
    assert desk.of("creates") >= 3
    settled = opened = most = 0
    for entry in desk.journal.entries("r"):
        settled += entry.nanodollars if entry.kind == "settled" else 0
        opened += (entry.nanodollars if entry.kind == "reserved" else 0) - entry.frees
        most = max(most, settled + opened)
    assert cap // 2 < most <= cap
    desk.sound()
    [*_, last] = desk.run(
        [*texts, *(f"c{i}" for i in range(8))], Caps(api=len(texts) * COST + 2 * ceiling)
    )
    assert isinstance(last, OverBudget)
    desk.sound()


def test_reserved_for_a_batch_and_in_none_is_not_lost(desk: Runs) -> None:
    price = desk.table().priced()
    journal = desk.journal
    journal.reserve("r1-a", 100, price, Caps(), recipe="r", run="dead", stage="generate").result()
    assert journal.recover("r") == 0
    assert [entry.kind for entry in journal.entries_of("r1-a")] == ["reserved", "released"]


def test_it_takes_what_the_chat_dialect_takes_and_has_its_identity() -> None:
    batch, chat = (
        TeacherTable(kind=kind, model="gpt-4.1-nano") for kind in ("openai_batch", "openai_chat")
    )
    assert batch.identity() == chat.identity()
    assert batch.priced().mode == "batch" and chat.priced().mode == "online"
    assert batch.priced().cost != chat.priced().cost and batch.key_variable == "OPENAI_API_KEY"
    rehearsed = batch.rehearsed()
    assert rehearsed.by_batch and rehearsed.priced().per_million == batch.priced().per_million
    with pytest.raises(ValueError, match="a teacher of kind openai_chat has no 'window'"):
        TeacherTable.model_validate({"kind": "openai_chat", "model": "m", "window": "7d"})


def test_a_rehearsal_walks_the_same_road(tmp_path: Path, journal: Journal) -> None:
    table = TeacherTable(kind="openai_batch", model="gpt-4.1-nano").rehearsed()

    async def main(kind: TeacherTable) -> list[str]:
        async with connect(
            kind,
            journal=journal,
            caps=Caps(),
            recipe="r",
            run="one",
            stage="generate",
            log=tmp_path / "log",
        ) as teacher:
            return [
                reply.text
                for reply in await asyncio.gather(*(teacher.ask(question(word)) for word in WORDS))
            ]

    texts = asyncio.run(main(table))
    with journal.read() as db:
        assert json.loads(db.execute("SELECT price FROM prices").fetchone()[0])["mode"] == "batch"
        assert db.execute("SELECT COUNT(*) FROM batch_requests").fetchone() == (12,)
    with Journal.open(tmp_path / "other.sqlite") as other:
        journal = other
        assert asyncio.run(main(TeacherTable(kind="rehearsed", model="gpt-4.1-nano"))) == texts
