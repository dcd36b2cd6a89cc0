"""Short filters are applied directly on a CPU, with both times in the remark; long ones stay transforms."""

import pytest
import regraft
import torch
from regraft.compiler.pipeline import Pipeline
from regraft.frontend.capture import capture
from regraft.frontend.testing import assert_no_worse, run_pass
from regraft.lowering import costs
from regraft.lowering.targets import target_of
from regraft.passes import registry
from torch import nn


class Conv(nn.Module):
    """Two inputs and nothing else."""

    def forward(self, u, k):
        return torch.ops.regraft.long_conv(u, k)


class Eval(nn.Module):
    """A function in eval mode."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


conv = Conv()


def rewritten(function, *types, passes="select-kernels", compiled=False):
    model = function if isinstance(function, nn.Module) else Eval(function)
    return run_pass(passes, model.eval(), *types, compiled=compiled)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_short_filter_is_applied_directly_and_both_times_are_told(compiled):
    found = rewritten(conv, "f32[2, 65, 1000]", "f32[65, 7]", compiled=compiled)
    assert found.count("conv1d") == 1
    assert found.remark.code == "selected"
    assert set(found.remark.numbers) == {"direct_ms", "inductor_ms"}
    assert "measured on" in found.remark.message
    assert_no_worse(found.before, found.program, found.inputs)


def test_a_filter_as_long_as_its_input_stays_a_transform_and_the_near_miss_is_told():
    found = rewritten(conv, "f32[1, 65, 2048]", "f32[65, 2048]")
    assert found.unchanged
    assert found.remark.code == "slower"
    assert found.remark.numbers["inductor_ms"] < min(found.remark.numbers.values()) * 1.1


LAGS = ["causal", "anticausal", "taps", "bidirectional_shared", "bidirectional_offset"]


@pytest.mark.parametrize("lags", LAGS)
@pytest.mark.parametrize("shape", ["64, 700", "1, 64, 63", "3, 64, 1000"])
def test_every_linear_lag_map_with_gates_and_skip_is_exact(lags, shape):
    def gated(u, k, k_rev, skip, pre, post):
        rev = k_rev if lags.startswith("bidirectional") else None
        return torch.ops.regraft.long_conv(u, k, skip, rev, pre, post, lags=lags, lag0=2 * (lags == "taps"))

    u = f"f32[{shape}]"
    found = rewritten(gated, u, "f32[64, 5]", "f32[64, 5]", "f32[64]", u, u, passes="select-kernels{margin=0.01}")
    assert found.count("conv1d") == 1
    assert_no_worse(found.before, found.program, found.inputs)


def test_matrix_products_are_right_though_never_chosen_by_the_shipped_table(monkeypatch):
    monkeypatch.setattr("regraft.kernels.long_conv.candidates.Direct.kinds", frozenset())
    types = ("f32[3, 5, 37]", "f32[5, 37]")
    assert rewritten(conv, *types).remark.code == "slower"
    found = rewritten(conv, *types, passes="select-kernels{margin=0.001}")
    assert found.count("fft_irfft") == 0
    assert found.count("matmul") >= 6
    assert_no_worse(found.before, found.program, found.inputs)


def test_circular_lags_are_not_applied_directly():
    circular = lambda u, k: torch.ops.regraft.long_conv(u, k, lags="circular", fft_size=100)  # noqa: E731
    assert rewritten(circular, "f32[64, 100]", "f32[64, 5]", passes="select-kernels{margin=0.01}").unchanged


def test_a_size_without_a_bound_is_declined_and_says_how_to_give_one():
    found = rewritten(conv, "f32[b=3, 64, 1000]", "f32[64, 5]")
    assert found.remark.code == "size-unbounded"
    assert "max=" in found.remark.unblock


@pytest.mark.parametrize(("slowest", "code"), [(1e-5, "selected"), (1.0, "size-dependent")])
def test_a_dynamic_batch_is_decided_for_all_of_its_values(slowest, code):
    batch = torch.export.Dim("batch", min=2, max=16)
    inputs = (torch.randn(3, 64, 1000), torch.randn(64, 5))
    program = capture(Conv().eval(), inputs, dynamic_shapes=({0: batch}, None))
    device = target_of("cpu").name
    for rows, seconds in ((256, 1e-5), (1024, slowest)):
        bucket = f"rows {rows}, length 1024, taps 8"
        key = costs.Key(device, "-", torch.__version__, "long_conv", "f32", "eager", bucket)
        costs.record({key: {"direct": costs.Measured(seconds), "inductor": costs.Measured(1e-3)}})
    result = Pipeline.parse("select-kernels", registry).run(program)
    assert [remark.code for remark in result.remarks] == [code]


def test_training_is_not_decided_by_what_was_measured_without_gradients():
    assert run_pass("select-kernels", Conv().train(), "f32[2, 64, 1000]", "f32[64, 7]").remark.code == "unmeasured"


def test_autocast_is_left_alone():
    def under(u, k):
        with torch.autocast("cpu", torch.bfloat16):
            return torch.ops.regraft.long_conv(u, k)

    found = rewritten(under, "f32[2, 64, 1000]", "f32[64, 7]")
    assert found.remark.code == "autocast"


class Filtered(nn.Module):
    """An implicit filter of some taps."""

    def __init__(self, taps):
        super().__init__()
        self.make, self.at = nn.Linear(3, 64), nn.Parameter(torch.randn(taps, 3))

    def forward(self, u):
        return torch.ops.regraft.long_conv(u, self.make(self.at).t())


@pytest.mark.parametrize(("taps", "left"), [(7, "conv1d"), (1000, "long_conv_spectrum")])
def test_filters_are_folded_as_what_will_be_applied(taps, left):
    found = rewritten(Filtered(taps).eval(), "f32[2, 64, 1000]", passes="default")
    assert found.count(left) == 1
    assert found.count("linear") == 0
    assert_no_worse(found.before, found.program, found.inputs)


def test_a_compiled_model_computes_the_same():
    model, u = Filtered(7).eval(), torch.randn(2, 64, 300)
    fast = regraft.optimize(model, (u,), compile=True, timing_runs=0)
    torch.testing.assert_close(fast(u), model(u), rtol=1e-4, atol=1e-5)
