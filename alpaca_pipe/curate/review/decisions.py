"""What a person decided about single rows: `decisions.jsonl`, one decision a line, appended and never rewritten.

It is an input of [curate] by what it *means*: the last verdict on each id, the texts of an edit, the reason of a drop.
Who, when, notes, seconds and the order of the lines are kept, and change no result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import PlainSerializer, PlainValidator, ValidationInfo

from alpaca_pipe.core.config_table import from_recipe
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.files import append_jsonl, digest_of
from alpaca_pipe.core.text import whole

Verdict = Literal["keep", "drop", "edit", "note", "undo"]
NAME = "decisions.jsonl"
FIELDS = ("instruction", "input", "output", "system")
MESSAGES = "messages"  # of an edited conversation, in place of instruction, input and output
_ABOUT = 60  # characters of the instruction that stand in a line, for whoever reads it in git
_KEYS = ("id", "verdict", "why", "texts", "about", "who", "when", "seconds", "session")


@dataclass(frozen=True)
class Decision:
    """A line. keep, drop and edit decide; undo takes back what was decided; a note decides nothing.

    why: the reason of a drop, the words of a note.  texts: of an edit, all texts of the new row, or its system text and its
    messages as one JSON text.  seconds: from the moment
    the row was shown, long pauses capped.  session: of which sitting they are a part.
    """

    id: str
    verdict: Verdict
    why: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    who: str = ""
    when: str = ""  # UTC, ISO 8601
    seconds: float = 0.0
    session: str = ""

    @property
    def to(self) -> str:
        """The id of the row that an edit makes."""
        return row_of(self.texts, Origin("imported")).id

    def to_row(self) -> dict[str, Any]:
        """As a line; what is empty is left out."""
        values = {name: getattr(self, name) for name in _KEYS}
        return {name: value for name, value in values.items() if value}

    def meaning(self) -> list[Any]:
        return [
            self.id,
            self.verdict,
            *([self.why] if self.verdict == "drop" else []),
            *([dict(self.texts)] if self.verdict == "edit" else []),
        ]


def row_of(texts: Mapping[str, str], origin: Origin) -> Example:
    """The row that an edit makes. Raises ValueError where its messages are no conversation."""
    if MESSAGES in texts:
        said = [Message.from_row(one) for one in json.loads(texts[MESSAGES])]
        return Example.of_messages(said, origin, texts.get("system", ""))
    return Example.of(**{name: texts.get(name, "") for name in FIELDS}, origin=origin)


def decision(
    row: Example,
    verdict: Verdict,
    *,
    why: str = "",
    texts: Mapping[str, str] | None = None,
    who: str = "",
    seconds: float = 0.0,
    session: str = "",
) -> Decision:
    """A decision about a row, made now."""
    about = " ".join(row.instruction.split())
    return Decision(
        row.id,
        verdict,
        whole(why.strip()),
        {name: whole(text) for name, text in (texts or {}).items()},
        about if len(about) <= _ABOUT else f"{about[: _ABOUT - 1]}…",
        who,
        datetime.now(UTC).isoformat(timespec="seconds"),
        round(seconds, 1),
        session,
    )


@dataclass(frozen=True)
class Decisions:
    """A file of decisions, which need not be there yet. path None: none are kept."""

    path: Path | None = None
    lines: tuple[Decision, ...] = ()

    @cached_property
    def by_id(self) -> Mapping[str, Decision]:
        """What counts: of each id the last line that decides, unless it was taken back."""
        last = {line.id: line for line in self.lines if line.verdict != "note"}
        return {id: line for id, line in last.items() if line.verdict != "undo"}

    @cached_property
    def made(self) -> frozenset[str]:
        """The ids of the rows that edits made: a person wrote them, so they have been read."""
        return frozenset(line.to for line in self.by_id.values() if line.verdict == "edit")

    @cached_property
    def read(self) -> frozenset[str]:
        """The ids that a person has looked at and said something about."""
        taken_back = {line.id for line in self.lines if line.verdict == "undo"} - self.by_id.keys()
        return frozenset({line.id for line in self.lines} - taken_back | self.made)

    def __bool__(self) -> bool:
        return bool(self.by_id)

    def about(self, id: str) -> Decision | None:
        """The decision on an id. A repeated row (`id#2`) shares what was said against its first: what a person took out
        or rewrote does not come back as its own copy."""
        if id in self.by_id:
            return self.by_id[id]
        first, mark, _ = id.partition("#")
        said = self.by_id.get(first) if mark else None
        if said is None or said.verdict == "keep":
            return None
        return (
            said
            if said.verdict == "drop"
            else Decision(first, "drop", f"a copy of {first}, which was edited manually")
        )

    def told(self, id: str) -> list[Decision]:
        """All lines about an id, in their order."""
        return [line for line in self.lines if line.id == id]

    def identity(self) -> str:
        """What they mean, in a word for stage.json: how many count, and the digest of what they say."""
        meant = sorted(line.meaning() for line in self.by_id.values())
        return f"{len(meant)} by hand, {digest_of(meant)[:32]}"


def read_decisions(path: Path) -> Decisions:
    """What a file holds; none where there is no file. Raises UserErrors with every line that is none."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Decisions(path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}", "it is a text file, one decision a line"
        ) from None
    lines, faults = [], list[UserError]()
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.strip():
            try:
                lines.append(_line(line))
            except UserError as error:
                faults.append(UserError(f"{path}:{number}: {error.what}", error.cure))
    if faults:
        raise UserErrors(faults)
    return Decisions(path, tuple(lines))


