"""A norm takes over the sum it is of, where that is safe."""

import pytest
import torch
from regraft.compiler.rewriter import Edit
from regraft.kernels.norm.candidates import RmsNormTile
from regraft.lowering.candidates import call_of
from regraft.lowering.targets import target_for
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx


def used_after(x: Tensor, residual: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    total = x + residual
    return torch.ops.regraft.rms_norm(total, weight), total * 2


def used_before(x: Tensor, residual: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    total = x + residual
    doubled = total * 2
    return torch.ops.regraft.rms_norm(total, weight), doubled


def broadcast(x: Tensor, residual: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    total = x + residual[0]
    return torch.ops.regraft.rms_norm(total, weight), total * 2


def captured(function) -> tuple[fx.GraphModule, fx.Node, tuple[Tensor, ...]]:
    given = torch.randn(3, 8), torch.randn(3, 8), torch.randn(8)
    graph = make_fx(function, pre_dispatch=True, tracing_mode="fake")(*given)
    (node,) = graph.graph.find_nodes(op="call_function", target=torch.ops.regraft.rms_norm.default)
    return graph, node, given


@pytest.mark.parametrize(("function", "absorbed"), [(used_after, True), (used_before, False), (broadcast, False)])
def test_a_sum_is_absorbed_unless_it_is_needed_earlier_or_broadcasts(function, absorbed: bool) -> None:
    graph, node, given = captured(function)
    match = RmsNormTile().match(node)
    edit = Edit(node, "select-kernels", "rms_norm.tile", 0, "", node.meta["val"].fake_mode)
    edit.replace(node, RmsNormTile().rewrite(match, edit, {"rows": 0}))
    edit.finish()
    graph.graph.lint()
    graph.recompile()
    operators = {node.target for node in graph.graph.nodes if node.op == "call_function"}
    assert (torch.ops.regraft_tile.add_norm.default in operators) == absorbed
    assert (torch.ops.aten.add.Tensor in operators) != absorbed
    for found, wanted in zip(graph(*given), function(*given), strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_cpu_is_declined_and_a_gpu_estimated_at_no_less_than_inductor() -> None:
    _, node, _ = captured(used_after)
    call, candidate = call_of(node), RmsNormTile()
    assert candidate.supports(call, target_for("cpu")).code == "device"
    target = target_for("sm_90")
    assert candidate.supports(call, target) is None
    estimate = candidate.estimate(call, target, {"rows": 0})
    assert estimate is not None
    assert estimate.seconds >= estimate.floor_seconds
