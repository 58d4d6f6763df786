"""The words in which servers say how a reply ended."""

from __future__ import annotations

from typing import Any

from alpaca_pipe.core.completion import Finish
from alpaca_pipe.core.outside_numbers import shown_value

_WORDS: dict[Finish, str] = {
    "stop": "stop eos eos_token end end_turn end_of_turn stop_sequence stop_token stop_word stopped complete completed "
    "completion done finish finished normal success tool_calls tool_call tool_use function_call",
    "length": "length max_tokens max_output_tokens max_length token_limit limit model_length model_context_window_exceeded "
    "context_length incomplete abort aborted cancelled canceled interrupted timeout",
    "content_filter": "content_filter content_filtered filtered safety recitation blocklist prohibited_content spii language "
    "image_safety refusal guardrail moderation",
}
_FINISH: dict[str, Finish] = {
    word: finish for finish, words in _WORDS.items() for word in words.split()
}
_WELL_BELOW = 0.9  # of the limit: a reply that was cut has used all of it


def finish_of(said: Any, tokens_out: int = 0, limit: int | None = None) -> tuple[Finish, str]:
    """How a reply ended, and what is odd about the word. Read without case; one that is not known, or none, counts as whole
    where the reply's tokens stay well below its limit, and as cut off elsewhere."""
    word = said.strip().lower().replace("-", "_").replace(" ", "_") if isinstance(said, str) else ""
    word = word.removeprefix("finish_reason_")
    if word in _FINISH:
        return _FINISH[word], ""
    whole = bool(limit and 0 < tokens_out <= _WELL_BELOW * limit)
    named = (
        "no finish_reason"
        if said is None
        else f"the finish_reason '{shown_value(said)}', which is not known"
    )
    how = (
        f"{tokens_out:,} of at most {limit:,} tokens were used"
        if limit
        else "it was sent without a limit"
    )
    if not tokens_out:
        how = "it does not say how many tokens it used"
    return (
        ("stop", f"it came with {named}: {how}, so it is read as whole")
        if whole
        else (
            "length",
            f"it came with {named}: {how}, so it is read as cut off",
        )
    )
