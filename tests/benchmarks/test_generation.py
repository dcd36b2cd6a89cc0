"""The benchmark of generation runs at small sizes, and its picture shows every way that was measured."""

import pytest

pytest.importorskip("transformers")
import torch
from regraft.benchmarks import draw, generation


def test_every_way_is_timed_at_every_position_and_drawn():
    pytest.importorskip("matplotlib")
    rows = generation.positions(generation.untrained(64, dim=16, layers=1), 64, seconds=0)
    assert {row.variant for row in rows} == set(draw.STEPS)
    assert {row.notes["position"] for row in rows} == {4, 8, 16, 32, 64}
    axes = draw.generation(generation.record(rows)).axes[0]
    assert len(axes.lines) == len(draw.STEPS)
    assert all(line.get_ydata().tolist() and line.get_ydata().min() > 0 for line in axes.lines)


def test_the_rows_of_a_gpu_run_dry_on_a_cpu():
    rows = generation.whole_models("cpu", True)
    assert {row.variant for row in rows} > {generation.DISTILLED, generation.DOT, generation.RELAXED}
    assert all(row.notes["tokens_per_s"] > 0 for row in rows)


def test_exact_decoding_of_convolutions_is_their_forward():
    import regraft

    taps = torch.randn(3, 40, generator=torch.Generator().manual_seed(0)) / 8
    model, x = generation.Convolutions(taps, 2).eval(), torch.randn(1, 40, 3)
    y, state = regraft.recurrent(model, (x,), exact="epoched").prefill(x[:, :7])
    assert torch.allclose(y, model(x)[:, :7], atol=1e-5)
    assert generation.state_bytes(state) > 0
