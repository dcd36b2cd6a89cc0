"""A depthwise ``conv1d`` with a filter of hundreds of taps, as ``long_conv``.

``conv1d`` correlates, so tap j of its weight is tap K - 1 - j of the filter; its padding says how many taps look back.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import fx

from ...compiler.calls import bind
from ...compiler.program import fake_of
from ...compiler.rewriter import Edit
from ...compiler.rules import Decline, Example, Match, Rule
from ..raise_short_conv import Depthwise, RaiseShortConv, depthwise

aten = torch.ops.aten


class LongDepthwise(Rule):
    """conv1d of C groups with a long filter, causal or centred."""

    name = "long-depthwise"
    targets = frozenset({aten.conv1d.default, aten.conv1d.padding})
    site = "long_conv"
    shared_interior = True

    def __init__(self, min_taps: int = 256) -> None:
        """Filters of fewer taps are quicker applied directly."""
        self.min_taps = min_taps

    def match(self, node: fx.Node) -> Match | Decline | None:
        """Read the convolution; of those that are short enough for the other pass nothing is said."""
        taps = fake_of(bind(node)["weight"]).shape[-1]
        if taps < self.min_taps and taps <= RaiseShortConv.max_taps:
            return None
        conv = depthwise(node)
        if not isinstance(conv, Depthwise):
            return conv
        if conv.taps < self.min_taps:
            message = f"{conv.taps} taps are quicker applied directly, the limit is {self.min_taps}"
            return Decline("short-filter", message, {"taps": conv.taps, "min_taps": self.min_taps}, nearness=3)
        return Match(conv.root, conv.nodes, {"conv": conv})

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """The flipped filter at its lags, then the bias."""
        conv = match["conv"]
        k = edit.call(aten.flip.default, edit.call(aten.squeeze.dim, conv.weight, 1), [-1])
        lag0 = conv.taps - 1 - conv.lead
        options = {"lags": "taps", "lag0": lag0} if lag0 else {}
        y = edit.call(torch.ops.regraft.long_conv.default, conv.u, k, **options)
        return (
            y if conv.bias is None else edit.call(aten.add.Tensor, y, edit.call(aten.unsqueeze.default, conv.bias, -1))
        )

    def describe(self, match: Match) -> str:
        """Its size."""
        conv = match["conv"]
        return f"depthwise convolution of {conv.taps} taps, {conv.lead} of which look back"

    examples = (
        Example(
            "padded on both sides and sliced, with bias",
            lambda u, w, b: F.conv1d(u, w, b, padding=255, groups=2)[..., :300],
            ("f32[2, 2, 300]", "f32[2, 1, 256]", "f32[2]"),
        ),
        Example(
            "centred",
            lambda u, w: F.conv1d(u, w, padding=150, groups=2),
            ("f32[2, 2, 300]", "f32[2, 1, 301]"),
        ),
        Example(
            "the tail is kept",
            lambda u, w: F.conv1d(u, w, padding=255, groups=2),
            ("f32[2, 2, 300]", "f32[2, 1, 256]"),
            declines="length-differs",
        ),
    )
