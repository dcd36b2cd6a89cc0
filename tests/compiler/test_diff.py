"""Differences are found between what programs compute, not between what their nodes are called."""

import pytest
import torch
from regraft.compiler.diff import diff
from regraft.compiler.text import parse_program
from regraft.frontend.testing import run_pass

PLAIN = """
def graph(x: f32[3, 4], w: f32[4, 4] = parameter("w")):
    linear: f32[3, 4] = aten.linear.default(x, w)  # head
    relu: f32[3, 4] = aten.relu.default(linear)
    tanh: f32[3, 4] = aten.tanh.default(relu)
    return (tanh,)
"""


def changed(old: str, new: str, source: str = PLAIN):
    assert old in source
    return diff(parse_program(source), parse_program(source.replace(old, new)))


def test_equal_programs_do_not_differ():
    changes = changed("relu", "relu")
    assert not changes
    assert str(changes) == ""
    assert len(changes.kept) == 6


def test_another_name_is_no_difference():
    renamed = PLAIN.replace("linear:", "first:").replace("(linear)", "(first)")
    changes = diff(parse_program(PLAIN), parse_program(renamed))
    assert not changes
    assert changes.kept["linear"] == "first"


def test_another_operator_under_the_same_name_is_a_changed_node():
    changes = changed("aten.relu.default", "aten.sigmoid.default")
    assert [(change.kind, change.op) for change in changes.changes] == [("changed", "sigmoid")]
    assert changes.sites() == {"": {"relu": -1, "sigmoid": 1}}


def test_a_node_put_between_two_is_one_node_added():
    source = PLAIN.replace("aten.tanh.default(relu)", "aten.tanh.default(exp)")
    put = "    exp: f32[3, 4] = aten.exp.default(relu)\n    tanh:"
    changes = diff(parse_program(PLAIN), parse_program(source.replace("    tanh:", put)))
    assert [(change.kind, change.op) for change in changes.of("added")] == [("added", "exp")]
    assert not changes.of("removed")


def test_another_argument_is_a_changed_node():
    source = PLAIN.replace("aten.relu.default(linear)", "aten.leaky_relu.default(linear, 0.1)")
    (change,) = changed("0.1", "0.2", source).changes
    assert (change.kind, change.op) == ("changed", "leaky_relu")


def test_swapped_operands_are_a_difference():
    source = PLAIN.replace("aten.tanh.default(relu)", "aten.sub.Tensor(relu, linear)")
    assert changed("(relu, linear)", "(linear, relu)", source)


def test_two_nodes_that_trade_places_are_no_difference():
    first, second = "a: f32[3] = aten.sin.default(x)", "b: f32[3] = aten.cos.default(x)"
    source = f"def graph(x: f32[3]):\n    {first}\n    {second}\n    return (a, b)\n"
    swapped = f"def graph(x: f32[3]):\n    {second}\n    {first}\n    return (a, b)\n"
    assert not diff(parse_program(source), parse_program(swapped))


def test_a_read_moved_across_a_write_is_a_difference():
    read, write = "a: f32[3] = aten.sin.default(x)", "b: f32[3] = aten.add_.Tensor(x, 1)"
    source = f"def graph(x: f32[3]):\n    {read}\n    {write}\n    return (a, b)\n"
    swapped = f"def graph(x: f32[3]):\n    {write}\n    {read}\n    return (a, b)\n"
    assert diff(parse_program(source), parse_program(swapped))


def test_lines_show_the_change_with_its_context_and_leave_out_the_rest():
    many = "\n".join(f"    y{at}: f32[3] = aten.sin.default({f'y{at - 1}' if at else 'x'})" for at in range(12))
    source = f"def graph(x: f32[3]):\n{many}\n    return (y11,)\n"
    text = str(changed("y6: f32[3] = aten.sin", "y6: f32[3] = aten.cos", source)).splitlines()
    assert text[0].strip() == "..."
    assert "- y6: f32[3] = aten.sin.default(y5)" in text
    assert "+ y6: f32[3] = aten.cos.default(y5)" in text
    assert not any("y1:" in line for line in text)


@pytest.mark.parametrize("train", [False, True])
def test_a_pass_is_seen_at_the_site_it_changed(train):
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4)).train(train)
    rewritten = run_pass("raise-norm", model, "f32[3, 4]")
    changes = diff(rewritten.before, rewritten.program)
    assert [(change.kind, change.op, change.path) for change in changes.changes] == [("changed", "layer_norm", "1")]
