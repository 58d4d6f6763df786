"""A list of turns as messages: speakers by name, pairs of question and answer, or texts in turn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from alpaca_pipe.core.example import Message, Role
from alpaca_pipe.data.records import kind_of as in_words
from alpaca_pipe.data.shapes.base import About, NotARow, NotHeld, NotWanted
from alpaca_pipe.data.shapes.columns import option
from alpaca_pipe.data.shapes.keys import WEAK, name_of, plain
from alpaca_pipe.data.shapes.roles import CALLS, CONTENT_KEYS, ROLE_KEYS, role_of
from alpaca_pipe.data.shapes.tool_calls import calls_of
from alpaca_pipe.data.shapes.values import answer_in, is_switch, text_of, unpacked
from alpaca_pipe.data.shapes.verdicts import NOT_LEARNED, is_learned

EMPTY = "an empty answer is not learned"
# Keys that say by true or false who speaks: who it is where they are true, and where not.
_IS_ONE = {
    "is_user": ("user", "assistant"),
    "from_user": ("user", "assistant"),
    "is_human": ("user", "assistant"),
    "is_bot": ("assistant", "user"),
    "is_assistant": ("assistant", "user"),
}
_ATTACHED = frozenset(
    ["attachments", "experimental_attachments", "files", "documents", "images", "videos", "audios"]
)
_LABELLED = re.compile(r"\s*([^\s:：]{1,12})\s*[:：]\s*(?=\S)")
_OF_MOSS = re.compile(r"\s*<\|[\w ]+\|>:?[ ]?(.*?)\s*<eo\w>\s*", re.DOTALL)


def turns_of(value: Any, where: str, about: About) -> list[Message]:
    """The messages of a conversation, in order. Raises NotARow, NotHeld."""
    value = unpacked(value)
    if isinstance(value, dict):
        value = _in_rows(value)
    if not isinstance(value, list):
        raise NotARow(
            f"{where} is {in_words(value)}, not a list of turns",
            'write [{"role": "user", "content": ...}, {"role": "assistant", "content": ...}]',
        )
    texts = [one for one in value if isinstance(one, str)]
    if texts and len(texts) == len(value):
        return _in_turn(texts, where, about)
    _check_speakers(value, where, about)
    said: list[Message] = []
    value = _thoughts_joined(value)
    for number, turn in enumerate(value, 1):
        place = f"turn {number} of {where}"
        if isinstance(turn, list):
            said += _pair(turn, place, about)
        elif isinstance(turn, dict):
            said += _of_object(turn, place, about)
        elif turn is not None:
            raise NotARow(
                f"{place} is {in_words(turn)}, not an object",
                'write {"role": "user", "content": ...}',
            )
    return said


def _thoughts_joined(turns: list[Any]) -> list[Any]:
    """What stands in the channel `analysis`, as OpenAI's open models have it, or is marked as a thought, as Google's AI Studio
    has it, is the reasoning of the answer after it."""
    found: list[Any] = []
    thought = ""
    for place, turn in enumerate(turns):
        after = turns[place + 1] if place + 1 < len(turns) else None
        if isinstance(turn, dict) and any(
            plain(key) == "is_thought" and turn[key] is True for key in turn
        ):
            thought += str(turn.get("text") or turn.get("content") or "")
            continue
        if _is_channel(turn, "analysis") and _is_channel(after, "final"):
            thought = turn.get("content") or turn.get("text") or ""
            continue
        found.append({**turn, "reasoning_content": thought} if thought else turn)
        thought = ""
    return found


def _is_channel(turn: Any, name: str) -> bool:
    return isinstance(turn, dict) and turn.get("channel") == name


def answer_of(value: Any, key: str, about: About) -> list[Message]:
    """An answer that stands in a column of its own: one turn, several, or only its text."""
    value = answer_in(value)
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return turns_of(value, f"'{key}'", about)
    text = text_of(value, f"'{key}'", about)
    if not text.strip():
        raise NotARow(f"'{key}' is empty", "write the answer, or remove the row")
    return [Message("assistant", text)]


def conversation(said: Sequence[Message], about: About) -> list[Message]:
    """The messages as they can be learned: what nobody asked for is context, what nobody answered is cut.

    Raises NotHeld where there is no question and answer, NotWanted where no answer is to be learned.
    """
    kept = list(said)
    roles = [one.role for one in kept]
    if "user" not in roles or "assistant" not in roles[roles.index("user") :]:
        raise NotHeld(f"the conversation is {spelled(roles)}, not a question and its answer")
    while kept[-1].role != "assistant" or _says_nothing(kept[-1]):
        cut = kept.pop()
        said_nothing = cut.role == "assistant"
        about.say(EMPTY if said_nothing else "a last turn that nobody answers is cut")
        if "assistant" not in [one.role for one in kept[roles.index("user") :]]:
            raise NotHeld("no question in it has an answer that says anything")
    first = roles.index("user")
    for place, one in enumerate(kept):
        if one.is_learned and _says_nothing(one):
            kept[place] = replace(one, learned=False)
            about.say(EMPTY)
    for place, one in enumerate(kept[:first]):
        if one.is_learned:
            kept[place] = replace(one, learned=False)
            about.say("an answer before the first question is not learned")
    if not any(one.is_learned for one in kept):
        raise NotWanted(NOT_LEARNED, "no answer in it is to be learned")
    if any(one.role == "assistant" and not one.learned for one in kept[first:]):
        about.say("an answer that is marked so is context, and not learned")
    return kept


def _says_nothing(one: Message) -> bool:
    return not one.text.strip() and not one.tool_calls


def spelled(roles: Sequence[str]) -> str:
    shown = ", ".join(roles[:4]) or "empty"
    return f"{shown} ... {len(roles)} turns" if len(roles) > 4 else shown


def _in_rows(value: Mapping[str, Any]) -> Any:
    """{"from": [...], "value": [...]}, as `datasets` turns a list of turns round; or {"turn_1": {...}, "turn_2": {...}}."""
    lists = [one for one in value.values() if isinstance(one, list)]
    if len(lists) == len(value) >= 2 and len({len(one) for one in lists}) == 1:
        return [dict(zip(value, row, strict=True)) for row in zip(*lists, strict=True)]
    for key in ("messages", "items", "conversations", "turns"):
        if isinstance(value.get(key), list):
            return value[key]
    if value and all(isinstance(one, dict) for one in value.values()):
        return list(value.values())
    return value


def _in_turn(texts: list[str], where: str, about: About) -> list[Message]:
    """A user, an assistant, a user ...; or whoever each text names at its start, where each does: `问：...`."""
    roles: tuple[Role, Role] = ("user", "assistant")
    labels = [_LABELLED.match(text) for text in texts]
    named = [role_of(one[1], about.roles) for one in labels if one]
    if len(set(named)) > 1 and None not in named and len(named) == len(texts):
        about.say("who speaks is read from the start of each text")
        return [
            Message(role, text_of(text[one.end() :], where, about))
            for role, text, one in zip(named, texts, labels, strict=True)
            if role and one
        ]
    return [
        Message(roles[place % 2], text_of(text, f"turn {place + 1} of {where}", about))
        for place, text in enumerate(texts)
    ]


def _pair(turn: list[Any], where: str, about: About) -> Iterator[Message]:
    if len(turn) != 2:
        raise NotARow(f"{where} has {len(turn)} texts, not a question and its answer", "write two")
    for role, value in zip(("user", "assistant"), turn, strict=True):
        if value is not None and value != "":
            yield Message(role, text_of(value, where, about))  # type: ignore[arg-type]


def _of_object(turn: Mapping[str, Any], where: str, about: About) -> list[Message]:
    """One speaker's turn, or a pair of a question and its answer."""
    if (key := _role_key(turn, about)) is not None:
        return [_spoken(turn, key, where, about)]
    pair = list(_exchange(turn, where, about))
    if not pair:
        raise NotARow(
            f"{where} has no 'role' and no 'from'", "say who speaks: user, assistant or system"
        )
    return pair


