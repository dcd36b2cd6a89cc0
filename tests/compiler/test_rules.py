"""The driver: what a rule need not think of, who wins, and what is counted and said."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from regraft.compiler.passes import Numerics, Pass
from regraft.compiler.pattern import Op, Var
from regraft.compiler.pipeline import Pipeline, Selection
from regraft.compiler.rules import Decline, PatternRule, Rule, RulePass
from regraft.frontend.capture import capture
from regraft.frontend.testing import _Wrapped, run_pass
from regraft.passes import registry

aten = torch.ops.aten


class SinOfCos(PatternRule):
    """``sin(cos(x))`` becomes ``tan(x)``: wrong, and good for watching the driver."""

    name = "sin-of-cos"
    targets = frozenset({aten.sin.default})
    pattern = Op(aten.sin.default, Op(aten.cos.default, Var("x")))

    def rewrite(self, match, edit):
        return edit.call(aten.tan.default, match["x"])


class Never(SinOfCos):
    name = "never"

    def check(self, match, ctx):
        return Decline("not-today", "declined by hand", numbers={"bytes": 3.0})


def one_pass(*rules: Rule, again: bool = False) -> Pass:
    @dataclass(frozen=True)
    class Driver(RulePass):
        name: ClassVar[str] = "driver"
        numerics: ClassVar[Numerics] = Numerics.EXACT
        fixpoint: ClassVar[bool] = again

    Driver.rules = rules
    return Driver()


def test_rewrite_is_counted_timed_and_remarked_once():
    rewritten = run_pass(one_pass(SinOfCos()), lambda x: x.cos().sin(), "f32[3]")
    (record,) = rewritten.result.records
    statistics = record.statistics["sin-of-cos"]
    assert (statistics.attempts, statistics.matches, statistics.rewrites, statistics.declined) == (1, 1, 1, 0)
    assert "test_rules.py:" in statistics.where
    assert (rewritten.remark.kind, rewritten.remark.site) == ("passed", "/sin#0")


def test_declined_match_leaves_the_graph_and_says_why():
    rewritten = run_pass(one_pass(Never()), lambda x: x.cos().sin(), "f32[3]")
    assert rewritten.unchanged
    assert (rewritten.remark.code, rewritten.remark.numbers) == ("not-today", {"bytes": 3.0})


def test_second_rule_fires_where_the_first_declines_and_the_remark_is_the_rewrite():
    rewritten = run_pass(one_pass(Never(), SinOfCos()), lambda x: x.cos().sin(), "f32[3]")
    assert (rewritten.remark.kind, rewritten.remark.rule) == ("passed", "sin-of-cos")


def test_interior_value_used_elsewhere_declines():
    def forward(x):
        y = x.cos()
        return y.sin(), y * 2

    assert run_pass(one_pass(SinOfCos()), forward, "f32[3]").remark.code == "interior-used"


def test_interior_value_that_is_an_output_declines():
    def forward(x):
        y = x.cos()
        return y.sin(), y

    assert run_pass(one_pass(SinOfCos()), forward, "f32[3]").remark.code == "interior-used"


def test_write_between_the_matched_calls_declines():
    def forward(x):
        y = x * 2
        inner = y.cos()
        y[0].add_(1)
        return inner.sin(), y

    assert run_pass(one_pass(SinOfCos()), forward, "f32[3]").remark.code == "mutated-between"


def test_write_after_the_match_does_not_matter():
    def forward(x):
        y = x * 2
        inner = y.cos().sin()
        y[0].add_(1)
        return inner, y

    assert run_pass(one_pass(SinOfCos()), forward, "f32[3]").remark.kind == "passed"


def test_rewritten_code_is_looked_at_again_only_to_a_fixpoint():
    class Halve(PatternRule):
        name = "halve"
        targets = frozenset({aten.cos.default})
        pattern = Op(aten.cos.default, Op(aten.cos.default, Var("x")))

        def rewrite(self, match, edit):
            return edit.call(aten.cos.default, match["x"])

    def forward(x):
        return x.cos().cos().cos().cos()

    assert run_pass(one_pass(Halve(), again=True), forward, "f32[3]").count("cos") == 1


def test_limit_stops_after_so_many_rewrites():
    def forward(x):
        return x.cos().sin() + (x + 1).cos().sin() + (x + 2).cos().sin()

    program = capture(_Wrapped(forward), (torch.ones(3),))
    pipeline = Pipeline.parse([one_pass(SinOfCos())], registry)
    result = pipeline.run(program, selection=Selection(limit={"driver": 2}))
    assert result.rewrites == 2
    assert sum(str(n.target) == "aten.tan.default" for n in program.graph.nodes) == 2


def test_nested_bodies_are_rewritten_too():
    def forward(x):
        with torch.no_grad():
            y = (x + 1).cos().sin()
        return y * x

    assert run_pass(one_pass(SinOfCos()), forward, "f32[3]").count("tan") == 1


def test_gradient_mode_switch_inside_a_match_declines_or_hides_it():
    def forward(x):
        with torch.no_grad():
            y = x.cos()
        return y.sin()

    assert run_pass(one_pass(SinOfCos()), forward, "f32[3]").unchanged
