"""Things that a folder holds one module each: found where they lie, so that no list elsewhere has to name them."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

T = TypeVar("T")


@cache
def modules(package: str) -> tuple[str, ...]:
    """The modules of the folder `package`, by name. None of them is imported."""
    return tuple(sorted(module.name for module in iter_modules(import_module(package).__path__)))


def member(package: str, name: str, base: type[T]) -> type[T]:
    """The class that one module of the folder adds to `base`: it holds exactly one."""
    module = import_module(f"{package}.{name}")
    mine = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, base) and one.__module__ == module.__name__
    ]
    assert len(mine) == 1, f"{module.__name__} should hold one subclass of {base.__name__}"
    return mine[0]


def members(package: str, kind: type[T]) -> tuple[T, ...]:
    """Every instance of `kind` that stands at the top of a module of the folder `package`: modules by name, and in each as
    written. All of its modules are imported, so what is dear to load belongs into their functions."""
    found: dict[int, T] = {}
    for name in modules(package):
        for one in vars(import_module(f"{package}.{name}")).values():
            if isinstance(one, kind):
                found[id(one)] = one
    return tuple(found.values())
