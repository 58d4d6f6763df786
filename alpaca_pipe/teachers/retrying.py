"""What is asked again before it counts: a refusal that may pass, a key or a model that was good a moment ago, a question that
always fails.

A teacher that was never reached is given up after seconds, not minutes.
A refused request (400) is asked again before it is that request's answer. A 401, 403 or 404 after answers on the same key
and model is the server's passing fault. A request that fails by itself is asked with another seed from its second try on
(its key stays), and where others are answered all the while it ends as an answer of its own, "failed".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from alpaca_pipe.core.completion import Completion, Request, Usage
from alpaca_pipe.teachers.base import Denied, Failure, Fatal, Teacher

_REFUSED_AGAIN = 2  # times a refused request is asked again
_ANOTHER_SEED = (
    7919  # added to the seed for each failed try: the draws of one question lie next to each other
)
# While nothing at all has been reached, it is not there: after so many tries of one request, or more than so many of all, which
# is the first one after the breaker's first pause.
_UNREACHED, _UNREACHED_IN_ALL = 3, 20
_FEW, _SHARE = 3, 50  # so many requests may fail for good, or one in so many of those answered
_MOST_SEED = (1 << 31) - 1


@dataclass
class _Tries:
    """Of one request, since its first failure."""

    tried: int = 0  # in all, whatever it failed at
    failed: int = 0  # by itself
    refused: int = 0
    answered_before: int = 0  # by the teacher, when it failed first


class Retrying:
    """A teacher whose passing faults are Failures, and whose lasting ones are answers. attempts: HTTP attempts of a request,
    after which it has failed.  by_batch: each try takes hours, so a refusal counts at once.  say: takes a sentence."""

    def __init__(
        self,
        teacher: Teacher,
        *,
        attempts: int,
        by_batch: bool = False,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.identity, self.takes = teacher.identity, teacher.takes
        self._teacher, self._attempts, self._by_batch, self._say = teacher, attempts, by_batch, say
        self._tries: dict[str, _Tries] = {}
        self._answered = 0
        self._reached = False  # whatever it answered
        self._unreached = 0  # tries
        self._given_up = 0
        self._told: Counter[str] = Counter()

    async def ask(self, request: Request, name: str = "") -> Completion:
        key = name.rpartition(".")[0].rpartition(".")[0] or request.key(self.identity)
        tries, before = self._tries.get(key), self._unreached
        try:
            reply = await self._teacher.ask(_with_another_seed(request, tries), name)
        except Failure as failure:
            self._reached = self._reached or failure.sent != "no"
            return self._failed(key, failure, before)
        except Denied as denied:
            self._reached = True
            if not self._answered:
                raise
            self._tell("denied", f"{denied.what}; it has answered before, so that is tried again")
            said = f"after {self._answered:,} answers on the same key and model: {denied.what}"
            return self._failed(key, Failure(said, sent="refused", retry=True), before)
        if reply.finish == "refused" and not reply.usage.tokens_in + reply.usage.tokens_out:
            return self._refused(key, reply)
        self._answered += 1
        self._reached = True
        self._tries.pop(key, None)
        return reply

    def _refused(self, key: str, reply: Completion) -> Completion:
        """It counts at the third time."""
        if self._by_batch:
            return reply
        tries = self._tries.setdefault(key, _Tries(answered_before=self._answered))
        if tries.refused < _REFUSED_AGAIN and tries.tried < self._attempts - 1:
            tries.refused += 1
            tries.tried += 1
            raise Failure(
                f"it refused a request, which is asked again before that counts: {reply.text}",
                sent="refused",
                retry=True,
            )
        self._tries.pop(key, None)
        return reply

    def _failed(self, key: str, failure: Failure, before: int) -> Completion:
        """Raises the failure, or answers for the request where it is the one that fails. before: attempts that had reached nobody
        when this one began: what was in flight together is one miss, not many."""
        tries = self._tries.setdefault(key, _Tries(answered_before=self._answered))
        tries.tried += 1
        tries.failed += failure.of_the_request
        self._unreached += not self._reached
        if not self._reached and (tries.tried >= _UNREACHED or before >= _UNREACHED_IN_ALL):
            raise Fatal(
                f"the teacher was not reached once: {failure.what}",
                "see that it is up, and that `teacher.base_url`, the network and the proxy are right, then run the same "
                "command again",
            )
        last = tries.tried >= self._attempts
        others = self._answered > tries.answered_before
        room = self._given_up < max(_FEW, self._answered // _SHARE)
        if not (last and others and room and failure.of_the_request and failure.sent == "refused"):
            raise failure
        self._given_up += 1
        self._tries.pop(key, None)
        self._tell(
            "failed",
            f"a request failed {tries.tried} times while others were answered, so that is its answer: {failure.what}",
        )
        return Completion(failure.what, "failed", Usage(), key)

    def _tell(self, kind: str, sentence: str) -> None:
        self._told[kind] += 1
        if self._told[kind] == 1:
            self._say(sentence)


def _with_another_seed(request: Request, tries: _Tries | None) -> Request:
    seed = request.decoding.get("seed")
    if tries is None or not tries.failed or not isinstance(seed, int):
        return request
    other = (seed + _ANOTHER_SEED * tries.failed) % _MOST_SEED
    return replace(request, decoding={**request.decoding, "seed": other})
