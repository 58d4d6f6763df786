"""TRL's trainer on our rows: our micro-batches, our loss, one optimizer step a batch. What we tokenised is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpaca_pipe.models.loading import device
from alpaca_pipe.train.cost_estimate import TOKENS_ON_CPU
from alpaca_pipe.train.distill_loss import Taught
from alpaca_pipe.train.distill_loss import nats_of_logits as mixed_of_logits
from alpaca_pipe.train.hyperparameters import Hyperparameters
from alpaca_pipe.train.micro_batches import (
    IGNORED,
    Row,
    as_padded_tensors,
    as_tensors,
    grouped,
    micro_batches,
)
from alpaca_pipe.train.neftune import lengths_of, noise
from alpaca_pipe.train.response_loss import instead_of_head, nats_of_logits, summed_nats
from alpaca_pipe.train.soft_targets import SoftTargets
from alpaca_pipe.train.together import largest

if TYPE_CHECKING:
    import torch
    from trl import SFTTrainer

# Of a micro-batch, whatever rows it may hold: a CPU is as fast with few and needs less memory; a GPU wants many.
_TOKENS = {"cpu": TOKENS_ON_CPU, "cuda": 16_384}


_OURS = (
    "targets",
    "weights",
    "learned",
    "numbers",
)  # of a micro-batch, what the model itself does not take


def nats_of(
    model: Any,
    head: torch.nn.Module,
    inputs: Mapping[str, Any],
    dft: bool = False,
    taught: Taught | None = None,
    scale: float | None = None,
) -> torch.Tensor:
    """The loss of one micro-batch, summed over what is learned, in nats. head: its output head, reached by itself. scale: see
    summed_nats."""
    rest = {name: value for name, value in inputs.items() if name not in _OURS}

    def nats(hidden: torch.Tensor) -> torch.Tensor:
        wanted = _wanted(inputs)
        return summed_nats(_learned(hidden, inputs), head.weight, *wanted, dft, taught, scale)

    with instead_of_head(head, nats):
        found: torch.Tensor = model(**rest, use_cache=False).logits
    return found.sum()


def nats_by_logits(
    model: Any, inputs: Mapping[str, Any], dft: bool = False, taught: Taught | None = None
) -> torch.Tensor:
    """The same by the model's own logits, whatever it does to them: caps, scales, a bias of its head."""
    rest = {name: value for name, value in inputs.items() if name not in _OURS}
    logits = model(**rest, use_cache=False).logits
    learned = _learned(logits, inputs).float()
    if taught is not None:
        return mixed_of_logits(learned, *_wanted(inputs), taught)
    return nats_of_logits(learned, *_wanted(inputs), dft)


def _learned(values: torch.Tensor, inputs: Mapping[str, Any]) -> torch.Tensor:
    """values (rows, places, size) of the places that are learned: (learned, size)."""
    return values.flatten(0, 1).index_select(0, inputs["learned"])


