"""Ollama's Modelfile: the GGUF, its stop words, and the chat template once more, in the language that Ollama renders.

The template is found as models/chat_format.py finds an answer's end: sentinels are rendered, and what stands between them is
what the template writes. It is kept only where it then renders conversations as the chat template does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from alpaca_pipe.models.chat_format import Chat, ChatFormat, NotWritable

_SYSTEM, _USER, _ANSWER, _AGAIN = "system-4b1d", "user-4b1d", "answer-4b1d", "again-4b1d"


@dataclass(frozen=True)
class Blocks:
    """What a chat template writes around the texts of a conversation.

    begin: before the first message where there is no system text.  asked: after a question, up to where the answer begins.
    before_answer: after `asked`, where an answer is already there (else the model writes it).  answered: after an answer that is
    followed by a question; None where the template holds one exchange only.
    """

    begin: str
    before_system: str
    after_system: str
    before_user: str
    asked: str
    before_answer: str
    answered: str | None

    def render(self, chat: Chat) -> str:
        """The text that asks for the next answer."""
        text = "" if chat[0]["role"] == "system" else self.begin
        for message in chat:
            match message["role"]:
                case "system":
                    text += f"{self.before_system}{message['content']}{self.after_system}"
                case "user":
                    text += f"{self.before_user}{message['content']}{self.asked}"
                case _:
                    text += f"{self.before_answer}{message['content']}{self.answered}"
        return text


def blocks(form: ChatFormat, bos: str) -> Blocks | None:
    """None where the template does more than to write the same text around each message. bos: taken off the beginning, where
    the GGUF says that llama.cpp puts it there; else empty."""
    try:
        found = _found(form, bos)
        same = all(
            bos + found.render(chat) == form.write(chat, True)
            for chat in (_CHATS if found.answered is not None else _CHATS[:1])
        )
    except (NotWritable, ValueError):
        return None
    return found if same else None


def modelfile(file: str, blocks: Blocks | None, stops: Sequence[str]) -> str:
    """The text of a Modelfile that stands beside `file`."""
    lines = ["# ollama create NAME -f Modelfile", f"FROM ./{file}"]
    if blocks is None:
        lines += [
            "# The chat template cannot be said in Ollama's language: it uses the one in the GGUF."
        ]
    elif blocks.answered is None:
        lines += [
            "# This model was trained on single exchanges.",
            f'TEMPLATE """{_single(blocks)}"""',
        ]
    else:
        lines += [f'TEMPLATE """{_many(blocks, blocks.answered)}"""']
    lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in stops]
    return "\n".join(lines) + "\n"


def _found(form: ChatFormat, bos: str) -> Blocks:
    user = {"role": "user", "content": _USER}
    begin, asked = form.write([user], True).removeprefix(bos).split(_USER)
    before_system = after_system = ""
    if form.takes_system:
        with_system = form.write([{"role": "system", "content": _SYSTEM}, user], True)
        before_system, rest = with_system.removeprefix(bos).split(_SYSTEM)
        after_system = rest.split(_USER)[0]
    if not form.template.many_turns:
        return Blocks("", before_system, after_system, begin, asked, "", None)
    chat: Chat = [
        user,
        {"role": "assistant", "content": _ANSWER},
        {"role": "user", "content": _AGAIN},
    ]
    before, after = form.write(chat, True).split(_ANSWER)
    before_answer = before.split(_USER)[1]
    if not before_answer.startswith(asked):
        raise ValueError("an answer that is there begins differently from one that is to come")
    between = after.split(_AGAIN)[0]
    before_user = _common_end(begin, between)
    if form.takes_system:
        before_user = _common_end(before_user, after_system)
    return Blocks(
        begin.removesuffix(before_user),
        before_system,
        after_system.removesuffix(before_user),
        before_user,
        asked,
        before_answer.removeprefix(asked),
        between.removesuffix(before_user),
    )


def _common_end(one: str, other: str) -> str:
    size = 0
    while size < min(len(one), len(other)) and one[-1 - size] == other[-1 - size]:
        size += 1
    return one[len(one) - size :]


def _many(blocks: Blocks, answered: str) -> str:
    begin = f"{{{{ if not .System }}}}{_text(blocks.begin)}{{{{ end }}}}" if blocks.begin else ""
    return (
        f"{begin}{{{{ range .Messages }}}}"
        f'{{{{ if eq .Role "system" }}}}{_around(blocks.before_system, blocks.after_system)}'
        f'{{{{ else if eq .Role "user" }}}}{_around(blocks.before_user, blocks.asked)}'
        f"{{{{ else }}}}{_around(blocks.before_answer, answered)}{{{{ end }}}}{{{{ end }}}}"
    )


def _single(blocks: Blocks) -> str:
    system = '{{ if .System }}{{ .System }}{{ "\\n\\n" }}{{ end }}'
    return f"{_text(blocks.before_user)}{system}{{{{ .Prompt }}}}{_text(blocks.asked)}{{{{ .Response }}}}"


def _around(before: str, after: str) -> str:
    return f"{_text(before)}{{{{ .Content }}}}{_text(after)}"


def _text(text: str) -> str:
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if text else ""


_CHATS: tuple[Chat, ...] = tuple(
    [{"role": role, "content": text} for role, text in turns]
    for turns in (
        (("user", "Name a colour."),),
        (("user", "Name a colour."), ("assistant", "Blue."), ("user", "Another.")),
        (("system", "Be brief."), ("user", "Hello."), ("assistant", "Hi."), ("user", "Bye.")),
    )
)
