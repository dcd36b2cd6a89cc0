"""``rms_norm`` and ``layer_norm`` by one kernel, with the sum before them and the pointwise work behind them.

Inductor fuses a norm with its neighbours into one kernel, too, and both are bound by the same traffic: their estimates
are equal, so that a norm is taken over only where it was measured to be faster. What is absorbed spares nothing then;
what is not costs a round trip through memory.
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
from ...lowering.absorb import Absorbed, severed_bytes
from ...lowering.absorbing import Absorbing, Epilogue
from ...lowering.candidates import Call, Config, Estimate, Reference, traffic
from ...lowering.targets import Target
from .epilogue import norm_epilogue
from .op import DTYPES, norm

aten = torch.ops.aten


@dataclass(frozen=True)
class RmsNormTile(Absorbing):
    """All rows of ``rms_norm``, each read once where it fits a tile."""

    name: ClassVar[str] = "rms_norm.tile"
    kinds: ClassVar[frozenset[str]] = frozenset({"cuda", "hip"})
    strided: ClassVar[bool] = False

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

    def run_with(self, call: Call, config: Config, work: Epilogue, *constants: Tensor) -> Sequence[Tensor]:
        """The norm and what is behind it."""
        weight, bias, *options = _options(call.arguments, config)
        return norm_epilogue(call["x"], None, weight, bias, work.extras, work.text, work.outputs, *options)

    def match(self, node: fx.Node, *, training: bool = False) -> Match:
        """The norm, the work behind it, and the sum it is of; that may have other users, if all come later."""
        alone = super().match(node, training=training)
        add = bind(node)["x"]
        terms = _terms(add)
        if terms is None:
            return alone
        for found in (alone, super().match(node, training=True)):
            others = [user for user in add.users if user is not node]
            if not any(user < found.root or user in found.nodes for user in others):
                shared = (add, *found.shared)
                return Match(found.root, (add, *found.nodes), {**found.bindings, "sum": add, "terms": terms}, shared)
        return alone

    def absorbed(self, match: Match) -> str:
        """The sum and the chain."""
        return " and ".join(filter(None, ("the sum before it" * ("sum" in match.bindings), super().absorbed(match))))

    def spared_bytes(self, match: Match) -> int:
        """Less than nothing: Inductor fuses a norm with what makes its operands, too."""
        work: Absorbed = match["work"]
        own = [node for node in match.nodes if node not in work.nodes]
        return super().spared_bytes(match) - severed_bytes(own, match.nodes)

    def rewrite(self, match: Match, edit: Edit, config: Config) -> fx.Node:
        """One call, whose last result replaces the sum."""
        if "sum" not in match.bindings:
            return super().rewrite(match, edit, config)
        work: Absorbed = match["work"]
        assert work.source is not None
        weight, bias, *options = _options(bind(work.source), config)
        if work.nodes:
            extras, types = self.operands(work)
            made = edit.call(torch.ops.regraft_tile.norm_epilogue.default, *match["terms"], weight, bias,
                             extras, work.text, types, *options)  # fmt: skip
        else:
            made = edit.call(torch.ops.regraft_tile.add_norm.default, *match["terms"], weight, bias, *options)
        # The last node of a rewrite stands for the one it replaces.
        total = edit.call(operator.getitem, made, len(work.outputs))
        if {*match["sum"].users} - {*match.nodes}:
            edit.replace(match["sum"], total)
        news = [edit.call(operator.getitem, made, at) for at in range(len(work.outputs))]
        for output, new in zip(work.outputs[:-1], news, strict=False):
            edit.replace(output, new)
        return news[-1]


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
