"""A base proved by loading it, before anything is paid: its tokenizer, its template, its weights, one answer.

What its files alone say was checked in the plan (base_check.py). A base that was proved is remembered in the user's cache
by its content and by what proved it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Origin
from alpaca_pipe.core.files import cache_dir, digest_of, tree_digest, write_json
from alpaca_pipe.models.base_check import Asked
from alpaca_pipe.models.loading import load_model, load_tokenizer
from alpaca_pipe.models.loss_mask import Encoder
from alpaca_pipe.models.own_template import template_of
from alpaca_pipe.models.templates import TEMPLATES
from alpaca_pipe.weights.base import BaseTable, resolve
from alpaca_pipe.weights.hub_base import ask_hub

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_RULES = 1  # raised when more is proved
_SAMPLE = Example.of("Name a colour.", "of the sky", "Blue, 3.5 times.", Origin("seed"))


def prove_base(base: BaseTable, asked: Asked, say: Callable[[str], None]) -> None:
    """Loads tokenizer and model, encodes a row and asks for its loss. Raises UserError, one sentence for what is wrong.

    say: is told what is not wrong but should be known.
    """
    note = _note(base, asked)
    if note.is_file():
        return
    if base.on_hub:
        ask_hub(str(base.model), base.revision, say)
    checkpoint = resolve(base, say)
    tokenizer = load_tokenizer(checkpoint)
    encoder = Encoder(tokenizer, template_of(asked.template))
    for sentence in encoder.form.notes:
        say(sentence)
    if asked.template != "chat" and tokenizer.chat_template:
        try:
            Encoder(tokenizer, TEMPLATES["chat"])
        except UserError as error:
            say(f"evaluate will lack the control 'chat': {error.what}")
    model = load_model(checkpoint, base.dtype)
    _check_ends(model, encoder, say)
    _check_answer(model, encoder)
    write_json(note, {"base": base.called, "template": encoder.template.name})


def _note(base: BaseTable, asked: Asked) -> Path:
    from importlib.metadata import version

    named = asked.template if isinstance(asked.template, str) else tree_digest(asked.template)
    stamp: list[Any] = [_RULES, base.identity(), base.commit(), named]
    stamp += [version(name) for name in ("transformers", "tokenizers", "torch")]
    return cache_dir() / "proved" / f"{digest_of(stamp)[:32]}.json"


def _check_ends(model: PreTrainedModel, encoder: Encoder, say: Callable[[str], None]) -> None:
    """An end that the base itself would not stop at is learned from nothing: said. The unknown token is none: refused."""
    form, words = encoder.form, encoder.tokenizer
    stops = {words.eos_token_id}
    for config in (model.config.get_text_config(), model.generation_config):
        found = getattr(config, "eos_token_id", None)
        stops |= set(found) if isinstance(found, list) else {found}
    stops -= {None}
    configured = stops - {words.eos_token_id}
    if form.end_id == words.unk_token_id and form.end_id not in configured and configured:
        raise UserError(
            f"an answer would end with {form.end}, which is the tokenizer's unknown token",
            "set eos_token in its tokenizer_config.json to the token that ends a text, </s> for LLaMA",
        )
    if form.end_id not in stops:
        say(
            f"template {encoder.template.name} ends an answer with {form.end}, at which the base itself does not stop: "
            "the export stops at it too"
        )


def _check_answer(model: PreTrainedModel, encoder: Encoder) -> None:
    """One row through the model: ids within its embedding, and logits that are numbers."""
    import torch

    row = next(encoder.encode([_SAMPLE], 1 << 20))
    assert isinstance(row, tuple)
    ids = row[0].ids
    check_ids(max(ids), model.get_input_embeddings().weight.shape[0], encoder)
    with torch.inference_mode():
        logits = model.eval()(input_ids=torch.tensor([ids])).logits
    if not torch.isfinite(logits).all():
        raise UserError(
            "the base answers with logits that are not numbers: its weights are broken",
            "fetch the checkpoint again, or use another base",
        )


def check_ids(highest: int, rows: int, encoder: Encoder) -> None:
    """UserError for a token of a prompt or an answer that the embedding has no row for. Padding may be beyond it."""
    if highest >= rows:
        token = encoder.tokenizer.convert_ids_to_tokens(highest)
        raise UserError(
            f"the tokenizer gives the token {token} the id {highest}, and the base's embedding has {rows} rows",
            "take the tokenizer of the same checkpoint, or use another template",
        )
