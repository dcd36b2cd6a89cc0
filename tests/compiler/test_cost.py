"""Costs agree with numbers worked out by hand, with torch's own counter, and stay symbolic in the dynamic sizes."""

import math

import pytest
import regraft.compiler.ops  # noqa: F401
import torch
import torch.nn.functional as F
from regraft.compiler.analysis.cost import cost
from regraft.frontend.capture import capture
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class Wrap(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def costs(function, *inputs, **options):
    model = function if isinstance(function, nn.Module) else Wrap(function)
    return cost(capture(model, inputs, **options))


def only(function, *inputs):
    (found,) = costs(function, *inputs).nodes
    return found


MATH = torch.nn.attention.SDPBackend.MATH
R = torch.ops.regraft
ones = torch.ones

BY_HAND = {
    "linear with bias": (nn.Linear(8, 16), (ones(2, 5, 8),), 2 * 10 * 8 * 16 + 160, 4 * (80 + 128 + 16), 4 * 160),
    "mm": (torch.mm, (ones(3, 4), ones(4, 5)), 2 * 3 * 4 * 5, 4 * (12 + 20), 4 * 15),
    "addmm": (torch.addmm, (ones(5), ones(3, 4), ones(4, 5)), 120 + 15, 4 * (5 + 12 + 20), 60),
    "bmm in bf16": (torch.bmm, (ones(2, 3, 4).bfloat16(), ones(2, 4, 5).bfloat16()), 240, 2 * (24 + 40), 2 * 30),
    "batched matmul": (torch.matmul, (ones(7, 2, 3, 4), ones(2, 4, 5)), 2 * 7 * 30 * 4, 4 * (168 + 40), 4 * 210),
    "einsum": (
        lambda x, w: torch.einsum("bhld,hde->bhle", x, w),
        (ones(2, 3, 5, 4), ones(3, 4, 6)),
        2 * 2 * 3 * 5 * 4 * 6,
        4 * (120 + 72),
        4 * 180,
    ),
    "outer product": (lambda x, y: torch.einsum("a,b->ab", x, y), (ones(3), ones(4)), 12, 28, 48),
    "pointwise": (torch.add, (ones(3, 7), ones(7)), 21, 4 * 28, 84),
    "comparison": (torch.lt, (ones(3, 7), ones(7)), 21, 4 * 28, 21),
    "cast": (torch.Tensor.double, (ones(3, 7),), 0, 84, 168),
    "softmax": (lambda x: x.softmax(-1), (ones(3, 7),), 5 * 21, 84, 84),
    "mean": (lambda x: x.mean(-1), (ones(3, 7),), 21, 84, 12),
    "layer norm": (nn.LayerNorm(7), (ones(3, 7),), 7 * 21, 4 * (21 + 14), 84),
    "lookup": (nn.Embedding(1000, 4), (torch.zeros(2, 3, dtype=torch.long),), 0, 8 * 6 + 4 * 24, 4 * 24),
    "real FFT": (lambda x: torch.fft.rfft(x, n=64), (ones(3, 40),), 3 * 2.5 * 64 * 6, 4 * 120, 8 * 99),
    "inverse real FFT": (
        lambda x: torch.fft.irfft(x, n=64),
        (ones(3, 33).to(torch.complex64),),
        3 * 2.5 * 64 * 6,
        8 * 99,
        4 * 192,
    ),
    "complex FFT": (torch.fft.fft, (ones(3, 8).to(torch.complex64),), 3 * 5 * 8 * 3, 8 * 24, 8 * 24),
    "depthwise convolution": (
        nn.Conv1d(6, 6, 3, groups=6, padding=2),
        (ones(2, 6, 9),),
        2 * 2 * 6 * 11 * 3 + 2 * 6 * 11,
        4 * (108 + 18 + 6),
        4 * 132,
    ),
    "attention": (
        lambda q, k, v: R.attention(q, k, v, mask="causal"),
        (ones(2, 4, 5, 8), ones(2, 2, 7, 8), ones(2, 2, 7, 6)),
        2 * 4 * 5 * 7 * (2 * (8 + 6) + 6),
        4 * (320 + 224 + 168),
        4 * 240,
    ),
    "RMS norm": (R.rms_norm, (ones(3, 7), ones(7)), 4 * 21, 4 * 28, 84),
    "rotary": (R.rotary, (ones(2, 5, 8), ones(5, 6), ones(5, 6)), 3 * 2 * 5 * 6, 4 * 140, 4 * 80),
    "gated MLP": (
        R.gated_mlp,
        (ones(3, 5), ones(7, 5), ones(7, 5), ones(4, 7)),
        2 * 3 * (35 + 35 + 28) + 2 * 3 * 7,
        4 * (15 + 35 + 35 + 28),
        4 * 12,
    ),
    "merging attention": (
        lambda *parts: R.merge_lse(parts[:3], parts[3:])[0],
        (*ones(3, 2, 5, 4).unbind(), *ones(3, 2, 5).unbind()),
        5 * 40 + 5 * 3 * 10,
        4 * 3 * 50,
        4 * 50,
    ),
    "long convolution": (
        lambda u, k: R.long_conv(u, k, fft_size=16),
        (ones(2, 3, 8), ones(3, 8)),
        (2 * 6 + 3) * 2.5 * 16 * 4 + 6 * 6 * 9,
        4 * (48 + 24),
        4 * 48,
    ),
    "short convolution": (
        lambda u, k: R.short_conv(u, k, activation="silu"),
        (ones(2, 3, 8), ones(3, 4)),
        48 * (2 * 4 + 1),
        4 * (48 + 12),
        4 * 48,
    ),
}


@pytest.mark.parametrize(("function", "inputs", "flops", "read", "written"), BY_HAND.values(), ids=BY_HAND)
def test_one_call_costs_what_one_works_out_by_hand(function, inputs, flops, read, written):
    found = only(function, *inputs)
    assert found.known
    assert float(found.flops) == pytest.approx(flops)
    assert (int(found.bytes_read), int(found.bytes_written)) == (read, written)


def test_every_operator_of_the_dialect_has_a_rule():
    from regraft.compiler.ops import OPS

    for op in OPS.values():
        for args, kwargs in op.example_inputs():
            tensors = [a for a in args if isinstance(a, torch.Tensor)]
            if len(tensors) != len(args):
                continue
            found = costs(lambda *inputs, op=op, kwargs=kwargs: op.overload(*inputs, **kwargs), *tensors)
            assert found.unknown == {}, op.name
            assert found.total.flops > 0 or op.name == "shared_prefix_cat", op.name  # which only copies
            assert found.total.bytes > 0, op.name


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 4, 3), nn.GroupNorm(2, 4)
        )

    def forward(self, x):
        return self.body(x)


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8, bias=False)), (torch.randn(3, 5, 8),)),
        (Convolutional(), (torch.randn(2, 3, 17, 17),)),
        (nn.TransformerEncoderLayer(16, 4, 64, dropout=0.0, batch_first=True), (torch.randn(2, 9, 16),)),
    ],
    ids=["mlp", "convolutions", "transformer"],
)
def test_matrix_flops_of_real_models_agree_with_torch(model, inputs):
    # torch's counter does not know the CPU's flash attention.
    with torch.nn.attention.sdpa_kernel(MATH), FlopCounterMode(display=False) as counter:
        model(*inputs)
    assert int(costs(model, *inputs).total.matmul_flops) == counter.get_total_flops()


