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
    "529": (529, "overloaded_error", "Overloaded"),
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
    # Refusals that pass: asked again, the same request is answered.
    "400_unparsed": (
        400,
        "invalid_request_error",
        "We could not parse the JSON body of your request.",
    ),
    "400_crashed": (400, "model_error", "The model has crashed without additional information."),
    "400_odd": (400, "invalid_request_error", "This request is not acceptable."),
    "413": (413, "request_too_large", "Payload too large."),
    # About the key or the model, by their status; after good answers they pass too.
    "403": (403, "forbidden", "Forbidden"),
    "404": (404, "not_found", "Not Found"),
    # The wait stands in the words, and in Google's RetryInfo; no header says it.
    "429_words": (429, "rate_limit_exceeded", "Rate limit reached. Please try again in 0.31s."),
    "429_info": (429, "RESOURCE_EXHAUSTED", "You exceeded your current rate."),
    "500_seed": (500, "server_error", "The model runner has unexpectedly stopped."),
}
FATAL = ("401", "insufficient_quota", "model_not_found")
UNBILLED = ("reset", "hang")  # the connection ends, or stays silent, before anything was generated
# Generated and billed, and the client never has the whole of it.
BROKEN = (
    *("reset_billed", "hang_billed", "cut_body", "cut_chunks", "malformed", "empty_choices"),
    "hostile",  # any bytes, under headers that no arithmetic can hold
)
# Billed and whole, with something wrong in it.
ODD = (
    "usage_missing",
    "usage_zero",
    "usage_not_summing",
    "other_model",
    *("thinking", "thinking_closed", "channels", "template_end"),
    *("finish_eos", "finish_upper", "finish_null", "sse"),
    *("cost_low", "cost_high", "logprobs_missing"),
)
SERIOUS = ("tier", "gateway_text")  # billed otherwise, or not an answer at all: never in a storm
NATURE = ("length", "content_filter", "filtered_unread", "500")
# Of a batch, of its lines, and of the calls about files and batches; after `done` it was done, and nobody was told.
BATCH = ("batch_expired", "batch_failed", "batch_files_late", "batch_files_never")
LINE = ("line_twice", "line_missing", "line_error", "line_filtered", "line_null")
OFFICE = (
    *("office_429", "office_500", "office_401", "office_reset", "office_done_reset"),
    "office_error_body",
)
ATTEMPT = (
    *(name for name in ERRORS if name not in ("filtered_unread", "nothing_asked", "500_seed")),
    *UNBILLED,
    *BROKEN,
    *ODD,
    *SERIOUS,
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
