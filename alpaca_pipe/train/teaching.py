"""The teacher of a distilled tune: held against the base, loaded, asked about every row, and let go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.models.let_go import let_go
from alpaca_pipe.models.loading import load_model, load_tokenizer, positions
from alpaca_pipe.models.loss_mask import Encoded, Encoder
from alpaca_pipe.train.config import TrainConfig
from alpaca_pipe.train.distill_config import check_vocabularies
from alpaca_pipe.train.soft_targets import AskedOfTeacher, SoftTargets, key_of, soft_targets
from alpaca_pipe.weights.base import BaseTable, Checkpoint, resolve

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def check_teacher(
    config: TrainConfig, tokenizer: PreTrainedTokenizerBase, say: Callable[[str], None]
) -> None:
    """UserError for a teacher with another vocabulary than the base, or fewer positions than a row may have."""
    teacher = config.distill.checkpoint()
    if teacher is None:
        return
    checkpoint = resolve(teacher, say)
    theirs = load_tokenizer(checkpoint).get_vocab()
    check_vocabularies(tokenizer.get_vocab(), theirs, teacher.called)
    if (most := positions(checkpoint, config.max_length)) < config.max_length:
        raise UserError(
            f"train.distill.teacher: {teacher.called} has {most} positions, and a row may have {config.max_length} tokens",
            f"set train.max_length: {most}",
        )


def taught(
    config: TrainConfig,
    base: BaseTable,
    encoder: Encoder,
    checkpoint: Checkpoint,
    rows: list[Encoded],
    place: Path,
    say: Callable[[str], None],
    between: Callable[[int], None],
) -> SoftTargets:
    """See soft_targets. place: the folder that holds a folder for each teacher and set of rows. UserError as check_teacher."""
    check_teacher(config, encoder.tokenizer, say)
    asked = config.distill
    named = asked.checkpoint(base.dtype)
    table: BaseTable = named or base
    source = resolve(named, say) if named else checkpoint
    wanted = AskedOfTeacher(asked.top_k, asked.temperature, asked.alpha, _width(checkpoint))
    folder = place / key_of(table.identity(), rows, wanted)

    def load() -> PreTrainedModel:
        whose = table.called if named else "the base itself"
        say(f"teacher: {whose}, top {asked.top_k} of each learned token of {len(rows)} rows")
        return load_model(source, table.dtype)

    found = soft_targets(folder, rows, load, wanted, between)
    let_go()
    return found


def _width(checkpoint: Checkpoint) -> int:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(
        checkpoint.source, revision=checkpoint.revision, trust_remote_code=False
    )
    return int(config.get_text_config().vocab_size)
