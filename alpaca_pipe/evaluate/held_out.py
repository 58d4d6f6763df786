"""Held-out rows as each contestant sees them: other prompts, the same answer tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.models.loss_mask import EncodedRow, Encoder


class HeldOut(NamedTuple):
    """The rows that all contestants are scored on. encoded: per prompt ("ours", "chat") one entry a row."""

    examples: list[Example]
    encoded: dict[str, list[EncodedRow]]
    left_out: list[Rejected]


def encode_alike(
    examples: Sequence[Example],
    encoders: Mapping[str, Encoder],
    max_length: int,
    whose: str = "held-out",
) -> HeldOut:
    """Encodes each row for each prompt; a row that is too long for one of them is left out for all.

    What is scored is the same for all: the text of each learned answer and its one end token, the one that the template
    ends a turn with (EOS, `<|im_end|>` and their like). What a template writes after it, a line feed say, is not scored.
    Only the prompts before the answers differ.
    """
    columns = {
        name: list(encoder.encode(examples, max_length)) for name, encoder in encoders.items()
    }
    kept = HeldOut([], {name: [] for name in encoders}, [])
    for place, example in enumerate(examples):
        row = {name: column[place] for name, column in columns.items()}
        rejected = next((found for found in row.values() if isinstance(found, Rejected)), None)
        if rejected:
            kept.left_out.append(rejected)
            continue
        encoded = {name: found for name, found in row.items() if not isinstance(found, Rejected)}
        if len({_scored(found, encoders[name]) for name, found in encoded.items()}) > 1:
            raise UserError(
                f"row {example.id} has another answer under the base's chat template than under ours",
                "use a tuned model and a base with the same tokenizer",
            )
        kept.examples.append(example)
        for name, found in encoded.items():
            kept.encoded[name].append(found)
    if not kept.examples:
        raise UserError(
            f"none of the {len(examples)} {whose} rows can be scored at max_length {max_length}",
            "raise evaluate.max_length, or bring more rows (curate.held_out, evaluate.foreign)",
        )
    return kept


def _scored(row: EncodedRow, encoder: Encoder) -> tuple[str, ...]:
    """The learned answers without their ends. Blanks at their edges are a template's."""
    return tuple(
        str(encoder.tokenizer.decode(one.ids[first : end - 1])).strip()
        for one in row
        for first, end in one.spans()
    )
