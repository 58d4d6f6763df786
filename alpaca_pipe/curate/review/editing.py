"""An edit: the texts of a row in the person's editor, or field by field where there is none."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, turn_name
from alpaca_pipe.curate.review.console import ReviewConsole
from alpaca_pipe.curate.review.decisions import FIELDS, MESSAGES

_HEAD = "Write below each mark what the row should say. Leave the marks as they are; lines above the first one are not read."


def edited(before: Mapping[str, str], console: ReviewConsole) -> dict[str, str] | None:
    """All texts of a row as the person wants them; None where nothing was changed, or the edit was given up."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    fields = fields_of(before)
    after = _in_editor(fields, editor, console) if editor else _by_field(fields, console)
    if after is None or after == fields:
        console.say("nothing was changed")
        return None
    return _texts_with(after, before)


def texts_of(row: Example) -> dict[str, str]:
    """What an edit starts from; of a conversation its messages as one JSON text."""
    texts = {"system": row.system} if row.system else {}
    if row.messages:
        said = [one.to_row() for one in row.messages]
        return texts | {MESSAGES: json.dumps(said, ensure_ascii=False)}
    return {name: getattr(row, name) for name in FIELDS if name != "system"} | texts


def fields_of(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts by name as a person reads them: a conversation's are `1 user`, `2 assistant` ..."""
    if MESSAGES not in texts:
        return dict(texts)
    said = json.loads(texts[MESSAGES])
    system = {"system": texts["system"]} if texts.get("system") else {}
    return system | {turn_name(number, one): one["content"] for number, one in enumerate(said, 1)}


def _texts_with(fields: dict[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """The other way round; what a message has beside its text stays."""
    if MESSAGES not in before:
        return fields
    said = [
        one | {"content": fields[turn_name(number, one)]}
        for number, one in enumerate(json.loads(before[MESSAGES]), 1)
    ]
    texts = {"system": fields["system"]} if fields.get("system") else {}
    return texts | {MESSAGES: json.dumps(said, ensure_ascii=False)}


def _in_editor(
    before: Mapping[str, str], editor: str, console: ReviewConsole
) -> dict[str, str] | None:
    sheet = written(before)
    with tempfile.TemporaryDirectory(prefix="alpaca-pipe-") as folder:
        path = Path(folder) / "row.txt"
        path.write_text(sheet, encoding="utf-8")
        while True:
            if not _opened(editor, path, console):
                return _by_field(before, console)
            try:
                return understood(path.read_text(encoding="utf-8"), before)
            except (UserError, UnicodeDecodeError, OSError) as error:
                what = (
                    str(error)
                    if isinstance(error, UserError)
                    else f"the file cannot be read: {error}"
                )
                if (
                    console.ask(f"{what}\nEnter opens it again, x gives the edit up: ") or "x"
                ).strip():
                    return None


def _opened(editor: str, path: Path, console: ReviewConsole) -> bool:
    """Whether the editor ran; Ctrl-C inside it is the editor's."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode
    except (OSError, ValueError) as error:
        console.say(
            f"the editor '{editor}' could not be started ({error}); field by field instead",
            "yellow",
        )
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    if code:
        console.say(
            f"the editor '{editor}' ended with status {code}; field by field instead", "yellow"
        )
    return not code


def written(texts: Mapping[str, str]) -> str:
    """One sheet for the editor. The marks differ from every line of the row."""
    dash = _dashes(texts)
    return _HEAD + "\n" + "".join(f"{dash} {name} {dash}\n{text}\n" for name, text in texts.items())


def _dashes(texts: Mapping[str, str]) -> str:
    dash = "====="
    while any(f"{dash} " in text for text in texts.values()):
        dash += "="
    return dash


def understood(sheet: str, before: Mapping[str, str]) -> dict[str, str]:
    """The texts of a sheet; the line feed that an editor adds at an end is not a change. Raises UserError."""
    dash, texts, rest = _dashes(before), dict[str, str](), sheet.replace("\r\n", "\n")
    names = list(before)
    for place, name in enumerate(names):
        mark = f"{dash} {name} {dash}\n"
        if rest.count(mark) != 1:
            raise UserError(
                f"the mark `{mark.strip()}` is not there once", "put it back on a line of its own"
            )
        head, rest = rest.split(mark)
        if place:
            texts[names[place - 1]] = head
    texts[names[-1]] = rest
    for name, text in texts.items():
        text = text.removesuffix("\n") if name != names[-1] else text
        same = text.rstrip("\n") == before[name].replace("\r\n", "\n").rstrip("\n")
        texts[name] = before[name] if same else text.rstrip("\n")
    return checked(texts, before)


def checked(texts: dict[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Raises UserError where an instruction, an output or a message became empty."""
    for name, text in texts.items():
        may_be = name in ("input", "system") or (name not in FIELDS and not before[name].strip())
        if not may_be and not text.strip():
            raise UserError(f"the {name} is empty", "to take a row out, drop it (d)")
    return texts


def _by_field(before: Mapping[str, str], console: ReviewConsole) -> dict[str, str] | None:
    """Asks for each text; None where Ctrl-C gives the edit up."""
    console.say(
        "Enter leaves a text as it is, a single - empties it; a line that ends with \\ continues in the next.",
        "dim",
    )
    texts = dict(before)
    for name in before:
        lines = [console.ask(f"{name}: ")]
        while lines[-1] is not None and lines[-1].endswith("\\"):
            lines.append(console.ask("... "))
        if lines[-1] is None:
            return None
        said = "\n".join((line or "").removesuffix("\\") for line in lines)
        texts[name] = before[name] if not said else "" if said == "-" else said
    try:
        return checked(texts, before)
    except UserError as error:
        console.say(str(error), "yellow")
        return None
