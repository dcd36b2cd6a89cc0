"""A lazy table of passes: names and import paths, loaded on first use.

The built-in passes are listed in :mod:`regraft.passes`; those of other packages register under the entry-point group
``regraft.passes``. Two passes of one name are an error, never a silent override.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from .errors import UsageError, nearest
from .passes import Pass


class Registry:
    """Passes by name."""

    def __init__(self, builtin: Mapping[str, str], group: str) -> None:
        """``builtin`` maps names to ``"package.module:Class"``; ``group`` is the entry-point group for the others."""
        self._group = group
        self._builtin = builtin
        self._paths: dict[str, str] | None = None
        self._loaded: dict[str, type[Pass]] = {}

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._table())

    def __iter__(self) -> Iterator[type[Pass]]:
        """Every pass class, loaded, by name."""
        return (self.get(name) for name in self.names())

    def __contains__(self, name: str) -> bool:
        """Whether a pass of this name is known."""
        return name in self._table()

    def get(self, name: str) -> type[Pass]:
        """The pass class; raises :class:`UsageError` for an unknown name, naming the nearest."""
        if name not in self._loaded:
            table = self._table()
            if name not in table:
                raise UsageError(f"there is no pass {name!r}", hint=nearest(name, table))
            module, _, attribute = table[name].partition(":")
            try:
                found = getattr(import_module(module), attribute)
            except (ImportError, AttributeError) as error:
                raise UsageError(f"pass {name!r} cannot be loaded from {table[name]!r}: {error}") from error
            if not (isinstance(found, type) and issubclass(found, Pass)):
                raise UsageError(f"{table[name]!r} is registered as pass {name!r} but is not a Pass")
            if found.name != name:
                raise UsageError(f"pass {found.name!r} is registered under the name {name!r}")
            self._loaded[name] = found
        return self._loaded[name]

    def _table(self) -> dict[str, str]:
        if self._paths is None:
            paths = dict(self._builtin)
            origin = dict.fromkeys(paths, "regraft")
            for point in entry_points(group=self._group):
                if point.name in paths:
                    raise UsageError(
                        f"pass {point.name!r} is registered twice, by {origin[point.name]} and by {_package(point)}",
                        hint="uninstall one of the two packages, or rename one pass",
                    )
                paths[point.name], origin[point.name] = point.value, _package(point)
            self._paths = paths
        return self._paths


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
