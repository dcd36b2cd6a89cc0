"""Write a short causal convolution as a sum of shifted products where Inductor compiles it for a CPU.

There ``aten.conv1d`` is an opaque call to mkldnn, with copies of its input and output around it. As products Inductor
fuses it with the transpose before and the gate after it: 1.0 to 5.8 times as fast at 3 taps, the more the larger
(``python -m benchmarks short_conv``). Run eagerly the same products are slower than the call, and stay away.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import fx

from ..compiler.calls import bind
from ..compiler.ops.activation import ACTIVATIONS
from ..compiler.passes import Numerics, PassContext
from ..compiler.program import Program, tensor_of
from ..compiler.rewriter import Edit
from ..compiler.rules import Decline, Example, Match, Rule, RulePass, apply_rules

aten = torch.ops.aten

_ACTIVATION_CALLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "silu": (aten.silu.default, {}),
    "gelu": (aten.gelu.default, {}),
    "gelu_tanh": (aten.gelu.default, {"approximate": "tanh"}),
    "relu": (aten.relu.default, {}),
    "sigmoid": (aten.sigmoid.default, {}),
    "tanh": (aten.tanh.default, {}),
}
assert {"identity", *_ACTIVATION_CALLS} == set(ACTIVATIONS)


@dataclass(frozen=True)
class ShiftedProducts(Rule):
    """``y[t] = bias + sum_m k[K - 1 - m] u[t - m]``, one product a tap, in fp32 for half-precision inputs."""

    name: ClassVar[str] = "shifted-products"
    targets: ClassVar[frozenset[Any]] = frozenset({torch.ops.regraft.short_conv.default})
    max_taps: int = 4

    def match(self, node: fx.Node) -> Match:
        """Every call of the operator."""
        return Match(node, (node,), bind(node))

    def check(self, match: Match, ctx: PassContext) -> Decline | None:
        """Decline where the opaque call is the quicker one."""
        kernel = tensor_of(match["k"])
        if kernel is None or not isinstance(kernel.shape[-1], int) or kernel.shape[-1] > self.max_taps:
            taps = "an unknown number of" if kernel is None else str(kernel.shape[-1])
            return Decline("many-taps", f"{taps} taps are more than {self.max_taps} products", unblock="max-taps")
        if ctx.device.type != "cpu":
            return Decline("device", f"measured on CPUs only, not on {ctx.device.type}")
        if not ctx.compiled:
            return Decline("not-compiled", "pays only where Inductor fuses the products", unblock="compile=True")
        return None

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """Pad once, then a slice, a product and a sum for each tap."""
        source, taps = tensor_of(match["u"]), tensor_of(match["k"])
        assert source is not None
        assert taps is not None
        wide = torch.float32 if source.dtype in (torch.float16, torch.bfloat16) else source.dtype

        def widened(node: fx.Node) -> fx.Node:
            tensor = tensor_of(node)
            return node if tensor is None or tensor.dtype == wide else edit.call(aten.to.dtype, node, wide)

        count = int(taps.shape[-1])
        padded = edit.call(aten.constant_pad_nd.default, widened(match["u"]), [count - 1, 0])
        kernel, length = widened(match["k"]), source.shape[-1]
        if not isinstance(length, int):
            length = edit.call(aten.sym_size.int, match["u"], source.dim() - 1)
        total = None if match["bias"] is None else edit.call(aten.unsqueeze.default, widened(match["bias"]), -1)
        for tap in range(count):
            shifted = edit.call(aten.slice.Tensor, padded, -1, tap, _plus(edit, length, tap))
            weight = edit.call(aten.unsqueeze.default, edit.call(aten.select.int, kernel, 1, tap), -1)
            product = edit.call(aten.mul.Tensor, shifted, weight)
            total = product if total is None else edit.call(aten.add.Tensor, product, total)
        assert total is not None
        if wide != source.dtype:
            total = edit.call(aten.to.dtype, total, source.dtype)
        if match["activation"] != "identity":
            activation, arguments = _ACTIVATION_CALLS[match["activation"]]
            total = edit.call(activation, total, **arguments)
        return total

    def describe(self, match: Match) -> str:
        """How many products."""
        taps = tensor_of(match["k"])
        return f"{'?' if taps is None else taps.shape[-1]} shifted products instead of a call Inductor cannot fuse"


def _plus(edit: Edit, size: int | fx.Node, more: int) -> int | fx.Node:
    return size + more if isinstance(size, int) else edit.call(operator.add, size, more)


ShiftedProducts.examples = (
    Example("biased", torch.ops.regraft.short_conv, ("f32[2, 5, t=9]", "f32[5, 3]", "f32[5]")),
    Example("plain", lambda u, k: torch.ops.regraft.short_conv(u, k), ("f32[1, 3, 4]", "f32[3, 4]")),
    Example("one tap", lambda u, k: torch.ops.regraft.short_conv(u, k), ("f32[1, 3, 7]", "f32[3, 1]")),
    Example("shorter than its taps", lambda u, k: torch.ops.regraft.short_conv(u, k), ("f32[2, 3, 2]", "f32[3, 4]")),
    Example(
        "activated",
        lambda u, k, b: torch.ops.regraft.short_conv(u, k, b, activation="silu"),
        ("f32[2, 3, 8]", "f32[3, 2]", "f32[3]"),
    ),
    Example(
        "many taps",
        lambda u, k: torch.ops.regraft.short_conv(u, k),
        ("f32[2, 3, 8]", "f32[3, 5]"),
        declines="many-taps",
    ),
)


@dataclass(frozen=True)
class LowerShortConv(RulePass):
    """Write short convolutions as shifted products where Inductor compiles them for a CPU."""

    name: ClassVar[str] = "lower-short-conv"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    rules: ClassVar[tuple[Rule, ...]] = (ShiftedProducts(),)
    max_taps: int = 4
    """Longer filters stay calls."""

    def run(self, program: Program, ctx: PassContext) -> None:
        """Apply the rule."""
        apply_rules((ShiftedProducts(self.max_taps),), program, ctx)
