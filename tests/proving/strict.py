"""What today's reasoning models refuse, in OpenAI's words: the field, its code and the sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Taken only by a model that was told not to reason (`reasoning_effort: none`), or at the one value that changes nothing.
_WHILE_IT_REASONS: Mapping[str, Any] = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
_NEVER_THEN = ("logprobs", "top_logprobs", "logit_bias", "stop")
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")


def refused_by_model(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error that a request meets, None where the model takes it."""
    if "max_tokens" in body:
        return _error(
            "max_tokens",
            "unsupported_parameter",
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        )
    effort = body.get("reasoning_effort", "medium")
    if effort not in _EFFORTS:
        return _error(
            "reasoning_effort", "unsupported_value", f"Unsupported value: '{effort}' is no effort."
        )
    if effort == "none":
        return None
    for field, only in _WHILE_IT_REASONS.items():
        if body.get(field, only) != only:
            return _error(
                field,
                "unsupported_value",
                f"Unsupported value: '{field}' does not support {body[field]} with this model. "
                f"Only the default ({only}) value is supported.",
            )
    for field in _NEVER_THEN:
        if body.get(field):
            return _error(
                field,
                "unsupported_parameter",
                f"Unsupported parameter: '{field}' is not supported with this model.",
            )
    return None


def _error(param: str, code: str, message: str) -> dict[str, Any]:
    return {
        "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": param,
            "code": code,
        }
    }
