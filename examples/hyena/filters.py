"""Long convolutions and the two kinds of filters that Hyena and H3 give them.

- :class:`ImplicitFilter`: an MLP with sine activations maps a positional encoding to taps, and an exponential window
  with another decay per channel damps them (Poli et al., arXiv 2302.10866, section 3.3). Taps are never stored.
  Parameters have the names and shapes of the released code.
- :class:`ModalFilter`: the impulse response of a diagonal state-space model (Gu et al., S4D, arXiv 2206.11893), the
  filter of H3.

Both have ``filter(length) -> [1, channels, length]``, always the first taps of the same filter, and a ``bias`` of shape
``[channels]`` for the skip of :func:`long_conv`.
"""

import math

import torch
from torch import Tensor, nn

from .config import HyenaConfig


def long_conv(u: Tensor, k: Tensor, skip: Tensor) -> Tensor:
    """Causal ``y[t] = sum_j k[j] u[t - j] + skip u[t]`` per channel: ``u [B, D, L]``, ``k [D, L]``, ``skip [D]``.

    With ``u [B, M, N, L]``, ``k [M, 1, L]`` and ``skip [M, 1]`` the N channels of a head share a filter. It is computed
    by FFT of twice the length, so that nothing wraps around, in the dtype of the filter.
    """
    length = u.shape[-1]
    size = 2 * length
    k_f = torch.fft.rfft(k, n=size) / size
    u_f = torch.fft.rfft(u.to(k.dtype), n=size)
    y = torch.fft.irfft(u_f * k_f, n=size, norm="forward")[..., :length]
    return (y + u * skip[..., None]).to(u.dtype)


class ImplicitFilter(nn.Module):
    """``channels`` filters of up to ``config.length`` taps, a function of position."""

    def __init__(self, config: HyenaConfig, channels: int) -> None:
        super().__init__()
        width = config.filter_width
        self.bias = nn.Parameter(torch.randn(channels))
        self.pos_emb = PositionalEncoding(config)
        self.modulation = ExponentialWindow(config, channels)
        sine = Sine(width, config.sine_frequency)
        self.implicit_filter = nn.Sequential(
            nn.Linear(config.filter_features, width), sine,
            nn.Linear(width, width), sine,
            nn.Linear(width, width), sine,
            nn.Linear(width, channels, bias=False),
        )  # fmt: skip

    def filter(self, length: int) -> Tensor:
        """The first ``length`` taps, ``[1, channels, length]``."""
        taps = self.implicit_filter(self.pos_emb.z[:, :length])
        return self.modulation(self.pos_emb.t[:, :length], taps).transpose(1, 2)


class PositionalEncoding(nn.Module):
    """``z = [t, cos(f w), -sin(f w)]`` over the full length: ``t`` in [0, 1], ``w`` in [0, 2 pi), ``f`` the bands."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        bands = (config.filter_features - 1) // 2
        t = torch.linspace(0, 1, config.length)[None, :, None]
        w = 2 * math.pi * torch.arange(config.length)[None, :, None] / config.length
        phase = w * torch.linspace(1e-4, bands - 1, bands)
        z = torch.cat([t, phase.cos(), -phase.sin()], dim=-1)
        if config.train_positions:
            self.z = nn.Parameter(z)
        else:
            self.register_buffer("z", z)
        self.register_buffer("t", t)


class Sine(nn.Module):
    """``sin(freq * x)`` with one trainable frequency per feature; one module serves all layers of a filter."""

    def __init__(self, width: int, frequency: float) -> None:
        super().__init__()
        self.freq = nn.Parameter(torch.full((1, width), frequency))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.freq * x)


class ExponentialWindow(nn.Module):
    """Damp channel ``d`` by ``exp(-t |delta_d|)``: to 1 % after a ``fast`` to ``slow`` fraction of the full length."""

    def __init__(self, config: HyenaConfig, channels: int) -> None:
        super().__init__()
        slow, fast = math.log(0.01) / config.slow_decay, math.log(0.01) / config.fast_decay
        self.register_buffer("deltas", torch.linspace(slow, fast, channels)[None, None])

    def forward(self, t: Tensor, taps: Tensor) -> Tensor:
        return taps * torch.exp(-t * self.deltas.abs())


class ModalFilter(nn.Module):
    """``k[t] = Re sum_n R_n exp(t log lambda_n)``; real and imaginary parts are stored apart, the decay as a logarithm.

    Poles start as in S4D-Lin: the same decay, frequencies at multiples of pi, at a step size per channel that is spread
    evenly in the logarithm from 1/1000 to 1/10 of a position.
    """

    def __init__(self, config: HyenaConfig, channels: int) -> None:
        super().__init__()
        modes = config.modes // 2
        step = torch.logspace(-3, -1, channels)[:, None]
        self.bias = nn.Parameter(torch.randn(channels))
        self.log_decay = nn.Parameter((0.5 * step).log().repeat(1, modes))
        self.angle = nn.Parameter(step * math.pi * torch.arange(modes))
        self.residue = nn.Parameter(torch.randn(2, channels, modes) / modes**0.5)

    def filter(self, length: int) -> Tensor:
        """The first ``length`` taps, ``[1, channels, length]``."""
        t = torch.arange(length, dtype=self.angle.dtype, device=self.angle.device)
        size = torch.exp(-self.log_decay.exp()[..., None] * t)
        phase = self.angle[..., None] * t
        real, imaginary = self.residue[..., None]
        return (size * (real * phase.cos() - imaginary * phase.sin())).sum(1)[None]
