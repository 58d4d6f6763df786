"""`KEY=VALUE` words of the plans that have no recipe: pretrain, serving, prompts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from alpaca_pipe.core.did_you_mean import did_you_mean
from alpaca_pipe.core.errors import UserError

_TIMES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def keys(
    words: Sequence[str], known: Mapping[str, float | str | None], plan: str
) -> dict[str, float | str | None]:
    """The defaults, with what is named in their place. A number may end in k, m, b (1e9) or t (1e12); a default of None is of a
    number. UserError for what is no such key or named twice, and for no number."""
    found, said = dict(known), set[str]()
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in known:
            raise UserError(f"plan {plan}: no key '{name}'", did_you_mean(name, known))
        if name in said:
            raise UserError(f"plan {plan}: '{name}' is said twice", "say it once")
        said.add(name)
        found[name] = (
            value if isinstance(known[name], str) else number(value, f"plan {plan}: {name}")
        )
    return found


def number(text: str, what: str) -> float:
    """As it is said: 13b, 1.4t, 100k, 2e12. UserError for what is none, or not above zero."""
    said = re.fullmatch(r"([\d.]+(?:e[+-]?\d+)?)([kmbt]?)", text.strip().lower().lstrip("$"))
    try:
        value = float(said[1]) * _TIMES[said[2]] if said else 0.0
    except ValueError:
        value = 0.0
    if not 0 < value < 1e30:
        raise UserError(
            f"{what}: '{text}' is not a number above zero", "write 13b, 1.4t, 100k or 52m"
        )
    return value


def size(value: float) -> str:
    """A count as people say it: 13B, 1.4T."""
    for unit, name in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"
