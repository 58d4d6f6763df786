"""What a teacher is: it answers one request, or says in our words how the attempt failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from alpaca_pipe.core.completion import Completion, Request
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.ledger.budget import OUTPUT_LIMITS, limit_of

Sent = Literal[
    "no", "refused", "unknown"
]  # never left us | answered with an error, not billed | outcome unknown


Speaks = Literal["chat", "completions"]  # asked in messages | given a text to be continued


class Failure(Exception):
    """One attempt that brought no reply. `sent` decides its bookkeeping: released, released, or lost."""

    def __init__(
        self,
        what: str,
        *,
        sent: Sent,
        retry: bool,
        retry_after: float | None = None,
        slower: bool = False,
        limits: Mapping[str, str] | None = None,
        of_the_request: bool = False,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.sent = sent
        self.retry = retry
        self.retry_after = retry_after  # seconds that the server asked us to wait
        self.slower = slower  # the server pushed back (429, 503): fewer at once
        self.limits = limits or {}  # the headers about rate limits
        self.of_the_request = of_the_request  # it may be this request's own fault (a 500, a 400)


class Fatal(UserError):
    """No request of this run can succeed (wrong key, unknown model, no quota left, server gone): stop at once."""


class Denied(Fatal):
    """The key, the model or the address is not accepted (401, 403, 404). After answers on the same ones it is a passing
    fault of the server's: see retrying.py."""


class Teacher(Protocol):
    """An open connection to a teacher."""

    identity: Mapping[
        str, Any
    ]  # whom we ask, as part of a request's key: never a port that we chose, never a key
    takes: frozenset[
        str
    ]  # decoding fields it accepts; another one is an error before anything is sent

    async def ask(self, request: Request, name: str = "") -> Completion:
        """One HTTP attempt, no retries. `name`: of this attempt, sent along (X-Client-Request-Id), so that the
        provider's books can be held against ours. Raises Failure, or Fatal where no other request would go better. A content
        filter or another 400 is a Completion with a terminal finish ("content_filter"; "refused", its text the
        server's reason), not a Failure."""


@dataclass(frozen=True)
class SentFields:
    """Of what was sent, what its reply is read by: the most tokens that may come, and the tier of service asked for."""

    limit: int | None = None
    tier: str | None = None

    @staticmethod
    def of(fields: Mapping[str, Any]) -> SentFields:
        limits = [limit for name in OUTPUT_LIMITS if (limit := limit_of(fields.get(name)))]
        tier = fields.get("service_tier")
        return SentFields(max(limits, default=None), tier if isinstance(tier, str) else None)


NO_FIELDS = SentFields()


class Dialect(Protocol):
    """A protocol over HTTP: how one request is put, and how its reply is read."""

    speaks: Speaks
    takes: frozenset[str]  # decoding fields, by OpenAI's names
    online: Mapping[str, Any]  # fields of every request that goes by itself, and not in a batch

    def path(self, model: str) -> str:
        """Where a request is posted, after the address."""

    def headers(self, key: str) -> Mapping[str, str]:
        """Those that hold the key; "" is none."""

    def models_path(self) -> str:
        """Where the endpoint lists its models, after the address."""

    def listed(self, said: Any) -> list[dict[str, Any]]:
        """Of that list's JSON a row for each model, its name as `id`; [] where it is no list."""

    def body(self, model: str, request: Request, decoding: Mapping[str, Any]) -> dict[str, Any]:
        """What is posted. decoding: of the request, what the teacher takes. Raises Fatal for what it cannot be asked."""

    def is_reply(self, said: Any) -> bool:
        """Whether the JSON of a 200 has the shape of a reply, and did not end in an error."""

    def completion(
        self, said: Mapping[str, Any], key: str, limits: Mapping[str, str], sent: SentFields
    ) -> Completion:
        """A reply's JSON, its numbers exact, as ours: text, finish, tokens by class. key: of the request."""
