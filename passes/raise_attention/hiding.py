"""What an attention is masked by: the part that is a structure, and the part that stays a tensor.

:func:`read_boolean` takes a mask that is True where a query may attend, :func:`read_additive` one that is added to the
logits. A conjunction is taken apart, so that ``causal & padding`` becomes the kind ``"causal"`` with the padding left.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import torch
from torch import fx

from ...compiler.analysis.constants import constant_value, is_written
from ...compiler.analysis.index_masks import Conditions, conditions_of, every_row_sees, negated, structure_of_conditions
from ...compiler.analysis.masks import ABSORBING, HIDDEN, MaskStructure, classify, structure_of
from ...compiler.calls import cast_of, is_call
from ...compiler.ops.registry import known
from ...compiler.program import tensor_of, value_of
from ...compiler.rewriter import Edit
from ...compiler.rules import Decline

aten = torch.ops.aten

_ANDS = (aten.__and__.Tensor, aten.bitwise_and.Tensor, aten.logical_and.default, aten.mul.Tensor)
# What these give is not -inf unless a weight or an activation is, and then nothing works.
_FINITE = (aten.linear.default, aten.matmul.default, aten.embedding.default, aten.exp.default, aten.sigmoid.default)
_FINITE += (aten.tanh.default, aten.softmax.int)
_WHERES = (aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf, aten.where.Scalar)


NO_MASK = MaskStructure("none")


@dataclass(frozen=True)
class Hiding:
    """A mask as ``regraft::attention`` takes it."""

    structure: MaskStructure = NO_MASK
    offset: fx.Node | None = None
    """What computes the structure's offset when that is not a fixed number."""
    conjuncts: tuple[fx.Node, ...] = ()
    """Boolean tensors, True where attending."""
    inverted: bool = False
    """Whether the only conjunct is True where hidden."""
    biases: tuple[fx.Node, ...] = ()
    """Tensors added to the logits."""
    fill: float | None = None
    """What hidden logits become, when the conjuncts hide by a finite number instead of hiding altogether."""
    merged: frozenset[fx.Node] = frozenset()
    """Those tensors whose first dimension is batch and heads in one; they are viewed as ``lead`` in front."""
    lead: tuple[Any, ...] = ()

    def build(self, edit: Edit, dtype: torch.dtype) -> fx.Node | None:
        """The ``bias`` operand: the conjunction, the sum of the biases, or both in one additive tensor."""
        visible = None
        conjuncts, biases = ([self._apart(term, edit) for term in terms] for terms in (self.conjuncts, self.biases))
        if conjuncts:
            visible = reduce(lambda a, b: edit.call(aten.bitwise_and.Tensor, a, b), conjuncts)
            if self.inverted:
                visible = edit.call(aten.logical_not.default, visible)
        if not biases and self.fill is None:
            return visible
        if visible is not None:
            hidden = -torch.inf if self.fill is None else self.fill
            zero = edit.call(aten.scalar_tensor.default, 0.0, dtype=dtype, device=_device(visible))
            visible = edit.call(aten.where.ScalarOther, visible, zero, hidden)
        terms = [term for term in (*biases, visible) if term is not None]
        return reduce(lambda a, b: edit.call(aten.add.Tensor, a, b), terms) if terms else None

    def _apart(self, term: fx.Node, edit: Edit) -> fx.Node:
        if term not in self.merged or len(self.lead) < 2:
            return term
        return edit.call(aten.reshape.default, term, [*self.lead, *tensor_of(term).shape[1:]])  # type: ignore[union-attr]

    def options(self) -> dict[str, Any]:
        """The ``mask``, ``offset`` and ``window`` arguments that are not the default."""
        offset = self.structure.offset if self.offset is None else self.offset
        named = {"mask": self.structure.kind, "offset": offset, "window": self.structure.window}
        return {key: value for key, value in named.items() if value not in ("none", 0)}


