"""Filters to distil, from those that small models fit to those that none does."""

import math
from types import SimpleNamespace

import pytest
import torch


@pytest.fixture(scope="session")
def filters():
    return SimpleNamespace(hyena=hyena, modal=modal, fading_noise=fading_noise, delays=delays)


def hyena(channels, length, frequency=1.0, features=5, seed=0):
    """Implicit filters as initialised: an MLP with sines over positions, in an exponential window; fp32 [C, L]."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.linspace(0, 1, length)[:, None]
    bands = torch.linspace(1e-4, (features - 1) // 2 - 1, (features - 1) // 2)
    phase = 2 * math.pi * torch.arange(length)[:, None] / length * bands
    hidden = torch.cat((t, phase.cos(), -phase.sin()), -1)
    for width in (64, 64, 64, channels):
        bound = hidden.shape[-1] ** -0.5
        weight, bias = (
            (2 * torch.rand(n, generator=generator) - 1) * bound for n in ((hidden.shape[-1], width), width)
        )
        hidden = hidden @ weight + bias * (width == 64)
        hidden = torch.sin(frequency * hidden) if width == 64 else hidden
    decay = torch.linspace(-math.log(0.01) / 1.5, -math.log(0.01) / 0.3, channels)
    return (hidden * torch.exp(-t * decay)).T.contiguous()


def modal(channels, length, modes, slowest=0.999, seed=0):
    """Impulse responses of random models with pairs of poles up to ``slowest``, and any lag 0; fp64 [C, L]."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.rand(2, channels, modes, 1, generator=generator, dtype=torch.float64)
    pole = torch.polar(1 - (1 - slowest) ** draw[0].sqrt(), math.pi * draw[1])
    residue = torch.randn(channels, modes, 1, generator=generator, dtype=torch.complex128)
    first = torch.randn(channels, 1, generator=generator, dtype=torch.float64)
    return torch.cat((first, (residue * pole ** torch.arange(length - 1)).sum(1).real), -1)


def fading_noise(channels, length, seed=0):
    draw = torch.randn(channels, length, generator=torch.Generator().manual_seed(seed))
    return draw * torch.exp(-4.6 * torch.arange(length) / length)


def delays(channels, length):
    """One tap each, further back than 64 states reach."""
    return torch.eye(length)[torch.linspace(70, length - 1, channels).long()]
