"""What does not depend on the call is computed before it."""

import torch
from regraft.compiler.program import InputKind
from regraft.frontend.testing import assert_no_worse, run_pass
from torch import nn


class Filtered(nn.Module):
    """A product of weights, used twice, next to pointwise work on a weight."""

    def __init__(self):
        super().__init__()
        self.left = nn.Parameter(torch.randn(8, 3))
        self.scale = nn.Parameter(torch.randn(8))

    def forward(self, x):
        square = self.left @ self.left.mT
        return x @ square.t() * (1 + self.scale) + square.sum()


def kinds(rewritten):
    return [record.kind for record in rewritten.program.inputs]


def test_a_causal_mask_becomes_a_constant():
    def masked(x):
        position = torch.arange(5)
        return x.masked_fill(position[:, None] < position, 0.0)

    rewritten = run_pass("fold-constants", masked, "f32[2, 5, 5]")
    assert rewritten.targets() == ["aten.masked_fill.Scalar"]
    assert rewritten.remark.code == "folded"
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_a_mask_that_depends_on_an_input_keeps_its_constant_half():
    def masked(x, lengths):
        position = torch.arange(5)
        return x * ((position[:, None] >= position) & (position < lengths[:, None, None]))

    rewritten = run_pass("fold-constants", masked, "f32[2, 5, 5]", "i64[2]")
    assert rewritten.count("aten.ge.") == 0
    assert rewritten.count("aten.lt.") == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_random_numbers_and_values_written_in_place_stay():
    def random_and_written(x):
        counter = torch.zeros(5) + 1
        counter.add_(x)
        return x + torch.rand(5) + counter

    assert run_pass("fold-constants", random_and_written, "f32[5]").unchanged


def test_a_lone_factory_stays_since_a_kernel_writes_it_for_free():
    assert run_pass("fold-constants", lambda x: x + torch.arange(5), "f32[5]").unchanged


def test_a_value_over_the_limit_stays_and_says_how_to_raise_it():
    def masked(x):
        return x * (torch.arange(64)[:, None] >= torch.arange(64))

    rewritten = run_pass("fold-constants{max-bytes=4095}", masked, "f32[64, 64]")
    assert rewritten.unchanged
    assert rewritten.remark.code == "too-large"
    assert "max-bytes=4096" in rewritten.remark.unblock


def test_sizes_that_are_not_fixed_leave_the_mask_in_the_graph():
    def masked(x):
        position = torch.arange(x.shape[0])
        return x * (position[:, None] >= position)

    assert run_pass("fold-constants", masked, "f32[t=5, t=5]").unchanged


def test_a_product_of_weights_moves_to_the_prelude_and_is_computed_once():
    rewritten = run_pass("fold-constants", Filtered().eval(), "f32[2, 8]")
    assert kinds(rewritten).count(InputKind.DERIVED) == 2
    prelude = rewritten.program.prelude
    assert [str(node.target) for node in prelude.graph.nodes].count("aten.matmul.default") == 1
    assert [node.meta["fqn"] for node in prelude.graph.find_nodes(op="placeholder")] == ["left"]
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_pointwise_work_on_a_weight_stays_with_the_kernel_that_reads_it():
    rewritten = run_pass("fold-constants", Filtered().eval(), "f32[2, 8]")
    assert rewritten.count("aten.add.Tensor") == 2


def test_nothing_moves_to_the_prelude_while_training():
    rewritten = run_pass("fold-constants", Filtered().train(), "f32[2, 8]")
    assert rewritten.unchanged
    assert rewritten.program.prelude is None
    assert {remark.code for remark in rewritten.remarks} == {"no-weights"}


def test_gradients_reach_the_weights_through_the_prelude():
    from regraft.compiler.execute import execute

    rewritten = run_pass("fold-constants", Filtered().eval(), "f32[2, 8]")
    before, after = (
        torch.autograd.grad(execute(program, rewritten.inputs)[0].sum(), list(rewritten.program.weights.values()))
        for program in (rewritten.before, rewritten.program)
    )
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(old, new)
