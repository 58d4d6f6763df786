"""The styles by name, as they lie in styles/. Only the one that is asked for is imported."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from alpaca_pipe.core.registry import member, modules

_FOLDER = "alpaca_pipe.generate.styles"
USUAL = "alpaca"


def style_names() -> tuple[str, ...]:
    """The usual one first."""
    names = (name.replace("_", "-") for name in modules(_FOLDER) if name != "base")
    return (USUAL, *(name for name in names if name != USUAL))


def style_class(name: str) -> type[Any]:
    """The subclass of styles/base.py's Plain that a style is. By name alone: the keys of [generate] lie below the styles."""
    plain: type[Any] = import_module(f"{_FOLDER}.base").Plain
    return member(_FOLDER, name.replace("-", "_"), plain)
