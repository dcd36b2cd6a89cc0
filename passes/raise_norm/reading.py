"""What both norms are read with: the pattern ``value / sqrt(variance + eps)``, and what its statistic must be."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import fx

from ...compiler.calls import cast_of
from ...compiler.ops import OPS
from ...compiler.pattern import Bind, Named, Num, Op, Pattern, State, Var
from ...compiler.program import fake_of, tensor_of
from ...compiler.rewriter import Edit
from ...compiler.rules import Decline, Match, Rule

aten = torch.ops.aten

Reading = Match | Decline | None


class NormRule(Rule):
    """A norm read as large as it goes: no reading is taken at a node whose only user belongs to a larger one."""

    def match(self, node: fx.Node) -> Reading:
        """The reading at the node, unless it continues."""
        reading = self.read(node)
        if isinstance(reading, Match) and len(node.users) == 1:
            larger = self.read(next(iter(node.users)))
            if isinstance(larger, Match) and node in larger.nodes:
                return None
        return reading

    @abstractmethod
    def read(self, node: fx.Node) -> Reading:
        """The norm whose last operation is the node."""

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """One call; the bindings are its arguments."""
        arguments = dict(match.bindings)
        x, weight, bias = arguments.pop("x"), arguments.pop("weight", None), arguments.pop("bias", None)
        positional = [x, weight, bias]
        while positional[-1] is None:
            positional.pop()
        return edit.call(OPS[self.name].overload, *positional, **arguments)


def square(value: Pattern) -> Pattern:
    """``value^2`` in its spellings."""
    return Op(aten.pow.Tensor_Scalar, value, 2) | Op(aten.mul.Tensor, value, value) | Op(aten.square.default, value)


def mean(value: Pattern) -> Pattern:
    """The mean over ``dims``, which is read later, as is ``keepdim``."""
    return Op(aten.mean.dim, value, Bind("dims"), Bind("keepdim"))


def _root(value: Pattern) -> Pattern:
    return Op(aten.sqrt.default, value) | Op(aten.pow.Tensor_Scalar, value, 0.5)


def scaled(value: Pattern, variance: Pattern) -> Pattern:
    """``value / sqrt(variance + eps)``, bound as ``core``; without an addition no ``eps`` is bound."""
    shifted = Op(aten.add.Tensor, variance, Num("eps")) | variance
    reciprocal = Op(aten.reciprocal.default, _root(shifted))
    inverse = Op(aten.rsqrt.default, shifted) | Op(aten.pow.Tensor_Scalar, shifted, -0.5)
    inverse = inverse | reciprocal | Op(aten.mul.Tensor, reciprocal, 1)
    return Named("core", Op(aten.mul.Tensor, value, inverse) | Op(aten.div.Tensor, value, _root(shifted)))


def shifted_outside(value: Pattern, variance: Pattern) -> Pattern:
    """``value / (sqrt(variance) + eps)``: another function."""
    outside = Op(aten.add.Tensor, _root(variance), Num("eps"))
    inverse = Op(aten.reciprocal.default, outside)
    return Op(aten.div.Tensor, value, outside) | Op(aten.mul.Tensor, value, inverse | Op(aten.mul.Tensor, inverse, 1))


def is_vector(node: fx.Node) -> bool:
    """Whether a node is a tensor of one dimension."""
    tensor = tensor_of(node)
    return tensor is not None and tensor.dim() == 1


X = Var("x")
CENTRED = Op(aten.sub.Tensor, X, mean(X))
WEIGHT, BIAS = Var("weight", is_vector), Var("bias", is_vector)


def inputs(x: fx.Node) -> Iterator[tuple[fx.Node, torch.dtype | None, tuple[fx.Node, ...]]]:
    """Ways to read what is normalised: as a cast of a narrower input to the compute dtype, and as it is."""
    narrower = cast_of(x)
    if narrower is not None and dtype_of(narrower[0]) != narrower[1]:
        yield narrower[0], narrower[1], (x,)
    yield x, None, ()


def under_cast(vector: fx.Node, wide: torch.dtype | None) -> fx.Node:
    """What a vector was before a cast to ``wide``, or the vector itself."""
    source = cast_of(vector)
    return source[0] if source is not None and source[1] == wide else vector


def spans(vector: fx.Node, x: fx.Node) -> bool:
    """Whether a vector has one element for each feature of ``x``."""
    left, right = tensor_of(vector), tensor_of(x)
    return left is not None and right is not None and left.dim() == 1 and str(left.shape[0]) == str(right.shape[-1])


def dtype_of(node: fx.Node) -> torch.dtype:
    """The dtype of a tensor."""
    return fake_of(node).dtype


def eps_of(state: State) -> float:
    """What is added to the statistic, 0 when nothing is."""
    return float(state.bindings.get("eps", 0.0))


def not_over_last(state: State) -> Decline | None:
    """Why the statistic is not the biased one over exactly the last dimension, if it is not."""
    bindings: Mapping[str, Any] = state.bindings
    if "shape" in bindings:
        return several_dims(bindings["shape"]) if len(bindings["shape"]) != 1 else None
    if bindings["dims"] != [fake_of(bindings["x"]).dim() - 1] or not bindings["keepdim"]:
        return Decline("other-dims", f"the statistic is over dimensions {bindings['dims']}, not the last with keepdim")
    if bindings.get("correction", 0) not in (0, False):
        return Decline(
            "unbiased-variance", "the variance divides by D - 1", unblock="use var(..., unbiased=False)", nearness=3
        )
    return None


def several_dims(shape: Any) -> Decline:
    """The operators have one normalised dimension."""
    return Decline("several-dims", f"normalises over the last {len(shape)} dimensions {list(shape)}")


def eps_outside(state: State) -> Decline:
    """The root is not that of the shifted statistic."""
    eps = state.bindings["eps"]
    return Decline("eps-outside-sqrt", f"eps={eps} is added to the root, not to the mean square", nearness=3)
