"""The loss that a model of so many parameters reaches after so many tokens, by Chinchilla's fit: L = E + A / N^a + B / D^b.

Nats a token of MassiveText in DeepMind's own tokenizer, dense decoders of 44M to 16B parameters, each text seen once: on other
texts only differences mean something.
"""

from __future__ import annotations

import math

from alpaca_pipe.core.fast_dataclass import dataclass


@dataclass(frozen=True)
class ChinchillaFit:
    """source: who fitted it. errors: standard errors of E, a and b as printed; None where none that can be believed are."""

    e: float
    a: float
    b: float
    alpha: float
    beta: float
    source: str
    errors: tuple[float, float, float] | None = None

    def loss(self, parameters: float, tokens: float) -> float:
        by_size: float = self.a / parameters**self.alpha
        by_tokens: float = self.b / tokens**self.beta
        return self.e + by_size + by_tokens

    def best_split(self, flops: float) -> tuple[float, float]:
        """(parameters, tokens) of the lowest loss for so many operations, at 6 for each of both."""
        gain = (self.alpha * self.a / (self.beta * self.b)) ** (1 / (self.alpha + self.beta))
        parameters = gain * (flops / 6) ** (self.beta / (self.alpha + self.beta))
        return parameters, flops / 6 / parameters

    def tokens_for(self, loss: float, parameters: float) -> float | None:
        """Tokens until such a loss; None where no number of them reaches it."""
        left = loss - self.e - self.a / parameters**self.alpha
        return (self.b / left) ** (1 / self.beta) if left > 0 else None


HOFFMANN = ChinchillaFit(
    1.69,
    406.4,
    410.7,
    0.34,
    0.28,
    "Hoffmann et al. 2022, arXiv:2203.15556, equation 10 (their intervals are too narrow to be right, says the replication)",
)
REPLICATION = ChinchillaFit(
    1.8172,
    482.01,
    2085.43,
    0.3478,
    0.3658,
    "Besiroglu et al. 2024, arXiv:2404.10102, table 1: the same runs, fitted again",
    (0.03, 0.02, 0.02),
)
FITTED = (44e6, 16e9)  # parameters of the models that were fitted, arXiv:2203.15556, table A9
FEWEST = 1e9  # tokens, about
_MIDDLE = (1e9, 2e10)  # parameters and tokens about which the fitted runs lie
_TWO_SIDED = 1.96  # standard errors: 95 %


def interval(fit: ChinchillaFit, parameters: float, tokens: float) -> tuple[float, float, float]:
    """(low, predicted, high), 95 %. What is printed of the fit has no covariances, and A alone has an error of a quarter, so A and
    B are taken to move with their exponents such that the fit stays where the runs lie; E, a and b move by themselves."""
    assert fit.errors is not None
    of_e, of_alpha, of_beta = fit.errors
    by_size = fit.a / parameters**fit.alpha
    by_tokens = fit.b / tokens**fit.beta
    parts = (
        of_e,
        by_size * math.log(parameters / _MIDDLE[0]) * of_alpha,
        by_tokens * math.log(tokens / _MIDDLE[1]) * of_beta,
    )
    loss = fit.loss(parameters, tokens)
    spread = _TWO_SIDED * math.hypot(*parts)
    return loss - spread, loss, loss + spread


def outside(parameters: float, tokens: float) -> str:
    """What is to be said of sizes that nobody fitted; "" for those within."""
    low, high = FITTED
    if not low <= parameters <= high:
        return f"{parameters / 1e9:.3g}B parameters are beyond the sizes that were fitted (44M to 16B): an extrapolation"
    if tokens < FEWEST:
        return f"{tokens / 1e9:.3g}B tokens are fewer than were fitted: an extrapolation"
    return ""
