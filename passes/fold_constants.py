"""Compute before the call what does not depend on it.

Two halves. A value that depends on no input (causal masks, position ids, windows built from ``arange`` under static
sizes) is computed now and becomes a constant of the graph, on which later passes can prove things. A value that
depends on weights alone moves to the prelude when computing it does real work (a product, a transform, a reduction);
pointwise chains and views of one weight stay, since the kernel that reads the weight does them for free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import fx

from ..compiler.analysis.constants import Constants, ancestors, constants, does_work, evaluate, is_free
from ..compiler.passes import Numerics, Pass, PassContext
from ..compiler.prelude import can_hoist, hoist
from ..compiler.program import Program, tensor_of
from ..compiler.sites import Site, sites
from ..compiler.values import same_type, type_text


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Compute once, before the call, what depends on no input or on weights alone."""

    name: ClassVar[str] = "fold-constants"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    may_change_inputs: ClassVar[bool] = True
    max_bytes: int = 64 * 2**20
    """Values larger than this stay in the graph."""

    def run(self, program: Program, ctx: PassContext) -> None:
        """Fold the largest settled values of the outermost graph; nested bodies keep theirs."""
        found = constants(program)
        handles = {site.node: site for site in sites(program, lambda node: True)}
        memo: dict[fx.Node, object] = {}
        for node in found.frontier(found.input_free):
            if all(source.op == "get_attr" for source in node.all_input_nodes) and is_free(node):
                continue
            # One call (an arange, a zeros) is written by the kernel that reads it, without touching memory.
            if not node.all_input_nodes or not self._fits(node, handles[node], ctx):
                continue
            value = evaluate(node, memo)
            if not same_type(value, tensor_of(node)):
                message = f"{node.name} is recorded as {type_text(tensor_of(node))} but computes {type_text(value)}"
                ctx.missed(handles[node], "type-differs", message)
                continue
            with ctx.edit(node, "input-free", handles[node]) as edit:
                edit.replace(node, edit.constant(f"_folded_{node.name}", value.clone()))
            ctx.passed(handles[node], "folded", f"{type_text(value)} depends on no input", rule="input-free")
        self._hoist(program, found, handles, ctx)

    def _hoist(self, program: Program, found: Constants, handles: dict[fx.Node, Site], ctx: PassContext) -> None:
        reason = can_hoist(program)
        for node in found.frontier(found.weights_only):
            node = _last_work(node, found)
            if node is None or node._erased:
                continue
            if reason:
                ctx.missed(handles[node], "no-weights", f"{node.name} depends on weights alone, but {reason}")
            elif self._fits(node, handles[node], ctx):
                with ctx.edit(node, "weights-only", handles[node]) as edit:
                    hoist(program, edit, [node])
                message = f"{type_text(tensor_of(node))} depends on weights alone"
                ctx.passed(handles[node], "hoisted", message, rule="weights-only")

    def _fits(self, node: fx.Node, site: Site, ctx: PassContext) -> bool:
        tensor = tensor_of(node)
        assert tensor is not None
        size = tensor.numel() * tensor.element_size()
        if size > self.max_bytes:
            ctx.missed(
                site,
                "too-large",
                f"{node.name} would take {size} bytes, more than {self.max_bytes}",
                numbers={"bytes": size, "max_bytes": self.max_bytes},
                unblock=f"fold-constants{{max-bytes={size}}}",
            )
        return size <= self.max_bytes


def _last_work(node: fx.Node, found: Constants) -> fx.Node | None:
    """The value to keep for a frontier value: without the views and casts at its end; None if no work remains."""
    while is_free(node) and node.all_input_nodes[0] in found.weights_only:
        node = node.all_input_nodes[0]
    return node if any(does_work(each) for each in ancestors(node, {})) else None
