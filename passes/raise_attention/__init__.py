"""Raise attention, however spelled, to ``regraft::attention``.

==================  ==================================================================================
``sdpa``            ``aten.scaled_dot_product_attention`` in every spelling of its arguments
``written-out``     softmax(scale * q @ k^T + mask) @ v with ``matmul``, ``bmm``, ``baddbmm`` or ``einsum``,
                    the mask added, filled in or chosen, the logits soft-capped, the softmax in fp32 or not
==================  ==================================================================================

In both, keys and values whose heads were repeated for grouped queries are taken before the repetition, and a mask
that does not depend on the inputs is proved to be causal, sliding, and so on, element by element; in a conjunction
with a padding mask the part that does not depend on the inputs is. Where sizes are symbolic, a causal or sliding mask
is read from the comparisons of positions that make it, and a mask that cannot be read is noted as ``mask-dynamic``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, fx

from ...compiler.analysis.index_masks import first_unread
from ...compiler.calls import bind
from ...compiler.ops import OPS
from ...compiler.ops.registry import known
from ...compiler.passes import Numerics, PassContext
from ...compiler.program import Program, tensor_of
from ...compiler.rules import Rule, RulePass
from ...compiler.sites import op_name
from .sdpa import RaiseSdpa
from .written_out import RaiseWrittenOut


@dataclass(frozen=True)
class RaiseAttention(RulePass):
    """Say attention in one word, with its mask and its groups of heads spelled out."""

    name: ClassVar[str] = "raise-attention"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    rules: ClassVar[tuple[Rule, ...]] = (RaiseSdpa(), RaiseWrittenOut())

    def run(self, program: Program, ctx: PassContext) -> None:
        """Apply the rules, and say which masks of symbolic size could not be read."""
        super().run(program, ctx)
        attention = OPS["attention"].overload
        for site in ctx.sites(program, attention):
            bound = bind(site.node)
            mask = None if bound["bias"] is None or bound["mask"] != "none" else _made_from_positions(bound["bias"])
            if mask is not None:
                unread = first_unread(mask)
                ctx.note(
                    site,
                    "mask-dynamic",
                    f"mask {mask.name} of symbolic size stays a tensor: what {unread.name} ({op_name(unread.target)}) "
                    "gives is not known for every size",
                    unblock="compare arange(queries)[:, None] + offset with arange(keys), or fix the lengths",
                )


def _made_from_positions(bias: fx.Node) -> fx.Node | None:
    """The first boolean [..., queries, keys] of symbolic size under a mask that the graph computes, if any."""
    stack, seen = [bias], set[fx.Node]()
    while stack:
        node = stack.pop()
        if node in seen or node.op != "call_function":
            continue
        seen.add(node)
        tensor = tensor_of(node)
        if tensor is not None and tensor.dtype == torch.bool and _is_symbolic_square(tensor):
            return node
        stack += node.all_input_nodes
    return None


def _is_symbolic_square(tensor: Tensor) -> bool:
    sizes = tensor.shape[-2:]
    whole = len(sizes) == 2 and not any(known(size == 1) for size in sizes)
    return whole and not all(isinstance(size, int) for size in sizes)
