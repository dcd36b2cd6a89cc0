"""Each check of the verifier catches a program broken in its way, and names who broke it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from regraft.compiler.errors import RegraftError, VerificationError
from regraft.compiler.passes import Numerics, Pass
from regraft.compiler.program import InputKind
from regraft.frontend.testing import run_pass

aten = torch.ops.aten


@dataclass(frozen=True)
class Break(Pass):
    """Runs a function on the program within one edit."""

    name: ClassVar[str] = "break"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    how: Callable[[Any, Any], None] = lambda program, edit: None

    def run(self, program, ctx):
        anchor = next(n for n in reversed(program.graph.nodes) if n.op == "call_function")
        with ctx.edit(anchor, "by-hand", "/here#0") as edit:
            self.how(program, edit)


def broken(how, function, *types):
    with pytest.raises(VerificationError) as caught:
        run_pass(Break(how), function, *types)
    return str(caught.value)


def call(program, name):
    return next(n for n in program.graph.nodes if n.op == "call_function" and name in str(n.target))


def test_use_before_definition_is_a_fault_of_topology():
    def how(program, edit):
        call(program, "cos").append(call(program, "sin"))
        call(program, "sin").append(call(program, "cos"))
        call(program, "sin").args, call(program, "cos").args = (call(program, "cos"),), call(program, "cos").args

    assert "[topology]" in broken(how, lambda x: x.cos().sin(), "f32[3]")


def test_operator_without_a_schema_is_refused():
    def how(program, edit):
        node = edit.graph.call_function(torch.cos, (program.placeholders()[0],))
        edit.anchor.prepend(node)
        edit._adopt(node)
        node.meta["val"] = edit.anchor.meta["val"]
        edit.replace(edit.anchor, node)

    assert "[schema]" in broken(how, lambda x: x.sin(), "f32[3]")


def test_recorded_type_must_be_the_computed_one():
    def how(program, edit):
        node = edit.call(aten.cos.default, program.placeholders()[0])
        edit.replace(edit.anchor, node)
        node.target = aten.isnan.default

    text = broken(how, lambda x: x.sin(), "f32[3]")
    assert "[metadata]" in text
    assert "recorded as f32[3] but computes b1[3]" in text
    assert "rule by-hand, rewrite 1, site /here#0" in text
    assert "--limit break=1" in text


def test_dropped_write_is_noticed():
    def how(program, edit):
        write = call(program, "add_")
        write.replace_all_uses_with(write.args[0])
        program.graph.erase_node(write)

    def forward(x):
        y = x * 2
        y.add_(1)
        return y.cos()

    assert "[mutations]" in broken(how, forward, "f32[3]")


def test_writes_in_another_order_are_noticed():
    def how(program, edit):
        call(program, "mul_").append(call(program, "add_"))

    def forward(x):
        y, z = x * 2, x * 3
        y[0].add_(1)
        z[0].mul_(2)
        return y + z

    assert "[mutations]" in broken(how, forward, "f32[3, 2]")


def test_output_over_an_input_must_stay_one():
    def how(program, edit):
        node = edit.call(aten.clone.default, program.placeholders()[0])
        edit.replace(edit.anchor, edit.call(aten.mul.Tensor, node, 1))

    assert "[aliases]" in broken(how, lambda x: x.view(3), "f32[3]")


def test_lost_draw_is_noticed():
    def how(program, edit):
        draw = call(program, "dropout")
        edit.replace(draw, draw.args[0])

    assert "[random]" in broken(how, lambda x: F.dropout(x, 0.5).cos(), "f32[3]")


def test_node_made_behind_the_rewriter_is_noticed():
    def how(program, edit):
        with edit.graph.inserting_before(edit.anchor):
            node = edit.graph.call_function(aten.sin.default, (program.placeholders()[0],))
        node.meta["val"] = edit.anchor.meta["val"]
        edit.anchor.replace_all_uses_with(node)

    assert "[provenance]" in broken(how, lambda x: x.cos(), "f32[3]")


def test_renamed_input_is_noticed():
    def how(program, edit):
        program.inputs[0] = replace(program.inputs[0], kind=InputKind.BUFFER, fqn="stolen")

    assert "[inputs]" in broken(how, lambda x: x.cos(), "f32[3]")


def test_sound_edit_passes():
    def how(program, edit):
        edit.replace(edit.anchor, edit.call(aten.tan.default, program.placeholders()[0]))

    assert run_pass(Break(how), lambda x: x.cos(), "f32[3]").targets() == ["aten.tan.default"]


def test_crash_of_a_pass_is_reported_with_its_name():
    def how(program, edit):
        raise KeyError("lost")

    with pytest.raises(RegraftError, match="pass 'break' failed after 0 rewrites: KeyError"):
        run_pass(Break(how), lambda x: x.cos(), "f32[3]")
