"""Which pointwise work a product takes over, on graphs."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from regraft.compiler.analysis.effects import effects
from regraft.compiler.passes import Numerics, Pass, PassContext
from regraft.compiler.program import Program
from regraft.compiler.rules import illegal
from regraft.compiler.sites import sites
from regraft.frontend.testing import assert_no_worse, run_pass
from regraft.kernels.matmul.candidates import LinearTile, MmTile
from regraft.lowering.absorb import prologue

CONFIG = {"block_m": 32, "block_n": 32, "block_k": 16, "group": 4, "num_warps": 4, "num_stages": 2}
PRODUCTS = {torch.ops.aten.linear.default: LinearTile(), torch.ops.aten.mm.default: MmTile()}


@dataclass(frozen=True)
class TakeTile(Pass):
    """Compute every product by the tile kernel, whatever it costs."""

    name: ClassVar[str] = "take-tile"
    numerics: ClassVar[Numerics] = Numerics.EXACT

    def run(self, program: Program, ctx: PassContext) -> None:
        for site in sites(program, lambda node: node.target in PRODUCTS):
            candidate = PRODUCTS[site.node.target]
            match = candidate.match(site.node)
            decline = illegal(match, effects(site.node.graph), shared_interior=False)
            if decline is not None:
                ctx.missed(site, decline.code, decline.message)
                continue
            with ctx.edit(match.root, candidate.name, site) as edit:
                edit.replace(match.root, candidate.rewrite(match, edit, CONFIG))
            ctx.passed(site, "taken", match["work"].text)


def chain_of(function: Any, *types: str) -> str:
    """The chain that one product of a function absorbs; the result must be as before."""
    rewritten = run_pass(TakeTile(), function, *types)
    assert rewritten.remark.kind == "passed", str(rewritten.remark)
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)
    return rewritten.remark.message


X, W, B = "f32[3, 5, 16]", "f32[20, 16]", "f32[20]"
Y = "f32[3, 5, 20]"


def test_bias_activation_gate_and_residual_are_absorbed() -> None:
    def layer(x, w, b, gate, residual):
        return F.gelu(F.linear(x, w, b)) * gate + residual

    assert chain_of(layer, X, W, B, Y, Y) == "(gelu(x) * full0) + full1"


def test_a_residual_that_others_need_is_a_second_output() -> None:
    def layer(x, w, residual):
        stream = F.linear(x, w) + residual
        return stream, F.silu(stream)

    assert chain_of(layer, X, W, Y) == "v0 = x + full0; v0, silu(v0)"


def test_casts_scales_and_column_operands_are_absorbed() -> None:
    def layer(x, w, scale):
        return (F.linear(x, w).to(torch.bfloat16) * 0.5).float() / scale

    assert chain_of(layer, X, W, "f32[3, 5, 1]") == "(x * 0.5) / column0"


def test_a_product_of_matrices_with_a_dynamic_length() -> None:
    assert chain_of(lambda x, w, r: torch.relu(F.linear(x, w)) + r, "f32[2, t=7, 16]", W, "f32[2, t=7, 20]") == (
        "relu(x) + full0"
    )


def test_the_residual_of_a_later_layer_is_not_waited_for() -> None:
    def block(x, w, v):
        first = F.relu(F.linear(x, w))
        return first + F.linear(first, v)

    rewritten = run_pass(TakeTile(), block, "f32[6, 16]", "f32[20, 16]", "f32[20, 20]")
    assert [remark.message for remark in rewritten.remarks] == ["relu(x)", "full0 + x"]
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_a_value_that_is_needed_before_the_chain_ends_stops_it() -> None:
    def layer(x, w, other):
        product = F.linear(x, w)
        early = product.sum(-1, keepdim=True)
        return product * early + other

    assert chain_of(layer, X, W, Y) == "x"


@pytest.mark.parametrize(
    "follow",
    [
        lambda y: y.softmax(-1),
        lambda y: y.transpose(0, 1) * 2,
        lambda y: F.dropout(y, 0.5),
        lambda y: y > 0,
        lambda y: y.sum(-1, keepdim=True),
        lambda y: y.view(15, 20) * 2,
    ],
)
def test_work_that_is_not_pointwise_on_the_result_stays(follow: Any) -> None:
    rewritten = run_pass(TakeTile(), lambda x, w: follow(F.linear(x, w)), X, W)
    assert rewritten.remark.message == "x"


def test_a_product_that_is_written_in_place_is_not_moved() -> None:
    def layer(x, w, r):
        product = F.linear(x, w)
        gate = torch.relu(product)
        x.mul_(2)
        return gate + r

    rewritten = run_pass(TakeTile(), layer, X, W, Y)
    assert rewritten.remark.code == "mutated-between"


def test_a_prologue_feeds_nothing_but_the_product() -> None:
    program = run_pass(TakeTile(), lambda g, u, w: F.linear(F.silu(g) * u, w), X, X, W).before
    product = next(node for node in program.graph.nodes if node.target is torch.ops.aten.linear.default)
    work = prologue(product.args[0], product)
    assert work.text == "silu(x) * full0"
    assert [node.name for _, node in work.extras] != []
    shared = run_pass(TakeTile(), lambda g, u, w: (F.linear(F.silu(g) * u, w), F.silu(g)), X, X, W).before
    product = next(node for node in shared.graph.nodes if node.target is torch.ops.aten.linear.default)
    assert prologue(product.args[0], product).text in ("silu(x) * full0", "x * full0")
