"""The work of [train] at a provider: the rows are sent, a job is made and watched to its end, its cost is entered.

Nothing is bought twice: the reservation is in the ledger before the job is made, the job carries our name, and whoever comes
after a kill looks for that name before making one. Ctrl-C leaves a job with the provider; the same command collects it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from decimal import Decimal
from typing import Any, TypeVar

from alpaca_pipe.core.errors import Stopped, UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import digest_of, read_jsonl, write_json, write_jsonl
from alpaca_pipe.core.today import today
from alpaca_pipe.ledger.entries import Attempt
from alpaca_pipe.ledger.money import NANO, shown
from alpaca_pipe.ledger.pricing.gpu_rates import Hosted, hosted_rate
from alpaca_pipe.models.architecture import shape_of
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.hosted import job_books
from alpaca_pipe.train.hosted.job_books import TuneOrder
from alpaca_pipe.train.hosted.provider_api import (
    HostedJob,
    Opened,
    Passing,
    Quote,
    Tuning,
    TuningProvider,
)
from alpaca_pipe.train.hosted_config import HostedTuning, check_hosted
from alpaca_pipe.train.hyperparameters import LEARNING_RATE
from alpaca_pipe.weights.base import BaseTable

T = TypeVar("T")
_AROUND_MESSAGE = 16  # bytes of a chat template, for the most that a message can have of tokens
_TRIES = 6
_FIRST_LOOK = 2.0  # seconds; looks grow apart from here
_SLICE = 0.2  # seconds between two looks at whether the run should end


def tune_there(config: TrainConfig, order: TuneOrder) -> dict[str, Any]:
    """Writes rows.jsonl (as they were sent) and hosted.json (provider, job, the tuned model's name there).

    Summary: method, hosted (provider, model, job, tuned), rows, dropped, tokens where the provider says, dollars.
    """
    hosted = config.hosted
    assert hosted is not None
    check_hosted(config, {"train": config})
    key = _key(hosted)
    rows = b"".join(_lines(Example.from_row(row) for row in read_jsonl(order.rows)))
    name = f"ap-{digest_of([order.folder.name, hosted.identity()])[:20]}"
    wanted = tuning_of(config, order.base, name)
    (order.folder / "rows.jsonl").write_bytes(rows)
    write_jsonl(order.folder / "dropped.jsonl", [])
    with Opened(hosted, key) as provider:
        work = _HostedWork(order, hosted, wanted, provider)
        job = work.job(rows)
        order.say(
            f"{hosted.provider}: job {job.id} is {job.word}; Ctrl-C leaves it there, the same command collects it"
        )
        job = work.watched(job)
        cost = work.settle(job)
    told = {
        "provider": hosted.provider,
        "model": wanted.model,
        "job": job.id,
        "tuned": job.model,
    }
    write_json(order.folder / "hosted.json", told)
    return {
        "method": config.method,
        "hosted": told,
        "rows": rows.count(b"\n"),
        "dropped": 0,
        "dollars": f"{Decimal(cost) / NANO:f}",
    } | ({"tokens": job.tokens} if job.tokens else {})


class _HostedWork:
    """One job from its reservation to its entry."""

    def __init__(
        self, order: TuneOrder, hosted: HostedTuning, wanted: Tuning, provider: TuningProvider
    ) -> None:
        self._order, self._hosted, self._wanted = order, hosted, wanted
        self._provider = provider
        self._key = f"h1-{wanted.name}"
        self._attempt: Attempt | None = job_books.open_attempt(order, self._key)
        self._rate = rate_of_tune(hosted, wanted, order.base)

    def job(self, rows: bytes) -> HostedJob:
        """The one that is there under our name, or a new one."""
        if self._attempt:
            found = self._insist(lambda: self._provider.find(self._wanted.name))
            if found:
                return found
        file = self._insist(lambda: self._provider.upload(f"{self._wanted.name}.jsonl", rows))
        if self._attempt is None:
            said = self._insist(lambda: self._provider.quote(file, self._wanted))
            ceiling = self._ceiling(said, rows)
            self._order.say(
                f"{self._hosted.provider} tunes {self._wanted.model} on {rows.count(10):,} rows: at most {shown(ceiling)}"
            )
            self._attempt = job_books.reserved(self._order, self._key, ceiling, self._rate)
        try:
            return self._made(file)
        except UserError as error:
            job_books.released(self._order, self._attempt, str(error)[:300])
            raise

    def _made(self, file: str) -> HostedJob:
        """Made once: after an answer that did not come, the job is looked for before it is made again."""
        for left in reversed(range(_TRIES)):
            try:
                return self._provider.create(file, self._wanted)
            except Passing as passing:
                if passing.sent and (
                    found := self._insist(lambda: self._provider.find(self._wanted.name))
                ):
                    return found
                if not left:
                    raise UserError(
                        f"{passing}; {shown(self._attempt.ceiling) if self._attempt else 'its cost'} stays reserved",
                        "run the same command later: it looks for the job first",
                    ) from None
                self._wait(_FIRST_LOOK)
        raise AssertionError("unreachable")

    def _ceiling(self, said: Quote, rows: bytes) -> int:
        """By the provider's own quote; else every byte a token."""
        if said.refused:
            raise UserError(
                f"{self._hosted.provider} will not tune these rows: {said.refused}",
                "look at rows.jsonl of the step, and at your account there",
            )
        if said.dollars is not None:
            return round(said.dollars * NANO)
        messages = rows.count(b'"role"')
        return self._rate.nanodollars(
            (len(rows) + _AROUND_MESSAGE * messages) * self._wanted.epochs
        )

    def watched(self, job: HostedJob) -> HostedJob:
        """When it has ended. Raises Stopped where the run should end first, and UserError for a job that failed."""
        wait, word = min(_FIRST_LOOK, self._hosted.poll), ""
        while job.state == "running":
            if job.word != word:
                word = job.word
                self._order.say(f"job {job.id}: {word}")
            self._wait(wait)
            wait = min(self._hosted.poll, wait * 1.5)
            number = job.id
            job = self._insist(lambda number=number: self._provider.look(number))  # type: ignore[misc]
        if job.state == "failed":
            assert self._attempt is not None
            why = f"the job {job.id} at {self._hosted.provider} ended as {job.word}" + (
                f": {job.why}" if job.why else ""
            )
            job_books.lost(
                self._order,
                self._attempt,
                f"{why}; whether it is billed, the provider's invoice says",
            )
            raise UserError(
                f"{why}; it counts at {shown(self._attempt.ceiling)} until its true cost is entered",
                f"look there, then `alpaca-pipe ledger correct {self._attempt.name} --cost 0 --reason ...`, and run again",
            )
        return job

    def settle(self, job: HostedJob) -> int:
        """Nano-dollars: what the provider says it costs, else its tokens at the price, else what was reserved."""
        assert self._attempt is not None
        ceiling = self._attempt.ceiling
        if job.dollars is not None:
            cost, note = round(job.dollars * NANO), "as the provider says"
        elif job.tokens is not None:
            cost = min(ceiling, self._rate.nanodollars(job.tokens * self._wanted.epochs))
            note = f"{job.tokens:,} tokens, {self._wanted.epochs} epochs"
        else:
            cost, note = ceiling, "the provider does not say what it took: as reserved"
        odd = (
            f"it cost {shown(cost)}, and at most {shown(ceiling)} was reserved"
            if cost > ceiling
            else ""
        )
        job_books.settled(self._order, self._attempt, cost, f"job {job.id}: {note}", odd)
        return cost

    def _insist(self, call: Callable[[], T]) -> T:
        """A call that changes nothing, or is the same when it is made twice: again while it may go better."""
        for left in reversed(range(_TRIES)):
            try:
                return call()
            except Passing as passing:
                if not left:
                    raise UserError(str(passing), "run the same command later") from None
                self._wait(_FIRST_LOOK)
        raise AssertionError("unreachable")

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + min(seconds, self._hosted.poll)
        while time.monotonic() < until:
            if self._order.stopping():
                raise Stopped
            time.sleep(min(_SLICE, self._hosted.poll))


def rate_of_tune(hosted: HostedTuning, wanted: Tuning, base: BaseTable | None) -> Hosted:
    """UserError where nobody says what it costs."""
    shape = shape_of(base) if base and hosted.model is None else None
    return hosted_rate(
        hosted.provider, wanted.model, wanted.method, today(), shape.parameters if shape else None
    )


def tuning_of(config: TrainConfig, base: BaseTable | None, name: str = "") -> Tuning:
    assert config.hosted is not None and config.method != "qlora"
    model = config.hosted.model or (str(base.model) if base else "")
    rate = config.learning_rate or LEARNING_RATE[config.method]
    return Tuning(name, model, int(config.num_train_epochs), config.method, config.lora.r, rate)


def _lines(examples: Iterable[Example]) -> Iterator[bytes]:
    """As both providers read conversations: answers that are not learned weigh 0."""
    for example in examples:
        said: list[dict[str, Any]] = (
            [{"role": "system", "content": example.system}] if example.system else []
        )
        for message in example.conversation():
            row = {key: value for key, value in asdict(message).items() if key == "role"}
            row["content"] = message.text
            if message.role == "assistant" and not message.learned:
                row["weight"] = 0
            said.append(row)
        yield json.dumps({"messages": said}, ensure_ascii=False).encode() + b"\n"


def _key(hosted: HostedTuning) -> str:
    key = os.environ.get(hosted.key_variable, "").strip()
    if not key:
        raise UserError(
            f"the environment variable {hosted.key_variable} holds no key",
            f"export {hosted.key_variable}=... and run again",
        )
    return key
