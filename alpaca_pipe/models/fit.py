"""What tuning a model takes, on paper: bytes of GPU memory, floating-point operations, hours. No torch, no GPU.

The unit of bytes is GB = 1e9, as in model cards and papers; a GPU's memory comes in GiB = 2^30.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Literal

from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.models.architecture import Architecture

Method = Literal["full", "lora", "qlora"]
Dtype = Literal["float32", "bfloat16"]

GB, GIB = 1e9, 2**30
_WIDTH: dict[Dtype, int] = {"float32": 4, "bfloat16": 2}
_NF4_BITS = 4.127  # a weight, with double quantisation (QLoRA, arXiv:2305.14314, section 3)
_LOGIT_BYTES = 12  # for each learned token and word: bf16, fp32, its softmax and gradient
_LEARNED = 0.6  # share of a row's tokens that carry loss; 51.5 % in the released 52K
_CONTEXT = 1.0 * GB  # CUDA's own, kernels and workspaces
# Of memory, on a CPU: Python with torch, transformers and trl; where layers are lean (train/lean) also what an allocator holds.
_PROCESS: dict[Method, float] = {"full": 0.72 * GB, "lora": 0.72 * GB, "qlora": 0.52 * GB}
_CPU_PLACES = 256  # whose logits are there at once, in one buffer
_MOMENTS = 8  # bytes a trained parameter: AdamW's two, in fp32
_USABLE = 0.97  # of the memory, since an allocator leaves gaps


@dataclass(frozen=True)
class Memory:
    """Bytes at the height of a step."""

    weights: float
    copies: float  # of fp32 weights in bf16, which autocast makes and keeps until the backward pass
    gradients: float
    optimizer: float
    activations: float
    logits: float
    context: float = _CONTEXT

    @property
    def total(self) -> float:
        return float(sum(getattr(self, part.name) for part in fields(self)))

    def __str__(self) -> str:
        parts = (
            ("weights", self.weights),
            ("bf16 copies", self.copies),
            ("gradients", self.gradients),
            ("optimizer", self.optimizer),
            ("activations", self.activations + self.logits),
            ("CUDA", self.context),
        )
        return " + ".join(
            f"{name} {amount / GB:.1f}" for name, amount in parts if amount >= 0.05 * GB
        )


def memory(
    shape: Architecture,
    method: Method,
    tokens_at_once: float,
    *,
    dtype: Dtype = "float32",
    rank: int = 16,
    targets: str | tuple[str, ...] = "all-linear",
    adam: Literal["fp32", "8-bit"] = "fp32",
    recompute: bool = False,
) -> Memory:
    """Of one step with AdamW in bf16 autocast, `tokens_at_once` in a micro-batch.

    Full tuning of fp32 weights: 16 bytes a parameter (weight 4, gradient 4, two moments 8), and 2 for the bf16 copy.
    LoRA: the frozen weights, and 16 bytes for each parameter of the adapter. QLoRA: linear layers in NF4.
    """
    width, size = _WIDTH[dtype], shape.parameters
    activations = tokens_at_once * activation_bytes(shape, recompute, method)
    logits = tokens_at_once * _LEARNED * shape.vocabulary * _LOGIT_BYTES
    if method == "full":
        moments = 2 if adam == "8-bit" else 2 * width
        return Memory(
            size * width,
            size * 2 if width == 4 else 0,
            size * width,
            size * moments,
            activations,
            logits,
        )
    adapter = shape.adapter(rank, targets)
    if method == "qlora":
        frozen, copies = shape.linear * _NF4_BITS / 8 + (size - shape.linear) * 2, 0.0
    else:
        frozen, copies = size * width, size * 2 if width == 4 else 0.0
    return Memory(
        frozen + 4 * adapter,
        copies,
        4 * adapter,
        (2 if adam == "8-bit" else 8) * adapter,
        activations,
        logits,
    )


# What processes hold a part of, each, by how the work is split among them. ZeRO: DeepSpeed's stages.
PARTS = {
    "fsdp": ("weights", "gradients", "optimizer"),
    "zero-1": ("optimizer",),
    "zero-2": ("gradients", "optimizer"),
    "zero-3": ("weights", "gradients", "optimizer"),
}


def in_parts(one: Memory, shape: Architecture, method: Method, how: str, processes: int) -> Memory:
    """Of one GPU of several, from the Memory `one` of a GPU alone.

    Where weights lie in parts, two layers are whole at once in bf16, the one that is computed and the next, embedding and output
    layer beside them; in full tuning so is a layer's gradient in bf16 and, while it is summed, in fp32.
    """
    parts = PARTS[how]
    less = {name: getattr(one, name) / processes for name in parts}
    if "weights" not in parts:
        return replace(one, **less)
    word = shape.hidden * shape.vocabulary
    layer = shape.linear / shape.layers
    ends = word * (1 if shape.tied else 2)
    moving = 2 * 2 * layer + 2 * ends + ((2 + 4) * (layer + word) if method == "full" else 0.0)
    return replace(one, **less, copies=moving)


def activation_bytes(
    shape: Architecture, recompute: bool = False, method: Method = "full"
) -> float:
    """Bytes kept for the backward pass for each token, in bf16 with attention that keeps no matrix of scores.

    A layer keeps two norms' inputs and outputs (partly in fp32) and the residuals, queries before and after rotation, keys,
    their rotation, values, what attention gave, and four of the feed-forward's width; with frozen weights fewer of the inputs
    of its linear layers. Saved tensors of one of LLaMA-7B's layers under autocast, counted: 7.54 MB a token full, 6.50 LoRA
    (all 32 layers). With full recompute a layer keeps its input, and one layer at a time is whole.
    """
    hidden = 13 if method == "full" else 9
    layer = 2 * (
        hidden * shape.hidden
        + 2 * shape.attention_width
        + 3 * shape.kv_width
        + 4 * shape.feed_forward
    )
    return shape.layers * 2 * shape.hidden + layer if recompute else shape.layers * layer


# Of what a layer keeps for the backward pass, the share that a process grows by on a CPU, gaps and what is made and thrown away
# within a pass included. Fitted to measured peaks of three shapes.
_CPU_SHARE: dict[Method, float] = {"full": 1.2, "lora": 1.2, "qlora": 3.0}


def memory_on_cpu(
    shape: Architecture,
    method: Method,
    tokens_at_once: float,
    *,
    rank: int = 16,
    targets: str | tuple[str, ...] = "all-linear",
    step: float | None = None,
) -> Memory:
    """Of one step in fp32 with AdamW, `tokens_at_once` in a micro-batch: what the whole process takes at its height. step: its
    tokens, where all its rows may lie in one micro-batch; of full tuning they do as far as tokens_for_gradients goes, and
    then the gradients come as the activations go.

    QLoRA's layers keep what their own code does (5 hidden, 2 queries, 3 keys, 4 feed-forward), and so does a layer that is
    not as LLaMA's, which needs more than is said here.
    """
    room = tokens_at_once + tokens_for_gradients(shape)
    alone = method == "full" and step is not None and step <= room
    tokens = step if alone and step is not None else tokens_at_once
    activations = tokens * _kept_on_cpu(shape, method)
    size, trained = shape.parameters, shape.parameters
    logits: float = _CPU_PLACES * shape.vocabulary * 4
    weights = 4 * size
    if method != "full":
        trained = shape.adapter(rank, targets)
        weights += 4 * trained
    if method == "qlora":  # made from the whole ones, which the allocator keeps a part of
        weights = 4 * size + 4 * trained
    gradients: float = 4 * trained
    if alone:
        gradients = max(gradients - activations, 4 * shape.hidden * shape.vocabulary)
    return Memory(weights, 0, gradients, _MOMENTS * trained, activations, logits, _PROCESS[method])


def tokens_for_gradients(shape: Architecture) -> float:
    """Tokens whose activations take what the gradients of full tuning will take on a CPU. Before the first backward pass of a
    step those are not there, but for the head's: its first micro-batch may have so many tokens more than the others."""
    head = shape.hidden * shape.vocabulary
    return 4 * (shape.parameters - head) / _kept_on_cpu(shape, "full")


