"""The numeric check catches wrong rewrites of every kind, each by the measure made for it, and lets right ones pass."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.errors import NumericsError
from regraft.compiler.numerics import (
    NumericsInstrument,
    check_program,
    compare,
    exactly,
    fp64_copy,
)
from regraft.compiler.passes import Numerics, Pass
from regraft.compiler.pipeline import Pipeline
from regraft.frontend.capture import capture
from regraft.frontend.testing import example_tensor
from torch import nn

aten = torch.ops.aten
EPS = torch.finfo(torch.float32).eps


@dataclass(frozen=True)
class Replace(Pass):
    """Replace every call of ``target`` by what ``build(edit, node)`` makes."""

    name: ClassVar[str] = "replace"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    target: Any = None
    build: Callable[..., Any] = None

    def run(self, program, ctx):
        for site in ctx.sites(program, self.target):
            with ctx.edit(site.node, "rule", site) as edit:
                edit.replace(site.node, self.build(edit, site.node))


@dataclass(frozen=True)
class Approximate(Replace):
    name: ClassVar[str] = "approximate"
    numerics: ClassVar[Numerics] = Numerics.BOUNDED
    bound: float = 1e-2


class RmsNorm(nn.Module):
    def __init__(self, width=8, dtype=torch.float32):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, width, dtype=dtype))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


class Softmax(nn.Module):
    def forward(self, x):
        return torch.softmax(x * 0.5, -1)


def check(model, inputs, target, build, **options):
    """Compare a model with itself after replacing every ``target``."""
    program = capture(model, tuple(inputs))
    before = program.copy()
    Pipeline((Replace(target, build),)).run(program)
    program.recompile()
    return check_program(before, program, inputs, **options)


def failed(record):
    return {comparison.name for comparison in record.failures}


def only(record, name):
    (found,) = [comparison for comparison in record.comparisons if comparison.name == name]
    return found


@pytest.mark.parametrize("dtype", ["f32", "bf16", "f16", "f64"])
def test_a_program_is_as_good_as_itself(dtype):
    x = example_tensor(f"{dtype}[3, 5, 8]")
    program = capture(RmsNorm(dtype=x.dtype), (x,))
    assert check_program(program, program.copy(), [x]).ok


def test_a_right_rewrite_in_another_order_passes():
    def reordered(edit, node):
        left, right = node.args
        return edit.call(aten.mul.Tensor, right, left)

    x = example_tensor("f32[3, 63, 8]")
    assert check(RmsNorm(), [x], aten.mul.Tensor, reordered).ok


def test_a_right_rewrite_that_rounds_otherwise_passes():
    def divided(edit, node):
        return edit.call(aten.reciprocal.default, edit.call(aten.sqrt.default, node.args[0]))

    x = example_tensor("f32[3, 63, 8]")
    record = check(RmsNorm(), [x], aten.rsqrt.default, divided)
    assert record.ok
    assert only(record, "output 0").differs > 0


def test_a_slightly_wrong_scale_is_caught_in_every_measure_but_the_cosine():
    def scaled(edit, node):
        return edit.call(aten.mul.Tensor, edit.call(aten.rsqrt.default, *node.args), 1 + 2e-5)

    record = check(RmsNorm(), [example_tensor("f32[3, 63, 8]")], aten.rsqrt.default, scaled)
    output = only(record, "output 0")
    assert output.exceeded == ("max", "mean", "quantile", "l2")
    assert output.after.cosine > 1 - 1e-9
    assert output.after.l2 == pytest.approx(2e-5, rel=0.05)


def test_a_wrong_eps_is_caught_on_small_inputs():
    def other_eps(edit, node):
        return edit.call(aten.add.Tensor, node.args[0], 1e-5)

    x = example_tensor("f32[3, 5, 8]") * 1e-3
    assert "output 0" in failed(check(RmsNorm(), [x], aten.add.Tensor, other_eps))


def test_a_downcast_to_bf16_is_caught():
    def downcast(edit, node):
        narrow = edit.call(aten.to.dtype, node.args[0], torch.bfloat16)
        return edit.call(aten.to.dtype, edit.call(aten.rsqrt.default, narrow), torch.float32)

    assert "output 0" in failed(check(RmsNorm(), [example_tensor("f32[3, 5, 8]")], aten.rsqrt.default, downcast))


def test_small_errors_beside_one_large_value_are_caught_by_the_mean_and_not_by_the_max():
    class Plain(nn.Module):
        def forward(self, x):
            return x.relu()

    def shifted(edit, node):
        return edit.call(aten.add.Tensor, edit.call(aten.relu.default, *node.args), 1e-3)

    x = torch.rand(1000)
    x[17] = 1e6
    output = only(check(Plain(), [x], aten.relu.default, shifted), "output 0")
    assert "max" not in output.exceeded
    assert "quantile" in output.exceeded


def test_nan_on_fully_masked_rows_is_caught_whatever_the_tolerance():
    class Masked(nn.Module):
        def forward(self, x, mask):
            scores = x.masked_fill(~mask, -1e30)
            return scores.softmax(-1)

    def infinite(edit, node):
        return edit.call(aten.masked_fill.Scalar, node.args[0], node.args[1], -math.inf)

    mask = torch.ones(4, 7, dtype=torch.bool).tril()
    mask[0] = False
    record = check(Masked(), [torch.randn(4, 7), mask], aten.masked_fill.Scalar, infinite, gradients=False)
    output = only(record, "output 0")
    assert output.after.nans == 7
    assert output.problems == ("7 of 28 elements became NaN, infinite or finite",)


def test_removing_a_nan_that_fp64_has_too_is_caught():
    class Logarithm(nn.Module):
        def forward(self, x):
            return x.log()

    def clamped(edit, node):
        return edit.call(aten.log.default, edit.call(aten.clamp.default, node.args[0], 1e-6))

    record = check(Logarithm(), [torch.tensor([1.0, -1.0, 2.0])], aten.log.default, clamped)
    assert only(record, "output 0").problems


def test_avoiding_an_overflow_that_fp64_does_not_have_passes():
    reference = torch.tensor([1.0, 7e4], dtype=torch.float64)
    before = torch.tensor([1.0, math.inf], dtype=torch.float16)
    after = torch.tensor([1.0, 65504.0], dtype=torch.float16)
    assert compare(reference, before, after).ok
    assert not compare(reference, after, before).ok


def test_a_detached_value_is_caught_by_the_gradients_alone():
    def detached(edit, node):
        return edit.call(aten.rsqrt.default, edit.call(aten.detach.default, node.args[0]))

    x = example_tensor("f32[3, 5, 8]")
    assert failed(check(RmsNorm(), [x], aten.rsqrt.default, detached)) == {"gradient of x"}
    assert check(RmsNorm(), [x], aten.rsqrt.default, detached, gradients=False).ok


@torch.library.custom_op("regraft_test::softmax", mutates_args=())
def wrong_backward_softmax(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x, -1)


wrong_backward_softmax.register_fake(torch.empty_like)
wrong_backward_softmax.register_autograd(
    lambda ctx, gradient: ctx.saved_tensors[0] * gradient,
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(output),
)


def test_a_backward_that_forgets_a_term_is_caught_by_the_gradients_alone():
    def fused(edit, node):
        return edit.call(torch.ops.regraft_test.softmax.default, node.args[0])

    record = check(Softmax(), [torch.randn(5, 9)], aten.softmax.int, fused)
    assert failed(record) == {"gradient of x"}


def test_a_weight_that_gets_no_gradient_any_more_is_caught():
    def frozen(edit, node):
        return edit.call(aten.mul.Tensor, node.args[0], edit.call(aten.detach.default, node.args[1]))

    record = check(RmsNorm(), [example_tensor("f32[3, 5, 8]")], aten.mul.Tensor, frozen)
    assert "gradient of weight" in failed(record)
    assert only(record, "gradient of weight").after.l2 == 1.0


def test_an_error_that_later_calls_hide_is_caught_at_its_site():
    class Clamped(nn.Module):
        def forward(self, x):
            return x.exp().clamp(max=1.0)

    def doubled(edit, node):
        return edit.call(aten.mul.Tensor, edit.call(aten.exp.default, *node.args), 2.0)

    record = check(Clamped(), [torch.rand(33) + 1], aten.exp.default, doubled)
    (failure,) = record.failures
    assert failure.kind == "site"
    assert failure.name == "/exp#0"


def test_a_wrong_value_written_to_an_input_is_caught():
    class Counter(nn.Module):
        def forward(self, x, total):
            total.add_(x.cos())
            return x + 1

    def approximate(edit, node):
        return edit.call(aten.mul.Tensor, edit.call(aten.cos.default, *node.args), 1.001)

    x, total = torch.rand(5), torch.ones(5)
    record = check(Counter(), [x, total], aten.cos.default, approximate, sites=False)
    assert "total after the call" in failed(record)
    assert torch.equal(total, torch.ones(5))


def test_buffers_a_program_writes_are_compared_and_left_alone():
    model = nn.BatchNorm1d(4)
    program = capture(model, (torch.randn(6, 4),))
    record = check_program(program, program.copy(), [torch.randn(6, 4)])
    assert {c.name for c in record.comparisons if c.kind == "mutated"} == {
        "running_mean after the call",
        "running_var after the call",
        "num_batches_tracked after the call",
    }
    assert record.ok
    assert torch.equal(model.running_mean, torch.zeros(4))


def test_programs_that_draw_random_numbers_are_compared_under_one_seed():
    class Noisy(nn.Module):
        def forward(self, x):
            noise = torch.empty_like(x).uniform_() + torch.randn(8)
            return F.dropout(x + noise, 0.3, True)

    x = torch.randn(63, 8)
    program = capture(Noisy(), (x,))
    record = check_program(program, program.copy(), [x])
    assert record.ok
    # Were the reference's draws others, the error against it would be of the size of the noise.
    assert only(record, "output 0").before.max < 1e-5
    assert "seed" in record.notes[0]


def test_integers_and_booleans_must_be_equal():
    class Argmax(nn.Module):
        def forward(self, x):
            return x.abs().argmax(-1)

    def other(edit, node):
        return node.args[0]

    x = torch.tensor([[1.0, -3.0, 2.0]])
    record = check(Argmax(), [x], aten.abs.default, other, sites=False)
    assert only(record, "output 0").problems == ("1 of 1 elements differ",)


def test_a_rewrite_is_not_held_to_what_the_program_before_got_right_by_luck():
    class Cancels(nn.Module):
        def forward(self, a, b, c):
            return (b - c) + a

    def other_order(edit, node):
        inner, a = node.args
        return edit.call(aten.sub.Tensor, edit.call(aten.add.Tensor, a, inner.args[0]), inner.args[1])

    # In fp32, (1e8 - 1e8) + 1 is 1 and (1 + 1e8) - 1e8 is 0.
    inputs = [torch.tensor([1.0]), torch.tensor([1e8]), torch.tensor([1e8])]
    record = check(Cancels(), inputs, aten.add.Tensor, other_order)
    output = only(record, "output 0")
    assert output.after.max == 1.0
    assert record.ok, str(record)


def test_autocast_is_switched_off_in_the_reference_and_weights_are_widened():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 8)

        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                y = self.linear(x)
            return y.float() + torch.arange(8) / 7

    model, x = Mixed(), torch.randn(5, 8)
    program = capture(model, (x,))
    reference = fp64_copy(program)
    with exactly():
        (found,) = reference.module(*reference.weights.values(), x.double())
    expected = F.linear(x.double(), model.linear.weight.double(), model.linear.bias.double())
    expected = expected + torch.arange(8, dtype=torch.float64) / 7
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)
    assert torch.get_default_dtype() == torch.float32


def test_tied_weights_stay_tied_in_the_reference_and_have_one_gradient():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(11, 4)
            self.head = nn.Linear(4, 11, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, ids):
            return self.head(self.embed(ids))

    ids = torch.tensor([[1, 5, 10]])
    program = capture(Tied(), (ids,))
    wide = fp64_copy(program).weights
    assert wide["embed.weight"] is wide["head.weight"]
    record = check_program(program, program.copy(), [ids])
    assert sum(comparison.kind == "gradient" for comparison in record.comparisons) == 1


def test_complex_values_are_compared_as_pairs():
    class Spectrum(nn.Module):
        def forward(self, x):
            return torch.fft.rfft(x)

    def conjugated(edit, node):
        return edit.call(aten.conj_physical.default, edit.call(aten.fft_rfft.default, *node.args))

    x = torch.randn(3, 9)
    assert "output 0" in failed(check(Spectrum(), [x], aten.fft_rfft.default, conjugated))


def test_the_instrument_names_the_pass_and_the_tolerances():
    def scaled(edit, node):
        return edit.call(aten.mul.Tensor, edit.call(aten.rsqrt.default, *node.args), 1.001)

    x = torch.randn(3, 8)
    program = capture(RmsNorm(), (x,))
    with pytest.raises(NumericsError) as caught:
        Pipeline((Replace(aten.rsqrt.default, scaled),)).run(program, instruments=[NumericsInstrument([x])])
    text = str(caught.value)
    assert "pass 'replace' is exact" in text
    assert "passes with atol=" in text
    assert "demanded atol=" in text
    assert "--skip replace" in text


@pytest.mark.parametrize("mode", ["each", "end"])
def test_the_instrument_collects_when_told_to_keep_going(mode):
    def scaled(edit, node):
        return edit.call(aten.mul.Tensor, edit.call(aten.rsqrt.default, *node.args), 1.001)

    x = torch.randn(3, 8)
    program = capture(RmsNorm(), (x,))
    checker = NumericsInstrument([x], mode=mode, keep_going=True)
    passes = (Replace(aten.rsqrt.default, scaled), Replace(aten.cos.default, scaled))
    Pipeline(passes).run(program, instruments=[checker])
    report = checker.finish(program)
    assert not report.ok
    assert len(report.records) == 1
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["records"][0]["ok"] is False


@pytest.mark.parametrize(("factor", "ok"), [(1.005, True), (1.05, False)])
def test_an_approximation_is_held_to_the_bound_it_states_and_to_nothing_else(factor, ok):
    def scaled(edit, node):
        return edit.call(aten.mul.Tensor, edit.call(aten.rsqrt.default, *node.args), factor)

    x = torch.randn(3, 8)
    program = capture(RmsNorm(), (x,))
    checker = NumericsInstrument([x], keep_going=True)
    Pipeline((Approximate(aten.rsqrt.default, scaled),)).run(program, instruments=[checker])
    (record,) = checker.finish(program).records
    assert record.ok is ok
    assert record.bound == 1e-2


def test_a_pass_that_changes_nothing_is_not_run_for_comparison():
    x = torch.randn(3, 8)
    program = capture(RmsNorm(), (x,))
    checker = NumericsInstrument([x])
    Pipeline((Replace(aten.cos.default, None),)).run(program, instruments=[checker])
    assert checker.finish(program).records == ()


def test_another_dtype_or_shape_is_a_problem_of_its_own():
    x = torch.ones(3)
    assert compare(x, x, x.double()).problems == ("float32 became float64",)
    assert compare(x, x, x[:2]).problems == ("shape [3] became [2]",)


tensors = st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=30)
noises = st.integers(0, 2**16)


def _triple(values, seed):
    reference = torch.tensor(values, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    noise = [torch.randn(len(values), generator=generator, dtype=torch.float64) * 1e-3 for _ in range(2)]
    return reference, (reference + noise[0]).float(), (reference + noise[1]).float()


@given(tensors, noises, st.sampled_from([2.0**-8, 0.5, 4.0, 2.0**10]))
@settings(max_examples=50, deadline=None)
def test_the_verdict_does_not_depend_on_the_scale(values, seed, factor):
    reference, before, after = _triple(values, seed)
    plain, scaled = (compare(*(value * f for value in (reference, before, after))) for f in (1.0, factor))
    assert plain.exceeded == scaled.exceeded
    assert scaled.after.max == plain.after.max * factor
    assert scaled.rtol == pytest.approx(plain.rtol)


@given(tensors, noises)
@settings(max_examples=50, deadline=None)
def test_exchanging_before_and_after_exchanges_their_errors(values, seed):
    reference, before, after = _triple(values, seed)
    there, back = compare(reference, before, after), compare(reference, after, before)
    assert (there.before, there.after) == (back.after, back.before)
    assert there.differs == back.differs
    assert there.ok or back.ok or set(there.exceeded).isdisjoint(back.exceeded)


@given(tensors, noises)
@settings(max_examples=50, deadline=None)
def test_what_is_no_worse_than_before_is_always_accepted(values, seed):
    reference, before, _ = _triple(values, seed)
    halfway = ((before.double() + reference) / 2).float()
    assert compare(reference, before, before).ok
    assert compare(reference, before, halfway).ok


@given(tensors, noises)
@settings(max_examples=50, deadline=None)
def test_the_order_of_elements_does_not_matter(values, seed):
    triple = _triple(values, seed)
    order = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
    plain, shuffled = compare(*triple), compare(*(value[order] for value in triple))
    assert plain.after.max == shuffled.after.max
    assert plain.after.quantile == shuffled.after.quantile
    assert plain.after.l2 == pytest.approx(shuffled.after.l2, rel=1e-9, abs=1e-30)
