"""A module that is imported when something of it is first used, for functions that are called for every row: an import
inside of them would be looked up each time."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class _LazyModule:
    """Becomes, name by name, the module that it stands for."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __reduce__(self) -> tuple[Any, ...]:
        return lazy_module, (self._module,)  # a filter travels to other machines

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module(self._module), name)
        setattr(self, name, found)  # the next use finds it without coming here
        return found


def lazy_module(name: str) -> Any:
    """`name` is whole: "alpaca_pipe.curate.detectors.pii"."""
    return _LazyModule(name)
