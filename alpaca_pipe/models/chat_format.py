"""What a template writes, found by rendering it: the prompt, what stands around an answer, and the token that ends one.

Nothing is guessed from a template's text. A sentinel is rendered as the answer; what stands before it is the prompt, and the
first token after it is the end. The prompt must be the one that `add_generation_prompt` gives, which is what a chat asks
with. Blanks may stand between the two, or between the answer and its end: these the model writes itself, so they are
learned with the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message
from alpaca_pipe.models.templates import Template
from alpaca_pipe.models.templates.stanford_prompts import INPUT

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Chat = list[dict[str, Any]]  # messages as a chat template reads them


class NotWritable(Exception):
    """The template cannot write this conversation: the reason, in a part of a sentence."""


@dataclass(frozen=True)
class ChatFormat:
    """One tokenizer's template, ready to write. before, after: the blanks around an answer that are learned with it.

    takes_system, takes_tools: whether a system text and a tool's result come out of it.
    """

    tokenizer: PreTrainedTokenizerBase
    template: Template
    jinja: str
    before: str
    after: str
    end: str  # the token that ends an answer, as text
    takes_system: bool
    takes_tools: bool
    notes: tuple[str, ...] = ()  # what is done otherwise than the rows say, a sentence each

    @cached_property
    def _control(self) -> re.Pattern[str] | None:
        tokens = self.tokenizer.added_tokens_decoder.values()
        known = {str(one) for one in tokens if one.special} | set(self.tokenizer.all_special_tokens)
        found = sorted(filter(None, known), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, found))) if found else None

    def spelled(self, example: Example) -> str | None:
        """The control token that a row's texts spell out, as a reason to leave the row out; None where there is none.

        In what is asked it would be read as that token, here and by every server; in an answer it is letters. No model could
        learn to tell the two apart.
        """
        for one in (example.system, *example.texts) if self._control else ():
            if self._control and (found := self._control.search(one)):
                return f"its text spells {found[0]}, a control token of the base"
        return None

    @property
    def end_id(self) -> int:
        return int(self.tokenizer.convert_tokens_to_ids(self.end))

    @staticmethod
    def of(tokenizer: PreTrainedTokenizerBase, template: Template) -> ChatFormat:
        """Raises UserError where the tokenizer cannot write the template, or where its prompt and its answers disagree."""
        notes: tuple[str, ...] = ()
        if not template.is_chat:
            _check_control(tokenizer, template)
            written = template.own and "bos_token" in template.body  # by the file itself
            jinja = ("" if written else _bos_first(tokenizer)) + template.body
            found = _around(tokenizer, jinja, template)
        else:
            jinja = own_template(tokenizer)
            try:
                found = _around(tokenizer, jinja, template)
            except UserError:
                jinja = _WITHOUT_THINKING + jinja
                found = _around(tokenizer, jinja, template)
                notes = ("the chat template is used without thinking: enable_thinking is false",)
        takes_system = _comes_out(tokenizer, jinja, _WITH_SYSTEM, _ASKED, True)
        if not takes_system:
            notes = (*notes, "the template takes no system text: it stands before the user's")
        takes_tools = template.many_turns and any(
            _comes_out(tokenizer, jinja, messages, _RESULT, False) for messages in _WITH_TOOLS
        )
        return ChatFormat(tokenizer, template, jinja, *found, takes_system, takes_tools, notes)

    def chat(self, example: Example) -> Chat:
        """The messages of a row. Stanford's templates have a place for an input; others get it below the instruction.

        Raises NotWritable for what the template has no place for.
        """
        messages = example.conversation()
        if not self.template.holds(example):
            raise NotWritable(
                f"template {self.template.name} holds one exchange, and it is {_turns(messages)}"
            )
        if not self.takes_tools and any(one.role == "tool" for one in messages):
            raise NotWritable(f"template {self.template.name} has no place for a tool's result")
        told = [_as_chat(one) for one in messages]
        if self.template.with_input and example.input and not example.messages:
            text = f"{example.instruction}{INPUT}{example.input}"
            told[0] = {"role": "user", "content": text}
        if example.system and self.takes_system:
            return [{"role": "system", "content": example.system}, *told]
        if example.system:
            first = next(place for place, one in enumerate(messages) if one.role == "user")
            told[first] |= {"content": f"{example.system}\n\n{told[first]['content']}"}
        return told

    def bare(self, answer: str) -> str:
        """What a model wrote as the answer, without the blanks that the template has around one."""
        return answer.removeprefix(self.before).removesuffix(self.after)

    def write(self, chat: Chat, ask: bool) -> str:
        """The text, special tokens included. ask: an answer is to follow. Raises NotWritable."""
        return _written(self.tokenizer, self.jinja, chat, ask)

    def answer(self, chat: Chat, place: int, prompt: str) -> str:
        """What the model is to write at `chat[place]`, after `prompt`, without the end token: of reasoning and tool calls as
        much as the template writes there. Raises NotWritable."""
        message = chat[place]
        for dropped in (_NOTHING, _THOUGHT, _THOUGHT | _CALLS):
            kept = {name: value for name, value in message.items() if name not in dropped}
            if kept.keys() <= {"role", "content"}:
                return f"{self.before}{message['content']}{self.after}"
            whole = self.write([*chat[:place], kept], False)
            ended = whole.rfind(self.end)
            if whole.startswith(prompt) and ended >= len(prompt):
                return whole[len(prompt) : ended]
        raise NotWritable(f"the template does not write answer {place + 1} after its prompt")


def not_written(message: Message, text: str) -> list[str]:
    """What a message has beside its words, and a text that a template wrote has not."""
    missing = []
    if message.reasoning.strip() not in text:
        missing.append("reasoning")
    names = [str(call.get("function", call).get("name", "")) for call in message.tool_calls]
    if not all(name in text for name in names):
        missing.append("tool calls")
    return missing


def own_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """The tokenizer's chat template; of several named ones the default. Raises UserError where there is none."""
    own = tokenizer.chat_template
    if isinstance(own, Mapping):
        if "default" not in own:
            raise UserError(
                f"the tokenizer has the chat templates {', '.join(own)}, and none is named default",
                "name one of them default in its tokenizer_config.json, or use template: alpaca",
            )
        own = own["default"]
    if not own:
        raise UserError(
            "template 'chat' asks for the tokenizer's own chat template, and it has none",
            "use template: alpaca",
        )
    return str(own)


