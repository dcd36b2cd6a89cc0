"""``rms_norm`` and ``layer_norm`` by one kernel, with the sum before them where there is one.

Inductor fuses a norm with its neighbours into one kernel, too, and both are bound by the same traffic: their estimates
are equal, so that a norm is taken over only where it was measured to be faster.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from ...compiler.calls import bind, is_call
from ...compiler.program import tensor_of
from ...compiler.rewriter import Edit
from ...compiler.rules import Decline, Match
from ...compiler.values import same_type
from ...lowering.candidates import Call, Candidate, Config, Estimate, Reference, traffic
from ...lowering.targets import Target
from .op import DTYPES, norm

aten = torch.ops.aten


@dataclass(frozen=True)
class RmsNormTile(Candidate):
    """All rows of ``rms_norm``, each read once where it fits a tile."""

    name: ClassVar[str] = "rms_norm.tile"
    kinds: ClassVar[frozenset[str]] = frozenset({"cuda", "hip"})

    def supports(self, call: Call, target: Target) -> Decline | None:
        """fp32 and halves with fp32 statistics, rows of a fixed width, on a GPU outside autocast."""
        if target.kind not in self.kinds:
            return Decline("device", f"tile kernels run on GPUs, not on {target.name}")
        if call.autocast:
            return Decline("autocast", "autocast would cast the operands")
        if other := [tensor.dtype for tensor in call.tensors if tensor.dtype not in DTYPES]:
            return Decline("dtype", f"an operand is {other[0]}")
        if call["compute_dtype"] not in (None, torch.float32):
            return Decline("compute-dtype", f"statistics are to be {call['compute_dtype']}; the kernel's are fp32")
        width = call["x"].shape[-1]
        if not isinstance(width, int) or width == 0:
            return Decline("width", f"rows have {width} elements", unblock="a fixed last dimension")
        return None

    def configs(self, call: Call, target: Target) -> Sequence[Config]:
        """The rows of a tile that the width suggests, then one and four."""
        return {"rows": 0}, {"rows": 1}, {"rows": 4}

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """Its traffic."""
        roofline = Reference(call.op).estimate(call, target, config)
        if roofline is None:
            return None
        moved = traffic(call) + 4 * call["x"].numel() / call["x"].shape[-1]
        seconds = max(moved / target.memory_rate, roofline.seconds)
        return Estimate(seconds, roofline.flops, moved, roofline.floor_seconds)

    def run(self, call: Call, config: Config, *constants: Tensor) -> Tensor:
        """The norm alone."""
        weight, bias, *options = _options(call.arguments, config)
        return norm(call["x"], weight, bias, *options)[0]

    def match(self, node: fx.Node, *, training: bool = False) -> Match:
        """The norm, and the sum it is of; that may have other users, if all come later."""
        call = bind(node)
        add = call["x"]
        terms = _terms(add)
        if terms is None or any(user < node for user in add.users):
            return Match(node, (node,), call)
        return Match(node, (add, node), {**call, "terms": terms}, (add,))

    def rewrite(self, match: Match, edit: Edit, config: Config) -> fx.Node:
        """One call, whose second result replaces the sum."""
        options = _options(match.bindings, config)
        if "terms" not in match.bindings:
            made = edit.call(torch.ops.regraft_tile.norm.default, match["x"], *options)
            return edit.call(operator.getitem, made, 0)
        made = edit.call(torch.ops.regraft_tile.add_norm.default, *match["terms"], *options)
        y, total = (edit.call(operator.getitem, made, at) for at in range(2))
        if set(match["x"].users) - {match.root}:
            edit.replace(match["x"], total)
        return y


@dataclass(frozen=True)
class LayerNormTile(RmsNormTile):
    """All rows of ``layer_norm``, each read once where it fits a tile."""

    name: ClassVar[str] = "layer_norm.tile"


def _options(bound: Any, config: Config) -> tuple[Any, ...]:
    """Arguments of the operators after the tensors that are summed: weight, bias, eps, centred, late, offset, rows."""
    if "cast" not in bound:
        return bound["weight"], bound["bias"], bound["eps"], True, False, 0.0, config["rows"]
    late = bound["cast"] == "late"
    return bound["weight"], None, bound["eps"], False, late, bound["weight_offset"], config["rows"]


def _terms(node: Any) -> tuple[fx.Node, fx.Node] | None:
    """The two values of the sum's own type that a node adds."""
    if not is_call(node, aten.add.Tensor):
        return None
    call = bind(node)
    left, right = call["self"], call["other"]
    alike = (isinstance(term, fx.Node) and same_type(tensor_of(term), tensor_of(node)) for term in (left, right))
    return (left, right) if all(alike) and call["alpha"] == 1 else None
