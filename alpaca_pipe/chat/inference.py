"""One loaded model that answers instructions as it was trained to read them, token by token."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.models.decoding import decoding, ends
from alpaca_pipe.models.run_as_base import base_folder
from alpaca_pipe.models.trained_model import Trained

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from alpaca_pipe.models.loss_mask import Encoder

Say = Callable[[str], None]


@dataclass(frozen=True)
class ChatSettings:
    """How to answer. temperature 0 is greedy: the same question has the same answer."""

    temperature: float = 0.0
    max_tokens: int = 512


@dataclass(frozen=True)
class ChatAnswer:
    """end: "ended" by the model itself, "cut" at max_tokens or at the model's own length, "stopped" by Ctrl-C."""

    text: str
    end: str
    tokens: int
    seconds: float

    @property
    def note(self) -> str:
        """What a reader should know of it, in brackets; empty where it ended by itself."""
        return {
            "ended": "",
            "cut": f"[cut off after {self.tokens} tokens]",
            "stopped": "[stopped]",
        }[self.end]


def asked(
    instruction: str, input: str = "", system: str = "", before: Sequence[Message] = ()
) -> Example:
    """A question in the form of a training row without its answer. before: what was said in the same conversation."""
    alone = Example.of(instruction, input, "", Origin("imported"), system)
    if not before:
        return alone
    return Example.of_messages([*before, *alone.conversation()], alone.origin, system)


@dataclass(frozen=True)
class ChatModel:
    model: PreTrainedModel
    encoder: Encoder

    @property
    def holds_conversations(self) -> bool:
        """Whether it can be shown what was said before."""
        return self.encoder.template.many_turns

    @property
    def where(self) -> str:
        kind = "GPU" if self.model.device.type == "cuda" else "CPU"
        return f"on the {kind} in {str(self.model.dtype).removeprefix('torch.')}"

    def prompt(self, example: Example) -> list[int]:
        """The ids that training put before the answer. Raises UserError where the model has no room for an answer."""
        ids = self.encoder.prompts([example])[0]
        room = getattr(self.model.config, "max_position_embeddings", None)
        if room is not None and len(ids) >= room:
            raise UserError(
                f"the prompt has {len(ids):,} tokens and this model takes {room:,}",
                "begin a new conversation (/new)" if example.messages else "make it shorter",
            )
        return ids

    def answer(
        self, example: Example, how: ChatSettings, say: Say = lambda piece: None
    ) -> ChatAnswer:
        """Pieces of the answer go to `say` as they come; KeyboardInterrupt ends it with what there is."""
        import torch

        ids, tokenizer, form = self.prompt(example), self.encoder.tokenizer, self.encoder.form
        room = getattr(self.model.config, "max_position_embeddings", len(ids) + how.max_tokens)
        stream = _Stream(tokenizer, ends(self.model, tokenizer, form.end_id), say)
        began, end = time.monotonic(), ""
        prompt = torch.tensor([ids], device=self.model.device)
        try:
            with torch.inference_mode():
                self.model.generate(
                    input_ids=prompt,
                    attention_mask=torch.ones_like(prompt),
                    streamer=stream,  # type: ignore[arg-type]
                    generation_config=decoding(
                        self.model,
                        tokenizer,
                        min(how.max_tokens, room - len(ids)),
                        how.temperature,
                        form.end_id,
                    ),
                )
        except KeyboardInterrupt:
            end = "stopped"
        stream.end()
        return ChatAnswer(
            form.bare(stream.text),
            end or ("ended" if stream.ended else "cut"),
            len(stream.ids),
            time.monotonic() - began,
        )


class _Stream:
    """What transformers' `generate` hands its tokens to: first the prompt, then one token after the other."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, ending: Sequence[int], say: Say) -> None:
        self._tokenizer, self._ending, self._say = tokenizer, set(ending), say
        self.ids: list[int] = []
        self.text = ""
        self.ended = self._begun = False

    def put(self, tokens: Any) -> None:
        if not self._begun:
            self._begun = True
            return
        for token in tokens.reshape(-1).tolist():
            if token in self._ending:
                self.ended = True
            else:
                self.ids.append(token)
                self._show(self._decoded())

    def end(self) -> None:
        """What was held back too: half a character stays one."""
        self._show(self._decoded(), whole=True)

    def _show(self, text: str, whole: bool = False) -> None:
        shown = (
            text if whole else text.rstrip("\ufffd")
        )  # in the middle of a character of several bytes
        if shown.startswith(self.text) and len(shown) > len(self.text):
            piece, self.text = shown[len(self.text) :], shown
            self._say(piece)

    def _decoded(self) -> str:
        return str(
            self._tokenizer.decode(
                self.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )


def load(trained: Trained, say: Say) -> ChatModel:
    """The tuned model, on the GPU where there is one (bf16), else on the CPU (fp32)."""
    _stay_here()
    from alpaca_pipe.models.loading import is_adapter, load_for_scoring
    from alpaca_pipe.models.saved_template import saved_encoder
    from alpaca_pipe.weights.base import Checkpoint

    checkpoint = (
        base_folder(trained, say) if is_adapter(trained.folder) else Checkpoint(str(trained.folder))
    )
    model, tokenizer = load_for_scoring(checkpoint, trained.folder)
    return ChatModel(model, saved_encoder(tokenizer, trained.folder))


def load_base(trained: Trained, tuned: ChatModel, say: Say) -> ChatModel:
    """The base that it was tuned from, asked with the very same ids."""
    _stay_here()
    from alpaca_pipe.models.loading import load_for_scoring

    model, _ = load_for_scoring(base_folder(trained, say))
    return replace(tuned, model=model)


def _stay_here() -> None:
    """A base from the hub is read from the cache that training filled, and nobody is asked whether it is current."""
    os.environ["HF_HUB_OFFLINE"] = "1"