# A sentinel is a word that no template writes by itself.
_ASKED, _SAID, _RESULT = "question-7f3a", "answer-7f3a", "result-7f3a"
_USER = {"role": "user", "content": _ASKED}
_ANSWER = {"role": "assistant", "content": _SAID}
_WITH_SYSTEM: Chat = [
    {"role": "system", "content": _ASKED},
    {"role": "user", "content": "Hello."},
]
_CALL = {"name": "look", "arguments": {"what": "time"}}
_WITH_TOOLS: tuple[Chat, ...] = tuple(
    [
        _USER,
        {"role": "assistant", "content": "", "tool_calls": [{"id": "a1b2c3d4e", **call}]},
        {"role": "tool", "content": _RESULT, "name": "look", "tool_call_id": "a1b2c3d4e"},
        _ANSWER,
    ]
    for call in ({"type": "function", "function": _CALL}, _CALL)
)
_NOTHING = frozenset[str]()
_THOUGHT = frozenset({"reasoning_content", "name"})
_CALLS = frozenset({"tool_calls"})
_WITHOUT_THINKING = "{%- set enable_thinking = false %}"


def _around(
    tokenizer: PreTrainedTokenizerBase, jinja: str, template: Template
) -> tuple[str, str, str]:
    """(blanks before an answer, blanks after it, the end token)."""
    name = "the chat template" if template.is_chat else f"template {template.name}"
    cure = (
        "fix chat_template in the base's tokenizer, or use template: alpaca"
        if template.is_chat
        else f"fix {template.name}"
        if template.own
        else "use another template"
    )
    try:
        prompt = _written(tokenizer, jinja, [_USER], True)
        whole = _written(tokenizer, jinja, [_USER, _ANSWER], False)
    except NotWritable as error:
        raise UserError(f"{name} cannot write a question and its answer: {error}", cure) from None
    if whole.count(_SAID) != 1:
        raise UserError(f"{name} writes an answer {whole.count(_SAID)} times", cure)
    if _ASKED not in prompt:
        raise UserError(f"{name} leaves the question out of what is asked", cure)
    before, rest = whole.split(_SAID)
    if not before.startswith(prompt) or before[len(prompt) :].strip():
        raise UserError(
            f"{name} puts {before[-40:]!r} before an answer, and {prompt[-40:]!r} where it asks for one "
            "(add_generation_prompt): what is trained would not be what is asked",
            cure,
        )
    if not rest.strip():  # some write the end only where the conversation goes on
        rest = _between(tokenizer, jinja)
    bare = rest.lstrip()
    end = _first_token(tokenizer, bare)
    if not end:
        raise UserError(
            f"{name} writes {rest[:20]!r} after an answer, which is no end token: no answer would ever end",
            cure,
        )
    return before[len(prompt) :], rest[: len(rest) - len(bare)], end


