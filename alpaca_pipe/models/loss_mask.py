"""From an example to token ids and a mask, and back to text that shows what is learned.

The prompt is tokenised exactly as `apply_chat_template` tokenises it at inference, the answer on its own as a
continuation, and the ids are joined: what the model sees in training is what it will see when it is used. No answer's
first character is merged into the prompt's last token, and EOS is always last and always learned.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin, Rejected
from alpaca_pipe.core.files import read_json, write_json
from alpaca_pipe.models.templates import TEMPLATES, Template
from alpaca_pipe.weights.checkpoint import save_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

_AT_ONCE = 1000  # rows handed to the tokenizer's threads together


@dataclass(frozen=True)
class Encoded:
    """Token ids of one row; mask[i] is True where ids[i] is learned (the answer and EOS)."""

    ids: tuple[int, ...]
    mask: tuple[bool, ...]

    @property
    def learned(self) -> int:
        return sum(self.mask)


class Encoder:
    """Turns examples into ids for one tokenizer and one template. Building it checks the tokenizer on a few words."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template: Template) -> None:
        if tokenizer.eos_token_id is None:
            raise UserError(
                "the base model's tokenizer has no end-of-text token, so no answer would ever end",
                "set eos_token in its tokenizer_config.json",
            )
        if template.is_chat and not tokenizer.chat_template:
            raise UserError(
                "template 'chat' asks for the tokenizer's own chat template, and it has none",
                "use template: alpaca",
            )
        self.tokenizer = tokenizer
        self.template = template
        self.jinja = (
            tokenizer.chat_template if template.is_chat else chat_template(tokenizer, template)
        )
        self._continuation = _continuation(tokenizer)
        self._check()

    def prompt_text(self, example: Example) -> str:
        """What stands before the answer, special tokens included."""
        text = self.tokenizer.apply_chat_template(
            self.messages(example),
            chat_template=self.jinja,
            add_generation_prompt=True,
            tokenize=False,
        )
        assert isinstance(text, str)
        return text

    def messages(self, example: Example) -> list[dict[str, str]]:
        """The example as chat messages. Our templates know an `input` key; a foreign one gets it as a second part."""
        user = {"role": "user", "content": example.instruction}
        if example.input and self.template.is_chat:
            user["content"] += f"\n\n{example.input}"
        elif example.input:
            user["input"] = example.input
        return [{"role": "system", "content": example.system}, user] if example.system else [user]

    def prompts(self, examples: Sequence[Example]) -> list[list[int]]:
        """The ids of each prompt, as the model gets them when it is asked to answer."""
        if not examples:
            return []
        texts = [self.prompt_text(example) for example in examples]
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return ids

    def answers(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each answer as a continuation, EOS last. A special token spelled out in it is plain text."""
        eos: int = self.tokenizer.eos_token_id
        return [
            [*found.ids, eos]
            for found in self._continuation.encode_batch(list(texts), add_special_tokens=False)
        ]

    def encode(self, examples: Sequence[Example], max_length: int) -> Iterator[Encoded | Rejected]:
        """One answer a row, in order: its ids and mask, or why it is left out (its EOS is never cut off)."""
        for start in range(0, len(examples), _AT_ONCE):
            rows = examples[start : start + _AT_ONCE]
            pairs = zip(
                rows, self.prompts(rows), self.answers([row.output for row in rows]), strict=True
            )
            for example, prompt, answer in pairs:
                length = len(prompt) + len(answer)
                if length <= max_length:
                    yield joined(prompt, answer)
                else:
                    yield Rejected(
                        example,
                        "max_length",
                        f"{length} tokens with prompt and EOS, at most {max_length} fit",
                    )

    def _check(self) -> None:
        """Prompt and answer joined must decode to the text: a tokenizer that adds a blank or a token shows here."""
        prompt = self.prompts([_SAMPLE])[0]
        end = self.prompt_text(_SAMPLE)[
            -8:
        ]  # only the end: special tokens further up may decode with blanks
        for text in ("word", " word", "\nword", "3.5", "«é»"):
            whole = self.tokenizer.decode(
                [*prompt, *self.answers([text])[0][:-1]], clean_up_tokenization_spaces=False
            )
            if not whole.endswith(end + text):
                raise UserError(
                    f"the base model's tokenizer does not give back the text {text!r} when it follows a prompt",
                    "use a model whose tokenizer.json is of a byte-level or SentencePiece kind",
                )


def joined(prompt: Sequence[int], answer: Sequence[int]) -> Encoded:
    return Encoded((*prompt, *answer), (False,) * len(prompt) + (True,) * len(answer))


def chat_template(tokenizer: PreTrainedTokenizerBase, template: Template) -> str:
    """Our template as Jinja: user messages (with an optional `input` key) become prompts, answers end in EOS.

    BOS stands first when the tokenizer itself puts it before a text. The user's turn ends where the answer begins, so
    `add_generation_prompt` changes nothing.
    """
    adds_bos = (
        tokenizer.bos_token_id is not None
        and tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    )
    return "".join(
        (
            "{{ bos_token }}" if adds_bos else "",
            "{% for message in messages %}",
            "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}",
            "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}",
            "{% elif message.get('input') %}{{ " + _jinja_text(template.with_input) + " }}",
            "{% else %}{{ " + _jinja_text(template.without_input) + " }}{% endif %}",
            "{% endfor %}",
        )
    )


def save_template(folder: Path, encoder: Encoder) -> None:
    """Writes the tokenizer with its chat template and template.json into `folder`, reads them back and compares ids."""
    own, encoder.tokenizer.chat_template = encoder.tokenizer.chat_template, encoder.jinja
    save_tokenizer(encoder.tokenizer, folder)
    encoder.tokenizer.chat_template = own
    write_json(
        folder / "template.json",
        {"template": encoder.template.name, "sha256": _digest(encoder.jinja)},
    )
    from transformers import AutoTokenizer

    saved = AutoTokenizer.from_pretrained(folder)
    for sample in (_SAMPLE, _SAMPLE_WITH_INPUT):
        asked = saved.apply_chat_template(encoder.messages(sample), add_generation_prompt=True)[
            "input_ids"
        ]
        if asked != encoder.prompts([sample])[0]:
            raise UserError(
                f"the tokenizer saved in {folder} tokenises a prompt otherwise than in training",
                "report this with the name of the base model: its tokenizer does not survive saving",
            )


def saved_encoder(tokenizer: PreTrainedTokenizerBase, folder: Path) -> Encoder:
    """The encoder that a model folder was trained with. `tokenizer` is the one in the folder."""
    said = read_json(folder / "template.json")
    if said["template"] not in TEMPLATES or said["sha256"] != _digest(str(tokenizer.chat_template)):
        raise UserError(
            f"the chat template in {folder} is not the one the model was trained with",
            "train again, or restore the folder's chat_template.jinja",
        )
    return Encoder(tokenizer, TEMPLATES[said["template"]])


class Piece(NamedTuple):
    """A stretch of text of a row, one token or the few that spell one character."""

    text: str
    learned: bool


def show_mask(encoded: Encoded, tokenizer: PreTrainedTokenizerBase) -> list[Piece]:
    """The row as the model sees it, token by token; the texts join to the decoded row."""
    pieces: list[Piece] = []
    shown = ""
    for end in range(1, len(encoded.ids) + 1):
        text = tokenizer.decode(encoded.ids[:end], clean_up_tokenization_spaces=False)
        if end < len(encoded.ids) and text.endswith("\ufffd"):
            continue  # in the middle of a character of several bytes
        pieces.append(Piece(text[len(shown) :], encoded.mask[end - 1]))
        shown = text
    return pieces


_SAMPLE = Example.of("Name a colour.", "", "Blue.", Origin("seed"))
_SAMPLE_WITH_INPUT = Example.of("Add the numbers.", "2, 3", "5", Origin("seed"))


def _jinja_text(text: str) -> str:
    """A format string as a Jinja expression."""
    names = {"{instruction}": "message['content']", "{input}": "message['input']"}
    return " + ".join(
        names.get(part) or json.dumps(part) for part in re.split(r"(\{\w+\})", text) if part
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _continuation(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """The tokenizer's copy for text that follows other text: no dummy blank before it, no special tokens in it."""
    from tokenizers import Tokenizer

    if not tokenizer.is_fast:
        raise UserError(
            "the base model has no tokenizer.json, so answers cannot be tokenised as continuations",
            "save its tokenizer once with transformers, in the fast form",
        )
    plan = json.loads(tokenizer.backend_tokenizer.to_str())
    plan["normalizer"] = _without_prefix(plan["normalizer"])
    plan["pre_tokenizer"] = _without_prefix(plan["pre_tokenizer"])
    plan["truncation"] = plan["padding"] = None
    copy = Tokenizer.from_str(json.dumps(plan))
    copy.encode_special_tokens = True
    return copy


def _without_prefix(part: Any) -> Any:
    """A normalizer or pre-tokenizer of tokenizer.json that adds nothing before the text."""
    if part is None or part["type"] == "Prepend":
        return None
    part = dict(part)
    for inner in ("normalizers", "pretokenizers"):
        if inner in part:
            part[inner] = [
                kept for one in part[inner] if (kept := _without_prefix(one)) is not None
            ]
    if "prepend_scheme" in part:
        part["prepend_scheme"] = "never"
    if "add_prefix_space" in part:
        part["add_prefix_space"] = False
    return part
