"""A template of the user's own: a Jinja file, either a chat template over `messages` or a prompt with `instruction` and `output`.

It is tried here without a tokenizer, so that a plan refuses what is wrong with the file; what it writes around an answer is
proved by models/chat_format.py as it is for ours. A prompt becomes a chat template, since that is what every server renders.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema

from alpaca_pipe.core.config_table import existing_path
from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.models.templates import TEMPLATES, Template
from alpaca_pipe.models.templates.stanford_prompts import INPUT

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

ENDINGS = (".jinja", ".jinja2", ".j2")
_ANSWER = re.compile(r"\{\{-?\s*output\s*-?\}\}")
_ASKED, _SAID, _GIVEN = "question-5c1e", "answer-5c1e", "input-5c1e"
_CURE = "fix the file; the manual has one to begin with (docs/train.md)"


def template_of(named: str | Path) -> Template:
    """Ours by its name, or the one in a file. Raises UserError."""
    return TEMPLATES[named] if isinstance(named, str) else own_template(named)


@lru_cache(maxsize=8)
def _made(file: Path, text: str) -> Template:
    words = _read_by(file, text)
    if "messages" in words:
        return _chat(file, text)
    if "output" not in words:
        raise UserError(
            f"{file}: it uses neither `messages` nor `output`, so no answer would be in it", _CURE
        )
    return _prompt(file, text, words)


def own_template(file: Path) -> Template:
    """Raises UserError, one sentence, for what would make a tune learn nothing, or something else than is asked."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{file}: the file is not UTF-8", "save it as UTF-8") from None
    except OSError as error:
        raise UserError(
            f"{file}: {error.strerror or error}", "name a file with a template"
        ) from None
    return _made(file, text.removesuffix("\n"))  # as Jinja itself does it


def _environment() -> ImmutableSandboxedEnvironment:
    """As transformers renders chat templates."""
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    made.filters["tojson"] = lambda value, **_: str(value)
    made.globals["raise_exception"] = _raise
    made.globals["strftime_now"] = lambda form: form
    return made


def _raise(message: str) -> None:
    from jinja2 import TemplateError

    raise TemplateError(message)


def _read_by(file: Path, text: str) -> set[str]:
    """The names that a template reads. Refuses one that is no Jinja or reads other files."""
    try:
        from jinja2 import TemplateError, meta, nodes

        from alpaca_pipe.core.jinja_file import what_failed
    except ModuleNotFoundError:
        raise UserError(
            "a template of your own needs jinja2, which is not installed",
            "pip install 'alpaca-pipe[report]'",
        ) from None
    try:
        tree = _environment().parse(text)
    except (TemplateError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        raise UserError(
            f"{file}{f':{line}' if line else ''}: {what_failed(error)}", _CURE
        ) from None
    other = next(
        tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)), None
    )
    if other is not None:
        raise UserError(
            f"{file}:{other.lineno}: it reads another file, and a model is shipped with one template alone",
            "write the other file's text into it",
        )
    return set(meta.find_undeclared_variables(tree))


def _render(file: Path, body: str, chat: list[dict[str, Any]], ask: bool) -> str:
    from jinja2 import TemplateError

    from alpaca_pipe.core.jinja_file import FAILS, what_failed

    try:
        return str(
            _environment()
            .from_string(body)
            .render(messages=chat, add_generation_prompt=ask, bos_token="", eos_token="</s>")
        )
    except (TemplateError, *FAILS) as error:
        raise UserError(f"{file} cannot write a row: {what_failed(error)}", _CURE) from None


def _chat(file: Path, text: str) -> Template:
    one = [_said("user", _ASKED), _said("assistant", _SAID)]
    _once(file, _render(file, text, one, False))
    if _ASKED not in _render(file, text, one[:1], True):
        raise UserError(f"{file} leaves the question out of what is asked", _CURE)
    try:
        two = _render(file, text, [*one, _said("user", _GIVEN), _said("assistant", "b")], False)
        many = _ASKED in two and _GIVEN in two
    except UserError:
        many = False
    return Template(file.name, "your own", text, many_turns=many, own=True)


def _prompt(file: Path, text: str, words: set[str]) -> Template:
    """A chat template of one exchange that writes what the prompt writes."""
    from jinja2 import TemplateSyntaxError

    parts = _ANSWER.split(text)
    if len(parts) != 2:
        raise UserError(
            f"{file} writes {{{{ output }}}} {len(parts) - 1} times, and once is wanted", _CURE
        )
    if "instruction" not in words:
        raise UserError(f"{file} leaves `instruction` out of what is asked", _CURE)
    if unknown := words - {"instruction", "input", "output", "system", "bos_token", "eos_token"}:
        name = min(unknown)
        raise UserError(
            f"{file} uses `{name}`, which a row does not have",
            did_you_mean(name, ("instruction", "input", "output", "system")),
        )
    before, after = parts
    for part in parts:
        try:
            _environment().parse(part)
        except TemplateSyntaxError:
            raise UserError(
                f"{file} has {{{{ output }}}} inside a block, and every row has its answer",
                "close the block before it",
            ) from None
    end = after if after.strip() else "{{ eos_token }}"
    sep = INPUT.replace("\n", "\\n")
    body = (
        "{% set ns = namespace(system='') %}{% for message in messages %}"
        "{% if message['role'] == 'system' %}{% set ns.system = message['content'] %}"
        f"{{% elif message['role'] == 'assistant' %}}{{{{ message['content'] }}}}{end}"
        f"{{% else %}}{{% set parts = message['content'].split('{sep}') %}}"
        "{% set system = ns.system %}{% set instruction = parts[0] %}"
        f"{{% set input = message.get('input') or (parts[1:] | join('{sep}')) %}}{before}"
        "{% endif %}{% endfor %}"
    )
    both = "{instruction}" + INPUT + "{input}" if "input" in words else ""
    if "input" not in words:
        body = body.replace("parts[0]", "message['content']")
    row = _said("user", _ASKED + (INPUT + _GIVEN if both else ""))
    whole = _render(file, body, [row, _said("assistant", _SAID)], False)
    _once(file, whole)
    for what, sentinel in (("instruction", _ASKED), *([("input", _GIVEN)] if both else [])):
        if sentinel not in whole.partition(_SAID)[0]:
            raise UserError(f"{file} leaves `{what}` out of what is asked", _CURE)
    system = "" if "system" in words else "; no system text"
    return Template(
        file.name,
        f"your own, one exchange{system}",
        body,
        many_turns=False,
        with_input=both,
        without_input="{instruction}" if both else "",
        own=True,
    )


def _said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


def _once(file: Path, whole: str) -> None:
    if (count := whole.count(_SAID)) != 1:
        how = "leaves the answer out" if not count else f"writes an answer {count} times"
        raise UserError(f"{file} {how}", _CURE)


def _known(value: Any, info: ValidationInfo) -> str | Path:
    if isinstance(value, Path) or (isinstance(value, str) and value.endswith(ENDINGS)):
        return existing_path(value, info)
    if isinstance(value, str) and value in TEMPLATES:
        return value
    names = ", ".join(TEMPLATES)
    raise ValueError(
        f"should be one of {names}, or a Jinja file of your own (mine.jinja) - {did_you_mean(str(value), TEMPLATES)}"
    )


TemplateChoice = Annotated[
    str | Path,
    PlainValidator(_known, json_schema_input_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": list(TEMPLATES)},
                {"type": "string", "pattern": r"\.(jinja2?|j2)$"},
            ]
        }
    ),
]