def test_a_flash_attention_counts_as_torch_counts_it():
    q, k, v = torch.randn(2, 4, 5, 8), torch.randn(2, 4, 7, 8), torch.randn(2, 4, 7, 8)
    with torch.nn.attention.sdpa_kernel(MATH), FlopCounterMode(display=False) as counter:
        F.scaled_dot_product_attention(q, k, v)
    assert only(F.scaled_dot_product_attention, q, k, v).matmul_flops == counter.get_total_flops()


def test_costs_are_symbolic_in_the_dynamic_sizes():
    found = costs(nn.Linear(8, 16), torch.randn(2, 5, 8), dynamic_shapes=({1: torch.export.Dim("t")},))
    (symbol,) = found.total.flops.free_symbols
    for t in (1, 7, 4096):
        numbers = found.total.at({symbol.name: t})
        assert numbers["flops"] == 2 * (2 * t) * 8 * 16 + 2 * t * 16
        assert numbers["bytes"] == 4 * (2 * t * 8 + 128 + 16 + 2 * t * 16)
    with pytest.raises(KeyError, match=symbol.name):
        found.total.at({})


def test_an_operator_without_a_rule_is_listed_and_its_bytes_count():
    found = costs(lambda x: torch.linalg.inv(x) + 1, torch.eye(3))
    assert set(found.unknown) == {"linalg_inv"}
    (unknown,) = [node for node in found.nodes if not node.known]
    assert unknown.bytes_read + unknown.bytes_written == 72


def test_views_are_free_and_an_expanded_tensor_is_read_once():
    found = costs(lambda x: x.view(3, 1, 4).expand(3, 5, 4).transpose(0, 1) * 2.0, ones(12))
    assert [int(n.flops) for n in found.nodes] == [0, 0, 0, 60]
    assert int(found.total.bytes) == 4 * 12 + 4 * 60


def test_a_module_includes_its_submodules_and_tied_parameters_count_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(11, 4)
            self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(2))
            self.head = nn.Linear(4, 11, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, ids):
            x = self.embed(ids)
            for block in self.blocks:
                x = block(x)
            return self.head(x)

    found = costs(Tied(), torch.zeros(2, 3, dtype=torch.long))
    modules = found.by_module()
    assert found.parameters == 44 + 2 * 20
    assert int(modules["blocks.1.0"].flops) == 6 * (2 * 16 + 4)
    assert int(modules["blocks.1"].flops) == 6 * (2 * 16 + 4 + 4)
    assert modules["blocks"].flops == 2 * modules["blocks.1"].flops
    assert modules[""] == found.total
    assert int(modules["blocks.0"].parameters) == 20


def test_nested_bodies_are_counted_where_they_are_called():
    class Region(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4, bias=False)

        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return self.linear(x)

    found = costs(Region(), ones(3, 4))
    assert int(found.total.matmul_flops) == 2 * 3 * 16
    assert int(found.total.parameters) == 16


def test_dropout_costs_only_while_training():
    model = nn.Dropout(0.5)
    assert int(costs(model, ones(8)).total.flops) == 16
    assert int(costs(model.eval(), ones(8)).total.flops) == 0


def test_the_fft_of_a_symbolic_length_grows_as_n_log_n():
    found = costs(
        lambda x: torch.fft.rfft(x), torch.randn(3, 40), dynamic_shapes=(({1: torch.export.Dim.DYNAMIC},),)
    ).total
    (symbol,) = found.flops.free_symbols
    assert found.at({symbol.name: 1000})["flops"] == pytest.approx(3 * 2.5 * 1000 * math.log2(1000))
