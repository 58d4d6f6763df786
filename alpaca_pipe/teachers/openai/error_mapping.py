"""OpenAI's errors, each mapped once to what we do about it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from alpaca_pipe.core.completion import Finish
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.outside_numbers import MONTH, number_in
from alpaca_pipe.core.secrets import keys_hidden
from alpaca_pipe.core.text import whole
from alpaca_pipe.teachers.base import Denied, Failure, Fatal
from alpaca_pipe.teachers.openai.wait_in_body import wait_in_body

_KEYS = re.compile(r"\b(?:sk|pk|gsk|hf|xai)[-_][\w*.-]{6,}|\bAIza[\w*-]{10,}|\bBearer\s+\S+")
_LONGEST_TEXT = 20_000  # characters; a sentence shows 300
_NOT_TAKEN = {"unsupported_parameter", "unsupported_value", "unknown_parameter"}
_SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "stop")
_WHILE_IT_REASONS = (
    "; a model that reasons may take it with `teacher.extra_body: {reasoning_effort: none}`"
)
_NO_MONEY = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "budget_exceeded",
}
# With 400, Anthropic: "Your credit balance is too low", "You have reached your specified API usage limits"; LiteLLM:
# "Budget has been exceeded!". A prompt that is quoted may hold the word quota alone.
_OUT_OF_MONEY = re.compile(
    r"(?i)\bcredit balance\b|\binsufficient (?:balance|credits?|funds|quota)\b|\bbudget has been exceeded\b|\bbudget_exceeded\b"
    r"|\bexceeded ?budget\b|\busage limits?\b|\bspend(?:ing)? limits?\b|\bquota\b.{0,40}\b(?:exceed|exhaust|reach|used up)"
    r"|\b(?:exceed|exhaust|reach|out of|no )\w*.{0,40}\bquota\b"
)
_NO_MODEL = {"model_not_found", "model_not_exist", "invalid_model"}
_FILTERED = {"content_filter", "content_policy_violation", "invalid_prompt"}
# Gemini and others answer 400 to a wrong key ("API key not valid. Please pass a valid API key.", API_KEY_INVALID).
_WRONG_KEY = re.compile(
    r"(?i)\bapi[ _-]?key (?:is |has )?(?:not valid|invalid|incorrect|expired)\b"
    r"|\b(?:invalid|incorrect|expired) api[ _-]?key\b|\bapi_key_invalid\b"
)
# A 403 may be about the key, the pace, or a firewall on the way, which knows nothing of keys.
_OF_KEYS = re.compile(
    r"(?i)\b(?:keys?|(?:access|api|invalid|expired|missing) tokens?|permissions?|credentials?|unauthori[sz]ed|authenticat\w+|authori[sz]\w+)\b"
    r"|\bapi_?key|permission_denied|\[key\]"
)
_OF_PACE = re.compile(r"(?i)\brate[ _-]?limit|\btoo many requests\b")
# A 400 that is about the server, or about how the request reached it, in the servers' own words: it passes.
_PASSES = re.compile(
    r"(?i)\b(?:could not|couldn't|failed to|unable to|cannot) (?:parse|decode|read)\b.{0,30}\b(?:json|body|request)\b|"
    r"\bunexpected (?:end|eof)\b|\bcrash(?:ed|es)?\b|\btry again\b|\bplease retry\b|\btemporar(?:y|ily)\b|\boverloaded\b|"
    r"\bat capacity\b|\bbusy\b|\bupstream\b|\bbad gateway\b|\bservice unavailable\b|\binternal (?:server )?error\b|"
    r"\btime[d-]? ?out\b|\bconnection (?:was )?(?:reset|closed|refused|aborted|error)\b|\bfetch failed\b|\bfailed to load\b|"
    r"\bmodel\b.{0,30}\b(?:is |was |has )?(?:not (?:yet )?(?:loaded|ready)|loading|unloaded|reloading)\b|\bexit(?:ed)? (?:with )?code\b|"
    r"\bno (?:slot|worker|backend|replica|healthy)\w*\b.{0,20}\bavailable\b|\bchannel (?:error|closed)\b"
)
_LIMIT = re.compile(r"\bmax_(?:completion_|output_)?tokens\b")
_INSTEAD = re.compile(
    r"(?i)\b(?:use|send|set|pass|try|expects?|supports?|renamed to|replaced (?:by|with))\W+(?:the )?(?:field |parameter )?\W*"
    r"(max_(?:completion_|output_)?tokens)\b|(max_(?:completion_|output_)?tokens)\W+instead\b"
)
_MARKUP = re.compile(r"(?is)<(script|style)\b.*?</\1>|<[^<>]*>")
_SHORTEST_KEY = 8  # characters; a placeholder such as "none" or "x" stands in many words
_GATEWAY_GAVE_UP = {504, 524}  # the server behind it may still be answering, and billing
_STATUS = re.compile("[45][0-9][0-9]")
_SLOWER = {429, 503, 529}


class Refused(Exception):
    """This one request is refused for good (400), its reason as its text. Whether that is its answer, or all of them
    would be refused, is seen in metered.py, by what the others got."""

    def __init__(self, reason: str, finish: Finish) -> None:
        super().__init__(reason)
        self.reason = reason
        self.finish = finish


class Renamed(Failure):
    """The server wants a decoding field under another name; asked again, it goes by that."""

    def __init__(self, what: str, field: str, name: str) -> None:
        super().__init__(what, sent="refused", retry=True)
        self.field, self.name = field, name


def answered(
    status: int,
    headers: Any,
    content: bytes,
    address: str,
    model: str,
    key: str,
    limits: Mapping[str, str],
) -> Failure | Fatal | Refused:
    """What to raise for an answer that is no 2xx. limits: its headers about rate limits."""
    text = content.decode(errors="replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    failure = _explained(status, headers, body, text.strip() or "(nothing)", address, model, key)
    if isinstance(failure, Failure):
        failure.limits = limits
    return failure


def answered_with_error(
    said: Any, headers: Any, address: str, model: str, key: str, limits: Mapping[str, str]
) -> Failure | Fatal | Refused | None:
    """What to raise for a 200 that holds an error in place of a reply (OpenRouter, some gateways), explained by the code
    of that error; None where it holds none. Where it counts tokens or has no code, nobody knows what is billed."""
    choices = said.get("choices") if isinstance(said, dict) else None
    choice = (
        choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    )
    error = (said.get("error") if isinstance(said, dict) else None) or choice.get("error")
    if not error and choice.get("finish_reason") == "error":
        error = {"message": "the reply ended in an error"}
    if not isinstance(error, dict | str) or not error:
        return None
    code = str(error.get("code")) if isinstance(error, dict) else ""
    status = int(code) if _STATUS.fullmatch(code) else 200
    text = json.dumps({"error": error}, default=str).encode()
    failure = answered(status, headers, text, address, model, key, limits)
    plain = isinstance(failure, Failure)
    if isinstance(failure, Fatal) or not (said.get("usage") or (plain and status == 200)):
        return failure
    return Failure(
        str(failure) or "a filter ended the reply",
        sent="unknown",
        retry=plain,
        retry_after=retry_after(headers),
        slower=status in _SLOWER,
        limits=limits,
    )


def without_keys(text: str, key: str = "") -> str:
    """One line of at most 300 characters in which no key stands, ours or another."""
    text = whole(text).replace(key, "[key]") if len(key) >= _SHORTEST_KEY else whole(text)
    return _KEYS.sub("[key]", keys_hidden(" ".join(text[:_LONGEST_TEXT].split())))[:300]


def _explained(
    status: int, headers: Any, body: Any, text: str, address: str, model: str, key: str
) -> Failure | Fatal | Refused:
    error = _error_in(body)
    codes = {str(error.get("code")), str(error.get("type"))}
    said = without_keys(
        str(error.get("message") or (_MARKUP.sub(" ", text) if text.startswith("<") else text)), key
    )
    answer = f"{address} answered {status}: {said}"
    if status == 407:
        return Fatal(
            f"the proxy on the way to {address} wants a user and a password (407)",
            "put them into the address in the environment: export HTTPS_PROXY=http://user:password@host:port",
        )
    if status == 403 and _flagged(error):
        return Refused("", "content_filter")
    short_of_money = status in (400, 403) and _OUT_OF_MONEY.search(said)
    wrong_key = status == 400 and ("invalid_api_key" in codes or _WRONG_KEY.search(said))
    too_fast = status == 403 and not short_of_money and _OF_PACE.search(said)
    # Its own words may quote the key.
    if (
        status == 401
        or wrong_key
        or (status == 403 and not (short_of_money or too_fast) and _of_keys(said, codes))
    ):
        return Denied(
            f"{address} does not accept the key ({status})",
            "check the environment variable that `teacher.api_key_env` names, and what the key may do",
        )
    if status == 402 or codes & _NO_MONEY or short_of_money:
        return Fatal(
            answer, "add credit or raise the limit at the provider, then run the same command again"
        )
    if status in (400, 422) and (names := _other_name(said)):
        return Renamed(answer, *names)
    if codes & _NOT_TAKEN:
        field = without_keys(str(error.get("param") or "a field"), key)
        return Fatal(
            f"the model '{model}' does not take '{field}': {said}",
            f"remove it from the recipe, or write `teacher.refuses: [{field}]` with `on_unsupported: drop`"
            + (_WHILE_IT_REASONS if field in _SAMPLING else ""),
        )
    if status in (404, 405) or codes & _NO_MODEL:
        return Denied(
            answer,
            without_keys(str(error.get("hint") or ""), key)
            or f"check `teacher.model` ({model}) and `teacher.base_url`",
        )
    if 300 <= status < 400:
        return Fatal(
            f"{address} sends us elsewhere ({status})",
            "write the final address as `teacher.base_url`",
        )
    if codes & _FILTERED:
        return Refused("", "content_filter")
    if status in (400, 413, 422) and not _PASSES.search(said):
        return Refused(said, "refused")
    if status == 403 and not too_fast:
        return Denied(
            answer,
            "its words say who refused: the provider, or a firewall or proxy on the way to it",
        )
    again = status in (400, 408, 409, 413, 422, 425, 429) or status >= 500 or bool(too_fast)
    wait = retry_after(headers)
    return Failure(
        answer,
        sent="unknown" if status in _GATEWAY_GAVE_UP else "refused",
        retry=again,
        retry_after=wait_in_body(body, said) if wait is None and again else wait,
        slower=status in _SLOWER or bool(too_fast),
        of_the_request=status in (400, 413, 422) or (status >= 500 and status not in _SLOWER),
    )


def _other_name(said: str) -> tuple[str, str] | None:
    """A limit of ours that is not taken, and the name that the server asks for in its place."""
    named = set(_LIMIT.findall(said))
    wanted = next((name for found in _INSTEAD.findall(said) for name in found if name), "")
    given = [name for name in ("max_tokens", "max_completion_tokens") if name in named - {wanted}]
    return (given[0], wanted) if wanted and given else None


def _error_in(body: Any) -> dict[str, Any]:
    """The error as an object; Gemini sends it in a list."""
    body = body[0] if isinstance(body, list) and body else body
    body = body.get("error", body) if isinstance(body, dict) else body
    return body if isinstance(body, dict) else {"message": body} if isinstance(body, str) else {}


def _of_keys(said: str, codes: set[str]) -> bool:
    """Whether a 403 is about the key. One without words comes from whoever reads the key."""
    return said in ("", "(nothing)") or bool(_OF_KEYS.search(f"{said} {' '.join(sorted(codes))}"))


def _flagged(error: dict[str, Any]) -> bool:
    """OpenRouter answers 403 where a moderation flags the prompt, with its reasons (openrouter.ai/docs: errors)."""
    metadata = error.get("metadata")
    return isinstance(metadata, dict) and ("flagged_input" in metadata or "reasons" in metadata)


def unanswered(error: Exception, address: str) -> Failure | Fatal:
    """What to raise where no answer came."""
    import aiohttp

    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, aiohttp.ClientError | Failure):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, Failure):  # the answer was read, up to its bound
        return cause
    if isinstance(cause, aiohttp.ClientHttpProxyError):  # it refused the tunnel: nothing was sent
        if cause.status == 407:
            return _explained(407, {}, None, "", address, "", "")  # type: ignore[return-value]
        return Failure(
            f"the proxy on the way to {address} answered {cause.status}",
            sent="no",
            retry=cause.status >= 500,
        )
    if isinstance(cause, aiohttp.ClientProxyConnectionError):
        return Failure(
            f"the proxy on the way to {address} cannot be reached", sent="no", retry=True
        )
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):
        return Fatal(
            f"the certificate of {address} is not trusted",
            "check the address and the clock of this machine; a certificate authority of your own goes into "
            "`teacher.ca_file` (or SSL_CERT_FILE)",
        )
    # The transport calls every broken connection a connect time-out; only aiohttp's own error says what was sent.
    if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Failure(
            f"{address} cannot be reached ({type(cause).__name__})", sent="no", retry=True
        )
    if isinstance(cause, aiohttp.InvalidURL):
        return Fatal(
            f"{address} is not an address", "write `teacher.base_url` like https://host/v1"
        )
    return Failure(
        f"the connection to {address} broke before the reply was whole", sent="unknown", retry=True
    )


def retry_after(headers: Any) -> float | None:
    """Seconds that the server asked us to wait: Retry-After-Ms, or Retry-After in seconds or as a date. None where it says
    nothing that anybody would wait for."""
    if "retry-after-ms" in headers:
        wait = number_in(headers["retry-after-ms"], most=MONTH * 1000)
        return None if wait is None else wait / 1000
    said = headers.get("retry-after")
    if said is None or said.strip().startswith("-"):
        return None if said is None else 0.0
    if (wait := number_in(said, most=MONTH)) is not None:
        return wait
    try:
        until = parsedate_to_datetime(said).timestamp()
        now = (
            parsedate_to_datetime(headers["date"]).timestamp() if "date" in headers else time.time()
        )
    except (TypeError, ValueError, OverflowError, OSError, IndexError):
        return None
    return max(0.0, until - now) if until - now <= MONTH else None


def key_from(environment: Any, name: str | None) -> str:
    """The key that an environment variable holds, or "" where none is sent. UserError where it should and does not."""
    if name is None:
        return ""
    key = str(environment.get(name, "")).strip()
    if not key:
        raise UserError(
            f"the environment variable {name} holds no key", f"export {name}=... and run again"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UserError(
            f"what the environment variable {name} holds is no key (blanks or odd characters in it)",
            f"copy the key again: export {name}=...",
        )
    return key
