"""What each method minimises, by TRL's names, and where its numbers begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Method = Literal["dpo", "kto", "reward", "rloo", "grpo"]
ONLINE = ("rloo", "grpo")  # trained on answers of their own

# Of dpo those whose batch is a mean over pairs, so that it may be computed pair by pair (not aot, which sorts a batch).
DpoLoss = Literal[
    "sigmoid",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "apo_zero",
    "apo_down",
    "discopop",
    "sigmoid_norm",
]
KtoLoss = Literal["kto", "apo_zero_unpaired"]
GrpoLoss = Literal["grpo", "dr_grpo", "dapo", "bnpo"]
Loss = DpoLoss | KtoLoss | GrpoLoss
LOSSES: Mapping[str, tuple[str, ...]] = {
    "dpo": get_args(DpoLoss),
    "kto": get_args(KtoLoss),
    "grpo": get_args(GrpoLoss),
}
BETA = {"dpo": 0.1, "kto": 0.1, "reward": 0.0, "rloo": 0.05, "grpo": 0.0}  # TRL's defaults
# With an adapter, and for all weights: TRL's defaults are for all weights, an adapter takes ten times and more.
LEARNING_RATE = {
    "dpo": (5e-5, 1e-6),
    "kto": (5e-5, 1e-6),
    "reward": (1e-4, 1e-5),
    "rloo": (1e-5, 1e-6),
    "grpo": (1e-5, 1e-6),
}
