"""Canonicalisation shrinks graphs, keeps effects where they are, and has nothing left to do after itself."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from regraft.compiler.execute import execute
from regraft.compiler.pipeline import Pipeline
from regraft.frontend.testing import assert_no_worse, run_pass
from regraft.passes import registry


def test_view_of_an_input_that_is_written_still_writes_the_input():
    def forward(x):
        y = x.view(x.shape)
        y.add_(1)
        return x.sum()

    rewritten = run_pass("canonicalise", forward, "f32[2, 3]")
    given = torch.ones(2, 3)
    (total,) = execute(rewritten.program, [given])
    assert total == 12
    assert torch.equal(given, torch.full((2, 3), 2.0))


def test_copy_of_a_written_value_is_kept():
    def forward(x):
        y = x.sin()
        kept = y + 0
        y[0].zero_()
        return kept * 2, y * 2

    rewritten = run_pass("canonicalise", forward, "f32[2, 3]")
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_dropout_in_training_stays_even_when_unused():
    def forward(x):
        F.dropout(x, 0.5)
        return F.dropout(x, 0.5)

    rewritten = run_pass("canonicalise", forward, "f32[8]")
    assert rewritten.count("dropout") == 2
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_two_draws_are_never_one():
    def forward(x):
        return torch.rand_like(x) + torch.rand_like(x)

    assert run_pass("canonicalise", forward, "f32[8]").count("rand_like") == 2


def test_unused_pure_calls_are_dropped():
    def forward(x):
        x.cos().sin()
        return x.exp()

    assert run_pass("canonicalise", forward, "f32[8]").targets() == ["aten.exp.default"]


def test_integer_times_a_float_one_changes_the_dtype_and_stays():
    rewritten = run_pass("canonicalise", lambda x: (x * 1.0).cos() + (x * 1).cos(), "i64[4]")
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)
    assert rewritten.count("mul") == 1


def test_calls_equal_but_for_the_type_of_a_number_are_two():
    def forward(x):
        return (x * 2).double() + (x * 2.0).double()

    rewritten = run_pass("canonicalise", forward, "i64[4]")
    assert rewritten.count("mul") == 2


def test_value_made_without_grad_is_not_the_one_made_with_it():
    def forward(x):
        with torch.no_grad():
            frozen = x.cos()
        return x.cos() * frozen

    rewritten = run_pass("canonicalise", forward, "f32[4]")
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_view_made_without_grad_does_not_let_the_gradient_through():
    def forward(x):
        with torch.no_grad():
            target = x.view(x.shape)
        return (x - target * 2).pow(2)

    rewritten = run_pass("canonicalise", forward, "f32[4]")
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_cast_to_integer_and_back_rounds():
    rewritten = run_pass("canonicalise", lambda x: x.to(torch.int64).to(x.dtype) * 2, "f32[8]")
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)
    assert rewritten.count("to") == 2


def test_narrowing_cast_and_back_rounds():
    rewritten = run_pass("canonicalise", lambda x: x.bfloat16().float() * 2, "f32[8]")
    assert rewritten.count("aten.to") == 2


STEPS = {
    "view": lambda x: x.view(x.shape),
    "transpose": lambda x: x.transpose(0, 1),
    "cyclic": lambda x: x.permute(1, 2, 0),
    "negate": lambda x: -x,
    "one": lambda x: x * 1,
    "flat": lambda x: x.reshape(-1).view(x.shape),
    "widen": lambda x: x.double().float(),
    "cos": torch.cos,
    "contiguous": lambda x: x.contiguous(),
}


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=7))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_chain_of_steps_keeps_its_value_and_is_then_canonical(names):
    def forward(x):
        for name in names:
            x = STEPS[name](x)
        return x * 3

    rewritten = run_pass("canonicalise", forward, "f32[2, 3, 4]")
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)
    again = Pipeline.parse("canonicalise", registry).run(rewritten.program)
    assert again.rewrites == 0


@pytest.mark.parametrize("name", ["llama", "gpt_neox"])
def test_real_models_shrink_and_no_cast_to_the_same_dtype_is_left(name, hf_program):
    program, before = hf_program(name, torch.float32, "canonicalise")
    assert len(program.graph.nodes) < len(before.graph.nodes)
    casts = [n for n in program.graph.nodes if str(n.target).startswith("aten.to.")]
    assert all(n.args[0].meta["val"].dtype != n.meta["val"].dtype for n in casts)
