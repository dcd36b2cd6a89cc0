"""Which long convolutions the tile kernel takes, and that what it puts in their place is the same."""

import dataclasses

import pytest
import torch
from regraft.kernels.long_conv.tile import LongConvSpectrumTile, LongConvTile
from regraft.lowering.candidates import call_with
from regraft.lowering.targets import target_for
from regraft.tests.kernels.harness import relative_error

LONG_CONV = torch.ops.regraft.long_conv.default
LONG_CONV_SPECTRUM = torch.ops.regraft.long_conv_spectrum.default
H100 = target_for("sm_90")


def normal(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape) + shape[-1])).to(dtype)


def same(candidate, call):
    assert candidate.supports(call, H100) is None
    config = candidate.configs(call, H100)[0]
    made = candidate.run(call, config, *candidate.constants(call, config))
    expected = call.target(**call.arguments)
    assert (made.shape, made.dtype) == (expected.shape, expected.dtype)
    assert relative_error(made, expected) < 1e-6


@pytest.mark.parametrize(
    ("lags", "options"),
    [
        ("causal", {"skip": normal(3), "pre_gate": normal(2, 3, 100), "post_gate": normal(100)}),
        ("anticausal", {}),
        ("taps", {"lag0": 13}),
        ("circular", {"fft_size": 256, "lag0": -5}),
        ("circular", {}),
        ("circular", {"fft_size": 131, "lag0": 3}),
        ("bidirectional_shared", {"k_rev": normal(3, 70)}),
        ("bidirectional_offset", {"k_rev": normal(3, 70)}),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(map(str, value)),
)
def test_every_lag_map_is_the_operators(lags, options):
    same(LongConvTile(), call_with(LONG_CONV, normal(2, 3, 100), normal(3, 90), lags=lags, **options))


@pytest.mark.parametrize("k", [normal(90), normal(1, 90), normal(1, 3, 90), normal(1, 1, 3, 90)])
def test_filters_broadcast_to_channels(k):
    same(LongConvTile(), call_with(LONG_CONV, normal(2, 2, 3, 100), k))


@pytest.mark.parametrize("fft_size", [256, 200, 199])
def test_a_spectrum_of_any_size_is_used(fft_size):
    k_f = torch.fft.rfft(normal(3, 100), n=fft_size)
    given = (normal(1, 3, 100), k_f, normal(3), None, normal(1, 3, 80))
    same(LongConvSpectrumTile(), call_with(LONG_CONV_SPECTRUM, *given, fft_size=fft_size, length=80))


@pytest.mark.parametrize(("factors", "kept"), [([32, 16], [32, 7]), ([8, 32], [4, 32]), ([16, 4, 4], [16, 4, 1])])
def test_zero_blocks_stay_zero(factors, kept):
    size = torch.tensor(factors).prod().item()
    k_f = torch.fft.rfft(normal(3, size // 2), n=size)
    call = call_with(LONG_CONV_SPECTRUM, normal(2, 3, size // 2), k_f, fft_size=size, length=size // 2,
                     factors=factors, kept=kept)  # fmt: skip
    same(LongConvSpectrumTile(), call)


@pytest.mark.parametrize(
    ("code", "arguments", "options"),
    [
        ("size", (normal(1, 1, 2**21 + 1, dtype=torch.float16), normal(1, 2**21 + 1)), {}),
        ("size", (normal(1, 1, 2**16 + 1), normal(1, 2**16 + 1)), {}),
        ("dtype", (normal(2, 3, 9, dtype=torch.float64), normal(3, 9)), {}),
        ("dtype", (normal(2, 3, 9), normal(3, 9)), {"pre_gate": normal(2, 3, 9, dtype=torch.float16)}),
        ("dtype", (normal(2, 3, 9), normal(3, 9)), {"compute_dtype": torch.float64}),
        ("filter-per-sample", (normal(2, 3, 9), normal(2, 3, 9)), {}),
    ],
    ids=str,
)
def test_what_it_does_not_take_it_declines(code, arguments, options):
    decline = LongConvTile().supports(call_with(LONG_CONV, *arguments, **options), H100)
    assert decline is not None
    assert decline.code == code


def test_a_target_with_little_shared_memory_keeps_the_fft():
    call = call_with(LONG_CONV, normal(2, 3, 2048, dtype=torch.float16), normal(3, 2048))
    assert LongConvTile().supports(call, H100) is None
    decline = LongConvTile().supports(call, dataclasses.replace(H100, shared_bytes=48 * 1024))
    assert (decline.code, decline.numbers) == ("shared-memory", {"bytes": 65536, "limit": 49152})


@pytest.mark.parametrize(
    ("length", "dtype", "training", "factors"),
    [
        (2048, torch.float16, False, (64, 64)),
        (2048, torch.float16, True, (16, 16, 16)),
        (700, torch.float32, True, (16, 16, 16)),
        (1024, torch.float32, False, (64, 32)),
        (1025, torch.float32, False, (16, 16, 16)),
        (4096, torch.bfloat16, False, (16, 32, 16)),
        (2**16, torch.bfloat16, True, (128, 32, 32)),
        (2**19, torch.bfloat16, False, (256, 64, 64)),
        (2**21, torch.float16, False, (1024, 64, 64)),
    ],
    ids=str,
)
def test_what_one_program_does_not_hold_gets_an_outer_stage(length, dtype, training, factors):
    u, k = (torch.empty(shape, dtype=dtype, device="meta") for shape in ((2, 3, length), (3, length)))
    call = call_with(LONG_CONV, u, k, training=training)
    assert LongConvTile().supports(call, H100) is None
    assert LongConvTile().transform(call).blocks.factors == factors


def test_a_configuration_for_gradients_is_kept_where_the_call_does_not_tell_of_them():
    call = call_with(LONG_CONV, normal(2, 3, 700), normal(3, 700))
    training = dataclasses.replace(call, training=True)
    config = LongConvTile().configs(training, H100)[0]
    assert "block_n0" in config
    tables = [LongConvTile().constants(each, config) for each in (call, training)]
    assert [len(table) for table in tables[0]] == [len(table) for table in tables[1]]
    made = LongConvTile().run(call, config, *tables[0])
    assert relative_error(made, call.target(**call.arguments)) < 1e-6


def test_with_gradients_the_outer_stage_ends_earlier():
    u, k = (torch.empty(shape, dtype=torch.float16, device="meta") for shape in ((2, 3, 2**17), (3, 2**17)))
    assert LongConvTile().supports(call_with(LONG_CONV, u, k), H100) is None
    assert LongConvTile().supports(call_with(LONG_CONV, u, k, training=True), H100).code == "size"


@pytest.mark.parametrize(("lags", "options"), [("causal", {}), ("circular", {"fft_size": 3000, "lag0": 3})])
def test_long_sequences_are_the_operators(lags, options):
    pre, post = normal(1, 2, 2100), normal(2100)
    call = call_with(LONG_CONV, normal(3, 2, 2100), normal(2, 2000), pre_gate=pre, post_gate=post, lags=lags, **options)
    same(LongConvTile(), call)


def test_zero_blocks_of_three_stages_stay_zero():
    k_f = torch.fft.rfft(normal(2, 2000), n=4096)
    call = call_with(LONG_CONV_SPECTRUM, normal(2, 2, 2000), k_f, fft_size=4096, length=2000,
                     factors=[16, 16, 16], kept=[16, 16, 5])  # fmt: skip
    assert LongConvSpectrumTile().transform(call).blocks.kept == (16, 16, 5)
    same(LongConvSpectrumTile(), call)


def test_on_a_cpu_it_is_declined():
    decline = LongConvTile().supports(call_with(LONG_CONV, normal(2, 3, 9), normal(3, 9)), target_for("cpu"))
    assert decline.code == "device"


def test_a_large_batch_is_predicted_to_beat_the_fft():
    from regraft.kernels import candidates

    u, k = (torch.empty(shape, dtype=torch.bfloat16, device="meta") for shape in ((64, 768, 1024), (768, 1024)))
    call = call_with(LONG_CONV, u, k)
    ours, theirs = LongConvTile(), candidates.reference("long_conv")
    config = ours.configs(call, H100)[0]
    assert ours.estimate(call, H100, config).seconds * 1.5 < theirs.estimate(call, H100, {}).seconds
