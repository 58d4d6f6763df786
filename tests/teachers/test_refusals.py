"""What is made of refusals, of a request that always fails, and of an asker who joins one that is given up."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from alpaca_pipe.core.completion import Completion, PromptMessage, Request, Usage
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.ledger.pricing.token_prices import price_of
from alpaca_pipe.ledger.store.journal import Journal
from alpaca_pipe.teachers.base import Failure, Fatal
from alpaca_pipe.teachers.metering.bad_requests import BadRequests
from alpaca_pipe.teachers.metering.metered import Metered
from alpaca_pipe.teachers.ratelimit.limiter import RateLimiter
from alpaca_pipe.teachers.retrying import Retrying
from tests.teachers.test_metered import COST, DAY, Scripted, cache, journal, metered, question, run
from tests.waiting import turns, when

__all__ = ["cache", "journal"]  # fixtures
NO_MONEY = "your team has spent {} of 10.00 today"


def refused(text: str = "no") -> Completion:
    return Completion(text, "refused", Usage())


def test_twenty_refusals_in_a_row_with_the_same_words_are_no_answers(journal: Journal) -> None:
    teacher = Scripted(
        lambda text, attempt: None if text == "good" else refused(NO_MONEY.format(len(text)))
    )

    async def body() -> None:
        teach = metered(teacher, journal)
        await teach.ask(question("good"))
        for count in range(19):
            assert (await teach.ask(question("x" * (count + 1)))).finish == "refused"
        with pytest.raises(
            Fatal, match="20 requests in a row with the same words: your team has spent"
        ):
            await teach.ask(question("last"))
        with pytest.raises(Fatal, match="20 requests"):
            await teach.ask(question("another"))

    run(body())
    assert (
        journal.stored(question("last").key(teacher.identity)) is None
        and "another" not in teacher.reached
    )
    assert journal.totals().requests == 20


@pytest.mark.parametrize("between", [None, refused("something else")])
def test_refusals_with_another_answer_between_are_answers(
    journal: Journal, between: Completion | None
) -> None:
    teacher = Scripted(lambda text, attempt: between if int(text) % 19 == 0 else refused())

    async def body() -> None:
        teach = metered(teacher, journal)
        teach._refusals.stored(Completion("of yesterday", "stop", Usage()))
        for count in range(60):
            await teach.ask(question(str(count)))

    run(body())
    assert journal.totals().requests == 60


def test_a_batch_may_bring_its_refusals_together(journal: Journal) -> None:
    teacher = Scripted(lambda text, attempt: None if text == "q0" else refused("too long"))

    async def body() -> list[Completion]:
        teach = Metered(
            teacher,
            journal=journal,
            price=price_of("gpt-4o-mini", DAY),
            caps=metered(teacher, journal)._caps,
            recipe="alpaca",
            run="monday",
            stage="generate",
            pace=RateLimiter(100, adapts=False),
            by_batch=True,
        )
        return await asyncio.gather(*(teach.ask(question(f"q{count}")) for count in range(50)))

    assert [reply.finish for reply in run(body())] == ["stop"] + ["refused"] * 49


def test_who_is_held_looks_again_only_when_there_is_news() -> None:
    looks = 0

    def ended() -> UserError | None:
        nonlocal looks
        looks += 1
        return None

    async def body() -> None:
        refusals = BadRequests(False, ended)
        for turn in range(51):
            refusals.begin(turn)
        held = [
            asyncio.ensure_future(refusals.weigh(refused(str(turn)), turn)) for turn in range(50)
        ]
        await turns()
        assert looks == 50 and not any(task.done() for task in held)
        refusals.answered(Completion("yes", "stop", Usage(1)), 50)
        await asyncio.gather(*held)

    run(body())


def test_who_is_held_hears_of_an_end(journal: Journal) -> None:
    teacher = Scripted(
        lambda text, attempt: Fatal("the key is wrong", "check it") if text == "slow" else refused()
    )
    teacher.turns = lambda: 400 if teacher.reached[-1] == "slow" else 1

    async def body() -> list[Any]:
        teach = metered(teacher, journal, concurrency=8)
        return await asyncio.gather(
            *(teach.ask(question(text)) for text in ("a", "b", "slow")), return_exceptions=True
        )

    assert {str(result) for result in run(body())} == {"the key is wrong - check it"}
    assert journal.totals().settled == 0


@pytest.mark.parametrize("failure", [Failure("503", sent="refused", retry=True), None])
def test_who_joins_a_request_that_is_being_given_up_asks_again_or_has_its_reply(
    journal: Journal, failure: Failure | None
) -> None:
    async def body() -> None:
        teacher = Scripted(
            lambda text, attempt: failure if attempt == 1 else None, gate=asyncio.Event()
        )
        teach = metered(teacher, journal)
        leaving = asyncio.ensure_future(teach.ask(question("q")))
        await when(lambda: teacher.in_flight)
        leaving.cancel()
        await turns()
        joining = [asyncio.ensure_future(teach.ask(question("q"))) for _ in range(3)]
        await turns()
        assert teacher.gate is not None
        teacher.gate.set()
        assert [reply.text for reply in await asyncio.gather(*joining)] == ["reply to q"] * 3
        assert isinstance(
            (await asyncio.gather(leaving, return_exceptions=True))[0], asyncio.CancelledError
        )
        assert len(teacher.reached) == (2 if failure else 1)

    run(body())
    assert journal.totals().settled == COST


def test_a_request_that_always_fails_is_named(journal: Journal) -> None:
    poison = Request(
        (
            PromptMessage("system", "be brief"),
            PromptMessage("user", "sk-abcdefgh12345 write\n  about " + "poison " * 20),
        ),
        {"max_tokens": 20},
    )
    teacher = Scripted(lambda text, attempt: Failure("500", sent="refused", retry=True))
    with pytest.raises(UserError) as caught:
        run(metered(teacher, journal).ask(poison))
    assert poison.key(teacher.identity) in caught.value.what
    assert "'[key] write about poison" in caught.value.what and len(caught.value.what) < 220
    assert "sk-abc" not in str(caught.value)
    assert (
        "teacher.max_attempts" in caught.value.cure
        and "change the seed or the prompt" in caught.value.cure
    )


def test_a_limit_that_is_taken_away_by_added_fields_sends_nothing(journal: Journal) -> None:
    teacher = Scripted(identity={"model": "gpt-4o-mini", "extra_body": {"max_tokens": None}})
    with pytest.raises(UserError, match="no output limit"):
        run(metered(teacher, journal).ask(question("q")))
    assert teacher.reached == []


class Away:
    """Cannot be reached; what is in `answers` comes first."""

    takes: frozenset[str] = frozenset()

    def __init__(self, *answers: Completion | Failure) -> None:
        self.answers, self.identity = list(answers), dict[str, Any]()

    async def ask(self, request: Request, name: str = "") -> Completion:
        answer = self.answers.pop(0) if self.answers else self.away()
        if isinstance(answer, Failure):
            raise answer
        return answer

    def away(self) -> Failure:
        return Failure("it cannot be reached", sent="no", retry=True)


@pytest.mark.parametrize(
    ("before", "given_up"),
    [
        (None, True),
        (Completion("yes", "stop", Usage()), False),
        (Failure("it answered 503", sent="refused", retry=True), False),
    ],
)
def test_a_teacher_that_was_never_reached_is_given_up_within_seconds(
    before: Completion | Failure | None, given_up: bool
) -> None:
    """A wrong address, or no network: nobody should wait minutes for the sentence. One that has answered comes back."""

    async def main() -> list[str]:
        teacher = Retrying(Away(*([before] if before else [])), attempts=6)
        with suppress(Failure):
            if before:
                await teacher.ask(question("first"))
        ends = []
        for _ in range(5):
            try:
                await teacher.ask(question("second"))
            except (Failure, Fatal) as error:
                ends.append(f"{type(error).__name__}: {error.what}")
        return ends

    ends = asyncio.run(main())
    assert ends[:2] == ["Failure: it cannot be reached"] * 2
    stops = "Fatal: the teacher was not reached once: it cannot be reached"
    assert ends[2:] == ([stops] if given_up else ["Failure: it cannot be reached"]) * 3


def test_many_requests_that_reach_nobody_are_given_up_together() -> None:
    """At a cap they are asked one by one, each for the first time: no one of them is tried again before the breaker opens."""

    async def main() -> list[str]:
        teacher, ends = Retrying(Away(), attempts=6), list[str]()
        for number in range(22):
            try:
                await teacher.ask(question(f"q{number}"))
            except (Failure, Fatal) as error:
                ends.append(type(error).__name__)
        return ends

    assert asyncio.run(main()) == ["Failure"] * 20 + ["Fatal"] * 2


def test_what_was_in_flight_together_is_one_miss() -> None:
    """The breaker cannot pause what is sent already: 32 at once say no more than one that nobody is there."""

    class Far(Away):
        async def ask(self, request: Request, name: str = "") -> Completion:
            await asyncio.sleep(0)  # the others are sent meanwhile
            return await super().ask(request, name)

    async def main() -> list[Any]:
        teacher = Retrying(Far(), attempts=6)
        asked = (teacher.ask(question(f"q{number}")) for number in range(32))
        return await asyncio.gather(*asked, return_exceptions=True)

    assert {type(one).__name__ for one in asyncio.run(main())} == {"Failure"}
