"""Short convolutions become products only where Inductor will fuse them."""

import pytest
import regraft
import torch
from regraft.frontend.testing import run_pass
from torch import nn

TYPES = ("f32[2, 5, 9]", "f32[5, 3]", "f32[5]")


def conv(u, k, b):
    return torch.ops.regraft.short_conv(u, k, b)


def test_it_fires_where_inductor_compiles_for_a_cpu():
    rewritten = run_pass("lower-short-conv", conv, *TYPES, compiled=True)
    assert rewritten.count("short_conv") == 0
    assert rewritten.count("mul.Tensor") == 3


def test_it_stays_away_from_eager_execution_and_says_so():
    rewritten = run_pass("lower-short-conv", conv, *TYPES)
    assert rewritten.unchanged
    assert rewritten.remark.code == "not-compiled"


def test_the_limit_is_an_option():
    assert run_pass("lower-short-conv{max-taps=2}", conv, *TYPES, compiled=True).remark.code == "many-taps"


class Mixer(nn.Module):
    """Projection, short convolution over time, gate."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(6, 8)
        self.conv = nn.Conv1d(8, 8, 3, padding=2, groups=8)

    def forward(self, x):
        y = self.project(x).transpose(1, 2)
        return (self.conv(y)[..., : x.shape[1]] * y).transpose(1, 2)


@pytest.mark.parametrize("training", [False, True])
def test_a_compiled_model_computes_the_same_with_gradients(training):
    torch.manual_seed(0)
    model, x = Mixer().train(training), torch.randn(2, 11, 6)
    fast = regraft.optimize(model, (x,), compile=True, timing_runs=0)
    assert "lower-short-conv" in {r.pass_name for r in fast.report.remarks if r.kind == "passed"}
    torch.testing.assert_close(fast(x), model(x))
    got = torch.autograd.grad(fast(x).square().sum(), fast.parameters())
    torch.testing.assert_close(got, torch.autograd.grad(model(x).square().sum(), model.parameters()))