def _kept_on_cpu(shape: Architecture, method: Method) -> float:
    """Bytes a token. A lean layer keeps its two inputs, queries, keys, values, what attention gave, gate and up."""
    hidden, query, key, inner = (5, 2, 3, 4) if method == "qlora" else (2, 2, 2, 2)
    layer = 4 * (
        hidden * shape.hidden
        + query * shape.attention_width
        + key * shape.kv_width
        + inner * shape.feed_forward
    )
    return _CPU_SHARE[method] * shape.layers * layer


def checkpoint_bytes(
    shape: Architecture,
    method: Method,
    rank: int = 16,
    targets: str | tuple[str, ...] = "all-linear",
) -> float:
    """Of one checkpoint: what is trained, in fp32, with AdamW's moments."""
    trained = shape.parameters if method == "full" else shape.adapter(rank, targets)
    return (4 + _MOMENTS) * trained


@dataclass(frozen=True)
class Fit:
    """Whether a step fits a GPU. worst: a micro-batch of the longest rows; usual: one of rows as they are expected."""

    gpu: str
    room: float  # bytes of GPU memory that can be used
    worst: Memory
    usual: Memory

    @property
    def fits(self) -> bool:
        """Even where all rows of a micro-batch are as long as they may be."""
        return self.worst.total <= self.room

    @property
    def fits_usually(self) -> bool:
        return self.usual.total <= self.room

    def __str__(self) -> str:
        word = (
            "fits"
            if self.fits
            else "fits as long as rows are short"
            if self.fits_usually
            else "does not fit"
        )
        return (
            f"{word}: {self.worst.total / GB:.0f} GB at most of {self.room / GB:.0f} usable on {self.gpu} "
            f"({self.worst})"
        )


def fit(gpu: str, memory_gib: float, worst: Memory, usual: Memory | None = None) -> Fit:
    return Fit(gpu, memory_gib * GIB * _USABLE, worst, usual or worst)


# Floating-point operations: 2 for each parameter a token is multiplied with, in each of three passes: forward, gradient of
# the activations, gradient of the weights. LoRA needs the third for the adapter only; recompute goes forward twice.
_PASSES: dict[Method, int] = {"full": 3, "lora": 2, "qlora": 2}


def flop_a_token(parameters: float, method: Method = "full", recompute: bool = False) -> float:
    """LLaMA-7B (6.607e9 parameters that are multiplied), full: 39.64 GFLOP. Attention itself is left out: rows are short."""
    return 2 * parameters * (_PASSES[method] + recompute)


def training_flops(
    parameters: float, tokens: float, method: Method = "full", recompute: bool = False
) -> float:
    """Operations for so many trained tokens: 6 x parameters x tokens, in full tuning and pre-training alike."""
    return flop_a_token(parameters, method, recompute) * tokens


def gpu_hours(tokens: float, tokens_per_second_per_gpu: float) -> float:
    """On however many GPUs: more of them are only sooner done."""
    return tokens / tokens_per_second_per_gpu / 3600


def file_bytes(parameters: float, bits: float) -> float:
    """Of a file of weights at so many bits each, scales included: Q4_0 has 4.5 (its first format 5.0)."""
    return parameters * bits / 8
