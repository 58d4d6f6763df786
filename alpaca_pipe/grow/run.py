"""The work of [grow]: the larger models, and how far each still answers as the base does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import read_json, write_json
from alpaca_pipe.grow.config import DRAWN_TOKENS, SAME, GrowConfig
from alpaca_pipe.grow.grown_model import check_kind, copied, save_grown
from alpaca_pipe.grow.learning import LearningPlace, by_learned_map, sequences, train_base
from alpaca_pipe.grow.preserved import LIMIT, Kept, drawn_rows, kept
from alpaca_pipe.models.architecture import Architecture, of_config
from alpaca_pipe.models.loading import load_model, load_tokenizer
from alpaca_pipe.recipe.stage import Outcome, StageContext
from alpaca_pipe.weights.base import BaseTable, Checkpoint, resolve

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Rows = tuple[list[tuple[int, ...]], list[tuple[int, ...]]]


def grow(config: GrowConfig, context: StageContext) -> Outcome:
    """Writes model/ (by `method`) and beside/METHOD/ for each other one: checkpoints in float32 with the base's tokenizer; with
    base_steps also base/ and base.jsonl, with ligo ligo.jsonl (step, loss, tokens).

    Summary: before and after (sizes, by the names of Architecture, and parameters); methods (method -> how it answers beside the
    base: see Kept; same: whether that is within the limit; learned: what LiGO's map took); base: what base_steps took. Rows that are
    compared are held-out texts where the recipe names texts, else drawn tokens.
    """
    table: BaseTable = context.tables["base"]
    checkpoint = resolve(table, context.progress.say)
    base, tokenizer = load_model(checkpoint, "float32"), load_tokenizer(checkpoint)
    check_kind(base.config)
    before = of_config(base.config.to_dict())
    after = config.grown(before)
    context.progress.say(
        f"{before.parameters / 1e6:.3g}M parameters become {after.parameters / 1e6:.3g}M: "
        f"{before.layers:g} layers of {before.hidden:g} to {after.layers:g} of {after.hidden:g}"
    )
    learned: Rows = ([], [])
    if "texts" in context.tables:
        learned = sequences(config, context.tables["texts"], tokenizer, context.progress.say)
    sizes: dict[str, Any] = {
        "before": asdict(before) | {"parameters": before.parameters},
        "after": asdict(after) | {"parameters": after.parameters},
    }
    if config.base_steps:
        base, sizes["base"] = _trained(config, context, base, tokenizer, before, learned[0])
    rows = [list(ids) for ids in learned[1][: config.check_rows]] or drawn_rows(
        config.check_rows, DRAWN_TOKENS, base.config.vocab_size, context.seed
    )
    bench = _Bench(config, context, base, tokenizer, (before, after), learned[0], rows)
    context.progress.start(len(config.methods), "models")
    found = {}
    for done, method in enumerate(config.methods, 1):
        found[method] = _one(method, bench)
        context.progress.at(done, method)
        context.stop_here()
    return Outcome(sizes | {"methods": found})


def _place(context: StageContext) -> LearningPlace:
    return LearningPlace(context.folder, context.seed, context.progress.say, context.stop_here)


@dataclass(frozen=True)
class _Bench:
    """What every method is given. learned: sequences to learn on; rows: those whose logits are compared."""

    config: GrowConfig
    context: StageContext
    base: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    shapes: tuple[Architecture, Architecture]
    learned: list[tuple[int, ...]]
    rows: list[list[int]]


def _trained(
    config: GrowConfig,
    context: StageContext,
    base: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    shape: Architecture,
    rows: list[tuple[int, ...]],
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The base after base_steps, as it lies in base/, and its figures. One that is there already is not trained again."""
    folder, note = context.folder / "base", context.scratch / "base.json"
    if not (folder.is_dir() and note.is_file()):
        write_json(note, train_base(base, shape, rows, config, _place(context)))
        save_grown(base, tokenizer, context.scratch / "base", folder)
    return load_model(Checkpoint(str(folder)), "float32"), read_json(note)


def _one(method: str, bench: _Bench) -> dict[str, Any]:
    """One method's figures; its model lies in its folder. A model that is there already is not made again."""
    context, config = bench.context, bench.config
    folder = context.folder / ("model" if method == config.method else f"beside/{method}")
    note = context.scratch / f"{method}.json"
    if folder.is_dir() and note.is_file():
        figures: dict[str, Any] = read_json(note)
        return figures
    base = bench.base.float()
    if method == "ligo":
        model, learned = by_learned_map(base, bench.shapes, bench.learned, config, _place(context))
    else:
        model, learned = copied(base, method, *bench.shapes, context.seed), {}
    told = kept(base, model, bench.rows)
    _say(method, told, context)
    figures = told._asdict() | {"same": told.same} | ({"learned": learned} if learned else {})
    write_json(note, figures)
    save_grown(model, bench.tokenizer, context.scratch / method, folder)
    return figures


def _say(method: str, told: Kept, context: StageContext) -> None:
    """UserError where a method that promises the base's answers does not keep them."""
    difference = f"{told.difference:.1e} of {told.largest:.3g}"
    if method in SAME and not told.same:
        raise UserError(
            f"grow: {method} promises the base's own answers, and logits differ by {difference} (limit {LIMIT:.0e} of it)",
            "use method stack, and tell us the base: this one is built as we do not know it",
        )
    if told.same:
        said = f"answers as the base does, logits within {difference}"
    else:
        said = (
            f"answers differently from the base: logits differ by up to {difference}, {told.kl:.2g} nats of KL a token, "
            f"loss of these rows {told.nats_before:.3f} to {told.nats_after:.3f}"
        )
    context.progress.say(f"{method}: {said} ({told.rows} rows)")
