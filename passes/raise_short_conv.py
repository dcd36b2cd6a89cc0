"""Raise causal depthwise convolutions of a few taps, with their activation, to ``short_conv``.

The tail that padding K - 1 on both sides leaves behind is cut off in every model that uses it: Hyena, H3 and M2 slice
the result to the input's length, others pad on the left alone. Mamba adds silu.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import fx

from ..compiler.calls import bind, is_call
from ..compiler.ops.registry import known
from ..compiler.passes import Numerics, PassContext
from ..compiler.program import Program, fake_of, tensor_of
from ..compiler.rewriter import Edit
from ..compiler.rules import Decline, Example, Match, Rule, RulePass, apply_rules

aten = torch.ops.aten

_ACTIVATIONS: dict[Any, str] = {
    aten.silu.default: "silu",
    aten.gelu.default: "gelu",
    aten.relu.default: "relu",
    aten.sigmoid.default: "sigmoid",
    aten.tanh.default: "tanh",
}


@dataclass(frozen=True)
class Depthwise:
    """``y[t] = bias + sum_j weight[j] u[t + j - lead]`` per channel, as long as u."""

    u: fx.Node
    weight: fx.Node
    """[C, 1, K]."""
    bias: fx.Node | None
    taps: int
    lead: int
    """Taps that look back, K - 1 when causal."""
    nodes: tuple[fx.Node, ...]

    @property
    def root(self) -> fx.Node:
        """The call that gives y."""
        return self.nodes[-1]


def depthwise(node: fx.Node) -> Depthwise | Decline | None:
    """Read a depthwise ``conv1d`` whose result, perhaps after a slice, is as long as its input."""
    call = bind(node)
    x, weight = tensor_of(call["input"]), tensor_of(call["weight"])
    if x is None or weight is None or call["groups"] == 1 or not isinstance(weight.shape[2], int):
        return None
    channels, per_group, taps = weight.shape
    if per_group != 1 or not known(channels == x.shape[-2]) or not known(call["groups"] == channels):
        return Decline("not-depthwise", f"{call['groups']} groups for {channels} channels")
    if call["stride"] not in ([1], 1) or call["dilation"] not in ([1], 1):
        return Decline("strided", f"stride {call['stride']}, dilation {call['dilation']}", nearness=2)
    padding = call["padding"]
    if node.target is aten.conv1d.padding:
        padding = {"valid": 0, "same": (taps - 1) // 2 if taps % 2 else None}[padding]
    elif isinstance(padding, (list, tuple)):
        padding = padding[0]
    if not isinstance(padding, int):
        return Decline("not-causal", "the padding is not the same on both sides", nearness=2)
    u, lead, nodes = call["input"], padding, [node]
    if (padded := _padded_ahead(u)) is not None:
        u, lead, nodes = padded[0], lead + padded[1], [u, node]
    length = fake_of(u).shape[-1]
    user = _only_user(node)
    if is_call(user, aten.slice.Tensor) and _keeps(user, length):
        nodes.append(user)
    elif not known(fake_of(node).shape[-1] == length):
        return Decline(
            "length-differs",
            f"{length} samples go in and {fake_of(node).shape[-1]} come out",
            unblock="slice the result to [..., :length]",
            nearness=3,
        )
    return Depthwise(u, call["weight"], call["bias"], taps, lead, tuple(nodes))


class CausalDepthwise(Rule):
    """conv1d of C groups, padded by K - 1 and sliced, or padded on the left."""

    name = "causal-depthwise"
    targets = frozenset({aten.conv1d.default, aten.conv1d.padding})
    site = "short_conv"
    shared_interior = True

    def __init__(self, max_taps: int = 255) -> None:
        """Filters of more taps are left alone."""
        self.max_taps = max_taps

    def match(self, node: fx.Node) -> Match | Decline | None:
        """Read the convolution and the activation behind it."""
        conv = depthwise(node)
        if not isinstance(conv, Depthwise):
            return conv
        if conv.lead != conv.taps - 1:
            return Decline("not-causal", f"{conv.taps} taps, {conv.lead} of them look back", nearness=3)
        if conv.taps > self.max_taps:
            unblock = f"raise-short-conv{{max-taps={conv.taps}}}"
            return Decline("long-filter", f"{conv.taps} taps, the limit is {self.max_taps}", {}, unblock, nearness=4)
        activation = _activation(_only_user(conv.root))
        nodes = conv.nodes if activation is None else (*conv.nodes, next(iter(conv.root.users)))
        return Match(nodes[-1], nodes, {"conv": conv, "activation": activation or "identity"})

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """One short_conv."""
        conv = match["conv"]
        taps = edit.call(aten.squeeze.dim, conv.weight, 1)
        options = {} if match["activation"] == "identity" else {"activation": match["activation"]}
        bias = () if conv.bias is None else (conv.bias,)
        return edit.call(torch.ops.regraft.short_conv.default, conv.u, taps, *bias, **options)

    def describe(self, match: Match) -> str:
        """Taps and activation."""
        return f"causal depthwise convolution of {match['conv'].taps} taps, activation {match['activation']}"

    examples = (
        Example(
            "padded on both sides and sliced, with bias (Hyena)",
            lambda u, w, b: F.conv1d(u, w, b, padding=w.shape[-1] - 1, groups=w.shape[0])[..., : u.shape[-1]],
            ("f32[2, 3, 7]", "f32[3, 1, 4]", "f32[3]"),
        ),
        Example(
            "padded on the left, silu behind it (Mamba)",
            lambda u, w: F.silu(F.conv1d(F.pad(u, (3, 0)), w, groups=3)),
            ("f32[2, 3, 9]", "f32[3, 1, 4]"),
        ),
        Example(
            "of a dynamic length",
            lambda u, w: F.conv1d(u, w, padding=2, groups=3)[..., : u.shape[-1]] * u,
            ("f32[2, 3, t=9]", "f32[3, 1, 3]"),
        ),
        Example(
            "an activation that is not the only reader stays outside",
            lambda u, w: (lambda y: F.silu(y) * y)(F.conv1d(u, w, padding=2, groups=3)[..., :7]),
            ("f32[2, 3, 7]", "f32[3, 1, 3]"),
        ),
        Example(
            "centred",
            lambda u, w: F.conv1d(u, w, padding=1, groups=3),
            ("f32[2, 3, 7]", "f32[3, 1, 3]"),
            declines="not-causal",
        ),
        Example(
            "the tail is kept",
            lambda u, w: F.conv1d(u, w, padding=2, groups=3),
            ("f32[2, 3, 7]", "f32[3, 1, 3]"),
            declines="length-differs",
        ),
        Example(
            "dilated",
            lambda u, w: F.conv1d(F.pad(u, (4, 0)), w, dilation=2, groups=3),
            ("f32[2, 3, 7]", "f32[3, 1, 3]"),
            declines="strided",
        ),
        Example(
            "two channels to a group",
            lambda u, w: F.conv1d(F.pad(u, (2, 0)), w, groups=2),
            ("f32[2, 4, 7]", "f32[4, 2, 3]"),
            declines="not-depthwise",
        ),
    )


@dataclass(frozen=True)
class RaiseShortConv(RulePass):
    """Raise causal depthwise convolutions of a few taps, with their activation, to ``short_conv``."""

    name: ClassVar[str] = "raise-short-conv"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    rules = (CausalDepthwise(),)
    max_taps: int = 255
    """Filters of more taps are left alone."""

    def run(self, program: Program, ctx: PassContext) -> None:
        """Apply the rule with this limit."""
        apply_rules((CausalDepthwise(self.max_taps),), program, ctx)


def _padded_ahead(node: Any) -> tuple[fx.Node, int] | None:
    """``(source, zeros)`` of zero padding on the left of the last dimension alone."""
    if not is_call(node, aten.pad.default, aten.constant_pad_nd.default):
        return None
    bound = bind(node)
    pads = list(bound["pad"])
    zero = bound.get("mode", "constant") == "constant" and not bound["value"]
    if not zero or any(pads[1:]) or not isinstance(pads[0], int) or pads[0] < 0:
        return None
    return bound["self"], pads[0]


def _keeps(node: fx.Node, length: Any) -> bool:
    """Whether a slice keeps the first ``length`` samples."""
    bound, result = bind(node), fake_of(node)
    along_time = bound["dim"] == result.dim() - 1 and bound["step"] == 1 and bound["start"] in (0, None)
    return along_time and known(result.shape[-1] == length)


def _activation(node: fx.Node | None) -> str | None:
    if node is None or node.target not in _ACTIVATIONS:
        return None
    if node.target is aten.gelu.default and bind(node)["approximate"] == "tanh":
        return "gelu_tanh"
    return _ACTIVATIONS[node.target]


def _only_user(node: fx.Node) -> Any:
    return next(iter(node.users)) if len(node.users) == 1 else None
