"""Lazy tables of classes: names and import paths, loaded on first use.

Built-in passes are listed in :mod:`regraft.passes`, kernels in :mod:`regraft.kernels`; those of other packages register
under the entry-point groups of the same names. Two of one name are an error, never a silent override.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from .errors import UsageError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Classes of one kind by name."""

    def __init__(self, builtin: Mapping[str, str], group: str, kind: type[T], noun: str) -> None:
        """``builtin`` maps names to ``"package.module:Class"``; ``group`` is the entry-point group for the others.

        Every class derives from ``kind`` and has its own name as ``.name``; ``noun`` is what errors call it.
        """
        self._group, self._kind, self._noun = group, kind, noun
        self._builtin = builtin
        self._paths: dict[str, str] | None = None
        self._loaded: dict[str, type[T]] = {}

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._table())

    def __iter__(self) -> Iterator[type[T]]:
        """Every class, loaded, by name."""
        return (self.get(name) for name in self.names())

    def __contains__(self, name: str) -> bool:
        """Whether one of this name is known."""
        return name in self._table()

    def get(self, name: str) -> type[T]:
        """The class; raises :class:`UsageError` for an unknown name, naming the nearest."""
        if name not in self._loaded:
            table = self._table()
            if name not in table:
                raise UsageError(f"there is no {self._noun} {name!r}", hint=nearest(name, table))
            module, _, attribute = table[name].partition(":")
            try:
                found: Any = getattr(import_module(module), attribute)
            except (ImportError, AttributeError) as error:
                raise UsageError(f"{self._noun} {name!r} cannot be loaded from {table[name]!r}: {error}") from error
            if not (isinstance(found, type) and issubclass(found, self._kind)):
                known_as = f"{self._noun} {name!r} but is not a {self._kind.__name__}"
                raise UsageError(f"{table[name]!r} is registered as {known_as}")
            if (own := getattr(found, "name", None)) != name:
                raise UsageError(f"{self._noun} {own!r} is registered under the name {name!r}")
            self._loaded[name] = found
        return self._loaded[name]

    def _table(self) -> dict[str, str]:
        if self._paths is None:
            paths = dict(self._builtin)
            origin = dict.fromkeys(paths, "regraft")
            for point in entry_points(group=self._group):
                if point.name in paths:
                    owners = f"by {origin[point.name]} and by {_package(point)}"
                    raise UsageError(
                        f"{self._noun} {point.name!r} is registered twice, {owners}",
                        hint=f"uninstall one of the two packages, or rename one {self._noun}",
                    )
                paths[point.name], origin[point.name] = point.value, _package(point)
            self._paths = paths
        return self._paths


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
