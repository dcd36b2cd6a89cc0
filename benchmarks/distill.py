"""Fits of state-space models to filters. Goals: order 16, every channel within 1e-5 of smooth filters, 100 ms a filter.

Smooth filters are those of Hyena as initialised (arXiv 2302.10866, section 3.3) with sines of frequency 1; higher
frequencies and more features make filters that no small model fits, as are noise and pure delays. The match column is
the relative l2 error of the worst channel, times are for one filter of a batch. Beside ours are the baselines
of ``passes/distill_ssm/baselines.py``. On the CPU everything runs on one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from regraft.passes.distill_ssm import Fit, Settings, fit
from regraft.passes.distill_ssm.baselines import modal_gradient, prony, vector_fitting
from torch import Tensor

from .results import Row

RUNS = 3


def run(device: str, quick: bool) -> list[Row]:
    """Compare methods on smooth filters, then say what becomes of the other families."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        sizes = [(256, 4)] if quick else [(1024, 64), (8192, 16)]
        rows = [row for length, channels in sizes for row in _methods(length, channels, device, quick)]
        return rows + [_family(name, make, device, quick) for name, make in FAMILIES.items()]
    finally:
        torch.set_num_threads(threads)


def hyena(channels: int, length: int, frequency: float, features: int, seed: int = 0) -> Tensor:
    """Filters of Hyena as initialised, [channels, length]."""
    from examples.hyena.config import HyenaConfig
    from examples.hyena.filters import ImplicitFilter

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        config = HyenaConfig(length=length, sine_frequency=frequency, filter_features=features)
        return ImplicitFilter(config, channels).filter(length)[0]


def fading_noise(channels: int, length: int) -> Tensor:
    """White noise that decays to 1 % over the length."""
    draw = torch.randn(channels, length, generator=torch.Generator().manual_seed(0))
    return draw * torch.exp(-4.6 * torch.arange(length) / length)


def delays(channels: int, length: int) -> Tensor:
    """One tap each, a sixteenth to a quarter of the length away."""
    return torch.eye(length)[torch.linspace(length // 16, length // 4, channels).long()]


FAMILIES: dict[str, Callable[[int, int], Tensor]] = {
    "smooth (w = 1)": lambda channels, length: hyena(channels, length, 1.0, 5),
    "w = 10": lambda channels, length: hyena(channels, length, 10.0, 5),
    "w = 14, 33 features": lambda channels, length: hyena(channels, length, 14.0, 33),
    "fading noise": fading_noise,
    "delays": delays,
}


def _methods(length: int, channels: int, device: str, quick: bool) -> list[Row]:
    h = hyena(channels, length, 1.0, 5).to(device)
    tol = 1e-5
    steps = 50 if quick else 800
    few = h[: min(channels, 8)]
    methods: dict[str, tuple[Tensor, Callable[[Tensor], Fit]]] = {
        "hankel": (h, lambda h: fit(h, Settings(16, tol, 16))),
        "hankel, not refined": (h, lambda h: fit(h, Settings(16, tol, 16, refine=0))),
        "hankel, 64 states": (h, lambda h: fit(h, Settings(64, tol, 64))),
        "hankel, one at a time": (h[:1], lambda h: fit(h, Settings(16, tol, 16))),
        "balanced": (few, lambda h: fit(h, Settings(16, tol, 16, method="balanced"))),
        "prony": (few, lambda h: prony(h, 16)),
        "vector fitting": (few, lambda h: vector_fitting(h, 16)),
        f"Adam, {steps} steps": (few, lambda h: modal_gradient(h, 16, steps=steps)),
    }
    return [_row(f"smooth, L {length}", name, method, taps) for name, (taps, method) in methods.items()]


def _family(name: str, make: Callable[[int, int], Tensor], device: str, quick: bool) -> Row:
    h = make(4, 256 if quick else 1024).to(device)
    return _row(f"{name}, tol 1e-2", "hankel, to 64 states", lambda h: fit(h, Settings()), h)


def _row(case: str, name: str, method: Callable[[Tensor], Fit], h: Tensor) -> Row:
    found, times = method(h), []
    for _ in range(1 if "Adam" in name else RUNS):
        start = time.perf_counter()
        method(h)
        if h.is_cuda:
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start) / h.shape[0])
    notes: dict[str, float | str] = {
        "median": float(found.rel_l2.median()),
        "l_inf": float(found.l_inf.amax()),
        "h_inf": float(found.h_inf.amax()),
        "order": float(found.order.amax()),
        "radius": float(found.radius.amax()),
        "residue": float(found.residue.amax()),
        "filters": float(h.shape[0]),
        "kept": str(found.ok),
    }
    notes |= {f"sigma_{order}": ratio for order in (16, 64) if (ratio := found.ratio(order)) == ratio}
    worst = float(found.rel_l2.amax())
    return Row(case, name, median(times), min(times), max(times), len(times), match=worst, notes=notes)
