"""Recognise the gated feed-forward block ``down(act(gate(x)) * up(x))`` (arXiv 2002.05202).

Gate and up are two linears of the same input, or the two halves of one fused linear, gate first. The activation is one
the operator can name, as ATen spells it or, for the tanh approximation of GELU, written out. Which branch carries the
activation decides which is the gate; when neither does, the first factor is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isclose, pi, sqrt
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from ..compiler.analysis.effects import is_random
from ..compiler.calls import bind, getitem_of, is_call, permutation_of
from ..compiler.ops import OPS
from ..compiler.passes import Numerics
from ..compiler.pattern import Num, Op, Var
from ..compiler.program import tensor_of
from ..compiler.rewriter import Edit
from ..compiler.rules import Decline, Example, Match, Rule, RulePass

aten = torch.ops.aten
Nodes = tuple[fx.Node, ...]

ACTIVATIONS: Mapping[Any, str] = {
    aten.silu.default: "silu",
    aten.relu.default: "relu",
    aten.sigmoid.default: "sigmoid",
    aten.tanh.default: "tanh",
}
UNNAMED = {aten.leaky_relu.default, aten.elu.default, aten.softplus.default, aten.hardswish.default, aten.mish.default}
UNNAMED |= {aten.relu6.default, aten.hardtanh.default, aten.selu.default, aten.celu.default, aten.exp.default}

_X = Var("x")
_CUBIC = Op(aten.add.Tensor, _X, Op(aten.mul.Tensor, Op(aten.pow.Tensor_Scalar, _X, 3), Num("cubic")))
_TANH = Op(aten.tanh.default, Op(aten.mul.Tensor, _CUBIC, Num("scale")))
WRITTEN_GELU = Op(aten.mul.Tensor, Op(aten.mul.Tensor, _X, 0.5), Op(aten.add.Tensor, _TANH, 1))
WRITTEN_SILU = Op(aten.mul.Tensor, _X, Op(aten.sigmoid.default, _X))


@dataclass(frozen=True)
class Linear:
    """``x @ weight.T + bias``, and the calls that make it."""

    x: fx.Node
    weight: fx.Node
    bias: fx.Node | None
    nodes: Nodes


@dataclass(frozen=True)
class Branch:
    """A factor of the product: an activation (``identity`` for none) of a linear, or of one half of it."""

    activation: str
    linear: Linear
    half: int | None
    nodes: Nodes


class GatedMlp(Rule):
    """From the down projection up."""

    name = "gated_mlp"
    site = "gated_mlp"
    targets = frozenset({aten.linear.default, aten.addmm.default, aten.matmul.default, aten.add.Tensor})

    def match(self, node: fx.Node) -> Match | Decline | None:
        """Read the block that ends in the linear at the node."""
        down = linear_of(node)
        if down is None or _continues(node):
            return None
        product, dropped = _under_dropout(down.x)
        if not is_call(product, aten.mul.Tensor) or not all(isinstance(a, fx.Node) for a in product.args):
            return None
        branches = [branch_of(argument) for argument in product.args]
        gate, up = branches
        if isinstance(gate, Branch) and isinstance(up, Branch) and gate.activation == "identity":
            gate, up = up, gate
        if up is None or gate is None:
            return None
        if isinstance(gate, Decline) or isinstance(up, Decline):
            other = up if isinstance(gate, Decline) else gate
            return (gate if isinstance(gate, Decline) else up) if isinstance(other, Branch) else None  # type: ignore[return-value]
        if dropped:
            return Decline("dropout", "dropout with p > 0 acts between the product and the down projection", nearness=2)
        return _assemble(node, down, product, gate, up)

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """One call."""
        arguments = [match[name] for name in ("x", "gate", "up", "down", "gate_bias", "up_bias", "down_bias")]
        while arguments[-1] is None:
            arguments.pop()
        return edit.call(OPS["gated_mlp"].overload, *arguments, activation=match["activation"])


def _assemble(node: fx.Node, down: Linear, product: fx.Node, gate: Branch, up: Branch) -> Match | Decline | None:
    """The match for an activated gate and a bare up branch."""
    if up.activation != "identity":
        return Decline("two-activations", f"both factors are activated, by {gate.activation} and {up.activation}")
    bindings: dict[str, Any] = {"x": gate.linear.x, "gate": gate.linear.weight, "gate_bias": gate.linear.bias}
    bindings |= {"down": down.weight, "down_bias": down.bias, "activation": gate.activation}
    nodes = (*down.nodes, product, *gate.nodes, *up.nodes)
    if gate.half is None and up.half is None:
        if gate.linear.x is not up.linear.x:
            message = f"the gate reads {gate.linear.x.name}, the other factor {up.linear.x.name}"
            return Decline("different-inputs", message, nearness=2)
        bindings |= {"up": up.linear.weight, "up_bias": up.linear.bias}
    else:
        if gate.half is None or up.half is None or gate.linear.nodes != up.linear.nodes:
            return Decline("different-inputs", "only one factor is a half of the fused projection", nearness=2)
        if (gate.half, up.half) == (1, 0) and gate.activation == "identity":
            gate, up = up, gate
        if (gate.half, up.half) != (0, 1):
            return Decline("gate-second", "the activated half of the fused projection is not the first", nearness=2)
        bindings |= {"up": None, "up_bias": None}
    return Match(node, tuple(dict.fromkeys((node, *nodes))), bindings)


def branch_of(node: Any) -> Branch | Decline | None:
    """Read a factor; a :class:`Decline` for an activation of a linear that has no name."""
    for name, inner, nodes in _activations(node):
        taken = getitem_of(inner)
        half, taking = None, ()
        if taken is not None and is_call(
            taken[0], aten.chunk.default, aten.split.Tensor, aten.split_with_sizes.default
        ):
            if not _is_halving(taken[0]):
                return None
            half, taking, inner = taken[1], (inner, taken[0]), taken[0].args[0]
        linear = linear_of(inner)
        if linear is not None:
            if not name:
                return Decline("activation-unnamed", f"{node.target} is not an activation of gated_mlp")
            return Branch(name, linear, half, (*nodes, *taking, *linear.nodes))
    return None


def _activations(node: Any) -> Iterator[tuple[str, Any, Nodes]]:
    """Ways to read a value as ``(activation, its argument, calls)``; an empty name is one the operator lacks."""
    if is_call(node, *ACTIVATIONS):
        yield ACTIVATIONS[node.target], node.args[0], (node,)
    elif is_call(node, aten.gelu.default):
        approximate = bind(node)["approximate"]
        yield "gelu_tanh" if approximate == "tanh" else "gelu", node.args[0], (node,)
    elif is_call(node, *UNNAMED):
        yield "", node.args[0], (node,)
    elif is_call(node, aten.mul.Tensor):
        for name, pattern in (("silu", WRITTEN_SILU), ("gelu_tanh", WRITTEN_GELU)):
            state = pattern.first(node)
            if state is not None and _is_tanh_gelu(state.bindings):
                yield name, state.bindings["x"], state.nodes
    else:
        yield "identity", node, ()


def _is_tanh_gelu(bindings: Mapping[str, Any]) -> bool:
    """Whether the constants of a written-out GELU, if it is one, are those of the tanh approximation."""
    cubic, scale = bindings.get("cubic", 0.044715), bindings.get("scale", sqrt(2 / pi))
    return isclose(cubic, 0.044715, rel_tol=1e-6) and isclose(scale, sqrt(2 / pi), rel_tol=1e-6)


def linear_of(node: Any) -> Linear | None:
    """``aten.linear``, ``addmm`` on a transposed weight, or ``x @ weight.T`` with or without a vector added."""
    if is_call(node, aten.linear.default):
        bound = bind(node)
        return Linear(bound["input"], bound["weight"], bound["bias"], (node,)) if _rank(bound["weight"]) == 2 else None
    if is_call(node, aten.addmm.default):
        bound = bind(node)
        weight = _transposed(bound["mat2"])
        if weight is None or bound["beta"] != 1 or bound["alpha"] != 1 or _rank(bound["self"]) != 1:
            return None
        return Linear(bound["mat1"], weight, bound["self"], (node, bound["mat2"]))
    if is_call(node, aten.matmul.default, aten.mm.default):
        x, matrix = cast("tuple[fx.Node, fx.Node]", node.args)
        weight = _transposed(matrix)
        return Linear(x, weight, None, (node, matrix)) if weight is not None else None
    if is_call(node, aten.add.Tensor) and len(node.args) == 2 and not node.kwargs:
        terms = cast("tuple[fx.Node, fx.Node]", node.args)
        for value, bias in (terms, terms[::-1]):
            if is_call(value, aten.matmul.default, aten.mm.default) and _rank(bias) == 1:
                bare = linear_of(value)
                if bare is not None and _width(bias) == _width(node):
                    return Linear(bare.x, bare.weight, bias, (node, *bare.nodes))
    return None


def _continues(node: fx.Node) -> bool:
    """Whether a bias is added to the product of matrices at the node."""
    if not is_call(node, aten.matmul.default) or len(node.users) != 1:
        return False
    return linear_of(next(iter(node.users))) is not None and is_call(next(iter(node.users)), aten.add.Tensor)


def _transposed(node: Any) -> fx.Node | None:
    swapped = permutation_of(node)
    return swapped[0] if swapped is not None and swapped[1] == (1, 0) else None


def _under_dropout(node: Any) -> tuple[Any, bool]:
    """The value under dropout, and whether that drops anything."""
    if not is_call(node, aten.dropout.default):
        return node, False
    return node.args[0], is_random(node)


def _is_halving(many: fx.Node) -> bool:
    bound, width = bind(many), _width(many.args[0])
    if bound["dim"] != _rank(many.args[0]) - 1 or not isinstance(width, int) or width % 2:
        return False
    if "chunks" in bound:
        return bound["chunks"] == 2
    sizes = bound.get("split_sizes", bound.get("split_size"))
    return sizes == width // 2 or sizes == [width // 2] * 2


def _rank(node: Any) -> int:
    tensor = tensor_of(node)
    return -1 if tensor is None else tensor.dim()


def _width(node: Any) -> Any:
    tensor = tensor_of(node)
    return None if tensor is None or not tensor.dim() else tensor.shape[-1]


def _llama(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)


def _other_order(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return F.linear(F.linear(x, up) * F.gelu(F.linear(x, gate), approximate="tanh"), down)


def _biased(x: Tensor, gate: Tensor, up: Tensor, down: Tensor, wide: Tensor, narrow: Tensor) -> Tensor:
    return F.linear(F.gelu(F.linear(x, gate, wide)) * F.linear(x, up, wide), down, narrow)


def _bilinear(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return F.linear(F.linear(x, gate) * F.linear(x, up), down)


def _written_gelu(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    h = F.linear(x, gate)
    h = 0.5 * h * (1.0 + torch.tanh(sqrt(2.0 / pi) * (h + 0.044715 * torch.pow(h, 3.0))))
    return F.linear(h * F.linear(x, up), down)


def _fused(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    gate, up = F.linear(x, gate_up).chunk(2, dim=-1)
    return F.linear(up * F.silu(gate), down)


def _matmul(x: Tensor, gate: Tensor, up: Tensor, down: Tensor, bias: Tensor) -> Tensor:
    return (F.relu(x @ gate.t() + bias) * (x @ up.T)) @ down.transpose(0, 1)


def _addmm(x: Tensor, gate: Tensor, up: Tensor, down: Tensor, bias: Tensor) -> Tensor:
    return torch.addmm(bias, torch.sigmoid(x @ gate.t()) * (x @ up.t()), down.t())


def _two_inputs(x: Tensor, y: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return F.linear(F.silu(F.linear(x, gate)) * F.linear(y, up), down)


def _dropped(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return F.linear(F.dropout(F.silu(F.linear(x, gate)) * F.linear(x, up), 0.5), down)


def _gate_used(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    h = F.linear(x, gate)
    return F.linear(F.silu(h) * F.linear(x, up), down), h


def _gate_second(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    first, second = F.linear(x, gate_up).chunk(2, dim=-1)
    return F.linear(first * F.gelu(second), down)


def _both_activated(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return F.linear(F.silu(F.linear(x, gate)) * torch.tanh(F.linear(x, up)), down)


def _elu(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return F.linear(F.elu(F.linear(x, gate)) * F.linear(x, up), down)


_IN, _WIDE, _DOWN = "f32[2, 3, 5]", "f32[7, 5]", "f32[5, 7]"
_BLOCK = (_IN, _WIDE, _WIDE, _DOWN)

GatedMlp.examples = (
    Example("gate first", _llama, _BLOCK),
    Example("gate second in the product", _other_order, _BLOCK),
    Example("with biases", _biased, (*_BLOCK, "f32[7]", "f32[5]")),
    Example("no activation", _bilinear, _BLOCK),
    Example("GELU written out", _written_gelu, _BLOCK),
    Example("fused projection", _fused, (_IN, "f32[14, 5]", _DOWN)),
    Example("matmul with a transposed weight", _matmul, (*_BLOCK, "f32[7]")),
    Example("addmm", _addmm, ("f32[3, 5]", _WIDE, _WIDE, _DOWN, "f32[5]")),
    Example("dynamic length", _llama, ("f32[2, t=3, 5]", _WIDE, _WIDE, _DOWN)),
    Example("two inputs", _two_inputs, (_IN, *_BLOCK), declines="different-inputs"),
    Example("dropout before the down projection", _dropped, _BLOCK, declines="dropout"),
    Example("the gate is an output", _gate_used, _BLOCK, declines="interior-used"),
    Example("fused with the gate second", _gate_second, (_IN, "f32[14, 5]", _DOWN), declines="gate-second"),
    Example("both factors activated", _both_activated, _BLOCK, declines="two-activations"),
    Example("an activation without a name", _elu, _BLOCK, declines="activation-unnamed"),
)


@dataclass(frozen=True)
class RaiseGatedMlp(RulePass):
    """Name the gated feed-forward block, with separate or fused projections, as ``gated_mlp``."""

    name: ClassVar[str] = "raise-gated-mlp"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    rules: ClassVar[tuple[Rule, ...]] = (GatedMlp(),)
