"""Sites: stable handles to places in a program.

A site is written ``module.path/op#ordinal``, for example ``model.layers.0.self_attn/attention#0``: the module that
made the node, the operator's short name, and its rank among the same operators of that module. It survives edits
elsewhere in the graph. Users select sites by glob, over the whole handle or over the module path alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import fx

from .errors import UsageError, nearest
from .program import Program, module_path, user_line


@dataclass(frozen=True)
class Site:
    """A node and its stable handle."""

    path: str
    """FQN of the module."""
    op: str
    ordinal: int
    node: fx.Node
    module: fx.GraphModule
    """The graph module that holds the node (a nested body has its own)."""

    def __str__(self) -> str:
        """``path/op#ordinal``."""
        return f"{self.path}/{self.op}#{self.ordinal}"

    @property
    def line(self) -> str:
        """The user's source line, or an empty string."""
        return user_line(self.node) or ""

    def selected_by(self, pattern: str) -> bool:
        """Whether a glob names this site by its handle, its module path, or a parent of that path."""
        return names_site(pattern, str(self))


def names_site(pattern: str, handle: str) -> bool:
    """Whether a glob names a site, given as ``path/op#ordinal``, by its handle, its path, or a parent of the path."""
    path = handle.rpartition("/")[0]
    parents = [path[:at] for at, char in enumerate(path) if char == "."]
    return any(fnmatchcase(name, pattern) for name in (handle, path, *parents))


def op_name(target: Any) -> str:
    """Short name of a call target: ``aten.linear.default`` -> ``linear``."""
    packet = getattr(target, "overloadpacket", None)
    name = getattr(packet or target, "__name__", None) or str(target)
    return name.rsplit(".", 1)[-1]


def sites(program: Program, accept: Callable[[fx.Node], bool]) -> list[Site]:
    """Sites of the nodes that ``accept`` takes, in graph order through nested bodies.

    Ordinals count all nodes of the same operator in the same module, accepted or not, so that a handle does not
    depend on who asks.
    """
    seen: dict[tuple[str, str], int] = defaultdict(int)
    found: list[Site] = []
    for _, module in program.graphs():
        for node in module.graph.nodes:
            if node.op != "call_function":
                continue
            key = (module_path(node), op_name(node.target))
            ordinal = seen[key]
            seen[key] += 1
            if accept(node):
                found.append(Site(*key, ordinal, node, module))
    return found


def select(candidates: Iterable[Site], pattern: str) -> list[Site]:
    """The sites a glob names; raises :class:`UsageError` when it names none."""
    candidates = list(candidates)
    chosen = [site for site in candidates if site.selected_by(pattern)]
    if not chosen:
        raise UsageError(
            f"no site matches {pattern!r}", hint=nearest(pattern, {str(s) for s in candidates}) if candidates else None
        )
    return chosen
