"""Things that a folder holds one module each: found where they lie, so that no list elsewhere has to name them."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

T = TypeVar("T")


def members(package: str, kind: type[T]) -> tuple[T, ...]:
    """Every instance of `kind` that stands at the top of a module of the folder `package`: modules by name, and in each as
    written. All of its modules are imported, so what is dear to load belongs into their functions."""
    found: dict[int, T] = {}
    for module in iter_modules(import_module(package).__path__):
        for one in vars(import_module(f"{package}.{module.name}")).values():
            if isinstance(one, kind):
                found[id(one)] = one
    return tuple(found.values())
