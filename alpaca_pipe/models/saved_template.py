"""The template in a model's folder: written beside the tokenizer, read back, and held against what was trained."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Message, Origin
from alpaca_pipe.core.files import read_json, write_json
from alpaca_pipe.models.loading import load_tokenizer
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.own_template import TemplateChoice, template_of
from alpaca_pipe.models.templates import TEMPLATES, Template
from alpaca_pipe.weights.base import Checkpoint
from alpaca_pipe.weights.checkpoint import save_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SEED = Origin("seed")
_SAMPLES = (
    Example.of("Name a colour.", "", "Blue.", _SEED),
    Example.of("Add the numbers.", "2, 3", "5", _SEED),
)
_SAMPLE_OF_TURNS = Example.of_messages(
    [
        Message("user", "Name a colour."),
        Message("assistant", "Blue."),
        Message("user", "Another."),
        Message("assistant", "Red."),
    ],
    _SEED,
)


def save_template(folder: Path, encoder: Encoder) -> None:
    """Writes the tokenizer with its chat template and template.json into `folder`, reads them back and compares ids.

    The tokenizer's EOS becomes the token that the answers were trained to end with, for that is what others stop at.
    """
    words, form = encoder.tokenizer, encoder.form
    template, eos = words.chat_template, words.eos_token
    words.chat_template, words.eos_token = form.jinja, form.end
    try:
        save_tokenizer(words, folder)
    finally:
        words.chat_template, words.eos_token = template, eos
    template_of_it: dict[str, Any] = {
        "template": encoder.template.name,
        "sha256": _digest(form.jinja),
    }
    if encoder.template.own:
        template_of_it["own"] = {
            "many_turns": encoder.template.many_turns,
            "with_input": encoder.template.with_input,
        }
    write_json(folder / "template.json", template_of_it)
    from transformers import AutoTokenizer

    saved = AutoTokenizer.from_pretrained(folder)
    samples = (*_SAMPLES, _SAMPLE_OF_TURNS) if encoder.template.many_turns else _SAMPLES
    for sample in samples:
        asked = saved.apply_chat_template(encoder.messages(sample), add_generation_prompt=True)[
            "input_ids"
        ]
        if asked != encoder.prompts([sample])[0]:
            raise UserError(
                f"the tokenizer saved in {folder} tokenises a prompt differently from in training",
                "report this with the name of the base model: its tokenizer does not survive saving",
            )


def encoder_of(
    checkpoint: Checkpoint, tuned: Path | None, named: TemplateChoice | None, key: str
) -> Encoder:
    """That of the tuned model in the folder; without one the checkpoint's, by the template that is named, else chat. key: of the
    recipe, for the UserError where the tuned model was trained with another."""
    if tuned is None:
        return Encoder(load_tokenizer(checkpoint), template_of(named or "chat"))
    found = saved_encoder(load_tokenizer(Checkpoint(str(tuned))), tuned)
    if named is not None and template_of(named).name != found.template.name:
        raise UserError(
            f"{key}: {template_of(named).name}, and the tuned model was trained with {found.template.name}",
            f"remove {key}",
        )
    return found


def saved_encoder(tokenizer: PreTrainedTokenizerBase, folder: Path) -> Encoder:
    """The encoder that a model folder was trained with. `tokenizer` is the one in the folder."""
    said = read_json(folder / "template.json")
    jinja, own = str(tokenizer.chat_template), said.get("own")
    if (said["template"] not in TEMPLATES and own is None) or said["sha256"] != _digest(jinja):
        raise UserError(
            f"the chat template in {folder} is not the one the model was trained with",
            "train again, or restore the folder's chat_template.jinja",
        )
    if own is not None:
        asks = own["with_input"]
        template = Template(
            said["template"],
            "your own",
            jinja,
            many_turns=own["many_turns"],
            with_input=asks,
            without_input="{instruction}" if asks else "",
            own=True,
        )
        return Encoder(tokenizer, template)
    return Encoder(tokenizer, TEMPLATES[said["template"]])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