def _check_speakers(turns: Sequence[Any], where: str, about: About) -> None:
    """Raises NotARow where somebody speaks whom nobody knows; the cure takes the first speaker for the user."""
    named = [
        _name_of_speaker(turn, key)
        for turn in turns
        if isinstance(turn, dict) and (key := _role_key(turn, about)) is not None
    ]
    speakers = list(dict.fromkeys(named))
    unknown = [one for one in speakers if not role_of(one, about.roles) and plain(one) not in CALLS]
    if {"a", "b"} <= {plain(one) for one in unknown + speakers}:
        unknown = [one for one in speakers if not about.roles.get(plain(one))]
    if not unknown:
        return
    known = {role_of(one, about.roles) for one in speakers if one not in unknown}
    others = [role for role in ("user", "assistant", "tool") if role not in known] or ["user"]
    pairs = zip(others, unknown, strict=False)
    raise NotARow(
        f"in {where} speaks '{unknown[0]}', and nobody knows who that is",
        f"say it: {option(*pairs)}",
    )


def _role_key(turn: Mapping[str, Any], about: About) -> str | None:
    """The key that says who speaks."""
    if turn.get(about.turn_keys.get("role", "")) is not None:
        return about.turn_keys["role"]
    there = [key for key in ROLE_KEYS if turn.get(key) is not None]
    there = there or [key for key in turn if plain(key) in ROLE_KEYS and turn[key] is not None]
    return next(iter(there or [key for key in turn if _tells_speaker(key, turn[key], about)]), None)


