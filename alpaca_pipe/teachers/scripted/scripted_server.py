"""The child of scripted_teacher.py: OpenAI's chat and legacy completions over HTTP, spoken from a script or from recorded
replies. Run as a module; counts what it answered, so that a test can ask the server what was sent."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import digest_of
from alpaca_pipe.teachers.local.child_process import lifeline, port_in_use, port_is_free
from alpaca_pipe.teachers.openai.http_attempt import DRAW
from alpaca_pipe.teachers.scripted.recorded_replies import RecordedReplies
from alpaca_pipe.teachers.scripted.scripted_batches import ScriptedBatches
from alpaca_pipe.teachers.scripted.scripted_replies import answer_to

_CHARACTERS_A_TOKEN = 4  # of English: OpenAI's rule of thumb
_NOT_DECODING = ("model", "messages", "prompt", "stream")


class Server:
    """What is kept between two requests."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        lines = settings["lines"]
        self.delay = float(settings["delay"])
        self.lines = RecordedReplies.of_file(Path(lines)) if lines else None
        self.lines_name = Path(lines).name if lines else ""
        self.served = Path(settings["served"]) if settings["served"] else None

    async def answer(self, http: web.Request) -> web.Response:
        status, said = await self.reply_to(
            await http.json(),
            int(http.headers.get(DRAW, "0")),
            chat=http.path.endswith("/chat/completions"),
        )
        return web.json_response(said, status=status)

    async def reply_to(
        self, body: Mapping[str, Any], draw: int, chat: bool = True
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON, for a request by itself or a line of a batch."""
        asked = asked_of(body, draw)
        digest = digest_of(asked)
        await asyncio.sleep(self.delay)
        reply = scripted(asked) if self.lines is None else recorded_reply(self.lines, asked)
        if reply is None:
            return _error(
                404,
                f"no reply to this request is recorded in {self.lines_name} (asked {digest[:12]})",
                "not_recorded",
                "record it, or take `teacher.lines` out to be answered by the script",
            )
        if self.served is not None:
            with self.served.open("a", encoding="utf-8") as stream:
                print(
                    json.dumps({"asked": digest, "sample": asked["sample"], "at": time.time()}),
                    file=stream,
                )
        usage = reply["usage"]
        if reply["finish"] == "refused" and not any(usage.values()):
            return _error(400, reply["text"], "refused")
        if reply["finish"] == "content_filter" and not any(usage.values()):
            return _error(400, "filtered", "content_filter")
        return 200, _as_openai(reply, body, chat)


def asked_of(body: Mapping[str, Any], draw: int) -> dict[str, Any]:
    """`Request.asked()` again, from what came over the wire."""
    messages = (
        [[m["role"], m["content"]] for m in body["messages"]]
        if "messages" in body
        else [["user", body["prompt"]]]
    )
    decoding = {name: value for name, value in body.items() if name not in _NOT_DECODING}
    if "seed" in decoding:
        decoding["seed"] -= draw
    return {"messages": messages, "decoding": decoding, "sample": draw}


def scripted(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The script's reply, as a teacher would have sent it."""
    return _sent(answer_to(asked), asked)


def recorded_reply(lines: RecordedReplies, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """A recorded reply as it stands, or the next turn of a recorded conversation as a teacher would have sent it."""
    if found := lines.whole(asked):
        return found
    said = lines.next_turn(asked)
    return None if said is None else _sent(said, asked)


def _sent(text: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Cut where a stop stands or the limit is reached, and what it would have been billed as."""
    decoding, finish = asked["decoding"], "stop"
    stops = decoding.get("stop") or []
    places = [
        text.find(stop) for stop in ([stops] if isinstance(stops, str) else stops) if stop in text
    ]
    text = text[: min(places)] if places else text
    limit = decoding.get("max_completion_tokens") or decoding.get("max_tokens")
    if limit and tokens(text) > limit:
        text, finish = text[: limit * _CHARACTERS_A_TOKEN], "length"
    # OpenAI counts 3 tokens around each message and 3 before the reply
    prompt = sum(tokens(content) + 3 for _, content in asked["messages"]) + 3
    return {
        "text": text,
        "finish": finish,
        "usage": {"uncached_in": prompt, "visible_out": tokens(text)},
    }


def tokens(text: str) -> int:
    return -(-len(text) // _CHARACTERS_A_TOKEN)


def _as_openai(reply: Mapping[str, Any], body: Mapping[str, Any], chat: bool) -> dict[str, Any]:
    used = (
        dict.fromkeys(
            ("uncached_in", "cache_read", "cache_write", "visible_out", "reasoning_out"), 0
        )
        | reply["usage"]
    )
    prompt = used["uncached_in"] + used["cache_read"] + used["cache_write"]
    out = used["visible_out"] + used["reasoning_out"]
    refused = reply["finish"] == "refused"
    message = {
        "role": "assistant",
        "content": None if refused else reply["text"],
        "refusal": reply["text"] if refused else None,
    }
    finish = "stop" if refused else reply["finish"]
    return {
        "id": "rehearsed",
        "created": 0,
        "object": "chat.completion" if chat else "text_completion",
        "model": reply.get("model_said") or body["model"],
        "system_fingerprint": reply.get("fingerprint") or None,
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                **({"message": message} if chat else {"text": reply["text"]}),
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": out,
            "total_tokens": prompt + out,
            "prompt_tokens_details": {
                "cached_tokens": used["cache_read"],
                "cache_write_tokens": used["cache_write"],
            },
            "completion_tokens_details": {"reasoning_tokens": used["reasoning_out"]},
        },
    }


def _error(status: int, message: str, code: str, hint: str = "") -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": message, "code": code, "hint": hint}}


def _only_for(key: str) -> Any:
    """Answers our parent, and nobody who has led a browser here by another name of this machine."""

    @web.middleware
    async def check(
        http: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        given = http.headers.get("Authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(given.encode(), key.encode()):
            return web.json_response(
                _error(401, "this server has another key", "wrong_key")[1], status=401
            )
        if http.headers.get("Host", "").partition(":")[0] != "127.0.0.1":
            return web.json_response(
                _error(421, "this is no server of that name", "host")[1], status=421
            )
        return await handler(http)

    return check


async def serve(settings: Mapping[str, Any]) -> None:
    tell = lifeline()
    port = settings["port"]
    if port and not port_is_free(port):
        tell(port_in_use(port))
        return
    try:
        server = Server(settings)
    except UserError as error:
        tell({"what": error.what, "cure": error.cure})
        return
    key = secrets.token_hex(16)
    app = web.Application(client_max_size=1 << 28, middlewares=[_only_for(key)])
    app.router.add_post("/v1/chat/completions", server.answer)
    app.router.add_post("/v1/completions", server.answer)
    if settings.get("folder"):
        batches = ScriptedBatches(Path(settings["folder"]), server.reply_to)
        batches.add_to(app)
        batches.go_on()
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port or 0)
    await site.start()
    tell({"url": f"http://127.0.0.1:{runner.addresses[0][1]}/v1", "key": key})
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
