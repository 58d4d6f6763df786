"""What can go wrong at a server, by name, and which of it meets a request: the same seed makes the same weather.

A fault is drawn for each attempt at a question, from (seed, question, how often it was asked); so the order in which
requests arrive changes nothing. `nature` is drawn for the question alone: whoever asks again meets it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

# Nothing is generated and nothing billed.
ERRORS: Mapping[str, tuple[int, str, str]] = {
    "429": (429, "rate_limit_exceeded", "Rate limit reached. Please try again later."),
    "429_retry_after": (429, "rate_limit_exceeded", "Rate limit reached. Please try again later."),
    "500": (500, "server_error", "The server had an error while processing your request."),
    "503": (503, "overloaded", "The engine is currently overloaded."),
    "401": (401, "invalid_api_key", "Incorrect API key provided."),
    "insufficient_quota": (
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan.",
    ),
    "model_not_found": (
        404,
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    "nothing_asked": (400, "invalid_request_error", "There is nothing in the request to answer."),
    "filtered_unread": (400, "content_filter", "The prompt was filtered."),
}
FATAL = ("401", "insufficient_quota", "model_not_found")
UNBILLED = ("reset", "hang")  # the connection ends, or stays silent, before anything was generated
# Generated and billed, and the client never has the whole of it.
BROKEN = ("reset_billed", "hang_billed", "cut_body", "cut_chunks", "malformed", "empty_choices")
# Billed and whole, with something wrong in it.
ODD = ("usage_missing", "usage_zero", "usage_not_summing", "other_model")
NATURE = ("length", "content_filter", "filtered_unread", "500")
# Of a batch, of its lines, and of the calls about files and batches; after `done` it was done, and nobody was told.
BATCH = ("batch_expired", "batch_failed")
LINE = ("line_twice", "line_missing", "line_error")
OFFICE = ("office_429", "office_500", "office_401", "office_reset", "office_done_reset")
ATTEMPT = (
    *(name for name in ERRORS if name not in ("filtered_unread", "nothing_asked")),
    *UNBILLED,
    *BROKEN,
    *ODD,
)
KNOWN = frozenset((*ATTEMPT, *NATURE, *BATCH, *LINE, *OFFICE, "queue_full"))


def chance(*what: object) -> float:
    """A number in [0, 1) that belongs to `what`."""
    return int.from_bytes(blake2b(repr(what).encode(), digest_size=8).digest(), "big") / 2**64


def drawn(chances: Mapping[str, float], among: tuple[str, ...], at: float) -> str:
    """Which of several faults meets the number `at` in [0, 1); "" for none."""
    for name in among:
        at -= chances.get(name, 0.0)
        if at < 0:
            return name
    return ""
