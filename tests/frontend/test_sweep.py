"""A sweep tells what an approximate pass does at each setting: bound, error, saving, memory."""

import pytest
import torch
from regraft.compiler.errors import UsageError
from regraft.frontend.capture import capture
from regraft.frontend.sweep import run, sweep
from torch import nn
from torch.fft import irfft, rfft


class Hyena(nn.Module):
    """A causal convolution by FFT with an implicit filter that fades."""

    def __init__(self, channels=4, length=60):
        super().__init__()
        self.make, self.length = nn.Linear(3, channels, bias=False), length
        self.register_buffer("positions", torch.randn(length, 3) * torch.linspace(0, -6, length).exp()[:, None])

    def forward(self, u):
        n = 2 * self.length
        k = self.make(self.positions).t()
        return irfft(rfft(u, n=n) * rfft(k, n=n), n=n)[..., : self.length]


@pytest.fixture
def model():
    return Hyena().eval()


@pytest.fixture
def inputs():
    return (torch.randn(2, 4, 60),)


def taps(*counts):
    return [{"taps": count} for count in counts]


def test_fewer_taps_save_more_and_err_more(model, inputs):
    found = sweep(model, inputs, "truncate-filters", taps(3, 9, 30))
    assert [row.setting for row in found.rows] == [{"taps": "3"}, {"taps": "9"}, {"taps": "30"}]
    for fewer, more in zip(found.rows, found.rows[1:], strict=False):
        assert fewer.bound > more.bound
        assert fewer.error > more.error
        assert fewer.saved > more.saved > 0
        assert fewer.peak_bytes < more.peak_bytes < found.peak_bytes
    assert {(row.sites, row.rewritten) for row in found.rows} == {(1, 1)}


def test_the_error_is_that_of_the_output(model, inputs):
    (row,) = sweep(model, inputs, "truncate-filters", taps(5)).rows
    with torch.no_grad():
        k, expected = model.make(model.positions).t(), model(*inputs)
        got = irfft(rfft(inputs[0], n=120) * rfft(k[:, :5], n=120), n=120)[..., :60]
    assert row.error == pytest.approx(((got - expected).norm() / expected.norm()).item(), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "setting", "before", "after"),
    [
        ("truncate-filters", {"taps": 5}, "raise-long-conv", "fold-filters"),
        ("sparsify-spectrum", {"keep": 0.5}, "fold-filters", "fold-constants"),
    ],
)
def test_a_pass_named_alone_is_put_where_it_finds_its_sites(model, inputs, name, setting, before, after):
    found = sweep(model, inputs, name, [setting])
    assert found.rows[0].rewritten == 1
    assert name not in found.baseline
    text = found.rows[0].pipeline
    assert text.index(before) < text.index(name) < text.index(after)


def test_a_pass_in_a_pipeline_is_found_by_its_options(model, inputs):
    found = sweep(model, inputs, "raise-long-conv,truncate-filters{block=16},fold-filters", taps(3))
    assert found.rows[0].pipeline == "raise-long-conv,truncate-filters{block=16,taps=3},fold-filters"
    assert found.baseline == "raise-long-conv,fold-filters"


def test_a_setting_that_changes_nothing_says_why(model, inputs):
    (row,) = sweep(model, inputs, "truncate-filters", taps(60)).rows
    assert (row.rewritten, row.bound, row.saved, row.error) == (0, None, None, 0.0)
    assert row.declined == {"nothing-to-drop": 1}


@pytest.mark.parametrize(
    ("passes", "settings", "message"),
    [
        ("truncate-filters", [], "at least one setting"),
        ("default", taps(3), "no pass of the pipeline has the options taps"),
        ("truncate-filters,truncate-filters", taps(3), "passes truncate-filters and truncate-filters have"),
        ("truncate-filters", taps(3, 0), "taps must be at least 1"),
        ("truncate-filters", [{"tap": 3}], "has no option 'tap'"),
    ],
)
def test_a_sweep_of_nothing_is_refused(model, inputs, passes, settings, message):
    with pytest.raises(UsageError, match=message):
        sweep(model, inputs, passes, settings)


def test_the_model_stays_as_it_was(model, inputs):
    before = model(*inputs)
    sweep(model, inputs, "truncate-filters", taps(3))
    assert torch.equal(model(*inputs), before)


def test_peak_memory_is_what_is_alive_at_once():
    class Chain(nn.Module):
        def forward(self, x):
            return (x.exp().sin() + x.view(10, 100).t().reshape(1000)).cos().view(100, 10)

    # exp and sin; then sin, the copy that reshape makes, and their sum; then the sum and its cosine.
    _, peak = run(capture(Chain(), (torch.randn(1000),)), [torch.randn(1000)])
    assert peak == 3 * 4000
