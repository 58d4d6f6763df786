"""TRL's trainer on our rows: our micro-batches, our loss, one optimizer step a batch. What we tokenised is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from alpaca_pipe.models.loading import device
from alpaca_pipe.train.cost_estimate import TOKENS_ON_CPU
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
from alpaca_pipe.train.response_loss import nats_of_logits, summed_nats, without_head

if TYPE_CHECKING:
    import torch
    from trl import SFTTrainer

# Of a micro-batch, whatever rows it may hold: a CPU is as fast with few and needs less memory; a GPU wants many.
_TOKENS = {"cpu": TOKENS_ON_CPU, "cuda": 16_384}


_OURS = ("targets", "weights", "learned")  # of a micro-batch, what the model itself does not take


def nats_of(
    model: Any, head: torch.nn.Module, inputs: Mapping[str, Any], dft: bool = False
) -> torch.Tensor:
    """The loss of one micro-batch, summed over what is learned, in nats. head: its output head, reached by itself."""
    rest = {name: value for name, value in inputs.items() if name not in _OURS}
    with without_head(head):
        hidden = model(**rest, use_cache=False).logits
    return summed_nats(_learned(hidden, inputs), head.weight, *_wanted(inputs), dft)


def nats_by_logits(model: Any, inputs: Mapping[str, Any], dft: bool = False) -> torch.Tensor:
    """The same by the model's own logits, whatever it does to them: caps, scales, a bias of its head."""
    rest = {name: value for name, value in inputs.items() if name not in _OURS}
    logits = model(**rest, use_cache=False).logits
    return nats_of_logits(_learned(logits, inputs).float(), *_wanted(inputs), dft)


def _learned(values: torch.Tensor, inputs: Mapping[str, Any]) -> torch.Tensor:
    """values (rows, places, size) of the places that are learned: (learned, size)."""
    return values.flatten(0, 1).index_select(0, inputs["learned"])


def _wanted(inputs: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Targets and weights of the places that are learned."""
    at, weights = inputs["learned"], inputs["weights"]
    targets = inputs["targets"].flatten().index_select(0, at)
    return targets, None if weights is None else weights.flatten().index_select(0, at)


def tensors_of(rows: Sequence[Row], at_once: int, apart: bool, share: bool, pad: int) -> list[Any]:
    """The micro-batches of one step as the model takes them. apart: laid end to end, for attention.py."""
    tokens = _TOKENS[device().type]
    if apart:
        return [as_tensors(batch) for batch in micro_batches(rows, at_once, share, tokens)]
    return [as_padded_tensors(part, pad) for part in grouped(rows, at_once, tokens)]


def collated(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Row]]:
    return {"rows": [Row(row["input_ids"], row["labels"], row.get("weights")) for row in rows]}


def own_part(rows: Sequence[Row], process: int, of: int) -> list[Row]:
    """Every `of`-th row, longest first, so that all have about as much to do. Where nothing is left, a row that teaches
    nothing: every process takes part in every step."""
    ordered = sorted(rows, key=lambda row: (-len(row.ids), list(row.ids))) if of > 1 else rows
    return list(ordered[process::of]) or [Row(rows[0].ids, [IGNORED] * len(rows[0].ids))]


def trainer_class(hyper: Hyperparameters, apart: bool) -> type[SFTTrainer]:
    """The trainer for such a tune. apart: see tensors_of."""
    import torch
    from trl import SFTTrainer

    at_once, share, dft = (
        hyper.per_device_train_batch_size,
        not hyper.draws,
        hyper.objective.loss == "dft",
    )
    alpha = hyper.objective.neftune_noise_alpha

    class RowTrainer(SFTTrainer):
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
            pad = self.processing_class.pad_token_id
            bare = self.accelerator.unwrap_model(model)
            head, embedding = bare.get_output_embeddings(), bare.get_input_embeddings()
            total = torch.zeros((), device=self.args.device)
            batches = tensors_of(rows, at_once, apart, share, pad)
            for number, batch in enumerate(batches):
                last = number == len(batches) - 1
                with nullcontext() if last else self.accelerator.no_sync(model):
                    with self.compute_loss_context_manager():
                        inputs = self._prepare_inputs(batch)
                        with noise(embedding, alpha, lengths_of(batch) if alpha else None):
                            nats = (
                                nats_of(model, head, inputs, dft)
                                if apart
                                else nats_by_logits(model, inputs, dft)
                            )
                        loss = nats * share_of_mean
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

        def create_model_card(self, *args: Any, **kwargs: Any) -> None:
            """None in a checkpoint."""

    return RowTrainer
