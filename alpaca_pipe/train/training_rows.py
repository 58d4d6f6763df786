"""The curated rows as the trainer reads them: ids and mask; what is left out, and what is not written, is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.example import Example, Rejected
from alpaca_pipe.core.files import read_jsonl, write_jsonl
from alpaca_pipe.models.loss_mask import Encoded, EncodedRow, Encoder
from alpaca_pipe.train.config import TrainConfig, conversations_refused
from alpaca_pipe.train.row_weights import weights_of


class TrainingRows(NamedTuple):
    """rows: how many there are; sequences: theirs, in order, more than one where a history is read otherwise; weights: of the
    sequences, None where all weigh the same."""

    rows: int
    sequences: list[Encoded]
    unsaid: Counter[str]
    weights: list[float] | None = None

    def summary(self) -> dict[str, Any]:
        """Only what is not as in rows of one exchange."""
        more = {"sequences": len(self.sequences)} if len(self.sequences) > self.rows else {}
        return more | ({"unsaid": dict(self.unsaid)} if self.unsaid else {})


def training_rows(
    config: TrainConfig, file: Path, encoder: Encoder, folder: Path, say: Callable[[str], None]
) -> TrainingRows:
    """The rows of a file that fit; the others go to dropped.jsonl in `folder` with their reason. Raises UserError where too few fit, or where the
    template has no place for conversations."""
    examples = [Example.from_row(row) for row in read_jsonl(file)]
    if not examples:
        raise UserError(
            "train: curation left no row to train on",
            "look at curate's dropped rows in the report, or generate more",
        )
    _check_turns(examples, encoder)
    found = list(encoder.encode(examples, config.max_length))
    if encoder.template.own:
        _check_own(examples, found, encoder)
    kept = [
        (example, row)
        for example, row in zip(examples, found, strict=True)
        if not isinstance(row, Rejected)
    ]
    rows = [row for _, row in kept]
    dropped = [row for row in found if isinstance(row, Rejected)]
    write_jsonl(folder / "dropped.jsonl", (row.to_row() for row in dropped))
    least = 2 if config.shuffles else 1
    if len(rows) < least:
        raise UserError(
            f"train: {len(rows)} of {len(examples)} rows fit into {config.max_length} tokens, "
            f"and at least {least} are needed",
            "generate more rows, or raise train.max_length",
        )
    weights = None
    if config.row_weights == "grade":
        each = weights_of([example for example, _ in kept], say)
        weights = [weight for weight, row in zip(each, rows, strict=True) for _ in row]
    unsaid = encoder.unsaid(examples)
    for sentence in (
        *encoder.form.notes,
        *_left_out(dropped, len(examples), config, encoder.template.name),
        *unsaid_in_words(unsaid),
    ):
        say(sentence)
    return TrainingRows(len(rows), [one for row in rows for one in row], unsaid, weights)


def _check_turns(examples: Sequence[Example], encoder: Encoder) -> None:
    template = encoder.template
    if several := sum(not template.holds(example) for example in examples):
        raise conversations_refused(several, len(examples), template.name)


def _check_own(
    examples: Sequence[Example], found: Sequence[EncodedRow | Rejected], encoder: Encoder
) -> None:
    """The user's own template must write each row: one that it fails on says what is wrong with it."""
    for number, row in enumerate(found, 1):
        if not isinstance(row, Rejected) or row.rule != "template":
            continue
        example = examples[number - 1]
        if fault := encoder.unwritten(example):
            raise UserError(
                f"train: template {encoder.template.name} fails on row {number} ({example.id}): {fault}",
                "fix the template, or drop such rows with a filter",
            )


def _left_out(
    dropped: Sequence[Rejected], of: int, config: TrainConfig, template: str
) -> list[str]:
    long = sum(row.rule == "max_length" for row in dropped)
    other = [row for row in dropped if row.rule != "max_length"]
    said = []
    if long:
        said.append(
            f"{long} of {of} rows are longer than {config.max_length} tokens "
            "and are left out: dropped.jsonl"
        )
    if other:
        said.append(
            f"{len(other)} of {of} rows cannot be written with template {template} and are "
            f"left out ({other[0].reason}): dropped.jsonl"
        )
    return said


def unsaid_in_words(unsaid: Counter[str]) -> list[str]:
    """A sentence for each part of messages that the template does not write."""
    return [
        f"the template does not write the {what} of {count} messages: the rows keep it, the training does not see it"
        for what, count in unsaid.items()
    ]
