"""What a reply says that it used and cost, as tokens of classes that exclude each other and as nano-dollars.

Providers' figures are not believed blindly: what cannot be right is a doubt, a sentence that goes into the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from alpaca_pipe.core.completion import Usage
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.outside_numbers import (
    MOST_TOKENS,
    BadNumber,
    nanodollars_of,
    shown_value,
    whole_number,
)


class Absurd(ValueError):
    """A figure that is no count."""


@dataclass(frozen=True)
class BilledUsage:
    """usage: all 0 where nothing was said or nothing can be believed."""

    usage: Usage
    billed: int | None = None  # nano-dollars
    doubt: str = ""


def bill_of(said: Any) -> BilledUsage:
    """Of a reply's `usage`; its numbers read with Decimal in place of float (`exact_json`). Tokens that stand only in
    its total are reasoning ones: Gemini counts its thinking nowhere else."""
    try:
        said = within({"usage": said}, "usage")
        usage = usage_of(said)
    except Absurd as absurd:
        return BilledUsage(Usage(), _billed(said), f"its usage figures make no sense ({absurd})")
    total = said.get("total_tokens")
    summed = usage.tokens_in + usage.tokens_out
    if total is None or total == summed:
        return BilledUsage(usage, _billed(said))
    with suppress(Absurd):
        more = max(0, count(said, "total_tokens") - summed)
        usage = replace(usage, reasoning_out=usage.reasoning_out + more)
    return BilledUsage(
        usage,
        _billed(said),
        f"its classes of tokens sum to {summed}, and its total says {shown_value(total)}",
    )


def usage_of(said: Mapping[str, Any] | None) -> Usage:
    """OpenAI's `usage` in classes that exclude each other. ValueError for figures that are no counts.

    Its prompt_tokens contain the cached ones and its completion_tokens the reasoning ones; where a provider leaves the
    reasoning out of completion_tokens, its total_tokens give that away. Where it says nothing, all classes are 0.
    """
    if not said:
        return Usage()
    prompt, out = count(said, "prompt_tokens"), count(said, "completion_tokens")
    details_in = within(said, "prompt_tokens_details")
    read = min(_cached(said, details_in), prompt)
    written = min(count(details_in, "cache_write_tokens"), prompt - read)
    reasoning = count(within(said, "completion_tokens_details"), "reasoning_tokens")
    beside = reasoning > 0 and said.get("total_tokens") == prompt + out + reasoning
    reasoning = reasoning if beside else min(reasoning, out)
    return Usage(
        uncached_in=prompt - read - written,
        cache_read=read,
        cache_write=written,
        visible_out=out if beside else out - reasoning,
        reasoning_out=reasoning,
    )


def _cached(said: Mapping[str, Any], details: Mapping[str, Any]) -> int:
    """As OpenAI spells it, or DeepSeek, or Moonshot."""
    spellings = (
        (details, "cached_tokens"),
        (said, "prompt_cache_hit_tokens"),
        (said, "cached_tokens"),
    )
    return next((count(where, name) for where, name in spellings if where.get(name) is not None), 0)


def _billed(said: Any) -> int | None:
    """Nano-dollars that the provider says it charged: OpenRouter's `usage.cost`, whose credits are dollars. Where the
    user's own key at another provider was used (`is_byok`), that is OpenRouter's fee alone, and `cost_details` says what
    the other provider charges beside it (openrouter.ai/docs: usage accounting)."""
    if not isinstance(said, Mapping):
        return None
    cost = _dollars(said.get("cost"))
    if cost is None or not said.get("is_byok"):
        return cost
    details = said.get("cost_details")
    upstream = (
        _dollars(details.get("upstream_inference_cost")) if isinstance(details, Mapping) else None
    )
    return None if upstream is None else cost + upstream


def _dollars(value: Any) -> int | None:
    if isinstance(value, str):
        return None
    try:
        return nanodollars_of(value)
    except BadNumber:
        return None


def count(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name)
    if value is None:
        return 0
    try:
        return whole_number(value, most=MOST_TOKENS - 1)
    except BadNumber as bad:
        raise Absurd(f"{name}: {bad}") from None


def within(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = said.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise Absurd(f"{name}: {shown_value(value)}")
    return value or {}
