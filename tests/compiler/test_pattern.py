"""Patterns read calls as their schemas do, backtrack, and never bind one name to two values."""

import torch
from regraft.compiler.pattern import Bind, Cast, Named, Num, Op, Permute, Reshape, Var
from regraft.frontend.capture import capture
from torch import nn

aten = torch.ops.aten


def result_of(function, *inputs):
    """The node a traced function returns."""

    class Module(nn.Module):
        def forward(self, *args):
            return function(*args)

    graph = capture(Module(), inputs).graph
    return next(node for node in reversed(graph.nodes) if node.op == "output").args[0][0]


X, Y = torch.randn(2, 3), torch.randn(2, 3)


def test_commutative_operators_match_in_both_orders():
    pattern = Op(aten.mul.Tensor, Op(aten.cos.default, Var("x")), Op(aten.sin.default, Var("y")))
    for function in (lambda x, y: x.cos() * y.sin(), lambda x, y: y.sin() * x.cos()):
        state = pattern.first(result_of(function, X, Y))
        assert (state.bindings["x"].name, state.bindings["y"].name) == ("args_0", "args_1")


def test_subtraction_does_not_commute():
    pattern = Op(aten.sub.Tensor, Op(aten.cos.default, Var("x")), Var("y"))
    assert pattern.first(result_of(lambda x, y: x.cos() - y, X, Y))
    assert pattern.first(result_of(lambda x, y: y - x.cos(), X, Y)) is None


def test_argument_not_mentioned_must_have_its_default():
    pattern = Op(aten.add.Tensor, Var("x"), Var("y"))
    assert pattern.first(result_of(lambda x, y: torch.add(x, y), X, Y))
    assert pattern.first(result_of(lambda x, y: torch.add(x, y, alpha=2), X, Y)) is None


def test_name_used_twice_means_one_value():
    square = Op(aten.mul.Tensor, Var("x"), Var("x"))
    assert square.first(result_of(lambda x, y: x * x, X, Y))
    assert square.first(result_of(lambda x, y: x * y, X, Y)) is None


def test_matching_backtracks_over_the_order_of_operands():
    # Taken in the order written, "x" is the sine and the second factor cannot be.
    pattern = Op(aten.mul.Tensor, Var("x"), Op(aten.sin.default, Var("x")))
    state = pattern.first(result_of(lambda x, y: x.sin() * x, X, Y))
    assert state.bindings["x"].name == "args_0"


def test_alternatives_are_tried_left_first():
    pattern = Named("first", Op(aten.cos.default, Var("x"))) | Named("second", Var("any"))
    node = result_of(lambda x, y: x.cos(), X, Y)
    assert set(pattern.first(node).bindings) == {"x", "first"}


def test_numbers_are_not_booleans_or_nodes():
    node = result_of(lambda x, y: x * 2, X, Y)
    assert Op(aten.mul.Tensor, Var("x"), Num("n")).first(node).bindings["n"] == 2
    assert Num("n").first(True) is None
    assert Num("n").first(node) is None


def test_negative_dimensions_are_bound_counted_from_the_front():
    node = result_of(lambda x, y: x.mean(-1, keepdim=True), X, Y)
    state = Op(aten.mean.dim, Var("x"), Bind("dims"), Bind("keepdim")).first(node)
    assert (state.bindings["dims"], state.bindings["keepdim"]) == ([1], True)


def test_cast_looks_through_any_number_of_casts_and_none():
    pattern = Cast(Op(aten.cos.default, Var("x")))
    for function in (lambda x, y: x.cos(), lambda x, y: x.cos().double(), lambda x, y: x.cos().double().half()):
        assert pattern.first(result_of(function, X, Y))


def test_permute_matches_every_spelling_of_one_order():
    pattern = Permute((1, 0), Var("x"))
    spellings = (
        lambda x, y: x.t() * 1,
        lambda x, y: x.transpose(-1, 0) * 1,
        lambda x, y: x.permute(1, 0) * 1,
        lambda x, y: x.mT * 1,
        lambda x, y: x.T * 1,
        lambda x, y: x.movedim(0, 1) * 1,
    )
    for function in spellings:
        assert pattern.first(result_of(function, X, Y).args[0]), function
    assert pattern.first(result_of(lambda x, y: x.permute(0, 1) * 1, X, Y).args[0]) is None


def test_reshape_looks_through_changes_of_shape_only():
    pattern = Reshape(Op(aten.cos.default, Var("x")))
    assert pattern.first(result_of(lambda x, y: x.cos().view(3, 2).unsqueeze(0), X, Y))
    assert pattern.first(result_of(lambda x, y: x.cos().t(), X, Y)) is None


def test_match_lists_each_call_once():
    node = result_of(lambda x, y: x.cos() * x.cos().double(), X, Y)
    state = Op(aten.mul.Tensor, Op(aten.cos.default, Var("x")), Cast(Op(aten.cos.default, Var("x")))).first(node)
    assert len(state.nodes) == len(set(state.nodes)) == 4


def test_roots_of_alternatives_are_all_or_none():
    cos, sin = Op(aten.cos.default, Var("x")), Op(aten.sin.default, Var("x"))
    assert (cos | sin).roots() == {aten.cos.default, aten.sin.default}
    assert (cos | Var("x")).roots() == frozenset()
