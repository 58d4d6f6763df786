"""`alpaca-pipe serve`: takes the port, starts the engine, and answers until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.pages.door import Door, stays_here
from alpaca_pipe.pages.listening import (
    Address,
    Stop,
    answering,
    taken_port,
    until_signal,
    url_of,
)
from alpaca_pipe.serve.base_model import base_choice, with_gguf
from alpaca_pipe.serve.chat_page import ChatPage
from alpaca_pipe.serve.engines.base import EngineSettings, ServingEngine
from alpaca_pipe.serve.engines.llama_engine import LlamaEngine
from alpaca_pipe.serve.engines.transformers_engine import TransformersEngine
from alpaca_pipe.serve.engines.vllm_engine import VllmEngine
from alpaca_pipe.serve.fleet import Fleet
from alpaca_pipe.serve.gateway import Gateway, Handler
from alpaca_pipe.serve.model_choice import ModelChoice
from alpaca_pipe.teachers.local.child_process import Child, last_lines

KEY = "ALPACA_PIPE_SERVE_KEY"
ENGINES: Mapping[str, ServingEngine] = {
    engine.name: engine for engine in (LlamaEngine(), TransformersEngine(), VllmEngine())
}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Served:
    """What is served. models: see Fleet.  pages, posts: see Gateway."""

    models: Mapping[str, Callable[[], ModelChoice]]
    pages: Mapping[str, Handler]
    posts: Mapping[str, Handler]


def served(chosen: ModelChoice, engine: ServingEngine, votes: Path | None) -> Served:
    """A model with its chat page; of a recipe the base too. votes: the file that the page's votes are appended to."""
    base = f"{chosen.name}-base" if chosen.base else ""

    def of_base() -> ModelChoice:
        if engine.name == "llama.cpp":
            return with_gguf(base_choice(chosen), chosen)
        return base_choice(chosen, as_file=False)

    models: dict[str, Callable[[], ModelChoice]] = {chosen.name: lambda: chosen}
    abouts = {chosen.name: chosen.about, base: f"the base {chosen.base.get('model', '')}"}
    if base:
        models[base] = of_base
    page = ChatPage(chosen, base, abouts, votes)
    return Served(models, {"/": page.show}, {"/votes": page.vote})


def engine_for(model: ModelChoice, named: str) -> ServingEngine:
    """The engine that is named; else the first that can serve the model here. Raises UserError."""
    if named:
        missing = ENGINES[named].missing(model)
        if missing:
            raise UserError(*missing)
        return ENGINES[named]
    found = next((one for one in ENGINES.values() if not one.missing(model)), None)
    if found is None:
        lacking = ENGINES["llama.cpp"].missing(model)
        assert lacking is not None
        raise UserError(*lacking)
    return found


def serve(
    served: Served,
    engine: ServingEngine,
    how: EngineSettings,
    address: Address,
    key: str,
    tell: Say,
    note: Say,
) -> None:
    """Answers until Ctrl-C or SIGTERM. key: of clients; where it is empty and others can reach the address, one is drawn.

    tell: gets the address, once it answers.  note: whatever else is to be known.  Raises UserError.
    """
    asyncio.run(_serve(served, engine, how, address, key, tell, note))


async def _serve(
    served: Served,
    engine: ServingEngine,
    how: EngineSettings,
    address: Address,
    key: str,
    tell: Say,
    note: Say,
) -> None:
    import aiohttp

    key = drawn_key(address.host, key, note)
    with taken_port(address) as taken, contextlib.suppress(Stop):
        async with until_signal(), AsyncExitStack() as stack:
            fleet = Fleet(engine, how, served.models, stack)
            await fleet.child(fleet.first)
            # llama.cpp hangs up on a connection that was quiet for 5 s; an answer may take as long as it takes
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
            )
            await stack.enter_async_context(session)
            app = Gateway(Door(address.host, key), fleet, session, served.pages, served.posts).app()
            async with answering(app, taken):
                tell(url_of(address.host, taken))
                raise _obituary(await fleet.died)
    note("stopped")


def drawn_key(host: str, key: str, note: Say) -> str:
    """The key that was given; where there is none and others can reach the address, a new one, which is said."""
    if key or stays_here(host):
        return key
    drawn = secrets.token_urlsafe(24)
    note(f"the key that each request must carry, drawn for this time: {drawn}")
    return drawn


def _obituary(child: Child) -> UserError:
    code = child.process.returncode or 0
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    return UserError(
        f"{child.what} ended ({how}); the end of its log {child.log}: {last_lines(child.log)}",
        "start it again; if it was killed for memory, take less --context or --parallel",
    )
