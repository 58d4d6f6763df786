"""The gate: a GGUF keeps its name only when llama.cpp, with that file, is the model that was trained.

Four things are compared: the ids of prompts, through the file's own chat template and vocabulary; the greedy answers, token by
token; how far the probabilities are apart; and that an answer stops at each stop token. llama.cpp answers, and the checkpoint
reads that answer once: where its own first choice is another token, they differ.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.export.gguf.llama_cpp import LlamaCpp, llama_cpp
from alpaca_pipe.export.gguf.vocabulary import pieces
from alpaca_pipe.models.loss_mask import Encoder

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

PROMPTS, ANSWERS, TOKENS = 50, 10, 64
_TIE = 0.02  # of logits: llama.cpp multiplies in F16, so closer first choices may change places
# Mean KL divergence in nats a token, over the greedy answers. SmolLM2-135M: see docs/measured.md.
LIMITS = {"f16": 0.001, "q8_0": 0.02, "q4_0": 0.5}


class GateFigures(NamedTuple):
    """What was compared. differing: positions of greedy answers where the checkpoint's first choice is another token, ties of
    less than 0.02 left out. kl: mean KL divergence over the `compared` positions, checkpoint from GGUF, in nats; kl_limit: its bound."""

    prompts: int
    answers: int
    positions: int
    differing: int
    ties: int
    compared: int
    kl: float
    kl_limit: float
    stops: list[int]

    def sentence(self) -> str:
        alike = (
            f"{1 - self.differing / max(self.positions, 1):.1%} of {self.positions} greedy tokens"
        )
        return (
            f"the ids of {self.prompts} prompts, {alike}, {self.kl:.2g} nats a token apart (limit {self.kl_limit:g}), "
            f"{len(self.stops)} stop token{'s' if len(self.stops) > 1 else ''}"
        )


async def gate(
    file: Path,
    quantization: str,
    model: PreTrainedModel,
    encoder: Encoder,
    asked: Sequence[Example],
    stops: Sequence[int],
    log: Path,
) -> GateFigures:
    """Raises UserError, in a sentence, for the first thing in which the file is not the model.

    model: the checkpoint in fp32; for f16 with its weights rounded to F16.  asked: at most PROMPTS, see `questions`.
    """
    prompts = encoder.prompts(asked)
    async with llama_cpp(file, _context(prompts), log) as server:
        for example, ids in zip(asked, prompts, strict=True):
            _same_prompt(file, encoder, await server.prompt(encoder.messages(example)), ids)
        for stop in stops:
            if not await server.stops_at(prompts[0], stop):
                raise _refused(
                    file, f"an answer does not stop at {encoder.tokenizer.decode([stop])!r}"
                )
        figures = await _answers(server, quantization, model, encoder, prompts[:ANSWERS])
        figures = figures._replace(prompts=len(prompts), stops=list(stops))
        _check(file, quantization, figures)
        await _served(server, file, encoder, asked[0], prompts[0])
    return figures


def _check(file: Path, quantization: str, figures: GateFigures) -> None:
    if quantization == "f16" and figures.differing:
        raise _refused(
            file,
            f"at {figures.differing} of {figures.positions} positions of greedy answers the trained model says "
            "another token",
        )
    if not figures.kl <= figures.kl_limit:
        raise _refused(
            file,
            f"its probabilities are {figures.kl:.3g} nats a token from the trained model's, at most "
            f"{figures.kl_limit:g} is rounding",
        )


def _same_prompt(file: Path, encoder: Encoder, found: list[int], wanted: list[int]) -> None:
    if found != wanted:
        place = next(
            (at for at, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b),
            min(len(found), len(wanted)),
        )
        near = encoder.tokenizer.decode(wanted[max(0, place - 8) : place + 8])
        raise _refused(
            file,
            f"llama.cpp makes other ids of a prompt than the training did, from token {place} on, at {near!r}",
        )


async def _answers(
    server: LlamaCpp,
    quantization: str,
    model: PreTrainedModel,
    encoder: Encoder,
    prompts: Sequence[list[int]],
) -> GateFigures:
    positions = differing = ties = compared = 0
    apart = 0.0
    for prompt in prompts:
        answer = await server.answer(prompt, TOKENS)
        logits = _logits(model, prompt, answer.ids)
        for place, token in enumerate(answer.ids):
            gap = float(logits[place].max() - logits[place][token])
            differing += gap > _TIE
            ties += 0 < gap <= _TIE
        positions += len(answer.ids)
        told = [place for place, whole in enumerate(_whole(encoder, answer.ids)) if whole]
        if len(told) == len(answer.probabilities):
            compared += len(told)
            apart += sum(map(_divergence, logits[told].log_softmax(-1), answer.probabilities))
    kl = apart / compared if compared else math.nan
    return GateFigures(
        0, len(prompts), positions, differing, ties, compared, kl, LIMITS[quantization], []
    )


def _whole(encoder: Encoder, ids: Sequence[int]) -> Iterator[bool]:
    """Whether the text up to each token ends in a whole character: only there llama.cpp tells probabilities."""
    text = b""
    for piece in pieces(encoder.tokenizer, ids):
        text = (text + piece)[-4:]
        first = next((at for at in range(1, len(text) + 1) if text[-at] & 0xC0 != 0x80), 0)
        wanted = _BYTES.get(text[-first] >> 4, 1) if first else 1
        yield first == 0 or wanted <= first


_BYTES = {0xC: 2, 0xD: 2, 0xE: 3, 0xF: 4}  # of a character, by the upper half of its first


async def _served(
    server: LlamaCpp, file: Path, encoder: Encoder, example: Example, prompt: list[int]
) -> None:
    """The chat endpoint as a whole: what it says is what the same ids are answered with."""
    answer = await server.answer(prompt, TOKENS)
    wanted = encoder.tokenizer.decode(answer.ids, skip_special_tokens=True).strip()
    found = (await server.chat(encoder.messages(example), TOKENS)).strip()
    if found != wanted:
        raise _refused(
            file, f"its chat says {found[:60]!r} where its ids are answered by {wanted[:60]!r}"
        )


def _logits(model: PreTrainedModel, prompt: list[int], answer: list[int]) -> torch.Tensor:
    """positions of the answer x vocabulary."""
    import torch

    ids = torch.tensor([[*prompt, *answer]])
    with torch.inference_mode():
        return model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float()


def _divergence(ours: torch.Tensor, theirs: Mapping[int, float]) -> float:
    """KL(checkpoint, GGUF) at a position, over the tokens that llama.cpp told and all others as one. ours: logarithms."""
    mine = [float(ours[token]) for token in theirs]
    told = list(theirs.values())
    return sum(
        math.exp(one) * (one - other) for one, other in zip(mine, told, strict=True)
    ) + _of_the_rest(mine, told)


def _of_the_rest(ours: Sequence[float], theirs: Sequence[float]) -> float:
    one, other = (max(1 - sum(map(math.exp, part)), 1e-9) for part in (ours, theirs))
    return one * math.log(one / other)


def questions(examples: Sequence[Example], composed: bool) -> list[Example]:
    """At most PROMPTS, as a chat sends them: an input, which no chat knows, stands below its instruction. composed: in NFC, for
    a tokenizer that composes characters, which llama.cpp does not do."""
    texts = [*_ODD, *(_question(one) for one in examples if not one.messages)]
    if composed:
        texts = [unicodedata.normalize("NFC", text) for text in texts]
    single = [Example.of(text, "", "", Origin("seed")) for text in texts]
    return [*single, *(one for one in examples if one.messages)][:PROMPTS]


def _question(example: Example) -> str:
    return "\n\n".join(text for text in (example.instruction, example.input) if text)


# What tokenizers cut differently: digits, runs of blanks and lines, contractions, scripts, marks, code.
_ODD = (
    "What is 1234567 + 89.01?",
    "Here:\n\n1. Eat\n2. Sleep\n\n\n3. Repeat",
    "I'll say it's DON'T, we've  two   blanks\tand a tab.",
    "    def f(x):\n        return x**2  # squared\n",
    "Übersetze: „Grüße aus Köln“ – 50 % günstiger!",
    "把这句话翻译成英文：今天天气很好。",
    "日本語で「ありがとう」と言ってください。",
    "Ответь: сколько будет 2×3?",
    "Smile \N{GRINNING FACE} \N{FAMILY} and e\N{COMBINING ACUTE ACCENT}.",
    "a_b-c/d\\e.f@g.h?i=j&k=%20",
)


def _context(prompts: Sequence[list[int]]) -> int:
    return max(map(len, prompts)) + TOKENS + 16


def _refused(file: Path, what: str) -> UserError:
    return UserError(
        f"{file.name} is not the model that was trained: {what}",
        "leave that file out of export.gguf, use merged/, and report this with the name of the base",
    )