def read_boolean(mask: fx.Node, queries: Any, keys: Any) -> Hiding:
    """Take a boolean mask apart; rows that see nothing are as hidden before as after."""
    settled: list[torch.Tensor] = []
    conditions: Conditions = ()
    rest: list[fx.Node] = []
    for part in _conjuncts(mask):
        value = constant_value(part)
        read = None if value is not None else conditions_of(part)
        if value is not None and not bool(value.all()):
            settled.append(value)
        elif read is not None:
            conditions += read
        elif value is None:
            rest.append(part)
    as_given = Hiding(conjuncts=(mask,))
    if any(map(is_written, rest)) or rest == [mask]:
        return as_given
    structure = structure_of_conditions(conditions, queries, keys)
    if settled and structure is not None:
        fixed = all(isinstance(size, int) for size in (queries, keys, structure.offset))
        if fixed and structure.kind != "none":
            settled.append(structure.visible(queries, keys))
        structure = _whole_structure(reduce(operator.and_, settled), queries, keys) if fixed else None
    if structure is None:
        return as_given
    if isinstance(structure.offset, int):
        return Hiding(structure, conjuncts=tuple(rest))
    offset = _computed(structure.offset, mask)
    return as_given if offset is None else Hiding(structure, offset, tuple(rest))


def read_additive(mask: fx.Node, queries: Any, keys: Any, *, safe: bool) -> Hiding | Decline:
    """Take a mask that is added to the logits: a structure if it is proved to be one, else a bias.

    ``safe`` says that the softmax gives 0 on a row of -inf, as SDPA does; one that is written out gives NaN there, and
    is declined when such a row cannot be ruled out.
    """
    value = constant_value(mask)
    if value is not None:
        facts = classify(value)
        if facts is not None and (facts.every_row_sees or (safe and facts.hides_with_infinity)):
            structure = _whole_structure(value == 0, queries, keys)
            return Hiding(biases=(mask,)) if structure is None else Hiding(structure)
        if safe or not bool((value == -torch.inf).all(-1).any()):
            return Hiding(biases=(mask,))
        return empty_rows("a row of the mask hides every key with -inf")
    chosen = _additive_of_boolean(mask)
    if chosen is not None:
        visible, fill = chosen
        found = read_boolean(visible, queries, keys)
        whole = not found.conjuncts and every_row_sees(found.structure, queries, keys)
        if (whole and fill <= HIDDEN) or (safe and fill == -torch.inf):
            return found
    if safe:
        return Hiding(biases=(mask,))
    if _may_be_minus_infinity(mask):
        return empty_rows("the added mask may hide every key of a row with -inf")
    return Hiding(biases=(mask,))


def read_fill(mask: fx.Node, fill: float, queries: Any, keys: Any, *, hidden_where: bool) -> Hiding | Decline:
    """Take logits overwritten with ``fill`` where ``mask`` is ``hidden_where``, before a written-out softmax."""
    value = constant_value(mask)
    if value is None and fill <= HIDDEN:
        found = _read_visible(mask, queries, keys, hidden_where=hidden_where)
        if found is not None and every_row_sees(found, queries, keys):
            return Hiding(found)
    if value is not None:
        visible = ~value.bool() if hidden_where else value.bool()
        if fill <= -1e4 and bool(visible.any(-1).all()):
            structure = _whole_structure(visible, queries, keys)
            if structure is not None:
                return Hiding(structure)
            return Hiding(conjuncts=(mask,), inverted=hidden_where)
    if fill == -torch.inf:
        return empty_rows("a row whose keys are all hidden gives NaN here and 0 in attention")
    if fill > ABSORBING:
        message = f"hidden logits become {fill:g}, which only hides next to a visible key, and a row may have none"
        return Decline("soft-mask", message, {"fill": fill}, "fill with torch.finfo(dtype).min", nearness=4)
    return Hiding(conjuncts=(mask,), inverted=hidden_where, fill=fill)


def _read_visible(mask: fx.Node, queries: Any, keys: Any, *, hidden_where: bool) -> MaskStructure | None:
    """The structure, with a fixed offset, of a mask made from positions."""
    if hidden_where and not is_call(mask, aten.logical_not.default, aten.bitwise_not.default):
        conditions = negated(conditions_of(mask))
    else:
        conditions = conditions_of(mask.args[0] if hidden_where else mask)  # type: ignore[arg-type]
    structure = None if conditions is None else structure_of_conditions(conditions, queries, keys)
    return structure if structure is not None and isinstance(structure.offset, int) else None


