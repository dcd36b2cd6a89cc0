"""An edit keeps types and layouts, records who made what, and removes what nothing uses any more."""

import pytest
import torch
from regraft.compiler.errors import VerificationError
from regraft.compiler.passes import PassContext
from regraft.compiler.program import module_path, user_line
from regraft.compiler.remarks import RemarkLog
from regraft.compiler.rewriter import provenance, refresh
from regraft.frontend.capture import capture
from torch import nn

aten = torch.ops.aten


def traced(function, *inputs):
    class Block(nn.Module):
        def forward(self, *args):
            return function(*args)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = Block()

        def forward(self, *args):
            return self.block(*args)

    program = capture(Model(), inputs)
    return program, PassContext("test", RemarkLog(), program.fake_mode)


def call(program, name):
    return next(n for n in program.graph.nodes if n.op == "call_function" and name in str(n.target))


def targets(program):
    return [str(n.target) for n in program.graph.nodes if n.op == "call_function"]


def test_new_node_knows_its_value_module_line_and_maker():
    program, ctx = traced(lambda x: x.cos().sin(), torch.ones(2, 3))
    node = call(program, "sin")
    with ctx.edit(node, "to-tan", "block/sin#0") as edit:
        new = edit.call(aten.tan.default, node.args[0].args[0])
        edit.replace(node, new)
    assert new.meta["val"].shape == (2, 3)
    assert module_path(new) == "block"
    assert "test_rewriter.py" in user_line(new)
    made = provenance(new)
    assert (made.pass_name, made.rule, made.number, made.site, made.origin) == (
        "test",
        "to-tan",
        1,
        "block/sin#0",
        "sin",
    )
    assert new.meta["from_node"][-1].pass_name == "test/to-tan"


def test_replaced_calls_and_all_that_only_they_used_are_removed():
    program, ctx = traced(lambda x: x.cos().sin(), torch.ones(3))
    node = call(program, "sin")
    with ctx.edit(node, "r") as edit:
        edit.replace(node, edit.call(aten.tan.default, node.args[0].args[0]))
    assert targets(program) == ["aten.tan.default"]
    assert ctx.removed == ["sin", "cos"]


def test_interior_with_another_user_stays():
    def forward(x):
        y = x.cos()
        return y.sin() + y

    program, ctx = traced(forward, torch.ones(3))
    node = call(program, "sin")
    with ctx.edit(node, "r") as edit:
        edit.replace(node, edit.call(aten.tan.default, node.args[0].args[0]))
    assert "aten.cos.default" in targets(program)


def test_in_place_write_is_never_removed():
    def forward(x):
        y = x * 2
        y[0].add_(1)
        return y.cos()

    program, ctx = traced(forward, torch.ones(3, 2))
    write = call(program, "add_")
    with ctx.edit(write, "r") as edit:
        edit.remove(write)
    assert "aten.add_.Tensor" in targets(program)


@pytest.mark.parametrize("target", [aten.sum.default, aten.isnan.default])
def test_replacement_of_another_type_is_refused_by_name(target):
    program, ctx = traced(lambda x: x.cos(), torch.ones(3))
    node = call(program, "cos")
    with pytest.raises(VerificationError, match="test/wrong replaced cos"), ctx.edit(node, "wrong") as edit:
        edit.replace(node, edit.call(target, node.args[0]))


def test_other_strides_are_laid_out_as_before_where_an_output_shows_them():
    program, ctx = traced(lambda x: x.cos(), torch.ones(2, 3))
    node = call(program, "cos")
    with ctx.edit(node, "r") as edit:
        transposed = edit.call(aten.t.default, node.args[0])
        copied = edit.call(aten.clone.default, transposed, memory_format=torch.contiguous_format)
        edit.replace(node, edit.call(aten.t.default, copied))
    (output,) = next(n for n in reversed(program.graph.nodes) if n.op == "output").args[0]
    assert output.meta["val"].stride() == (3, 1)


def test_other_strides_flow_on_where_nothing_shows_them():
    program, ctx = traced(lambda x: x.cos().sin().sum(), torch.ones(2, 3))
    node = call(program, "cos")
    with ctx.edit(node, "r") as edit:
        copied = edit.call(
            aten.clone.default, edit.call(aten.t.default, node.args[0]), memory_format=torch.contiguous_format
        )
        edit.replace(node, edit.call(aten.t.default, copied))
    assert "aten.clone.default" in targets(program)
    assert [n.name for n in refresh(program.graph, ctx.fake_mode, ctx.relaid)] == ["sin"]
    assert call(program, "sin").meta["val"].stride() == (1, 2)


def test_failed_edit_is_not_counted():
    program, ctx = traced(lambda x: x.cos(), torch.ones(3))
    with pytest.raises(ZeroDivisionError), ctx.edit(call(program, "cos"), "r"):
        raise ZeroDivisionError
    assert ctx.rewrites == 0


def test_constants_of_one_name_get_numbers():
    program, ctx = traced(lambda x: x.cos(), torch.ones(3))
    with ctx.edit(call(program, "cos"), "r") as edit:
        names = [edit.constant("table", torch.ones(2)).target for _ in range(2)]
    assert names == ["table", "table_1"]