def _tells_speaker(key: str, value: Any, about: About) -> bool:
    """`type: human`, `name: user`, `is_user: true`: keys that say other things too."""
    word = plain(key)
    if word in _IS_ONE:
        return isinstance(value, bool)
    return word in ("type", "name") and isinstance(value, str) and bool(role_of(value, about.roles))


def _name_of_speaker(turn: Mapping[str, Any], key: str) -> str:
    named = turn[key]
    if isinstance(named, bool) and plain(key) in _IS_ONE:
        return _IS_ONE[plain(key)][not named]
    if isinstance(named, dict):  # {"author": {"role": "user"}}
        named = next((named[one] for one in ("role", "name") if named.get(one)), "")
    return str(named)


def _exchange(turn: Mapping[str, Any], where: str, about: About) -> Iterator[Message]:
    """{"human": ..., "assistant": ...}, {"system": ..., "input": ..., "output": ...}: keys that are the speakers."""
    order: dict[Role, int] = {"system": 0, "user": 1, "assistant": 2, "tool": 3}
    learned = is_learned(
        {**turn, "weight": turn.get("output_with_loss", turn.get("weight"))}, about
    )
    found: list[tuple[int, Message]] = []
    thought = given = ""
    names = [plain(key) for key in turn]
    answered = any(role_of(name, about.roles) == "assistant" and name != "model" for name in names)
    for key, value in turn.items():
        value, word = _unmarked(value), plain(key)
        passed = name_of(key).meaning in ("meta", "weight", "status")
        if value is None or value == "" or (passed and (answered or word != "model")):
            continue
        if word in ("input", "context") and "instruction" in names:
            given = text_of(value, f"{where}: '{key}'", about)  # below the instruction
            continue
        if name_of(key).meaning == "reasoning":
            if is_switch(value):
                continue
            thought = text_of(value, f"{where}: '{key}'", about)
            continue
        role = role_of(key, about.roles) or _by_meaning(key)
        if role is None:
            if isinstance(value, str):
                about.say(f"'{key}' of a turn is left unread")
            continue
        text = text_of(value, f"{where}: '{key}'", about)
        found.append((order[role], Message(role, text, learned or role != "assistant")))
    users = sum(one.role == "user" for _, one in found)
    if users > 1 or sum(one.role == "assistant" for _, one in found) > 1:
        raise NotARow(f"{where} has two texts of one speaker", "write one turn for each text")
    if thought:
        about.say("the reasoning before an answer is kept beside it")
    for _, message in sorted(found, key=lambda one: one[0]):
        if message.role == "user" and given:
            message = replace(message, text=f"{message.text}\n\n{given}")
        yield replace(message, reasoning=thought) if message.role == "assistant" else message


def _unmarked(value: Any) -> Any:
    """MOSS writes `<|Human|>: ...<eoh>` under the key `Human`, and `<|Commands|>: None<eoc>` where there is none."""
    if isinstance(value, str) and (found := _OF_MOSS.fullmatch(value)):
        return "" if found[1] == "None" else found[1]
    return value


def _by_meaning(key: str) -> Role | None:
    meaning = name_of(key).meaning
    roles: dict[str, Role] = {"instruction": "user", "output": "assistant", "system": "system"}
    return roles.get(meaning)