def _of_recipe(value: Any, info: ValidationInfo) -> Decisions:
    """As a recipe names them: a file, or by default `decisions.jsonl` where the recipe's own files lie (validation context
    `own`); false: none."""
    if value is False:
        return Decisions()
    if isinstance(value, str | Path):
        return read_decisions(from_recipe(value, info))
    if not isinstance(value, Decisions):
        raise ValueError("should be a file of decisions, or false")
    own = (info.context or {}).get("own")
    return read_decisions(Path(own) / NAME) if own and value.path is None else value


ByHand = Annotated[
    Decisions,
    PlainValidator(_of_recipe, json_schema_input_type=str | Literal[False]),
    PlainSerializer(
        lambda decisions: str(decisions.path) if decisions.path else None, return_type=str | None
    ),
]


def append(path: Path, lines: Iterable[Decision]) -> None:
    """Adds decisions at the end of the file and returns when the disk has them. A line that a crash cut off stays its own."""
    append_jsonl(path, (line.to_row() for line in lines))


def _line(line: bytes) -> Decision:
    cure = "fix the line or remove it; every other line stands for itself"
    if line.startswith((b"<<<<<<<", b"=======", b">>>>>>>")):
        raise UserError(
            "a mark of a merge conflict", "keep the lines of both sides and take out the marks"
        )
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise UserError("this is not JSON", cure) from None
    if not isinstance(row, dict):
        raise UserError("a decision is a JSON object", cure)
    for name in row:
        if name not in _KEYS:
            raise UserError(f"'{name}' is not a part of a decision", did_you_mean(name, _KEYS))
    if not isinstance(row.get("id"), str) or not row["id"]:
        raise UserError(
            "no 'id' of an example is given", "ids are listed by `alpaca-pipe rows RECIPE`"
        )
    if row.get("verdict") not in get_args(Verdict):
        raise UserError(
            f"'{row.get('verdict', '')}' is not a verdict",
            f"known are: {', '.join(get_args(Verdict))}",
        )
    for name in ("why", "about", "who", "when", "session"):
        if not isinstance(row.get(name, ""), str):
            raise UserError(f"'{name}' should be text", cure)
    _check_when(row.get("when", ""))
    seconds = row.get("seconds", 0)
    if (
        not isinstance(seconds, int | float)
        or isinstance(seconds, bool)
        or not 0 <= seconds < 86_400
    ):
        raise UserError("'seconds' should be a number of seconds, below a day", cure)
    texts = _texts(row.get("texts"), row["verdict"])
    return Decision(**{**row, "texts": texts, "seconds": float(seconds)})


def _check_when(text: str) -> None:
    try:
        if text and datetime.fromisoformat(text).tzinfo is None:
            raise ValueError
    except ValueError:
        raise UserError(
            f"'when' is not a time: '{text}'",
            "write it like 2026-11-21T08:00:00+00:00, or leave it out",
        ) from None


def _texts(texts: Any, verdict: str) -> dict[str, str]:
    if verdict != "edit":
        if texts:
            raise UserError(f"a {verdict} has no 'texts'", "they belong to an edit")
        return {}
    cure = (
        "an edit has all texts of the new row: instruction, input, output (and system, where the row has one), "
        "or the messages of a conversation"
    )
    if isinstance(texts, dict) and MESSAGES in texts:
        return _checked_turns(texts, cure)
    if (
        not isinstance(texts, dict)
        or not {"instruction", "output"} <= texts.keys() <= {*FIELDS}
        or not all(isinstance(text, str) for text in texts.values())
    ):
        raise UserError("the 'texts' of this edit are not whole", cure)
    if not texts["instruction"].strip() or not texts["output"].strip():
        raise UserError(
            "this edit leaves the instruction or the output empty",
            "to take a row out, write the verdict drop",
        )
    return {name: whole(text) for name, text in texts.items()}


def _checked_turns(texts: dict[str, Any], cure: str) -> dict[str, str]:
    if not texts.keys() <= {MESSAGES, "system"} or not all(
        isinstance(text, str) for text in texts.values()
    ):
        raise UserError("the 'texts' of this edit are not whole", cure)
    told = {name: whole(text) for name, text in texts.items()}
    try:
        row_of(told, Origin("imported"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"the messages of this edit are not a conversation: {error}", cure
        ) from None
    return told