def _wanted(inputs: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Targets and weights of the places that are learned."""
    at, weights = inputs["learned"], inputs["weights"]
    targets = inputs["targets"].flatten().index_select(0, at)
    return targets, None if weights is None else weights.flatten().index_select(0, at)


def tensors_of(
    rows: Sequence[Row], at_once: int, apart: bool, share: bool, pad: int, more_at_first: int = 0
) -> list[Any]:
    """The micro-batches of one step as the model takes them. apart: laid end to end, for attention.py."""
    tokens = _TOKENS[device().type]
    if apart:
        batches = micro_batches(rows, at_once, share, tokens, more_at_first)
        return [as_tensors(batch) for batch in batches]
    return [as_padded_tensors(part, pad) for part in grouped(rows, at_once, tokens)]


def in_step(batches: list[Any], nothing: Callable[[], Any]) -> list[Any]:
    """As many micro-batches as the process with the most has: where weights lie in parts, all compute each layer together."""
    return batches + [nothing() for _ in range(largest(len(batches)) - len(batches))]


def collated(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Row]]:
    return {
        "rows": [
            Row(row["input_ids"], row["labels"], row.get("weights"), row.get("number", -1))
            for row in rows
        ]
    }


def own_part(rows: Sequence[Row], process: int, of: int) -> list[Row]:
    """Every `of`-th row, longest first, so that all have about as much to do. Where nothing is left, a row that teaches
    nothing: every process takes part in every step."""
    ordered = sorted(rows, key=lambda row: (-len(row.ids), list(row.ids))) if of > 1 else rows
    return list(ordered[process::of]) or [teaches_nothing(rows)]


def teaches_nothing(rows: Sequence[Row]) -> Row:
    """The shortest of the rows, with nothing to learn."""
    shortest = min(rows, key=lambda row: len(row.ids))
    return Row(shortest.ids, [IGNORED] * len(shortest.ids))


def trainer_class(
    hyper: Hyperparameters, apart: bool, soft: SoftTargets | None = None
) -> type[SFTTrainer]:
    """The trainer for such a tune. apart: see tensors_of; soft: what a teacher says of the rows."""
    import torch
    from trl import SFTTrainer

    at_once, share, dft = (
        hyper.per_device_train_batch_size,
        not hyper.draws,
        hyper.objective.loss == "dft",
    )
    alpha = hyper.objective.neftune_noise_alpha

    class RowTrainer(SFTTrainer):
        # tokens of a step's first micro-batch beyond the usual: see fit.tokens_for_gradients
        more_at_first = 0

        def training_step(
            self, model: Any, inputs: Any, num_items_in_batch: Any = None
        ) -> torch.Tensor:
            """One optimizer step: its loss is the mean over all its learned tokens, on whatever machine they lie."""
            together: list[Row] = inputs["rows"]
            rows = own_part(
                together, self.accelerator.process_index, self.accelerator.num_processes
            )
            model.train()
            # of the whole step, which every process is given; rows may weigh nothing
            weight = max(math.fsum(row.weight for row in together), 1e-9)
            share_of_mean = self.accelerator.num_processes / weight
            # several processes exchange gradients as they come
            whole = share_of_mean if apart and self.accelerator.distributed_type == "NO" else None
            pad = self.processing_class.pad_token_id
            bare = self.accelerator.unwrap_model(model)
            head, embedding = bare.get_output_embeddings(), bare.get_input_embeddings()
            total = torch.zeros((), device=self.args.device)
            batches = tensors_of(rows, at_once, apart, share, pad, self.more_at_first)
            if hyper.in_parts:
                nothing = lambda: tensors_of([teaches_nothing(rows)], 1, apart, share, pad)[0]
                batches = in_step(batches, nothing)
            for number, batch in enumerate(batches):
                last = number == len(batches) - 1
                if hyper.deepspeed:  # its engine steps after the one that is said to be the last
                    self.accelerator.gradient_state._set_sync_gradients(last)
                # in parts, a gradient is summed at once: kept until the last it would be whole
                with nullcontext() if last or hyper.in_parts else self.accelerator.no_sync(model):
                    with self.compute_loss_context_manager():
                        inputs = self._prepare_inputs(batch)
                        taught = soft.of(batch["numbers"]) if soft else None
                        with noise(embedding, alpha, lengths_of(batch) if alpha else None):
                            nats = (
                                nats_of(model, head, inputs, dft, taught, whole)
                                if apart
                                else nats_by_logits(model, inputs, dft, taught)
                            )
                        loss = nats if whole else nats * share_of_mean
                    self.accelerator.backward(loss)
                total += loss.detach()
            self.state.num_input_tokens_seen += sum(len(row.ids) for row in together)
            return total

        def get_train_dataloader(self) -> Any:
            """Every process is given all rows of a step, and takes its part of them. Accelerate would fill up the last
            step with rows from the beginning, so that all processes have equally many."""
            loader = super().get_train_dataloader()
            if self.accelerator.num_processes > 1:
                batches = loader.batch_sampler
                batches.num_processes, batches.process_index, batches.even_batches = 1, 0, False
            return loader

        def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
            """Of a checkpoint: DeepSpeed writes the model with the rest, in parts; here it would be gathered first."""
            if hyper.deepspeed:
                Path(output_dir or self.args.output_dir).mkdir(parents=True, exist_ok=True)
            else:
                super().save_model(output_dir, _internal_call)

        def _send_telemetry(self) -> None:
            """TRL tells its makers which trainer runs on what; we tell nobody."""

        def create_model_card(self, *args: Any, **kwargs: Any) -> None:
            """None in a checkpoint."""

    return RowTrainer
