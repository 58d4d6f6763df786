"""`@dataclass(frozen=True)` in a quarter of its time. The standard library writes and compiles six methods for each class, 0.4 ms;
`plan` makes ninety classes. Here all classes share them but the constructor."""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool) -> Any:
        """The standard library's, as far as we use it: frozen, compared by its fields. Not for what is made by the hundred
        thousand: its constructor takes half as long again."""
        assert frozen
        return _shared


def _shared(cls: type[Any]) -> type[Any]:
    for name, method in _METHODS.items():
        if name not in vars(cls):
            setattr(cls, name, method)
    return dataclasses.dataclass(repr=False, eq=False)(cls)


def _values(self: Any) -> tuple[Any, ...]:
    names = [field.name for field in dataclasses.fields(self) if field.compare]
    return tuple(attrgetter(name)(self) for name in names)


def _repr(self: Any) -> str:
    shown = [field.name for field in dataclasses.fields(self) if field.repr]
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


def _eq(self: Any, other: Any) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _set(self: Any, name: str, value: Any) -> None:
    """The constructor sets each field once; nobody does again."""
    if name in self.__dict__ or name not in self.__dataclass_fields__:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    self.__dict__[name] = value


def _delete(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


_METHODS = {
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _set,
    "__delattr__": _delete,
}
