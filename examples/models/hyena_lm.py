"""A Hyena language model in plain torch with random weights (Poli et al., "Hyena Hierarchy", arXiv 2302.10866).

The operator is the one of the released code, which differs from the text of the paper: an operator of order N gates
before each of its N - 1 long convolutions and once after them. With ``u`` of shape ``[B, L, D]``:

1. project to N + 1 streams, convolve each channel with 3 causal taps, split into ``x_0 .. x_{N-1}`` and ``v``;
2. for ``i = N-1 .. 1``: ``v = long_conv(v * x_i)``, each with filters of its own;
3. project ``v * x_0`` back to D.

A long convolution has one filter of ``length`` taps per channel, never stored: an MLP with sine activations (one
trainable frequency vector, shared by all its layers) maps a positional encoding to taps, and an exponential window with
another decay per channel damps them. It is applied by FFT of twice the length, so that nothing wraps around, plus
``skip * v``. A shorter input uses the first taps of the same filter.

``load(dim=768, layers=12, length=2048, vocab=50257)`` has the shape of the 125M model of the paper.
Run this file to see how far into the past the model looks.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class HyenaConfig:
    """Sizes of the model and the settings of its implicit filters; the defaults are small and quick on a CPU."""

    vocab: int = 256
    dim: int = 256
    layers: int = 4
    length: int = 1024
    order: int = 2
    filter_width: int = 64
    filter_features: int = 5
    """Features of the positional encoding: time, and (features - 1) / 2 cosines and as many sines; odd, at least 3."""
    sine_frequency: float = 10.0
    fast_decay: float = 0.3
    slow_decay: float = 1.5


def load(batch: int = 1, seed: int = 0, **sizes: int) -> tuple[nn.Module, tuple[Tensor]]:
    """A model of ``HyenaConfig(**sizes)`` with seeded weights, and bytes of the Gettysburg Address ``[B, length]``.

    A smaller vocabulary takes the bytes modulo its size.
    """
    config = HyenaConfig(**sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = HyenaLM(config).eval()
    text = torch.tensor(list(Path(__file__).with_name("gettysburg.txt").read_bytes()))
    rows = (torch.arange(batch)[:, None] * 97 + torch.arange(config.length)) % len(text)
    return model, (text[rows] % config.vocab,)


class HyenaLM(nn.Module):
    """Token ids ``[B, L]`` to logits ``[B, L, vocab]``, ``L <= config.length``; the head is tied to the embedding."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab, config.dim)
        self.layers = nn.ModuleList(HyenaBlock(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.head = nn.Linear(config.dim, config.vocab, bias=False)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.embedding(ids)
        for layer in self.layers:
            hidden = layer(hidden)
        return self.head(self.norm(hidden))


class HyenaBlock(nn.Module):
    """Pre-norm residual block: a Hyena operator along the sequence, then an MLP along the channels."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.dim)
        self.mixer = HyenaOperator(config)
        self.norm2 = nn.LayerNorm(config.dim)
        self.mlp = nn.Sequential(
            nn.Linear(config.dim, 4 * config.dim), nn.GELU(approximate="tanh"), nn.Linear(4 * config.dim, config.dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class HyenaOperator(nn.Module):
    """The mixer, ``[B, L, D] -> [B, L, D]``; parameters have the names and shapes of the released code."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        self.config = config
        streams = config.dim * (config.order + 1)
        self.in_proj = nn.Linear(config.dim, streams)
        self.short_filter = nn.Conv1d(streams, streams, 3, padding=2, groups=streams)
        self.filter_fn = HyenaFilter(config)
        self.out_proj = nn.Linear(config.dim, config.dim)

    def forward(self, u: Tensor) -> Tensor:
        length = u.shape[1]
        if length > self.config.length:
            raise ValueError(f"{length} positions, but the filters have {self.config.length} taps: raise length=")
        mixed = self.short_filter(self.in_proj(u).transpose(1, 2))[..., :length]
        *gates, v = mixed.split(self.config.dim, dim=1)
        per_channel = (self.config.dim, self.config.order - 1)
        filters = self.filter_fn.filter(length).unflatten(1, per_channel)[0]
        skips = self.filter_fn.bias.unflatten(0, per_channel)
        for i, gate in enumerate(reversed(gates[1:])):
            v = long_conv(v * gate, filters[:, i], skips[:, i])
        return self.out_proj((v * gates[0]).transpose(1, 2))


class HyenaFilter(nn.Module):
    """The implicit filters of one operator: ``dim * (order - 1)`` rows of up to ``length`` taps."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        channels, width = config.dim * (config.order - 1), config.filter_width
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
        """The first ``length`` taps, ``[1, channels, length]``; always a prefix of the full filter."""
        taps = self.implicit_filter(self.pos_emb.z[:, :length])
        return self.modulation(self.pos_emb.t[:, :length], taps).transpose(1, 2)


class PositionalEncoding(nn.Module):
    """``z = [t, cos(f w), -sin(f w)]`` over the full length: ``t`` in [0, 1], ``w`` in [0, 2 pi), ``f`` the bands."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        bands = (config.filter_features - 1) // 2
        if bands < 1 or config.filter_features % 2 == 0:
            raise ValueError(f"filter_features must be odd and at least 3, got {config.filter_features}")
        t = torch.linspace(0, 1, config.length)[None, :, None]
        w = 2 * math.pi * torch.arange(config.length)[None, :, None] / config.length
        phase = w * torch.linspace(1e-4, bands - 1, bands)
        self.z = nn.Parameter(torch.cat([t, phase.cos(), -phase.sin()], dim=-1))  # trained, as in the released code
        self.register_buffer("t", t)


class Sine(nn.Module):
    """``sin(freq * x)`` with one trainable frequency per feature."""

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


def long_conv(u: Tensor, k: Tensor, skip: Tensor) -> Tensor:
    """Causal ``y[t] = sum_j k[j] u[t - j] + skip u[t]`` per channel: ``u [B, D, L]``, ``k [D, L]``, ``skip [D]``."""
    length = u.shape[-1]
    size = 2 * length
    k_f = torch.fft.rfft(k, n=size) / size
    u_f = torch.fft.rfft(u.to(k.dtype), n=size)
    y = torch.fft.irfft(u_f * k_f, n=size, norm="forward")[..., :length]
    return (y + u * skip[:, None]).to(u.dtype)


if __name__ == "__main__":
    model, (ids,) = load()
    with torch.no_grad():
        logits = model(ids)
        taps = model.layers[0].mixer.filter_fn.filter(ids.shape[1]).abs()
    reach = (taps.cumsum(-1) < 0.99 * taps.sum(-1, keepdim=True)).sum(-1)
    entropy = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}M parameters, untrained: {entropy:.2f} nats per byte")
    print(f"99 % of a filter of layer 0 lies within {reach.min()} to {reach.max()} taps of {ids.shape[1]}")
