"""The Hyena operators are their definitions, whatever the order, the form, the heads and the filters."""

import math
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

sys.path.insert(0, str(Path(__file__).parents[2]))
from examples.hyena import MIXERS, HyenaConfig, HyenaLM, HyenaOperator, long_conv, operators, zero_filters

LENGTH = 100
EVERY_MIXER = [
    {"order": 2},
    {"order": 3},
    {"form": "published", "order": 1},
    {"form": "published", "order": 2},
    {"mixer": "multihyena", "heads": 3},
    {"mixer": "h3", "modes": 4},
]
every_mixer = pytest.mark.parametrize("sizes", EVERY_MIXER, ids=lambda sizes: "-".join(map(str, sizes.values())))


def mixer(**sizes) -> tuple[nn.Module, Tensor]:
    """A mixer in fp64 and an input of its full length."""
    config = HyenaConfig(**{"dim": 6, "length": LENGTH, "filter_width": 8} | sizes)
    u = torch.randn(2, LENGTH, 6, dtype=torch.float64)
    return MIXERS[config.mixer](config).double(), u


def toeplitz(k: Tensor, length: int = LENGTH) -> Tensor:
    """Lower-triangular matrices ``[..., length, length]`` whose column ``j`` is ``k`` delayed by ``j``."""
    k = nn.functional.pad(k, (0, max(0, length - k.shape[-1])))
    return torch.stack([nn.functional.pad(k, (j, 0))[..., :length] for j in range(length)], dim=-1)


def streams_of(module: nn.Module, u: Tensor) -> list[Tensor]:
    """The gates and the value by definition, each ``[B, D, L]``."""
    projected = module.in_proj(u).transpose(1, 2)
    taps = module.short_filter.weight[:, 0].flip(-1)
    short = (toeplitz(taps) @ projected[..., None])[..., 0] + module.short_filter.bias[:, None]
    return list(short.split(module.config.dim, dim=1))


def long(u: Tensor, k: Tensor, skip: Tensor) -> Tensor:
    return (toeplitz(k) @ u[..., None])[..., 0] + u * skip[:, None]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 100, 127])
def test_the_long_convolution_equals_the_direct_sum(length):
    u, k, skip = (torch.randn(*shape, dtype=torch.float64) for shape in ((2, 3, length), (3, length), (3,)))
    direct = (toeplitz(k, length) @ u[..., None])[..., 0] + u * skip[:, None]
    assert (long_conv(u, k, skip) - direct).abs().max() <= 1e-12 * direct.abs().max()


