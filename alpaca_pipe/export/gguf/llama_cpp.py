"""llama.cpp itself, asked by its own endpoints: what it renders, into which ids it cuts, and what it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.local.llama_server import local_server

if TYPE_CHECKING:
    from aiohttp import ClientSession

_ALTERNATIVES = 200  # tokens whose probability is told at each position


class Answer(NamedTuple):
    """One greedy answer, its stop token included. probabilities: id -> natural logarithm, of the most probable tokens; not at
    each position, for llama.cpp leaves out those where a character is not whole yet."""

    ids: list[int]
    probabilities: list[dict[int, float]]


@dataclass(frozen=True)
class LlamaCpp:
    """A running llama.cpp with one GGUF."""

    session: ClientSession
    url: str

    async def prompt(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """The ids that its chat endpoint makes of messages: rendered by the file's template, cut by its vocabulary."""
        text = (await self._post("/apply-template", {"messages": list(messages)}))["prompt"]
        said = {"content": text, "add_special": True, "parse_special": True}
        ids: list[int] = (await self._post("/tokenize", said))["tokens"]
        return ids

    async def chat(self, messages: Sequence[Mapping[str, Any]], tokens: int) -> str:
        """What the chat endpoint answers, greedily."""
        said = {"messages": list(messages), "max_tokens": tokens, "temperature": 0, "top_k": 1}
        said["cache_prompt"] = False
        reply = await self._post("/v1/chat/completions", said)
        return str(reply["choices"][0]["message"]["content"])

    async def answer(self, prompt: Sequence[int], tokens: int) -> Answer:
        """Greedily, with the probabilities of the most probable tokens at each position."""
        reply = await self._post(
            "/completion", _greedy(prompt, tokens) | {"n_probs": _ALTERNATIVES}
        )
        probabilities = [
            {int(one["id"]): float(one["logprob"]) for one in place["top_logprobs"]}
            for place in reply.get("completion_probabilities", [])
        ]
        return Answer([int(token) for token in reply["tokens"]], probabilities)

    async def stops_at(self, prompt: Sequence[int], token: int) -> bool:
        """Whether an answer ends where this token comes."""
        forced = _greedy(prompt, 2) | {"logit_bias": [[token, 1000.0]]}
        return bool((await self._post("/completion", forced))["stop_type"] == "eos")

    async def _post(self, path: str, said: Mapping[str, Any]) -> Any:
        async with self.session.post(self.url + path, json=said) as reply:
            found = await reply.json()
        if reply.status != 200:
            raise UserError(
                f"llama.cpp refused {path}: {str(found)[:200]}",
                "run again; if it comes back, leave export.gguf out and use merged/",
            )
        return found


@asynccontextmanager
async def llama_cpp(file: Path, context: int, log: Path) -> AsyncIterator[LlamaCpp]:
    """Serves the file on a free port of this machine until the block ends. context: tokens of prompt and answer."""
    import aiohttp

    try:
        import xllamacpp  # noqa: F401  (only the server's own process uses it)
    except ImportError:
        raise UserError(
            "a GGUF is compared with the model by llama.cpp, and the package xllamacpp is not installed",
            "pip install 'alpaca-pipe[local]'",
        ) from None
    async with local_server(
        file, name=file.stem, parallel=1, context=context, port=None, threads=None, log=log
    ) as child:
        # it hangs up on a connection that was quiet for 5 s, and between two questions a model answers here
        connector = aiohttp.TCPConnector(force_close=True)
        ours = {"Authorization": f"Bearer {child.key}"}
        async with aiohttp.ClientSession(connector=connector, headers=ours) as session:
            yield LlamaCpp(session, child.url.removesuffix("/v1"))


def _greedy(prompt: Sequence[int], tokens: int) -> dict[str, Any]:
    """Nothing is kept from an earlier prompt: in other batches the same numbers are rounded otherwise."""
    said = {"prompt": list(prompt), "n_predict": tokens, "temperature": 0, "top_k": 1}
    return said | {"return_tokens": True, "cache_prompt": False}
