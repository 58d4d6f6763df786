"""The most that a request can take, known before it is sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from alpaca_pipe.core.completion import Request
from alpaca_pipe.ledger.budget import bounds_of, ceiling_of
from alpaca_pipe.ledger.pricing.token_prices import Price

_BYTES_A_TOKEN = 4  # of English, OpenAI's rule of thumb: for the pace, which learns what was used


@dataclass(frozen=True)
class RequestSize:
    """At most: bytes of the question, tokens of the reply, nano-dollars."""

    tokens_in: int
    tokens_out: int | None
    ceiling: int

    @property
    def most(self) -> int | None:
        return None if self.tokens_out is None else self.tokens_in + self.tokens_out

    @property
    def guess(self) -> int:
        """Tokens that servers count for it when they let it in."""
        return self.tokens_in // _BYTES_A_TOKEN + (self.tokens_out or 0)


class RequestSizes:
    """Of the requests to one teacher. takes: decoding fields that reach it; extra: what every request has besides."""

    def __init__(self, price: Price, takes: Collection[str], extra: Mapping[str, Any]) -> None:
        self._price, self._takes, self._extra = price, takes, dict(extra)
        self._a_token_in, self._a_token_out = price.worst(1, 0), price.worst(0, 1)

    def of(self, request: Request) -> RequestSize:
        """Raises UserError where nothing limits what it can cost."""
        sent = self._as_sent(request)
        tokens_in, tokens_out = bounds_of(sent)
        if self._price.free:
            return RequestSize(tokens_in, tokens_out, 0)
        most_in = self._price.most_in
        if (
            tokens_out is None
            or (most_in is not None and tokens_in > most_in)
            or "service_tier" in sent.decoding
        ):
            # ceiling_of says what is wrong
            return RequestSize(tokens_in, tokens_out, ceiling_of(sent, self._price))
        ceiling = tokens_in * self._a_token_in + tokens_out * self._a_token_out
        return RequestSize(tokens_in, tokens_out, ceiling)

    def _as_sent(self, request: Request) -> Request:
        """With the decoding that reaches the server: a limit that is dropped on the way limits nothing."""
        kept = {name: value for name, value in request.decoding.items() if name in self._takes}
        return replace(request, decoding=kept | self._extra)