def _spoken(turn: Mapping[str, Any], key: str, where: str, about: About) -> Message:
    """One turn in ShareGPT's spelling, OpenAI's, Gemini's ..."""
    named = _name_of_speaker(turn, key)
    role = role_of(_name_of_speaker(turn, key), about.roles)
    called = plain(named) in CALLS
    calls = calls_of(turn, named if called else "", where)
    if called:
        return Message("assistant", "", is_learned(turn, about), tool_calls=calls)
    assert role is not None  # the speakers are known
    content = _content_key(turn, key, about)
    if content is None and not calls:
        raise NotARow(
            f"{where} has no 'content' and no 'value'", "say what was said, or remove the row"
        )
    text, reasoning = _said(turn[content] if content else "", where, about)
    _check_attached(turn, where)
    own, extra = _reasoning(turn, where, about), _unread(turn, key, content)
    for one in extra:
        about.say(f"'{one}' of a turn is left unread")
    if own or reasoning:
        about.say("the reasoning before an answer is kept beside it")
    if any(plain(one) == "train_detail" and turn[one] for one in turn):
        raise NotHeld(f"{where} is to be learned in part")
    learned = role != "assistant" or is_learned(turn, about)
    name = turn.get("name") if isinstance(turn.get("name"), str) and role == "tool" else ""
    return Message(role, text, learned, own or reasoning, calls, name or "")


def _check_attached(turn: Mapping[str, Any], where: str) -> None:
    """Raises NotHeld where something hangs on a turn that its text speaks of: a document, a picture, a file."""
    for key, value in turn.items():
        if isinstance(value, list) and value and plain(key) in _ATTACHED:
            raise NotHeld(f"{where} has '{key}' beside its text")


def _content_key(turn: Mapping[str, Any], role_key: str, about: About) -> str | None:
    """The key of what was said."""
    if turn.get(about.turn_keys.get("content", "")) is not None:
        return about.turn_keys["content"]
    known = {plain(key): key for key in turn if key != role_key}
    there = [known[key] for key in CONTENT_KEYS if key in known]
    return next((key for key in there if turn[key] is not None), None)


def _said(content: Any, where: str, about: About) -> tuple[str, str]:
    """(text, reasoning) of a content, which may be in parts; parts with marks of their own are not glued together."""
    if isinstance(content, dict) and isinstance(content.get("parts"), list):
        content = content["parts"]
    if not isinstance(content, list):
        return text_of(content, f"{where}: its content", about), ""
    thought = [part for part in content if isinstance(part, dict) and _is_thought(part)]
    parts = [part for part in content if part not in thought and part is not None]
    flags = {is_learned(part, about) for part in parts if isinstance(part, dict)}
    if len(flags) > 1:
        raise NotHeld(f"{where} is in parts of which some are to be learned and some not")
    if flags == {False}:
        raise NotHeld(f"{where} is in parts, and none of them is to be learned")
    return text_of(parts, where, about), "".join(_thought(part, where, about) for part in thought)


def _is_thought(part: Mapping[str, Any]) -> bool:
    return bool(part.get("thought") is True or part.get("type") in ("thinking", "reasoning")) or (
        "reasoningContent" in part
    )


def _thought(part: Mapping[str, Any], where: str, about: About) -> str:
    value: Any = part
    for key in ("reasoningContent", "reasoningText", "thinking", "reasoning"):
        value = value.get(key, value) if isinstance(value, dict) else value
    return text_of(value, f"{where}: its reasoning", about)


def _reasoning(turn: Mapping[str, Any], where: str, about: About) -> str:
    named = (key for key in turn if name_of(key).meaning == "reasoning" and turn[key])
    found = next((key for key in named if not is_switch(turn[key])), None)
    return text_of(turn[found], f"{where}: '{found}'", about, "\n") if found else ""


def _unread(turn: Mapping[str, Any], *read: str | None) -> list[str]:
    """Keys of a turn that hold text and are not known to be beside the point."""
    known = ("reasoning", "meta", "weight", "label", "status", "tools")
    return [
        key
        for key, value in turn.items()
        if key not in read
        and isinstance(value, str)
        and value.strip()
        and name_of(key).meaning not in known
        and name_of(key).rank < WEAK
    ]
