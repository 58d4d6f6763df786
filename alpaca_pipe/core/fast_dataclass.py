"""`@dataclass(frozen=True)` that costs nothing until the first instance. The standard library writes and compiles six methods
for each class, 0.4 ms; `plan` loads a hundred classes and makes instances of half. Here all classes share them, and what is
a class's own, its fields and its constructor, is worked out when somebody asks for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, Field
from operator import attrgetter
from threading import RLock
from typing import TYPE_CHECKING, Any

__all__ = ["compact_dataclass", "dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
    from dataclasses import dataclass as compact_dataclass
else:

    def dataclass(*, frozen: bool) -> Any:
        """The standard library's, as far as we use it: frozen, compared by its fields, no slots."""
        assert frozen
        return _shared

    def compact_dataclass(*, frozen: bool) -> Any:
        """For what is kept by the hundred thousand: 64 bytes less each, and made in twice the time."""
        assert frozen
        return _compact


_LOCK = RLock()


class _Later:
    """Stands in a class for what is worked out at its first use, whichever of these it is."""

    def __init__(self, cls: type[Any], name: str) -> None:
        self.cls, self.name = cls, name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        with _LOCK:
            if isinstance(vars(self.cls)["__init__"], _Later):
                _work_out(self.cls)
        return getattr(owner if instance is None else instance, self.name)


def _shared(cls: type[Any]) -> type[Any]:
    for name, method in _METHODS.items():
        if name not in vars(cls):
            setattr(cls, name, method)
    cls.__doc__ = cls.__doc__ or cls.__name__  # or the standard library asks for its signature
    for name in ("__init__", "__dataclass_fields__", "__match_args__", "_compared"):
        setattr(cls, name, _Later(cls, name))
    return cls


def _compact(cls: type[Any]) -> type[Any]:
    cls._is_compact = True
    return _shared(cls)


def _work_out(cls: type[Any]) -> None:
    """The standard library finds the fields, those of the bases included. The constructor comes last: until it is there,
    another thread waits."""
    del cls.__match_args__
    dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.compare]
    cls._compared = attrgetter(*names) if len(names) > 1 else _one_or_none(names)
    cls.__init__ = _constructor(cls)


def _one_or_none(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda one: tuple(getattr(one, name) for name in names)


def _constructor(cls: type[Any]) -> Callable[..., None]:
    known: dict[str, Any] = {"_MISSING": MISSING, "_put": object.__setattr__}
    put = "_put(self, {!r}, {})" if hasattr(cls, "_is_compact") else "_fields[{!r}] = {}"
    body = ["_fields = self.__dict__"] if "_fields" in put else ["pass"]
    plain: list[str] = ["self"]
    named: list[str] = []
    for field in dataclasses.fields(cls):
        name, value = field.name, field.name
        if field.default_factory is not MISSING:
            known[f"_make_{name}"] = field.default_factory
            made = f"_make_{name}()"
            value = f"{made} if {name} is _MISSING else {name}" if field.init else made
        elif not field.init:
            continue
        if field.init:
            (named if field.kw_only else plain).append(_parameter(field, known))
        body.append(put.format(name, value))
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ", ".join(plain + (["*", *named] if named else []))
    exec("\n ".join([f"def __init__({parameters}):", *body]), known)  # noqa: S102 - as the standard library does
    written: Callable[..., None] = known["__init__"]
    written.__qualname__ = f"{cls.__qualname__}.__init__"
    return written


def _parameter(field: Field[Any], known: dict[str, Any]) -> str:
    if field.default_factory is not MISSING:
        return f"{field.name}=_MISSING"
    if field.default is MISSING:
        return field.name
    known[f"_default_{field.name}"] = field.default
    return f"{field.name}=_default_{field.name}"


def _repr(self: Any) -> str:
    shown = [field.name for field in dataclasses.fields(self) if field.repr]
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


def _eq(self: Any, other: Any) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    compared = type(self)._compared
    return compared(self) == compared(other)


def _hash(self: Any) -> int:
    return hash(type(self)._compared(self))


def _set(self: Any, name: str, value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


_METHODS = {
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _set,
    "__delattr__": _delete,
}
