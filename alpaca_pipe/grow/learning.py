"""What of a growth is learned on texts: a drawn base before it grows, and LiGO's map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.plain_texts import read_texts
from alpaca_pipe.grow.config import GrowConfig
from alpaca_pipe.grow.descent import batches_of, descend, next_token_loss
from alpaca_pipe.grow.grown_model import empty_model, filled, weights_of
from alpaca_pipe.grow.learned_map import Mapped, first_maps, map_flops
from alpaca_pipe.grow.widths import sides_of
from alpaca_pipe.models.architecture import Architecture
from alpaca_pipe.models.fit import training_flops
from alpaca_pipe.models.packing import packed

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from alpaca_pipe.data.texts_table import TextsTable


@dataclass(frozen=True)
class LearningPlace:
    """Where it is learned. folder: for the logs; say: hears sentences; stop_here: raises Stopped when the user asked for it."""

    folder: Path
    seed: int
    say: Callable[[str], None]
    stop_here: Callable[[], None]


def sequences(
    config: GrowConfig,
    table: TextsTable,
    tokenizer: PreTrainedTokenizerBase,
    say: Callable[[str], None],
) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """(to learn on, held out), of max_length tokens each, from the recipe's texts. UserError where there are too few."""
    texts = read_texts(table, say)
    found = [
        [row.ids for row in packed(part, tokenizer, config.max_length)]
        for part in (texts.train, texts.held_out)
    ]
    train, held_out = ([ids for ids in part if len(ids) == config.max_length] for part in found)
    if not train or not held_out:
        raise UserError(
            f"grow: the texts do not fill one sequence of {config.max_length} tokens on either side",
            "name more text, or lower grow.max_length",
        )
    if len(train) < config.per_device_train_batch_size:
        say(
            f"grow: the texts fill {len(train)} sequences of {config.max_length} tokens, so that a step sees no more than these"
        )
    return train, held_out


def train_base(
    base: PreTrainedModel,
    shape: Architecture,
    rows: Sequence[tuple[int, ...]],
    config: GrowConfig,
    place: LearningPlace,
) -> dict[str, Any]:
    """All weights of the base, for base_steps; its figures."""
    base.train()
    log = place.folder / "base.jsonl"
    done = descend(
        base.parameters(),
        lambda ids: next_token_loss(base(input_ids=ids, use_cache=False).logits, ids),
        batches_of(rows, config.per_device_train_batch_size, place.seed),
        config.base_steps,
        config.base_learning_rate,
        log,
        _telling("the base", config.base_steps, place),
    )
    base.eval()
    return {
        "steps": config.base_steps,
        "loss": done.loss,
        "tokens": done.tokens,
        "flops": training_flops(shape.multiplied, done.tokens),
    }


def by_learned_map(
    base: PreTrainedModel,
    shapes: tuple[Architecture, Architecture],
    rows: Sequence[tuple[int, ...]],
    config: GrowConfig,
    place: LearningPlace,
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """LiGO: the grown model, and what its map took: steps, loss at the first and last step, tokens, flops."""
    import torch

    before, after = shapes
    generator = torch.Generator().manual_seed(place.seed)
    sides = sides_of(before, after, generator)
    weights = {name: one.float() for name, one in weights_of(base).items()}
    mapped = Mapped(weights, sides, int(base.config.head_dim))
    maps = first_maps(sides, int(before.layers), int(after.layers), generator)
    large = empty_model(base, after, sides.norm).eval()
    seen: list[float] = []

    def loss_of(ids: torch.Tensor) -> torch.Tensor:
        given = {"input_ids": ids, "use_cache": False}
        answer = torch.func.functional_call(large, mapped.weights(maps), (), given)
        loss = next_token_loss(answer.logits, ids)
        seen.append(float(loss.detach()))
        return loss

    done = descend(
        maps.parameters(),
        loss_of,
        batches_of(rows, config.per_device_train_batch_size, place.seed),
        config.steps,
        config.learning_rate,
        place.folder / "ligo.jsonl",
        _telling("the map", config.steps, place),
    )
    flops = training_flops(after.multiplied, done.tokens) + config.steps * map_flops(weights, maps)
    with torch.no_grad():
        model = filled(base, after, sides, mapped.weights(maps))
    figures = {"steps": config.steps, "first": seen[0], "last": done.loss}
    return model, figures | {"tokens": done.tokens, "flops": flops}


def _telling(what: str, steps: int, place: LearningPlace) -> Any:
    def at(step: int, loss: float) -> None:
        if step == 1 or step % max(1, steps // 5) == 0:
            place.say(f"{what}: step {step} of {steps}, loss {loss:.3f}")
        place.stop_here()

    return at
