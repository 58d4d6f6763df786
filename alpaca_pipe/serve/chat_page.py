"""The page at `/`: a conversation with the tuned model, the base beside it, and votes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alpaca_pipe.core.files import append_jsonl, read_json
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.pages.page_parts import filled
from alpaca_pipe.serve.model_choice import ModelChoice
from alpaca_pipe.serve.votes import NoVote, vote_rows

if TYPE_CHECKING:
    from aiohttp.web import Request, StreamResponse

TEMPLATE = Path(__file__).with_name("chat_page.html")


@dataclass(frozen=True)
class ChatPage:
    """votes: the file that votes are appended to; None where the model is no recipe's. base: the name of the base, or empty."""

    tuned: ModelChoice
    base: str
    abouts: Mapping[str, str]
    votes: Path | None

    def text(self) -> str:
        data = {
            "tuned": self.tuned.name,
            "base": self.base,
            "about": self.tuned.about,
            "many_turns": many_turns(self.tuned),
            "votes": self.votes is not None and bool(self.base),
        }
        return filled(TEMPLATE, f"{self.tuned.name} · chat", data)

    async def show(self, request: Request) -> StreamResponse:
        from aiohttp import web

        return web.Response(text=self.text(), content_type="text/html")

    async def vote(self, request: Request) -> StreamResponse:
        from aiohttp import web

        if self.votes is None:
            return _answer(404, "votes are kept for a recipe's model")
        try:
            rows = vote_rows(await request.json(), self.abouts)
            await asyncio.to_thread(append_jsonl, self.votes, rows)
        except (NoVote, ValueError, TypeError) as error:
            return _answer(400, f"this is not a vote: {error}")
        except OSError as error:
            return _answer(507, f"{self.votes} cannot be written: {error.strerror or error}")
        return web.json_response({"rows": len(rows), "file": str(self.votes)})


def many_turns(model: ModelChoice) -> bool:
    """Whether it was trained on conversations; of models that are not ours it is taken to be so."""
    note = model.checkpoint / "template.json" if model.checkpoint else None
    if note is None or not note.is_file():
        return True
    said = read_json(note)
    if own := said.get("own"):
        return bool(own["many_turns"])
    template = TEMPLATES.get(said["template"])
    return template is None or template.many_turns


def _answer(status: int, says: str) -> StreamResponse:
    from aiohttp import web

    return web.json_response({"error": {"message": says}}, status=status)
