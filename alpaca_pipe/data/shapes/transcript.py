"""A conversation that is one text: a rendered chat template, or speakers' names before what they say. It is parsed back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from alpaca_pipe.core.example import Example, Message, Role
from alpaca_pipe.data.shapes.base import About, NotHeld, ShapeFit
from alpaca_pipe.data.shapes.layout import Kind, Layout
from alpaca_pipe.data.shapes.roles import role_of
from alpaca_pipe.data.shapes.turns import conversation
from alpaca_pipe.data.shapes.values import text_of

name = "transcript"
_ONE: tuple[Kind, ...] = ("text", "json")

# Chat templates: what begins a turn of whom.
_MARKS = re.compile(
    r"<\|im_start\|>(\w+)[ \t]*\n?"
    r"|<\|start_header_id\|>(\w+)<\|end_header_id\|>\s*"
    r"|<\|header_start\|>(\w+)<\|header_end\|>\s*"
    r"|<\|start\|>(\w+)(?:<\|channel\|>final)?<\|message\|>"
    r"|<start_of_turn>(\w+)[ \t]*\n?"
    r"|<\|start_of_role\|>(\w+)<\|end_of_role\|>"
    r"|<\|START_OF_TURN_TOKEN\|><\|(\w+)_TOKEN\|>"
    r"|<｜(User|Assistant)｜>"
    r"|<\|(?i:(user|assistant|system|prompter|human|bot|moss|model|ai|tool|observation))\|>:?[ \t]*\n?"
    r"|\[\|(Human|AI|User|Assistant|System)\|\]:?[ \t]*"
)
# Tokens that stand before a text, between turns or behind them, and say nothing.
ENDS = re.compile(
    r"<\|(?:im_end|eot_id|eot|end|endoftext|end_of_text|begin_of_text|END_OF_TURN_TOKEN|end_of_turn|eom_id|eom|return|startoftext|eos|bos)\|>"
    r"|</?s>|<end_of_turn>|<(?:bos|eos|eo[hmactr]|EOS|BOS_TOKEN|EOS_TOKEN|END_OF_TURN_TOKEN)>"
    r"|<｜(?:begin|end)▁of▁sentence｜>|\[EOS\]|\[gMASK\]|<sop>|\n#{2,3} ?End\s*\Z"
)
_LLAMA_2 = re.compile(r"\[INST\](.*?)\[/INST\](.*?)(?=\s*(?:<s>\s*)?\[INST\]|\Z)", re.DOTALL)
_LLAMA_SYSTEM = re.compile(r"\s*<<SYS>>\n?(.*?)\n?<</SYS>>\s*", re.DOTALL)
# Names before what is said, at the beginning of a line.
_HEADED = re.compile(
    r"^#{2,4} ?([^\W\d_][\w ]{0,24}?) ?:?[ \t]*(?:\n|(?<=:) ?|(?<=: )|\Z)", re.MULTILINE
)
# The same in the middle of a line, as some sets glue them.
_GLUED = re.compile(
    r"#{2,4} ?(Human|Assistant|User|System|Instruction|Input|Response|Prompter|Bot) ?:[ \t]*"
)
_SPOKEN = re.compile(r"^ ?(Human|Assistant|H|A|user|assistant) ?[:：] ?", re.MULTILINE)
_IN_TURN = re.compile(r"^ ?(User|Human|Assistant|AI|Bot) ?[:：] ?", re.MULTILINE)
_ONCE = re.compile(
    r"\s*(?:Q|Question|User|Customer|用户|问) ?[:：](.*?)\n\s*(?:A|Answer|Assistant|AI|Bot|Agent|助手|答) ?[:：]\s*",
    re.DOTALL,
)
_ONCE_MORE = re.compile(
    r"^[^\S\n]*(?:Q|A|Question|Answer|User|Assistant|AI|Bot) ?[:：]", re.MULTILINE
)
_VICUNA = re.compile(
    r"(?:^|(?<=\s)|(?<=</s>))(USER|ASSISTANT|SYSTEM|FUNCTION RESPONSE|GPT4 Correct User|GPT4 Correct Assistant): ?"
)
_LOOSE = re.compile(
    r"^ ?[<\[]?((?:[^\W\d_][\w-]*)(?: [\w-]+)?)[>\]]? ?[:：][ \t]*\n?", re.MULTILINE
)
_SIGNS = (":", "：", "#", "<", "[")  # each of the marks above has one
_FRAMES = re.compile(
    r"(?:Below is an instruction that describes|A chat between a curious|"
    r"The conversation between (?:human|user) and)[^\n]*\Z",
    re.IGNORECASE,
)


_WHO: dict[str, Role | str] = {
    "h": "user",
    "a": "assistant",
    "prompter": "user",
    "function response": "tool",
    "gpt4 correct user": "user",
    "gpt4 correct assistant": "assistant",
    "anweisung": "user",
    "frage": "user",
    "aufgabe": "user",
    "instrucción": "user",
    "pregunta": "user",
    "instrução": "user",
    "pergunta": "user",
    "consigne": "user",
    "指令": "user",
    "问题": "user",
    "質問": "user",
    "질문": "user",
    "инструкция": "user",
    "вопрос": "user",
    "antwort": "assistant",
    "respuesta": "assistant",
    "resposta": "assistant",
    "réponse": "assistant",
    "回答": "assistant",
    "输出": "assistant",
    "出力": "assistant",
    "답변": "assistant",
    "출력": "assistant",
    "ответ": "assistant",
    "input": "context",
    "context": "context",
    "eingabe": "context",
    "entrada": "context",
    "entrée": "context",
    "kontext": "context",
    "输入": "context",
    "入力": "context",
    "입력": "context",
    "ввод": "context",
}


class NoTurns(Exception):
    """The text is no conversation."""


def fit(layout: Layout) -> ShapeFit | None:
    """A text, where no answer has a column of its own."""
    found = layout.first("text", "messages", "instruction", "input", "output", kinds=_ONE)
    if not found:
        return None
    return ShapeFit.of(text=found, system=layout.first("system"))


def rows(row: Mapping[str, Any], fit: ShapeFit, about: About) -> Iterator[Example]:
    key = fit.key("text")
    told = parsed(row[key], loose=True)
    if not told:
        raise NoTurns
    system = text_of(row[key], f"'{key}'", about) if (key := fit.key("system")) else ""
    about.say("a rendered template is parsed back")
    try:
        yield Example.of_messages(conversation(told, about), about.origin(), system)
    except ValueError as error:
        raise NotHeld(str(error)) from None


def parsed(text: str, opened: bool = False, loose: bool = False) -> list[Message]:
    """The turns of a text; none where it is no conversation throughout.

    opened: it is a prompt, which ends where the answer would begin: without that, only a template's own tokens count.
    loose: any two speakers count, where the whole text is in their turns.
    """
    if not any(sign in text for sign in _SIGNS):
        return []
    if "[INST]" in text and (found := _llama_2(text)):
        return found
    if _MARKS.search(text):
        return _turns(text, _MARKS)
    if "<|start|>" in text and "<|channel|>analysis" in text:
        return []  # what was thought stands among what was said
    bare = ENDS.sub("\n", text)
    if opened and (found := _asked_once(bare) or _asked_last(bare)):
        return found
    for pattern in (_HEADED, _GLUED, _SPOKEN, _VICUNA):
        if found := _turns(bare, pattern, open_only=opened):
            return found
    return _turns(bare, _LOOSE) if loose else []


def _asked_once(text: str) -> list[Message]:
    """`Question: ...` and below it `Answer:`, which the output answers; several of them are examples, and stay."""
    found = _ONCE.fullmatch(text)
    if not found or _ONCE_MORE.search(found[1]):
        return []
    return [Message("user", found[1].strip())]


def _asked_last(text: str) -> list[Message]:
    """`User: ...`, `Assistant: ...`, `User: ...`: exchanges and the question that the output answers."""
    said = _turns(text, _IN_TURN)
    roles = [one.role for one in said]
    whole = roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
    return said if whole and len(roles) > 2 and _IN_TURN.match(text.lstrip()) else []


def _llama_2(text: str) -> list[Message]:
    found = list(_LLAMA_2.finditer(text))
    if not found or _clean(text[: found[0].start()]):
        return []
    said: list[Message] = []
    for turn in found:
        asked, answer = turn[1], _clean(turn[2])
        if system := _LLAMA_SYSTEM.match(asked):
            said.append(Message("system", system[1].strip()))
            asked = asked[system.end() :]
        said.append(Message("user", _clean(asked)))
        if answer:
            said.append(Message("assistant", answer))
    return said


def _turns(text: str, pattern: re.Pattern[str], open_only: bool = False) -> list[Message]:
    """What stands between the marks, by whom; [] where a mark is nobody's, or nobody asks, or nobody answers."""
    marks = [(one, _who(one)) for one in pattern.finditer(text)]
    marks = [(one, role) for one, role in marks if role]
    roles = [role for _, role in marks]
    if "user" not in roles or "assistant" not in roles or roles[0] not in ("user", "system"):
        return []
    before = _clean(text[: marks[0][0].start()])
    said: list[Message] = []
    if before and not _FRAMES.match(before):
        if pattern is not _MARKS and pattern is not _VICUNA:
            return []
        said.append(Message("system", before))
    ends = [one.start() for one, _ in marks[1:]] + [len(text)]
    for (mark, role), end in zip(marks, ends, strict=True):
        body = _clean(text[mark.end() : end])
        if role == "context":
            if not said or said[-1].role != "user":
                return []
            joined = f"{said[-1].text}\n\n{body}" if body else said[-1].text
            said[-1] = Message("user", joined)
        elif body or role == "user":
            said.append(Message(role, body))  # type: ignore[arg-type]
    is_open = said[-1].role != "assistant" and roles[-1] == "assistant"
    return said if is_open or not open_only else []


def _who(mark: re.Match[str]) -> Role | str | None:
    spelled = next(part for part in mark.groups() if part)
    word = spelled.strip().lower()
    return _WHO.get(word) or role_of(word, {})


def _clean(text: str) -> str:
    return ENDS.sub("", text).strip()