def _between(tokenizer: PreTrainedTokenizerBase, jinja: str) -> str:
    """What stands between an answer and the next question."""
    try:
        whole = _written(
            tokenizer, jinja, [{"role": "user", "content": "Hello."}, _ANSWER, _USER], False
        )
    except NotWritable:
        return ""
    return whole.partition(_SAID)[2].partition(_ASKED)[0]


def _first_token(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """The control token that a text begins with, or ""."""
    known = {str(token) for token in tokenizer.added_tokens_decoder.values()}
    known |= set(tokenizer.all_special_tokens)
    return max((token for token in known if token and text.startswith(token)), key=len, default="")


def _comes_out(
    tokenizer: PreTrainedTokenizerBase, jinja: str, chat: Chat, sentinel: str, ask: bool
) -> bool:
    try:
        return sentinel in _written(tokenizer, jinja, chat, ask)
    except NotWritable:
        return False


def _written(tokenizer: PreTrainedTokenizerBase, jinja: str, chat: Chat, ask: bool) -> str:
    from jinja2 import TemplateError

    try:
        text = tokenizer.apply_chat_template(
            chat, chat_template=jinja, add_generation_prompt=ask, tokenize=False
        )
    except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise NotWritable(f"it says: {str(error).strip() or type(error).__name__}") from None
    return str(text)


def _bos_first(tokenizer: PreTrainedTokenizerBase) -> str:
    adds = (
        tokenizer.bos_token_id is not None
        and tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    )
    return "{{ bos_token }}" if adds else ""


def _check_control(tokenizer: PreTrainedTokenizerBase, template: Template) -> None:
    known = {str(token) for token in tokenizer.added_tokens_decoder.values()}
    missing = [token for token in template.control if token not in known]
    if missing:
        raise UserError(
            f"template {template.name} writes {' and '.join(missing)}, and the base's tokenizer has no such token",
            "use template: vicuna, which needs none, or chat, the base's own",
        )


def _as_chat(message: Message) -> dict[str, Any]:
    """In the keys that chat templates know; arguments of a call as an object, which most of them expect."""
    told: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.reasoning:
        told["reasoning_content"] = message.reasoning
    if message.tool_calls:
        told["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.name:
        told["name"] = message.name
    return told


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), str):
        return dict(call)
    try:
        arguments = json.loads(function["arguments"])
    except (ValueError, RecursionError):
        return dict(call)
    return {**call, "function": {**function, "arguments": arguments}}


def _turns(messages: Sequence[Message]) -> str:
    roles = [one.role for one in messages]
    shown = ", ".join(roles[:4])
    return f"{shown} ... {len(roles)} messages" if len(roles) > 4 else shown
