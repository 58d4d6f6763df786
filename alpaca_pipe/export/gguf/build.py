"""The GGUF files that a recipe asks for: each written as a draft, held against the checkpoint, and only then named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example
from alpaca_pipe.core.files import file_digest, write_atomic
from alpaca_pipe.export.gguf.gate import gate, questions
from alpaca_pipe.export.gguf.modelfile import blocks, modelfile
from alpaca_pipe.export.gguf.parts import first_part
from alpaca_pipe.export.gguf.write_gguf import Conversation, WrittenGguf, write_gguf
from alpaca_pipe.models.decoding import ends
from alpaca_pipe.models.loading import load_model
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.weights.base import Checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def ggufs(
    merged: Path,
    folder: Path,
    scratch: Path,
    quantizations: Sequence[str],
    encoder: Encoder,
    examples: Sequence[Example],
    say: Callable[[str], None],
    most: int | None = None,
) -> list[dict[str, Any]]:
    """Writes model-QUANTIZATION.gguf into `folder`, and a Modelfile for the first of them. Answers the figures of each.

    merged: the checkpoint's folder.  examples: whose questions are asked.  most: bytes of a part, see `write_gguf`.  Raises UserError where a file cannot be written, or
    where llama.cpp with that file is not the model that was trained; such a file is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    model = load_model(Checkpoint(str(merged)), "float32").eval()
    conversation = _conversation(model, encoder)
    figures = []
    for quantization in sorted(quantizations, key=lambda one: one == "f16"):  # it rounds the model
        if quantization == "f16":
            _round(model)
        draft = scratch / f"model-{quantization}.gguf"
        try:
            words, parts = _write(merged, draft, quantization, conversation, most)
            asked = questions(examples, words.composes)
            say(f"{draft.name}: asking llama.cpp whether it is the trained model")
            found = asyncio.run(
                gate(
                    parts[0],
                    quantization,
                    model,
                    encoder,
                    asked,
                    conversation.ends,
                    scratch / "log",
                )
            )
            files = [part.rename(folder / part.name) for part in parts]
        finally:
            for left in scratch.glob(f"model-{quantization}*.gguf"):
                left.unlink()
        size = round(sum(part.stat().st_size for part in files) / 1e6, 1)
        said: dict[str, Any] = {"file": files[0].name, "megabytes": size}
        said["sha256"] = file_digest(files[0])
        if len(files) > 1:
            said["parts"] = {part.name: file_digest(part) for part in files}
        notes = [_COMPOSES] if words.composes else []
        figures.append(said | {"quantization": quantization, "notes": notes} | found._asdict())
        say("; ".join([f"{files[0].name}, {size:.0f} MB: {found.sentence()}", *notes]))
    bos = encoder.tokenizer.bos_token if conversation.begins else ""
    text = modelfile(
        first_part(folder, quantizations[0]).name,
        blocks(encoder.form, str(bos)),
        [encoder.tokenizer.decode([end]) for end in conversation.ends],
    )
    write_atomic(folder / "Modelfile", text)
    return figures


_COMPOSES = "llama.cpp does not compose characters (NFC) as this tokenizer does: a letter and its accent written apart get other ids"


def _write(
    merged: Path, draft: Path, quantization: str, conversation: Conversation, most: int | None
) -> WrittenGguf:
    try:
        return write_gguf(merged, draft, quantization, conversation, "alpaca-pipe", most)
    except OSError as error:
        needed = sum(path.stat().st_size for path in merged.glob("*.safetensors")) / 2e6
        raise UserError(
            f"{draft.name} cannot be written: {error.strerror or error}",
            f"make {needed:.0f} MB free, and run the same command again",
        ) from None


def _conversation(model: PreTrainedModel, encoder: Encoder) -> Conversation:
    """The end that was trained comes first; the others ended the base's answers."""
    tokenizer, end = encoder.tokenizer, encoder.form.end_id
    others = [one for one in ends(model, tokenizer, end) if one != end]
    bos = str(tokenizer.bos_token or "")
    begins = (
        bool(bos)
        and tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
        and encoder.form.write([{"role": "user", "content": "Hello."}], True).startswith(bos)
    )
    return Conversation(
        encoder.form.jinja,
        [end, *others],
        tokenizer.bos_token_id,
        tokenizer.pad_token_id,
        begins,
    )


def _round(model: PreTrainedModel) -> None:
    """The matrices as F16 holds them, in fp32 arithmetic."""
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.data = weight.data.half().float()