def both(first: Hiding, second: Hiding) -> Hiding | None:
    """Two maskings of the same logits as one, or ``None`` when one operand cannot say it."""
    if first.conjuncts and second.conjuncts:
        return None
    for plain, other in ((first, second), (second, first)):
        if plain.structure.kind == "none":
            held = first if first.conjuncts else second
            kept = {"conjuncts": held.conjuncts, "inverted": held.inverted, "fill": held.fill}
            biases, merged = (*first.biases, *second.biases), first.merged | second.merged
            return replace(other, **kept, biases=biases, merged=merged)
    return None


def empty_rows(message: str) -> Decline:
    """The refusal to turn NaN into 0."""
    unblock = "hide with torch.finfo(dtype).min, or call scaled_dot_product_attention"
    return Decline("rows-may-be-empty", message, unblock=unblock, nearness=4)


def _whole_structure(visible: torch.Tensor, queries: Any, keys: Any) -> MaskStructure | None:
    """The structure of a boolean mask that may broadcast over queries and keys."""
    if not (isinstance(queries, int) and isinstance(keys, int)):
        return None
    lead = visible.flatten(0, -3) if visible.dim() > 2 else visible.unsqueeze(0)
    if visible.dim() < 2 or not bool((lead == lead[:1]).all()):
        return None
    return structure_of(lead[0].expand(queries, keys))


def _conjuncts(mask: fx.Node) -> Sequence[fx.Node]:
    """The boolean tensors whose conjunction ``mask`` is, without casts and expansions that only broadcast."""
    tensor = tensor_of(mask)
    if tensor is None or tensor.dtype != torch.bool:
        return [mask]
    under = cast_of(mask)
    if under is not None and _is_bool(under[0]):
        return _conjuncts(under[0])
    if is_call(mask, aten.expand.default) and _is_bool(mask.args[0]):
        source = tensor_of(mask.args[0])
        if source is not None and source.dim() == tensor.dim():
            return _conjuncts(mask.args[0])  # type: ignore[arg-type]
    if is_call(mask, *_ANDS) and all(_is_bool(argument) for argument in mask.args[:2]):
        return [part for argument in mask.args[:2] for part in _conjuncts(argument)]  # type: ignore[arg-type]
    return [mask]


def _additive_of_boolean(mask: fx.Node) -> tuple[fx.Node, float] | None:
    """The boolean under ``where(visible, 0, fill)``, and what hides."""
    while (under := cast_of(mask)) is not None:
        mask = under[0]
    if not is_call(mask, *_WHERES):
        return None
    condition, shown, hidden = mask.args[:3]
    fill = scalar_of(hidden)
    if scalar_of(shown) != 0 or fill is None or not isinstance(condition, fx.Node):
        return None
    return condition, fill


def _computed(size: Any, before: fx.Node) -> fx.Node | None:
    """A node in front of ``before`` whose value is a symbolic size."""
    for node in before.graph.nodes:
        if node is before:
            return None
        value = value_of(node)
        if isinstance(value, torch.SymInt) and known(value == size):
            return node
    return None


def scalar_of(value: Any) -> float | None:
    """A number, also when it is a tensor that holds one number throughout and depends on no input."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    tensor = constant_value(value)
    if tensor is None or tensor.numel() == 0 or not tensor.dtype.is_floating_point:
        return None
    return float(tensor.flatten()[0]) if bool((tensor == tensor.flatten()[0]).all()) else None


def _may_be_minus_infinity(node: fx.Node) -> bool:
    """Whether a mask may hold -inf: an input of the call, a literal, or a constant with it, short of a product."""
    stack, seen = [node], set[fx.Node]()
    while stack:
        each = stack.pop()
        if each in seen:
            continue
        seen.add(each)
        tensor = tensor_of(each)
        if tensor is not None and not tensor.dtype.is_floating_point:
            continue
        if each.op == "placeholder":
            # What is differentiated is a parameter or an activation, not a mask.
            if tensor is None or not tensor.requires_grad:
                return True
        elif each.op == "get_attr":
            value = constant_value(each)
            if value is None or bool((value == -torch.inf).any()):
                return True
        elif -torch.inf in each.args or is_call(each, aten.log.default):
            return True
        elif not is_call(each, *_FINITE):
            stack += each.all_input_nodes
    return False


def _is_bool(value: Any) -> bool:
    tensor = tensor_of(value)
    return tensor is not None and tensor.dtype == torch.bool


def _device(node: fx.Node) -> torch.device:
    tensor = tensor_of(node)
    assert tensor is not None
    return tensor.device
