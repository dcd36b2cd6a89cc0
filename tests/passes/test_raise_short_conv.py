"""Short depthwise convolutions beyond the rule's own examples."""

import pytest
import torch.nn.functional as F
from regraft.frontend.testing import assert_no_worse, run_pass
from torch import nn


def conv(activation, padding=3):
    return lambda u, w, b: activation(F.conv1d(u, w, b, padding=padding, groups=3)[..., : u.shape[-1]])


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        (F.silu, "silu"),
        (F.gelu, "gelu"),
        (lambda y: F.gelu(y, approximate="tanh"), "gelu_tanh"),
        (F.relu, "relu"),
        (lambda y: y.tanh(), "tanh"),
    ],
)
def test_the_activation_behind_it_is_taken_in(activation, name):
    rewritten = run_pass("raise-short-conv", conv(activation), "f32[2, 3, 11]", "f32[3, 1, 4]", "f32[3]")
    (node,) = (n for n in rewritten.program.graph.nodes if "short_conv" in str(n.target))
    assert node.kwargs == {"activation": name}
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


@pytest.mark.parametrize("u", ["f32[3, 11]", "f32[1, 3, 1]", "f32[2, 3, 2]"])
def test_unbatched_and_shorter_than_the_filter(u):
    rewritten = run_pass("raise-short-conv", conv(lambda y: y), u, "f32[3, 1, 4]", "f32[3]")
    assert rewritten.count("short_conv") == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_a_module_with_padding_and_slice_is_raised():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Conv1d(6, 6, 3, padding=2, groups=6)

        def forward(self, x):
            return self.mix(x.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)

    rewritten = run_pass("raise-short-conv", Block(), "f32[2, 9, 6]")
    assert rewritten.remark.code == "rewritten"
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_an_activation_in_place_is_left_where_it_is():
    rewritten = run_pass(
        "raise-short-conv", conv(lambda y: F.silu(y, inplace=True)), "f32[2, 3, 7]", "f32[3, 1, 4]", "f32[3]"
    )
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


@pytest.mark.parametrize("padding", [0, 1, 2, 4])
def test_another_padding_is_declined(padding):
    rewritten = run_pass("raise-short-conv", conv(F.silu, padding), "f32[2, 3, 7]", "f32[3, 1, 4]", "f32[3]")
    assert rewritten.unchanged
    assert rewritten.remark.code in ("not-causal", "length-differs")


@pytest.mark.parametrize("mode", ["same", "valid"])
def test_named_paddings_are_read(mode):
    rewritten = run_pass(
        "raise-short-conv", lambda u, w: F.conv1d(u, w, padding=mode, groups=3), "f32[2, 3, 7]", "f32[3, 1, 3]"
    )
    assert rewritten.unchanged
    assert rewritten.remark.code == {"same": "not-causal", "valid": "length-differs"}[mode]


def test_padding_with_another_value_is_declined():
    rewritten = run_pass(
        "raise-short-conv", lambda u, w: F.conv1d(F.pad(u, (2, 0), value=1.0), w, groups=3), "f32[3, 7]", "f32[3, 1, 3]"
    )
    assert rewritten.remark.code == "length-differs"


def test_a_longer_filter_than_asked_for_is_left_alone():
    function = conv(lambda y: y)
    rewritten = run_pass("raise-short-conv{max-taps=3}", function, "f32[2, 3, 7]", "f32[3, 1, 4]", "f32[3]")
    assert rewritten.remark.code == "long-filter"


def test_an_ordinary_convolution_is_not_spoken_of():
    rewritten = run_pass("raise-short-conv", lambda u, w: F.conv1d(u, w, padding=1), "f32[2, 3, 7]", "f32[4, 3, 3]")
    assert rewritten.remarks == []
