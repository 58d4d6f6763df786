"""A better and a worse answer to one prompt: chosen and rejected by any name, two answers and a winner, or ranked answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from alpaca_pipe.core.example import Message
from alpaca_pipe.core.preference import NothingPreferred, Preference
from alpaca_pipe.data.shapes.base import About, EqualAnswers, NoneBetter, NotARow, NotHeld, ShapeFit
from alpaca_pipe.data.shapes.columns import option
from alpaca_pipe.data.shapes.keys import plain
from alpaca_pipe.data.shapes.layout import LISTS, TALK, TEXTS, Column, Kind, Layout
from alpaca_pipe.data.shapes.ranked import ranked_answers, ranked_columns
from alpaca_pipe.data.shapes.transcript import parsed
from alpaca_pipe.data.shapes.turns import answer_of, turns_of
from alpaca_pipe.data.shapes.values import answer_in, text_of, unpacked

name = "preference"
_ANSWERS = TEXTS | LISTS
_PLACE: frozenset[Kind] = frozenset(("number",))  # of an answer in a list


def fit(layout: Layout) -> ShapeFit | None:
    prompt = _prompt(layout)
    chosen = layout.first("chosen", kinds=_ANSWERS - {"bool", "number"})
    rejected = layout.first("rejected", kinds=_ANSWERS - {"bool", "number"})
    if not (chosen and rejected) and (short := _short_answers(layout, prompt)):
        return ShapeFit.of(**prompt, **short)
    answers = [one for one in layout.all("output", "messages", kinds=_ANSWERS) if one.variant]
    winner = layout.all("winner", kinds=TEXTS) or layout.all("chosen", kinds=TEXTS)[:1]
    if rejected and not chosen:  # the last answer of the messages, or the output, is the chosen one
        chosen = layout.first("output", kinds=_ANSWERS)
        if not chosen and not prompt.get("messages"):
            return None
        flag = layout.first("chosen", kinds=("number", "bool"))
        return ShapeFit.of(**prompt, chosen=chosen, rejected=rejected, flag=flag)
    if chosen and rejected:
        return ShapeFit.of(**prompt, chosen=chosen, rejected=rejected)
    if len(answers) == 2 and winner and winner[0] not in answers:
        flags = [one for one in winner if one.variant]
        return ShapeFit.of(**prompt, answers=answers, winner=flags or winner[:1])
    several = [one for one in layout.all("output", kinds=("texts", "objects")) if not one.variant]
    place = [*layout.all("winner", kinds=TEXTS), *layout.all("chosen", kinds=_PLACE)]
    if several and place and prompt.get("instruction"):
        return ShapeFit.of(**prompt, ranked=several[0], winner=place[0])
    scores = ranked_columns(layout)
    if scores and (prompt["instruction"] or prompt["messages"]):
        return ShapeFit.of(**prompt, **scores)
    return None


def _short_answers(layout: Layout, prompt: Mapping[str, Any]) -> dict[str, Column]:
    """Both answers of a row that has no other: "3" and "true" are then what was answered, not a place or a flag."""
    chosen, rejected = (layout.first(side, kinds=_ANSWERS) for side in ("chosen", "rejected"))
    others = layout.all("output", kinds=_ANSWERS)
    if not chosen or not rejected or others or prompt["messages"] or not prompt["instruction"]:
        return {}
    return {"chosen": chosen, "rejected": rejected}


def _prompt(layout: Layout) -> dict[str, Column | None | list[Column]]:
    """The columns that stand before the answers."""
    asks = layout.all("instruction", kinds=_ANSWERS)
    inputs = [one for one in layout.all("input", kinds=_ANSWERS) if one.rank < 1000]
    if not asks:
        asks, inputs = inputs[:1], inputs[1:]
    said = [one for one in layout.all("messages", kinds=TALK) if not one.variant]
    return {
        "instruction": asks[0] if asks else None,
        "input": sorted(inputs, key=layout.columns.index),
        "messages": said[0] if said else None,
        "history": layout.first("history", kinds=TALK),
        "system": layout.first("system"),
        "tools": layout.first("tools"),
    }


def rows(row: Mapping[str, Any], fit: ShapeFit, about: About) -> Iterator[Preference]:
    if (key := fit.key("tools")) and unpacked(row[key]):
        raise NotHeld(f"it offers tools ('{key}'), and a template of ours cannot say them")
    system = text_of(row[key], f"'{key}'", about, "\n\n") if (key := fit.key("system")) else ""
    asked, input_ = _asked(row, fit, about)
    better, worse = _sides(row, fit, about)
    if "a rendered template is parsed back" in about.remarks:  # whose answers begin with its blank
        better = [replace(one, text=one.text.strip()) for one in better or ()] or None
        worse = [replace(one, text=one.text.strip()) for one in worse]
    if better is None:
        better, asked = _last_answer(asked)
    shared = _shared(better, worse)
    if shared and (not asked or better[0].role != "assistant"):
        _check_asked(asked, better[:shared])
        asked, input_ = list(better[:shared]), ""
        better, worse = better[shared:], worse[shared:]
    try:
        pair = Preference.pair(asked, better, worse, about.origin(), system, input_)
    except NothingPreferred as error:
        raise EqualAnswers(str(error)) from None
    except (ValueError, IndexError) as error:
        raise NotHeld(str(error) or "it has no prompt") from None
    yield pair


def _check_asked(asked: Sequence[Message], shared: Sequence[Message]) -> None:
    """Raises NotHeld where a prompt of its own says something else than what both sides begin with."""
    begun = "\n".join(one.text for one in shared)
    if any(one.text.strip() not in begun for one in asked if one.role == "user"):
        raise NotHeld("its prompt is another than the one that both answers begin with")


def _asked(row: Mapping[str, Any], fit: ShapeFit, about: About) -> tuple[list[Message], str]:
    """(the messages of the prompt, the input below its question)."""
    said: list[Message] = []
    if key := fit.key("history"):
        said += turns_of(row[key], f"'{key}'", about)
    if key := fit.key("messages"):
        said += turns_of(row[key], f"'{key}'", about)
    texts = [text_of(row[key], f"'{key}'", about, "\n\n") for key in fit.keys("input")]
    key = fit.key("instruction")
    if not key:
        return said, "\n\n".join(texts)
    value = unpacked(row[key])
    if isinstance(value, dict) and isinstance(value.get("messages"), list):  # OpenAI's `input`
        if value.get("tools"):
            raise NotHeld(f"it offers tools ('{key}'), and a template of ours cannot say them")
        value = value["messages"]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [*said, *turns_of(value, f"'{key}'", about)], "\n\n".join(texts)
    if isinstance(value, list) and len([one for one in value if one]) > 1:
        raise NotHeld(f"'{key}' is several texts, and nothing says which answer follows which")
    text = text_of(value, f"'{key}'", about)
    if told := parsed(text, opened=True):
        about.say("a rendered template is parsed back")
        return [*said, *told], "\n\n".join(texts)
    if any(one.role == "user" and one.text.strip() == text.strip() for one in said):
        return said, "\n\n".join(texts)  # the first question once more
    return [*said, Message("user", text)], "\n\n".join(texts)


def _sides(
    row: Mapping[str, Any], fit: ShapeFit, about: About
) -> tuple[list[Message] | None, list[Message]]:
    """(chosen, rejected); None where the chosen one is the last answer of the prompt."""
    if keys := fit.keys("answers"):
        won = _won(row, fit, [one.variant for one in fit.parts["answers"]])
        return _answer(row, keys[won], about), _answer(row, keys[1 - won], about)
    if fit.key("ranked") and fit.key("winner"):
        return _by_place(row, fit, about)
    if fit.key("ranked"):
        return ranked_answers(row, fit, about)
    chosen, rejected = fit.key("chosen"), fit.key("rejected")
    if _is_place(row, fit):
        raise NotARow(
            f"'{rejected}' is {row[rejected]!r} beside '{fit.key('flag')}', {row[fit.key('flag')]!r}: places or flags, and no answers",
            f"say which columns are which: {option(('chosen', 'ANSWER'), ('rejected', 'OTHER'))}",
        )
    if chosen and all(isinstance(row[key], str) and row[key] in row for key in (chosen, rejected)):
        raise NotARow(
            f"'{chosen}' is {row[chosen]!r} and '{rejected}' {row[rejected]!r}: names of columns, and no answers",
            f"say which columns are which: {option(('chosen', 'ANSWER'), ('rejected', 'OTHER'))}",
        )
    return _answer(row, chosen, about) if chosen else None, _answer(row, rejected, about)


def _is_place(row: Mapping[str, Any], fit: ShapeFit) -> bool:
    said = row[fit.key("rejected")]
    return bool(fit.key("flag")) and isinstance(said, str) and len(said) < 3 and said.isdigit()


def _answer(row: Mapping[str, Any], key: str, about: About) -> list[Message]:
    value = answer_in(row[key])
    if isinstance(value, bool | int | float):
        raise NotARow(f"'{key}' is {json.dumps(value)}, which is no text", "write it in quotes")
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        value = value[0]
    if isinstance(value, str) and (told := parsed(value)):
        return told
    return answer_of(value, key, about)


def _won(row: Mapping[str, Any], fit: ShapeFit, variants: Sequence[str]) -> int:
    """The place of the better of two answers, as the row names it: a, model_a, response_1, 0 ... Raises NotARow, NotHeld."""
    key = fit.key("winner")
    if fit.parts["winner"][0].variant:
        return _flagged(row, fit, variants)
    said = plain(str(row[key]))
    if "tie" in said.split("_") or said in ("both", "neither", "same", "equal", "none", "draw"):
        raise NoneBetter(f"'{key}' is {row[key]!r}: neither answer is the better one")
    names = [one.plain for one in fit.parts["answers"]]
    for place, (variant, name_) in enumerate(zip(variants, names, strict=True)):
        if said in (variant, name_) or said.split("_")[-1] == variant:
            return place
    raise NotARow(
        f"'{key}' is {row[key]!r}, which names none of {', '.join(fit.keys('answers'))}",
        f"say which columns are which: {option(*zip(('chosen', 'rejected'), fit.keys('answers'), strict=True))}",
    )


def _flagged(row: Mapping[str, Any], fit: ShapeFit, variants: Sequence[str]) -> int:
    """The same where each answer has a column that says whether it won: `winner_model_a`, `winner_tie`. Raises NotHeld."""
    won = {one.variant for one in fit.parts["winner"] if row[one.key] in (True, 1, "1", "true")}
    places = [place for place, variant in enumerate(variants) if variant in won]
    if len(won) != 1 or not places:
        keys = "', '".join(fit.keys("winner"))
        raise NoneBetter(f"'{keys}': neither answer is the better one")
    return places[0]


def _by_place(
    row: Mapping[str, Any], fit: ShapeFit, about: About
) -> tuple[list[Message], list[Message]]:
    """(the answer of a list that another column names by its place from 0, or by its letter; the first of the others)."""
    key, value = fit.key("ranked"), row[fit.key("ranked")]
    said = plain(str(row[fit.key("winner")])).split("_")[-1]
    place = int(said) if said.isdigit() else "abcdefgh".find(said) if len(said) == 1 else -1
    if not 0 <= place < len(value) or len(value) < 2:
        raise NoneBetter(f"'{fit.key('winner')}' names none of the {len(value)} answers in '{key}'")
    others = [one for at, one in enumerate(value) if at != place]
    if len(others) > 1:
        about.say("of several answers the best and one other are read")
    return answer_of(value[place], key, about), answer_of(others[0], key, about)


def _last_answer(said: list[Message]) -> tuple[list[Message], list[Message]]:
    """(the last answer, what stands before it)."""
    place = next((at for at in reversed(range(len(said))) if said[at].role == "assistant"), -1)
    if place < 0:
        raise NotHeld("it has a rejected answer and no chosen one")
    return said[place:], said[:place]


def _shared(better: Sequence[Message], worse: Sequence[Message]) -> int:
    """How many messages both sides begin with; at least one answer is left to each."""
    most = min(len(better), len(worse)) - 1
    pairs = zip(better[:most], worse[:most], strict=False)
    same = next((at for at, (one, other) in enumerate(pairs) if one != other), most)
    while same and better[same - 1].role == "assistant":
        same -= 1
    return max(same, 0)
