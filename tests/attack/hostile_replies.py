"""What a teacher answers: honestly, by the script of a rehearsal, and everything else."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import re
from collections.abc import AsyncIterator
from typing import Any

from alpaca_pipe.teachers.scripted.scripted_server import _as_openai, asked_of, scripted
from tests.attack.hostile import Asked, head

DEEP = "[" * 20_000
LITERALS = [
    "1e999999999", "-1", "1e308", "NaN", "-Infinity", "0.1", "9" * 30, "9" * 5000, "true", "null", '""', "[]", "{}",
    "[[[[]]]]", '"\\ud800"', '"\\u0000"', '"\\u001b[2J\\u202e"', '"' + "x" * 5000 + '"', "-9223372036854775809",
    "18446744073709551616", "1000000000", DEEP, "[" * 400 + "]" * 400, '{"a":' * 300 + "1" + "}" * 300, '"1"',
    '{"a": 1, "a": 2}', "1e-400", "-0.0", '"2026-13-45"', '"NaN"', "",
]  # fmt: skip
HEADERS = [
    "Retry-After: {n}", "Retry-After: Fri, 99 Foo 9999", "Retry-After-Ms: {n}", "x-ratelimit-limit-requests: {n}",
    "x-ratelimit-remaining-requests: {n}", "x-ratelimit-reset-requests: {n}", "x-ratelimit-remaining-tokens: {n}",
    "x-ratelimit-limit-tokens: {n}", "x-ratelimit-reset-tokens: {n}d", "anthropic-ratelimit-tokens-reset: 9999-99-99",
    "x-ratelimit-limit-requests: \x9b31m", "Content-Type: text/html; charset=\xff", "Content-Encoding: gzip",
    "Content-Encoding: br, zstd, nothing", "Transfer-Encoding: chunked", "Content-Length: {n}", "Set-Cookie: a=\x1b[2J",
    "Location: http://127.0.0.1:1/", "Connection: close", "X-Limit: {n}", ": nothing", "x-limit", "Trailer: x",
    "x-ratelimit-reset-requests: 1e400s", "Date: \xe9", "x-request-id: " + "y" * 9000,
]  # fmt: skip
NUMBERS = [
    "0",
    "1",
    "-1",
    "1e400",
    "nan",
    "inf",
    "9" * 400,
    "0.001",
    "700",
    "1e9",
    "١٢",
    "1_000",
    "",
    "0x10",
    "1e-9",
]
STATUSES = [200, 200, 200, 201, 204, 206, 301, 302, 307, 400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 524, 529, 100, 103, 199, 299, 600, 999, 0]  # fmt: skip


def honest(asked: Asked) -> tuple[int, bytes]:
    """A reply to a request by itself."""
    try:
        return 200, _reply(
            json.loads(asked.body), int(asked.headers.get("x-draw", "0")), asked.path
        )
    except (ValueError, KeyError):
        return 404, b'{"error": {"message": "there is no such thing here"}}'


def _reply(body: dict[str, Any], draw: int, path: str) -> bytes:
    said = _as_openai(scripted(asked_of(body, draw)), body, path.endswith("/chat/completions"))
    return json.dumps(said).encode()


class HonestBatches:
    """Files and batches in memory, done at once."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}

    def answer(self, asked: Asked) -> tuple[int, bytes]:
        parts = asked.path.partition("?")[0].removeprefix("/v1/").split("/")
        if parts == ["files"] and asked.method == "POST":
            id = f"file-{len(self.files)}"
            found = re.search(rb"\r\n\r\n(\{.*?)\r\n--", asked.body, re.DOTALL)
            self.files[id] = found[1] if found else b""
            return 200, json.dumps({"id": id, "filename": "f"}).encode()
        if parts == ["batches"] and asked.method == "POST":
            return self._made(json.loads(asked.body))
        if parts[0] == "batches" and len(parts) > 1 and parts[1] in self.batches:
            return 200, json.dumps(self.batches[parts[1]]).encode()
        if parts in (["batches"], ["files"]):
            listed = list(self.batches.values()) if parts == ["batches"] else []
            return 200, json.dumps({"object": "list", "data": listed, "has_more": False}).encode()
        if parts[-1] == "content" and parts[1] in self.files:
            return 200, self.files[parts[1]]
        if asked.method == "DELETE":
            return 200, b'{"id": "x", "deleted": true}'
        return 404, b'{"error": {"message": "there is no such thing here"}}'

    def _made(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        id, rows = f"batch-{len(self.batches)}", []
        for line in self.files.get(str(asked.get("input_file_id")), b"").splitlines():
            one = json.loads(line)
            body = json.loads(_reply(one["body"], 0, one["url"]))
            rows.append(
                {"custom_id": one["custom_id"], "response": {"status_code": 200, "body": body}}
            )
        self.files[f"out-{id}"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        counts = {"total": len(rows), "completed": len(rows), "failed": 0}
        self.batches[id] = {
            "id": id, "status": "completed", "output_file_id": f"out-{id}", "request_counts": counts, **asked
        }  # fmt: skip
        return 200, json.dumps(self.batches[id] | {"status": "validating"}).encode()


def mutated(chance: random.Random, text: bytes) -> bytes:
    """JSON with one to three of its values exchanged, taken out or said twice; or its bytes shaken."""
    if chance.random() < 0.15:
        data = bytearray(text or b"x")
        for _ in range(chance.choice([1, 3, 30])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data[: chance.choice([len(data), chance.randrange(len(data) + 1)])])
    said = text.decode("utf-8", "replace")
    for _ in range(chance.choice([1, 1, 2, 3])):
        places = list(re.finditer(r'(?<=: )("(?:[^"\\]|\\.)*"|[\w.+-]+|\[\]|\{\})', said))
        if not places:
            break
        place = chance.choice(places)
        said = said[: place.start()] + chance.choice(LITERALS) + said[place.end() :]
    if chance.random() < 0.2:
        said = re.sub(
            r'"(\w+)":', lambda found: f'"{found[1] if chance.random() > 0.1 else "x"}":', said
        )
    return said.encode("utf-8", "surrogatepass")


async def nasty_answer(chance: random.Random, status: int, body: bytes) -> AsyncIterator[bytes]:
    """One answer of any kind, in pieces; an empty piece ends the connection."""
    kind = chance.choice(
        ["json"] * 6
        + ["headers"] * 4
        + ["status"] * 3
        + ["bytes", "cut", "silent", "many", "packed"]
    )
    if kind == "bytes":
        yield chance.randbytes(chance.choice([0, 1, 20, 5000]))
        yield b""
        return
    if kind == "silent":
        await asyncio.sleep(chance.choice([0.01, 0.5, 3]))
        yield b""
        return
    if kind in ("json", "many") or chance.random() < 0.5:
        body = mutated(chance, body)
    lines = []
    if kind == "headers":
        lines = [
            chance.choice(HEADERS).format(n=chance.choice(NUMBERS))
            for _ in range(chance.choice([1, 2, 5, 200]))
        ]
    if kind == "status":
        status = chance.choice(STATUSES)
        body = chance.choice([body, b"", b"<html>no</html>", mutated(chance, b'{"error": {"message": "no", "code": "x", "type": "y"}}')])  # fmt: skip
    if kind == "packed":
        lines = ["Content-Encoding: gzip"]
        body = gzip.compress(body + b" " * chance.choice([0, 30 << 20]))
    length = len(body) + (chance.choice([-5, 5, 10**9]) if kind == "cut" else 0)
    yield head(
        status,
        *lines,
        f"Content-Length: {max(0, length)}",
        reason=chance.choice(["OK", "", "\x1b[2J"]),
    )
    yield body if kind != "many" else body * 40
    if kind in ("cut", "headers", "status", "many"):
        yield b""
