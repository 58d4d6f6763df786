"""From a row to token ids and a mask: what the model sees, and which of it is learned.

Every prompt is tokenised exactly as `apply_chat_template` tokenises it at inference, each answer on its own as a
continuation, and the ids are joined: what the model sees in training is what it will see when it is used. No answer's
first character is merged into the prompt's last token, and every learned answer ends in its learned end token.

A conversation is one sequence as long as its history is tokenised the same when it is read again. Where it is not (an
answer that begins with a line feed, a template that leaves earlier reasoning out), the later answers get a sequence of
their own, with the history as a chat would send it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin, Rejected
from alpaca_pipe.models.chat_format import Chat, ChatFormat, NotWritable, not_written
from alpaca_pipe.models.continuation import Continuation
from alpaca_pipe.models.templates import Template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_AT_ONCE = 1000  # rows handed to the tokenizer's threads together


@dataclass(frozen=True)
class Encoded:
    """Token ids of one sequence; mask[i] is True where ids[i] is learned (the answers, each with its end token)."""

    ids: tuple[int, ...]
    mask: tuple[bool, ...]

    @property
    def learned(self) -> int:
        return sum(self.mask)

    def spans(self) -> list[tuple[int, int]]:
        """(first, past the last) place of each learned stretch."""
        edges = [
            place
            for place, (one, other) in enumerate(
                zip((False, *self.mask), (*self.mask, False), strict=True)
            )
            if one != other
        ]
        return list(zip(edges[::2], edges[1::2], strict=True))


EncodedRow = tuple[
    Encoded, ...
]  # one sequence; more where a conversation's history is read otherwise


@dataclass(frozen=True)
class _Exchange:
    """What stands before one learned answer, and the answer, as texts. plain: no template wrote into the answer."""

    prompt: str
    answer: str
    plain: bool


class Encoder:
    """Turns examples into ids for one tokenizer and one template. Building it checks the tokenizer on a few words."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template: Template) -> None:
        if not tokenizer.eos_token or tokenizer.eos_token_id is None:
            raise UserError(
                "the base model's tokenizer has no end-of-text token, so no answer would ever end",
                "set eos_token in its tokenizer_config.json",
            )
        self.tokenizer = tokenizer
        self.template = template
        self.form = ChatFormat.of(tokenizer, template)
        self._continuation = Continuation.of(tokenizer)
        self._check()

    def messages(self, example: Example) -> Chat:
        """What a chat sends to be answered: the row up to its last learned answer."""
        chat = self.form.chat(example)
        return chat[: _learned(example, chat)[-1]]

    def prompt_text(self, example: Example) -> str:
        """What stands before the last learned answer, special tokens included. Raises UserError where the template has no
        place for it."""
        try:
            return self.form.write(self.messages(example), True)
        except NotWritable as error:
            raise UserError(
                f"a prompt cannot be written: {error}", "use another template, or leave the row out"
            ) from None

    def prompts(self, examples: Sequence[Example]) -> list[list[int]]:
        """The ids of each prompt, as the model gets them when it is asked to answer."""
        return self._all_ids([self.prompt_text(example) for example in examples])

    def unwritten(self, example: Example) -> str:
        """Why the template cannot write a row, in a part of a sentence; "" where it can, or where the row's text is at fault."""
        if self.form.spelled(example):
            return ""
        told = self._exchanges(example)
        return told if isinstance(told, str) else ""

    def ids(self, text: str) -> list[int]:
        """Of a text that a template wrote."""
        return self._all_ids([text])[0]

    def answers(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each answer as a continuation, the end token last. A special token spelled out in it is plain text."""
        form = self.form
        plain = self._continuation.ids([f"{form.before}{text}{form.after}" for text in texts])
        return [[*ids, form.end_id] for ids in plain]

    def encode(
        self, examples: Sequence[Example], max_length: int
    ) -> Iterator[EncodedRow | Rejected]:
        """One answer a row, in order: its ids and mask, or why it is left out. No end token is ever cut off, and of each
        learned answer something is learned."""
        for start in range(0, len(examples), _AT_ONCE):
            rows = examples[start : start + _AT_ONCE]
            told = [self._exchanges(row) for row in rows]
            flat = [one for row in told if not isinstance(row, str) for one in row]
            ids = iter(
                zip(
                    self._all_ids([one.prompt for one in flat]), self._answer_ids(flat), strict=True
                )
            )
            for example, row in zip(rows, told, strict=True):
                if isinstance(row, str):
                    yield Rejected(example, "template", row)
                    continue
                pairs = [next(ids) for _ in row]
                fault = self._fault(example, pairs, max_length)
                yield Rejected(example, *fault) if fault else _sequences(pairs)

    def unsaid(self, examples: Iterable[Example]) -> Counter[str]:
        """How many messages' reasoning and tool calls the template does not write, so that they are not trained on."""
        found: Counter[str] = Counter()
        for example in examples:
            if all(not (one.reasoning or one.tool_calls) for one in example.messages):
                continue
            told = self._exchanges(example)
            if isinstance(told, str):
                continue
            answers = iter(told)
            for one in example.messages:
                text = next(answers).answer if one.is_learned else told[-1].prompt
                found.update(not_written(one, text))
        return found

    def _exchanges(self, example: Example) -> list[_Exchange] | str:
        """Each learned answer with what stands before it; or why the template cannot write the row."""
        if spelled := self.form.spelled(example):
            return spelled
        try:
            chat = self.form.chat(example)
            found = []
            for place, message in zip(
                _learned(example, chat), filter(_is_learned, example.conversation()), strict=True
            ):
                prompt = self.form.write(chat[:place], True)
                plain = chat[place].keys() <= {"role", "content"}
                answer = self.form.answer(chat, place, prompt)
                if not plain and not message.text and "tool calls" in not_written(message, answer):
                    return f"the template does not write the tool calls of message {place + 1}, which is nothing else"
                found.append(_Exchange(prompt, answer, plain))
        except NotWritable as error:
            return str(error)
        if example.messages and (lost := _left_out(chat[:place], found[-1].prompt)):
            return f"the template leaves out message {lost}"
        return found

    def _all_ids(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return ids

    def _answer_ids(self, told: Sequence[_Exchange]) -> list[list[int]]:
        end = self.form.end_id
        ids = self._continuation.ids([one.answer for one in told])
        return [
            [*(plain if one.plain else self._continuation.ids_with_control(one.answer)), end]
            for one, plain in zip(told, ids, strict=True)
        ]

    def _fault(
        self, example: Example, pairs: Sequence[tuple[list[int], list[int]]], most: int
    ) -> tuple[str, str] | None:
        """(rule, why) the row is not trained on."""
        for number, (_, answer) in enumerate(pairs, 1):
            if example.messages and len(answer) < 2:
                return (
                    "template",
                    f"nothing of answer {number} is written, so nothing of it would be learned",
                )
            if self.form.end_id in answer[:-1]:
                return "template", f"answer {number} holds the end token {self.form.end}"
        length = max(len(prompt) + len(answer) for prompt, answer in pairs)
        if length <= most:
            return None
        return "max_length", f"{length} tokens with prompt and EOS, at most {most} fit"

    def _check(self) -> None:
        """Prompt and answer joined must decode to the text: a tokenizer that adds a blank or a token shows here."""
        prompt = self.prompts([_SAMPLE])[0]
        end = self.prompt_text(_SAMPLE)[
            -8:
        ]  # only the end: special tokens further up may decode with blanks
        for text in ("word", " word", "\nword", "3.5", "«é»"):
            whole = self.tokenizer.decode(
                [*prompt, *self._continuation.ids([text])[0]], clean_up_tokenization_spaces=False
            )
            if not whole.endswith(end + text):
                raise UserError(
                    f"the base model's tokenizer does not give back the text {text!r} when it follows a prompt",
                    "use a model whose tokenizer.json is of a byte-level or SentencePiece kind",
                )


def joined(prompt: Sequence[int], answer: Sequence[int]) -> Encoded:
    return Encoded((*prompt, *answer), (False,) * len(prompt) + (True,) * len(answer))


def _is_learned(message: Message) -> bool:
    return message.is_learned


def _learned(example: Example, chat: Chat) -> list[int]:
    """The places of the learned answers in the chat."""
    messages = example.conversation()
    before = len(chat) - len(messages)  # a system message
    return [before + place for place, one in enumerate(messages) if one.is_learned]


def _left_out(chat: Chat, prompt: str) -> int:
    """The number of the first message that is not in the text of the prompt, answers aside; 0: all are."""
    for number, one in enumerate(chat, 1):
        if one["role"] != "assistant" and one["content"].strip() not in prompt:
            return number
    return 0


def _sequences(pairs: Sequence[tuple[list[int], list[int]]]) -> EncodedRow:
    """The answers of a row in as few sequences as there can be: each answer stands after exactly its own prompt."""
    done: list[Encoded] = []
    ids: list[int] = []
    mask: list[bool] = []
    for prompt, answer in pairs:
        if ids and prompt[: len(ids)] != ids:
            done.append(Encoded(tuple(ids), tuple(mask)))
            ids, mask = [], []
        ids += prompt[len(ids) :] + answer
        mask += [False] * (len(ids) - len(mask) - len(answer)) + [True] * len(answer)
    return (*done, Encoded(tuple(ids), tuple(mask)))


_SAMPLE = Example.of("Name a colour.", "", "Blue.", Origin("seed"))
