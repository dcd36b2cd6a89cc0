"""``aten.scaled_dot_product_attention`` with its mask read and its repeated heads taken back.

``is_causal`` with fewer queries than keys is upper-left, as ``mask="causal", offset=0`` is. With dropout the operands
stay as they are, so that the same kernel draws the same numbers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from ...compiler.calls import bind
from ...compiler.ops import OPS
from ...compiler.program import tensor_of
from ...compiler.rewriter import Edit
from ...compiler.rules import Decline, Match, Rule
from .examples import SDPA
from .heads import repeat_of
from .hiding import Hiding, MaskStructure, read_additive, read_boolean

aten = torch.ops.aten


class RaiseSdpa(Rule):
    """One SDPA call, with the repeats of its keys and values."""

    name = "sdpa"
    targets = frozenset({aten.scaled_dot_product_attention.default})
    site = "attention"

    def match(self, node: fx.Node) -> Match | Decline | None:
        """Read the arguments; ranks below 3 have no heads to speak of."""
        bound = bind(node)
        q, k, v = (tensor_of(bound[name]) for name in ("query", "key", "value"))
        if q is None or k is None or v is None:
            return None
        if not q.dim() == k.dim() == v.dim() >= 3:
            return Decline("rank", "attention is over [..., heads, time, features], one rank for all three")
        dropout = bound["dropout_p"]
        hiding = _hiding(bound, q.shape[-2], k.shape[-2], keep=bool(dropout))
        if isinstance(hiding, Decline):
            return hiding
        bindings = {"q": bound["query"], "k": bound["key"], "v": bound["value"], "hiding": hiding}
        bindings |= {"scale": bound["scale"], "dropout": dropout}
        nodes: tuple[fx.Node, ...] = (node,)
        repeats = (repeat_of(bound["key"]), repeat_of(bound["value"]))
        if all(repeats) and repeats[0].times == repeats[1].times and not dropout:  # type: ignore[union-attr]
            bindings["repeats"] = repeats
            nodes = (*dict.fromkeys(repeats[0].nodes + repeats[1].nodes), node)  # type: ignore[union-attr]
        return Match(node, nodes, bindings)

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """One attention."""
        q, k, v = match["q"], match["k"], match["v"]
        if "repeats" in match.bindings:
            k, v = (repeat.build(edit) for repeat in match["repeats"])
        return attention(edit, q, k, v, match["hiding"], scale=match["scale"], dropout=match["dropout"])

    def describe(self, match: Match) -> str:
        """The mask and the grouping found."""
        return describe(match)

    examples = SDPA


def attention(edit: Edit, q: fx.Node, k: fx.Node, v: fx.Node, hiding: Hiding, **attributes: Any) -> fx.Node:
    """Build the call, with only the arguments that are not the default."""
    tensor = tensor_of(q)
    assert tensor is not None
    bias = hiding.build(edit, tensor.dtype)
    kwargs = {key: value for key, value in attributes.items() if value is not None and (value or key == "scale")}
    operands = (q, k, v) if bias is None else (q, k, v, bias)
    return edit.call(OPS["attention"].overload, *operands, **hiding.options(), **kwargs)


def describe(match: Match) -> str:
    """One sentence on what was raised."""
    hiding, repeats = match["hiding"], match.get("repeats")
    mask = ", ".join(f"{key} {value}" for key, value in hiding.options().items()) or "no structured mask"
    tensor = " and a tensor" if hiding.conjuncts or hiding.biases else ""
    groups = f", {repeats[0].times} query heads per key head" if repeats else ""
    return f"{len(match.nodes)} nodes became one attention: {mask}{tensor}{groups}"


def _hiding(bound: dict[str, Any], queries: Any, keys: Any, *, keep: bool) -> Hiding | Decline:
    mask = bound["attn_mask"]
    if bound["is_causal"]:
        if mask is not None:
            return Decline("mask-and-causal", "scaled_dot_product_attention refuses a mask together with is_causal")
        return Hiding(MaskStructure("causal"))
    tensor = tensor_of(mask)
    if tensor is None:
        return Hiding()
    if tensor.dtype == torch.bool:
        return Hiding(conjuncts=(mask,)) if keep else read_boolean(mask, queries, keys)
    return Hiding(biases=(mask,)) if keep else read_additive(mask, queries, keys, safe=True)
