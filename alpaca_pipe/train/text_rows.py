"""Plain texts as the trainer reads them: `objective: pretrain`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.plain_texts import Texts, read_texts
from alpaca_pipe.data.texts_table import TextsTable
from alpaca_pipe.models.packing import packed
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.training_rows import TrainingRows

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

    from alpaca_pipe.models.loss_mask import EncodedRow


def text_rows(
    config: TrainConfig,
    table: TextsTable,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    say: Callable[[str], None],
) -> tuple[TrainingRows, list[EncodedRow]]:
    """(what is trained on, what is scored on the way). A row is a sequence of max_length tokens. Writes dropped.jsonl, empty."""
    texts: Texts = read_texts(table, say)
    rows = packed(texts.train, tokenizer, config.max_length)
    held_out = packed(texts.held_out, tokenizer, config.max_length)
    (folder / "dropped.jsonl").write_text("")
    if not rows or not held_out:
        raise UserError(
            "train: the texts are too short: not one sequence of two tokens", "name more text"
        )
    tokens = sum(row.learned for row in rows)
    say(
        f"{len(texts.train)} texts, {tokens:,} tokens in {len(rows):,} sequences; {len(texts.held_out)} texts are held out"
    )
    scored: list[EncodedRow] = [(row,) for row in held_out[: config.max_eval_samples]]
    return TrainingRows(len(rows), rows, Counter()), scored
