"""Filters that depend on weights alone: folded in eval, unfolded by whatever changes the weights."""

import sys
from pathlib import Path

import pytest
import regraft
import torch
from regraft.compiler.execute import execute
from regraft.compiler.program import InputKind
from regraft.frontend.capture import capture
from regraft.frontend.testing import assert_no_worse, run_pass
from torch import nn
from torch.fft import irfft, rfft

PASSES = "raise-long-conv,fold-filters"


class Hyena(nn.Module):
    """One gated convolution whose filter is an MLP over positions."""

    def __init__(self, channels=6, length=20):
        super().__init__()
        self.length = length
        self.make = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, channels, bias=False))
        self.positions = nn.Parameter(torch.randn(length, 3))
        self.skip = nn.Parameter(torch.randn(channels))

    def forward(self, u, gate):
        n = 2 * self.length
        k = self.make(self.positions).t()
        y = irfft(rfft(u, n=n) * rfft(k, n=n) / n, n=n, norm="forward")[..., : self.length]
        return (y + u * self.skip[:, None]) * gate


@pytest.fixture
def model():
    return Hyena().eval()


@pytest.fixture
def inputs():
    return torch.randn(2, 6, 20), torch.randn(2, 6, 20)


def optimized(model, inputs):
    folded = regraft.optimize(model, inputs, PASSES, timing_runs=0)
    assert [remark.code for remark in folded.report.remarks if remark.pass_name == "fold-filters"] == ["folded"]
    return folded


def test_the_filter_leaves_the_graph_with_its_generator(model, inputs):
    rewritten = run_pass(PASSES, model, *inputs)
    assert rewritten.count("long_conv_spectrum") == 1
    assert rewritten.count("linear") == rewritten.count("rfft") == 0
    assert [r.kind for r in rewritten.program.inputs].count(InputKind.DERIVED) == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_one_filter_for_two_inputs_is_kept_once():
    class Twice(Hyena):
        def forward(self, u, v):
            k_f = rfft(self.make(self.positions).t(), n=40)
            a, b = (irfft(rfft(x, n=40) * k_f, n=40)[..., :20] for x in (u, v))
            return a * b

    rewritten = run_pass(PASSES, Twice().eval(), "f32[2, 6, 20]", "f32[2, 6, 20]")
    assert rewritten.count("long_conv_spectrum") == 2
    assert [r.kind for r in rewritten.program.inputs].count(InputKind.DERIVED) == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


@pytest.mark.parametrize("lags", ["circular", "bidirectional_shared", "bidirectional_offset", "anticausal"])
def test_every_lag_map_is_folded_into_the_spectrum(lags):
    class Filtered(nn.Module):
        def __init__(self):
            super().__init__()
            self.k, self.k_rev = nn.Parameter(torch.randn(3, 9)), nn.Parameter(torch.randn(3, 9))

        def forward(self, u):
            k_rev = self.k_rev if lags.startswith("bidirectional") else None
            return torch.ops.regraft.long_conv(u, self.k, None, k_rev, lags=lags)

    rewritten = run_pass("fold-filters", Filtered().eval(), "f32[2, 3, 9]")
    assert rewritten.count("long_conv_spectrum") == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


@pytest.mark.parametrize("taps", [1, 5, 30])
def test_filters_of_other_lengths_than_the_input(taps):
    class Filtered(nn.Module):
        def __init__(self):
            super().__init__()
            self.k = nn.Parameter(torch.randn(3, taps))

        def forward(self, u):
            return torch.ops.regraft.long_conv(u, self.k)

    rewritten = run_pass("fold-filters", Filtered().eval(), "f32[2, 3, 9]")
    assert rewritten.count("long_conv_spectrum") == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_training_mode_is_declined(inputs):
    rewritten = run_pass(PASSES, Hyena().train(), *inputs)
    assert [remark.code for remark in rewritten.remarks] == ["rewritten", "training-mode"]


def test_a_graph_without_weights_is_declined(model, inputs):
    from regraft.compiler.pipeline import Pipeline
    from regraft.passes import registry

    program = capture(model, inputs)
    program.weights = None
    result = Pipeline.parse(PASSES, registry).run(program)
    assert [remark.code for remark in result.remarks] == ["rewritten", "weights-not-at-hand"]


def test_a_filter_that_depends_on_the_input_is_declined():
    class Modulated(Hyena):
        def forward(self, u, scale):
            k = self.make(self.positions).t() * scale
            return torch.ops.regraft.long_conv(u, k)

    rewritten = run_pass("fold-filters", Modulated().eval(), "f32[2, 6, 20]", "f32[6, 1]")
    assert [remark.code for remark in rewritten.remarks] == ["filter-from-input"]


def test_a_dynamic_length_is_declined():
    class Filtered(nn.Module):
        def __init__(self):
            super().__init__()
            self.k = nn.Parameter(torch.randn(3, 50))

        def forward(self, u):
            return torch.ops.regraft.long_conv(u, self.k)

    assert run_pass("fold-filters", Filtered().eval(), "f32[2, 3, t=9]").remark.code == "length-dynamic"


def test_a_spectrum_over_the_limit_is_declined(model, inputs):
    rewritten = run_pass(f"{PASSES}{{max-bytes=100}}", model, *inputs)
    assert rewritten.remarks[-1].code == "too-large"
    assert rewritten.remarks[-1].unblock == "fold-filters{max-bytes=1008}"


def test_an_optimiser_step_changes_the_folded_filter(model, inputs):
    folded = optimized(model, inputs)
    before = folded(*inputs).detach()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model(*inputs).square().mean().backward()
    optimiser.step()
    assert not torch.allclose(folded(*inputs), before)
    torch.testing.assert_close(folded(*inputs), model(*inputs))


def test_loading_weights_changes_the_folded_filter(model, inputs):
    folded = optimized(model, inputs)
    with torch.no_grad():
        folded(*inputs)
        folded.load_state_dict(Hyena().state_dict())
        torch.testing.assert_close(folded(*inputs), model(*inputs))


def test_train_runs_the_original(model, inputs):
    folded = optimized(model, inputs)
    torch.testing.assert_close(folded.train()(*inputs), model(*inputs))


def test_gradients_reach_the_filters_parameters(model, inputs):
    folded = optimized(model, inputs)
    for each in (model, folded):
        each(*inputs).square().sum().backward()
        gradients = [p.grad.clone() for p in each.parameters()]
        each.zero_grad()
        if each is model:
            expected = gradients
    for got, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item())


def test_every_convolution_of_a_hyena_language_model_is_folded(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples" / "models"))
    monkeypatch.delitem(sys.modules, "hyena_lm", raising=False)
    from hyena_lm import load

    model, inputs = load(dim=8, layers=2, length=48, order=3)
    program = capture(model, inputs)
    rewritten = run_pass("default", model, *inputs)
    assert rewritten.count("long_conv_spectrum") == 4
    assert rewritten.count("short_conv") == 2
    assert rewritten.count("sin") == rewritten.count("fft") == 0
    expected, got = execute(program, inputs)[0], execute(rewritten.program, inputs)[0]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
