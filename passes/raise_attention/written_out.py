"""Attention written out: softmax(cap(scale * q @ k^T) + mask) @ v.

Read from the second product down. Between it and the softmax may stand casts, reshapes and a dropout that does
nothing; between the softmax and the first product scales, masks and one soft cap, in the orders that mean the same as
``regraft::attention``. SDPA rounds less (logits and probabilities stay in fp32), and gives 0 where a written-out
softmax over nothing but -inf gives NaN, so a mask must be known not to do that.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import fx

from ...compiler.calls import bind, cast_of, is_call, reshape_of
from ...compiler.ops.registry import known
from ...compiler.program import tensor_of
from ...compiler.rewriter import Edit
from ...compiler.rules import Decline, Match, Rule
from .examples import WRITTEN_OUT
from .hiding import Hiding, both, read_additive, read_fill, scalar_of
from .operands import Operand, operand
from .products import PRODUCTS, Product, product_of
from .sdpa import attention, describe

aten = torch.ops.aten

_COPIES = (aten.clone.default, aten.contiguous.default, aten.alias.default)
_SOFTMAXES = (aten.softmax.int, aten._softmax.default)
_ADDS = (aten.add.Tensor, aten.sub.Tensor)
_FILLS = (aten.masked_fill.Scalar, aten.masked_fill.Tensor)
_SCALES = (aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar)
_WHERES = (aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf)


@dataclass
class _Logits:
    """What was found between the softmax and the first product."""

    queries: Any
    keys: Any
    lead: tuple[Any, ...]
    """The leading dimensions in their longest form: [B, H] rather than [B * H]."""
    nodes: list[fx.Node]
    factor: float = 1.0
    cap: float | None = None
    hiding: Hiding = field(default_factory=Hiding)
    product: Product | None = None


class RaiseWrittenOut(Rule):
    """Two products with a softmax between them."""

    name = "written-out"
    targets = frozenset(PRODUCTS)
    site = "attention"

    def match(self, node: fx.Node) -> Match | Decline | None:
        """Read upwards from the second product."""
        second = product_of(node)
        if second is None or second.left_order is not None:
            return None
        nodes: list[fx.Node] = [node]
        softmax = _under_probabilities(second.left, nodes)
        if softmax is None or isinstance(softmax, Decline):
            return softmax
        bound = bind(softmax)
        shape = tuple(_tensor(softmax).shape)
        if bound["dim"] != len(shape) - 1:
            return Decline("softmax-dim", f"the softmax is over dimension {bound['dim']}, not over the keys")
        logits = _Logits(shape[-2], shape[-1], shape[:-2], nodes)
        declined = _read_logits(bound["self"], logits)
        if declined is not None:
            return declined
        first = logits.product
        if first is None or first.out_order is not None:
            return None
        return self._operands(node, first, second, logits)

    def _operands(self, root: fx.Node, first: Product, second: Product, logits: _Logits) -> Match | Decline:
        lead = logits.lead
        q = operand(first.left, first.left_order, lead, turned=False)
        k = operand(first.right, first.right_order, lead, turned=True)
        v = operand(second.right, second.right_order, lead, turned=False)
        if q is None or k is None or v is None:
            unblock = "keep batch and heads apart, or use static sizes"
            return Decline("leading-dims", "batch and heads are merged in a way that cannot be undone", unblock=unblock)
        narrow = _tensor(root).dtype
        q, k = (side.without_cast(narrow) for side in (q, k))
        if not q.dtype == k.dtype == v.dtype == narrow:
            return Decline("dtypes", f"queries, keys, values and result are {q.dtype}, {k.dtype}, {v.dtype}, {narrow}")
        if not _broadcasts(q, k, v):
            sizes = f"{list(q.sizes)}, {list(k.sizes)} and {list(v.sizes)}"
            return Decline("broadcast", f"queries, keys and values of sizes {sizes} broadcast as attention does not")
        groups = k.without_repeat(), v.without_repeat()
        if groups[0].repeat and groups[1].repeat and groups[0].repeat.times == groups[1].repeat.times:
            k, v = groups
        nodes = [*logits.nodes]
        for side, user in ((q, first.node), (k, first.node), (v, root)):
            nodes += [each for each in side.private(user) if each not in nodes]
        bindings = {"q": q, "k": k, "v": v, "hiding": logits.hiding, "factor": logits.factor, "cap": logits.cap}
        bindings |= {"out_order": second.out_order}
        if k.repeat is not None:
            bindings["repeats"] = (k.repeat, v.repeat)
        return Match(root, tuple(nodes), bindings)

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """One attention, in the shape of the second product."""
        q, k, v = (match[name].build(edit) for name in "qkv")
        cap, scale = match["cap"], match["factor"]
        out = attention(edit, q, k, v, match["hiding"], scale=scale, softcap=cap)
        if match["out_order"] is not None:
            out = edit.call(aten.permute.default, out, list(match["out_order"]))
        goal = _tensor(match.root).shape
        return out if len(goal) == _tensor(out).dim() else edit.call(aten.reshape.default, out, list(goal))

    def describe(self, match: Match) -> str:
        """The mask and the grouping found."""
        return describe(match)

    examples = WRITTEN_OUT


def _under_probabilities(node: Any, nodes: list[fx.Node]) -> fx.Node | Decline | None:
    """The softmax under casts, copies, reshapes and dropouts that do nothing."""
    while isinstance(node, fx.Node):
        if is_call(node, *_SOFTMAXES):
            nodes.append(node)
            return node
        if is_call(node, aten.dropout.default):
            bound = bind(node)
            if bound["train"] and bound["p"]:
                unblock = "call scaled_dot_product_attention with dropout_p, or model.eval()"
                return Decline("dropout", f"probabilities are dropped with p={bound['p']}", unblock=unblock, nearness=3)
        elif cast_of(node) is None and not is_call(node, *_COPIES) and not _keeps_last(node):
            return None
        nodes.append(node)
        node = node.args[0]
    return None


def _read_logits(node: Any, found: _Logits) -> Decline | None:
    """Read scales, masks and the cap down to the first product, into ``found``."""
    while isinstance(node, fx.Node):
        product = product_of(node)
        if product is not None:
            found.nodes.append(node)
            found.product = product
            return _finish(product, found)
        step = _step(node, found)
        if step is None or isinstance(step, Decline):
            return step
        found.nodes.append(node)
        node = step
    return None


def _step(node: fx.Node, found: _Logits) -> fx.Node | Decline | None:
    """What one call does to the logits under it; ``None`` when it is not understood."""
    if cast_of(node) is not None or is_call(node, *_COPIES):
        return node.args[0]  # type: ignore[return-value]
    if _keeps_last(node):
        shape = tuple(_tensor(node.args[0]).shape)  # type: ignore[arg-type]
        found.lead = max(found.lead, shape[:-2], key=len)
        return node.args[0]  # type: ignore[return-value]
    scaled = _scaled(node)
    if scaled is not None:
        found.factor *= scaled[1]
        return scaled[0]
    if is_call(node, aten.tanh.default):
        if found.cap is not None:
            return Decline("two-caps", "the logits are capped twice")
        found.cap, found.factor = found.factor, found.factor
        return node.args[0]  # type: ignore[return-value]
    return _masked(node, found)


def _masked(node: fx.Node, found: _Logits) -> fx.Node | Decline | None:
    piece: Hiding | Decline
    queries, keys = found.queries, found.keys
    if is_call(node, *_ADDS):
        sides = [(node.args[0], node.args[1])]
        if node.target is aten.add.Tensor:
            sides.append((node.args[1], node.args[0]))
        inner, mask = next((pair for pair in sides if _is_logits(pair[0])), (None, None))
        if inner is None or not isinstance(mask, fx.Node) or bind(node)["alpha"] != 1 or node.target is aten.sub.Tensor:
            return None
        piece = read_additive(mask, queries, keys, safe=False)
    elif is_call(node, *_FILLS):
        inner, mask, fill = node.args[0], node.args[1], scalar_of(node.args[2])
        if fill is None or not isinstance(mask, fx.Node):
            return None
        piece = read_fill(mask, fill, queries, keys, hidden_where=True)
    elif is_call(node, *_WHERES):
        mask, shown, hidden = node.args[:3]
        hidden_where = scalar_of(shown) is not None
        inner, fill = (hidden, scalar_of(shown)) if hidden_where else (shown, scalar_of(hidden))
        if fill is None or not isinstance(mask, fx.Node) or not isinstance(inner, fx.Node):
            return None
        piece = read_fill(mask, fill, queries, keys, hidden_where=hidden_where)
    else:
        return None
    return _add(piece, inner, node, found)  # type: ignore[arg-type]


def _add(piece: Hiding | Decline, inner: fx.Node, node: fx.Node, found: _Logits) -> fx.Node | Decline:
    """Take one more mask into ``found``, if masks and scales are in an order that attention has."""
    if found.cap is not None:
        return Decline("mask-under-cap", f"{node.name} masks the logits before they are capped")
    if found.factor != 1.0:
        return Decline("scale-after-mask", f"the logits are scaled by {found.factor:g} after {node.name} masked them")
    if isinstance(piece, Decline):
        return piece
    if not _same(_tensor(inner).shape, _tensor(node).shape):
        return Decline("mask-broadcasts", f"{node.name} has more dimensions than the logits")
    rank = _tensor(node).dim()
    found.lead = max(found.lead, tuple(_tensor(node).shape[:-2]), key=len)
    terms = (*piece.biases, *piece.conjuncts)
    over_all = frozenset(term for term in terms if rank == 3 == _tensor(term).dim() and not _is_one(term))
    piece = replace(piece, merged=over_all)
    merged = both(found.hiding, piece)
    if merged is None:
        return Decline("two-masks", f"{node.name} and another mask cannot be said by one operand")
    found.hiding = merged
    return inner


def _finish(product: Product, found: _Logits) -> Decline | None:
    """Settle scale and cap, and what ``baddbmm`` adds."""
    if found.cap is not None and found.cap <= 0:
        return Decline("negative-cap", f"the logits are capped at {found.cap:g}")
    if product.bias is not None:
        if found.factor != 1.0 or product.bias_factor != 1.0:
            return Decline("scale-after-mask", f"what {product.node.name} adds is scaled")
        piece = read_additive(product.bias, found.queries, found.keys, safe=False)
        declined = _add(piece, product.node, product.node, found)
        if isinstance(declined, Decline):
            return declined
    found.factor *= product.factor
    if found.hiding.merged and len(found.lead) > 1 and not all(isinstance(size, int) for size in found.lead):
        return Decline("mask-rank", "a mask is over merged batch and heads whose sizes are not fixed")
    found.hiding = replace(found.hiding, lead=found.lead)
    return None


def _scaled(node: fx.Node) -> tuple[fx.Node, float] | None:
    """``(logits, factor)`` of a product or quotient with one number."""
    if is_call(node, aten.mul.Tensor, aten.mul.Scalar):
        for one, other in ((node.args[0], node.args[1]), (node.args[1], node.args[0])):
            factor = scalar_of(other)
            if factor is not None and isinstance(one, fx.Node):
                return one, factor
    if is_call(node, aten.div.Tensor, aten.div.Scalar):
        divisor = scalar_of(node.args[1])
        if divisor and isinstance(node.args[0], fx.Node):
            return node.args[0], 1 / divisor
    return None


def _is_logits(value: Any) -> bool:
    """Whether a product lies under a value, through what may stand between it and the softmax."""
    for _ in range(16):
        if not isinstance(value, fx.Node):
            return False
        if product_of(value) is not None:
            return True
        known_step = is_call(value, *_FILLS, *_ADDS, *_WHERES, *_COPIES, aten.tanh.default, *_SCALES)
        if not (known_step or cast_of(value) is not None or reshape_of(value) is not None):
            return False
        if is_call(value, aten.add.Tensor) and not _is_logits(value.args[0]):
            value = value.args[1]
        else:
            value = value.args[1] if is_call(value, *_WHERES) and not _is_logits(value.args[1]) else value.args[0]
    return False


def _keeps_last(node: fx.Node) -> bool:
    """Whether a call is a reshape or an expansion that leaves the last two dimensions as they are."""
    source = tensor_of(node.args[0]) if node.args else None
    after = tensor_of(node)
    if source is None or after is None or min(source.dim(), after.dim()) < 3:
        return False
    if reshape_of(node) is not None:
        return _same(source.shape[-2:], after.shape[-2:])
    return is_call(node, aten.expand.default) and _same(source.shape, after.shape)


def _broadcasts(q: Operand, k: Operand, v: Operand) -> bool:
    """Whether the leading dimensions fit: batch of k and v that of q or 1, as many heads in k as in v, dividing q's."""
    if not len(q.sizes) == len(k.sizes) == len(v.sizes) >= 3:
        return False
    for side in (k, v):
        if not all(known(a == b) or known(b == 1) for a, b in zip(q.sizes[:-2], side.sizes[:-2], strict=True)):
            return False
    return known(k.sizes[-3] == v.sizes[-3]) and known(k.sizes[-2] == v.sizes[-2])


def _is_one(term: fx.Node) -> bool:
    """Whether a tensor has one entry in front, so that it fits batch and heads merged or not."""
    return known(_tensor(term).shape[0] == 1)


def _same(left: Any, right: Any) -> bool:
    return len(left) == len(right) and all(known(a == b) for a, b in zip(left, right, strict=True))


def _tensor(node: fx.Node) -> torch.Tensor:
    tensor = tensor_of(node)
    assert tensor is not None
    return tensor
