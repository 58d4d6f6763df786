"""A page on which a person compares the same answers, blind: one file without network, which saves what was chosen as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.evaluate.judge.judging_loop import AnswerPair, Opinion
from alpaca_pipe.pages.page_parts import digest_for_policy, inside_script

Side = Literal["A", "B"]


def side_of(pair: AnswerPair, seed: int) -> Side:
    """Where the tuned answer stands: by lot, and the same each time. Nothing in the page tells."""
    return "A" if Random(f"{seed} {pair.prompt} {pair.turn}").random() < 0.5 else "B"


def rating_page(pairs: Sequence[AnswerPair], seed: int) -> str:
    """Answers that are the same are left out. The page's order is by lot too."""
    shown = [_shown(pair, side_of(pair, seed)) for pair in pairs if not pair.same]
    Random(seed).shuffle(shown)
    text = Path(__file__).with_name("rating_page.html").read_text(encoding="utf-8")
    for part, tag in (("style_digest", "style"), ("script_digest", "script")):
        inside = text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        text = text.replace("{{" + part + "}}", digest_for_policy(inside))
    return text.replace("{{data}}", inside_script(shown))


def _shown(pair: AnswerPair, side: Side) -> dict[str, Any]:
    first, second = (pair.tuned, pair.other) if side == "A" else (pair.other, pair.tuned)
    return {
        "id": pair.prompt,
        "turn": pair.turn,
        "asked": list(pair.asked),
        "A": list(first),
        "B": list(second),
    }


def read_ratings(path: Path, pairs: Iterable[AnswerPair], seed: int) -> list[Opinion]:
    """What a person chose, as judgements of both orders: a person saw one, and has no liking for a side that could be found by
    asking twice. UserError for a file that is none, or of other answers."""
    known = {(pair.prompt, pair.turn): pair for pair in pairs}
    found = []
    for id, turn, choice in ratings_in(path):
        pair = known.get((id, turn))
        if pair is None or choice not in ("A", "B", "tie"):
            raise UserError(
                f"evaluate.judge.ratings: {path.name} rates {id!r}, turn {turn}, as {choice!r}, which is not of these answers",
                "rate with the rating.html that lies beside answers.jsonl",
            )
        tuned_won = choice == side_of(pair, seed)
        first = "tie" if choice == "tie" else "A" if tuned_won else "B"
        second = {"tie": "tie", "A": "B", "B": "A"}[first]
        found += [
            Opinion(pair, "first", first, "", path.name),
            Opinion(pair, "second", second, "", path.name),
        ]
    return found


def ratings_in(path: Path) -> list[tuple[str, int, Any]]:
    """(id, turn, choice) of each. UserError for a file that is none."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return [(str(one["id"]), int(one["turn"]), one["choice"]) for one in said["ratings"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"evaluate.judge.ratings: {path.name} is not a file of ratings: {error}",
            "save it from rating.html of this step",
        ) from None
