"""Bisection names the pass, the rule, the rewrite and the site that make a program bad."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from regraft.compiler.bisect import bisect, numerically_bad
from regraft.compiler.errors import RegraftError
from regraft.compiler.numerics import check_program
from regraft.compiler.passes import Numerics, Pass
from regraft.compiler.pipeline import Pipeline, Selection
from regraft.frontend.capture import capture
from torch import nn

aten = torch.ops.aten


class Chain(nn.Module):
    """Seven tanh and as many sums; ``layers.3`` is not like the others."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Tanh() for _ in range(7))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x) + 1
        return x


@dataclass(frozen=True)
class Tanh(Pass):
    """Rewrite every tanh; the one whose rewrite has the number ``wrong`` wrongly."""

    name: ClassVar[str] = "tanh"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    wrong: int = 0
    raises: bool = False

    def run(self, program, ctx):
        for site in ctx.sites(program, aten.tanh.default):
            with ctx.edit(site.node, "odd-function", site) as edit:
                if self.raises and edit.number == self.wrong:
                    raise RuntimeError("no such case")
                inside = edit.call(aten.neg.default, site.node.args[0])
                value = edit.call(aten.neg.default, edit.call(aten.tanh.default, inside))
                if edit.number == self.wrong:
                    value = edit.call(aten.mul.Tensor, value, 1.001)
                edit.replace(site.node, value)


@dataclass(frozen=True)
class Swap(Pass):
    """A right pass: the other order of a sum, written as a difference."""

    name: ClassVar[str] = "swap"
    numerics: ClassVar[Numerics] = Numerics.EXACT

    def run(self, program, ctx):
        for site in ctx.sites(program, aten.add.Tensor):
            with ctx.edit(site.node, "swap", site) as edit:
                edit.replace(site.node, edit.call(aten.sub.Tensor, site.node.args[0], -1))


@pytest.fixture
def program():
    return capture(Chain(), (torch.randn(5),))


@pytest.fixture
def bad(program):
    return numerically_bad(program, [torch.linspace(-1, 1, 5)])


@pytest.mark.parametrize("wrong", range(1, 8))
def test_the_first_wrong_rewrite_is_named(program, bad, wrong):
    found = bisect(Pipeline((Swap(), Tanh(wrong), Swap())), program, bad)
    assert (found.pass_name, found.position, found.rewrite) == ("tanh", 1, wrong)
    assert (found.rule, found.site) == ("odd-function", f"layers.{wrong - 1}/tanh#0")
    assert found.command.startswith(f"regraft run MODEL -p 'swap,tanh{{wrong={wrong}}}' --limit tanh={wrong}")


def test_the_command_reproduces_what_was_found(program, bad):
    pipeline = Pipeline((Swap(), Tanh(wrong=5), Swap()))
    found = bisect(pipeline, program, bad)
    for limit, expected in ((found.rewrite - 1, False), (found.rewrite, True)):
        copy = program.copy()
        Pipeline(pipeline.passes[: found.position + 1]).run(copy, selection=Selection(limit={found.pass_name: limit}))
        copy.recompile()
        assert bad(copy) is expected


def test_the_programs_on_both_sides_of_the_rewrite_are_handed_out(program, bad):
    found = bisect(Pipeline((Tanh(wrong=5),)), program, bad)
    assert not bad(found.good)
    assert bad(found.bad)
    assert not check_program(found.good, found.bad, [torch.linspace(-1, 1, 5)]).ok


def test_a_good_pipeline_has_no_culprit_and_leaves_the_program_alone(program, bad):
    before = str(program.graph)
    assert bisect(Pipeline((Swap(), Tanh())), program, bad) is None
    assert str(program.graph) == before


def test_a_pass_that_raises_is_found_by_the_rewrite_it_raises_in(program):
    found = bisect(Pipeline((Swap(), Tanh(wrong=3, raises=True))), program, lambda program: False)
    assert (found.pass_name, found.rewrite) == ("tanh", 3)
    assert "no such case" in found.error
    assert "--limit tanh=3" in str(found)


def test_a_predicate_of_ones_own_decides(program):
    def more_than_two_negations(program):
        return sum(node.target is aten.neg.default for node in program.graph.nodes) > 4

    found = bisect(Pipeline((Tanh(),)), program, more_than_two_negations)
    assert found.rewrite == 3


def test_the_search_is_binary(program, bad):
    seen = []
    found = bisect(Pipeline((*[Swap()] * 14, Tanh(wrong=7))), program, bad, progress=seen.append)
    assert found.position == 14
    assert found.runs <= 2 + 4 + 8
    assert len(seen) >= found.runs


def test_a_program_that_is_bad_from_the_start_is_refused(program):
    with pytest.raises(RegraftError, match="before any pass"):
        bisect(Pipeline((Swap(),)), program, lambda program: True)