@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_released_operator_gates_before_its_convolutions(order):
    module, u = mixer(order=order)
    *gates, v = streams_of(module, u)
    filters = module.filter_fn.filter(LENGTH)[0]
    for i, gate in enumerate(reversed(gates[1:])):
        rows = slice(i, None, order - 1)  # the released code interleaves the filters of the several convolutions
        v = long(v * gate, filters[rows], module.filter_fn.bias[rows])
    torch.testing.assert_close(module(u), module.out_proj((v * gates[0]).transpose(1, 2)), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_published_operator_is_a_product_of_diagonal_and_toeplitz_matrices(order):
    module, u = mixer(form="published", order=order)
    *gates, v = streams_of(module, u)
    filters = module.filter_fn.filter(LENGTH)[0]
    for i, gate in enumerate(reversed(gates)):
        v = gate * long(v, filters[i::order], module.filter_fn.bias[i::order])
    torch.testing.assert_close(module(u), module.out_proj(v.transpose(1, 2)), rtol=1e-11, atol=1e-11)


def test_the_published_operator_is_the_released_one_of_the_next_order_with_an_open_first_gate():
    published, u = mixer(form="published", order=2)
    released, _ = mixer(form="released", order=3)
    released.filter_fn, released.out_proj = published.filter_fn, published.out_proj
    rows = torch.cat([torch.arange(12), torch.arange(18, 24)])  # all streams but x_2, the gate before the convolutions
    with torch.no_grad():
        for name in ("in_proj.weight", "in_proj.bias", "short_filter.weight", "short_filter.bias"):
            released.get_parameter(name)[rows] = published.get_parameter(name)
    assert (released(u) - published(u)).abs().max() > 1e-3
    with torch.no_grad():
        released.short_filter.weight[12:18], released.short_filter.bias[12:18] = 0, 1
    torch.testing.assert_close(released(u), published(u), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("heads", [1, 2, 6])
def test_multihyena_remembers_the_outer_products_of_keys_and_values(heads):
    module, u = mixer(mixer="multihyena", heads=heads)
    q, k, v = (stream.unflatten(1, (heads, -1)) for stream in streams_of(module, u))
    taps = toeplitz(module.filter_fn.filter(LENGTH)[0]) + torch.eye(LENGTH) * module.filter_fn.bias[:, None, None]
    scores = torch.einsum("bmnt,bmns->bmts", q, k) * taps
    y = torch.einsum("bmts,bmns->bmnt", scores, v).flatten(1, 2)
    torch.testing.assert_close(module(u), module.out_proj(y.transpose(1, 2)), rtol=1e-11, atol=1e-11)


def test_h3_steps_a_diagonal_state_space_model():
    module, u = mixer(mixer="h3", modes=4)
    q, k, v = streams_of(module, u)
    poles = torch.exp(torch.complex(-module.filter_fn.log_decay.exp(), module.filter_fn.angle))
    residues = torch.complex(*module.filter_fn.residue)
    state, outputs = torch.zeros(2, 6, 2, dtype=torch.complex128), []
    for x in (k * v).unbind(-1):
        state = poles * state + x[..., None]
        outputs.append((residues * state).real.sum(-1) + module.filter_fn.bias * x)
    y = torch.stack(outputs, dim=-1) * q
    torch.testing.assert_close(module(u), module.out_proj(y.transpose(1, 2)), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("sizes", "expected"), list(zip(EVERY_MIXER, [1, 2, 1, 2, 1, 1], strict=True)))
def test_an_operator_has_as_many_long_convolutions_as_its_form_says(sizes, expected, monkeypatch):
    calls = []
    monkeypatch.setattr(operators, "long_conv", lambda *args: calls.append(1) or long_conv(*args))
    module, u = mixer(**sizes)
    module(u)
    assert len(calls) == expected


@every_mixer
@pytest.mark.parametrize("at", [1, 50, 99])
def test_a_spike_never_reaches_the_past(sizes, at):
    module, u = mixer(**sizes)
    module, u = module.float(), u.float()
    spiked = u.clone()
    spiked[:, at] += 1e4
    before, after = module(u), module(spiked)
    assert (after - before)[:, at:].abs().max() > 1
    assert (after - before)[:, :at].abs().max() < 1e-6 * after.abs().max()


@every_mixer
def test_a_shorter_input_uses_the_first_taps_of_the_same_filter(sizes):
    module, u = mixer(**sizes)
    torch.testing.assert_close(module(u[:, :37]), module(u)[:, :37], rtol=1e-10, atol=1e-10)
    shorter, longer = module.filter_fn.filter(37), module.filter_fn.filter(LENGTH)
    torch.testing.assert_close(shorter, longer[..., :37], rtol=1e-12, atol=1e-15)


@every_mixer
def test_zeroed_filters_leave_only_the_short_convolution(sizes):
    module, u = mixer(**sizes)
    zero_filters(module)
    assert not module.filter_fn.filter(LENGTH).any()
    changed = u.clone()
    changed[:, 10] += 1
    difference = (module(changed) - module(u)).abs().amax(dim=(0, 2))
    assert torch.nonzero(difference > 1e-9).flatten().tolist() == [10, 11, 12]


@every_mixer
def test_every_parameter_gets_a_gradient(sizes):
    module, u = mixer(**sizes)
    module(u).square().sum().backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_an_input_longer_than_the_filter_is_refused():
    module, u = mixer()
    with pytest.raises(ValueError, match=r"101 positions.*100 taps"):
        module(torch.cat([u, u[:, :1]], dim=1))


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [
        ({"filter_features": 4}, "odd"),
        ({"mixer": "multihyena", "heads": 7}, "7 heads"),
        ({"mixer": "h3", "modes": 3}, "even"),
        ({"order": 1}, "no long convolution"),
        ({"order": 0, "form": "published"}, "no long convolution"),
    ],
)
def test_sizes_that_fit_no_operator_are_refused(sizes, complaint):
    with pytest.raises(ValueError, match=complaint):
        HyenaConfig(**sizes)


def test_the_sines_of_one_filter_share_their_frequencies():
    module, _ = mixer()
    assert sum(name.endswith("freq") for name, _ in module.named_parameters()) == 1
    assert sum(name.endswith("freq") for name, _ in module.named_parameters(remove_duplicate=False)) == 3


def test_the_positional_encoding_is_trained_only_when_asked():
    assert "filter_fn.pos_emb.z" in dict(HyenaOperator(HyenaConfig(length=9)).named_parameters())
    assert "filter_fn.pos_emb.z" in dict(HyenaOperator(HyenaConfig(length=9, train_positions=False)).named_buffers())


def test_the_language_model_has_the_size_of_the_125m_model():
    with FakeTensorMode():
        model = HyenaLM(HyenaConfig(vocab=50257, dim=768, layers=12, length=2048))
    assert math.isclose(sum(p.numel() for p in model.parameters()), 125e6, rel_tol=0.02)
