"""Small convolution models in plain torch, for the corpus: the spellings of long convolutions found in released code.

Spellings 1 to 8 compute, of a sequence ``u`` and filters ``k``: a causal convolution by real FFT (1, as in safari),
by complex FFT (2), by a full spectrum cut in half and used twice (3), with explicit padding and gates (4), the two
bidirectional conventions of M2, which differ by one lag (5, 6), over the middle dimension with a modulated copy (7),
and one that is no convolution of ``u`` at all, since it also conjugates the spectrum of the input (8).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Spelled(nn.Module):
    """Parameters ``k``, ``k2`` ``[H, L]`` and ``skip`` ``[H]`` around one spelling of a convolution."""

    def __init__(self, function: Callable[..., Tensor], channels: int = 4, length: int = 24) -> None:
        super().__init__()
        self.function = function
        decay = torch.exp(-0.2 * torch.arange(length))
        self.k = nn.Parameter(torch.randn(channels, length) * decay)
        self.k2 = nn.Parameter(torch.randn(channels, length) * decay)
        self.skip = nn.Parameter(torch.randn(channels))

    def forward(self, u: Tensor, *gates: Tensor) -> Tensor:
        return self.function(u, self.k, self.k2, self.skip, *gates)


def real_fft(u: Tensor, k: Tensor, k2: Tensor, skip: Tensor) -> Tensor:
    """1: the filter's spectrum divided by n, an inverse with norm "forward", the first L outputs, plus a skip."""
    length, n = u.shape[-1], 2 * u.shape[-1]
    k_f = torch.fft.rfft(k.float(), n=n) / n
    u_f = torch.fft.rfft(u.float(), n=n)
    y = torch.fft.irfft(u_f * k_f, n=n, norm="forward")[..., :length]
    return (y + u * skip[:, None]).to(u.dtype)


def complex_fft(u: Tensor, k: Tensor, k2: Tensor, skip: Tensor) -> Tensor:
    """2: complex transforms both ways and the real part."""
    length, n = u.shape[-1], 2 * u.shape[-1]
    y = torch.fft.ifft(torch.fft.fft(u, n=n) * torch.fft.fft(k, n=n), n=n).real[..., :length]
    return y + u * skip[:, None]


def halved_spectrum(u: Tensor, k: Tensor, k2: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
    """3: a full spectrum of which half is used, and which has a second user (the state after the prompt)."""
    length, n = u.shape[-1], 2 * u.shape[-1]
    full = torch.fft.fft(u.float(), n=n)
    half = full[..., : n // 2 + 1]
    y = torch.fft.irfft(half * torch.fft.rfft(k.float(), n=n) / n, n=n, norm="forward")[..., :length]
    return y + u * skip[:, None], torch.view_as_real(full).sum(-2)


def padded_and_gated(u: Tensor, k: Tensor, k2: Tensor, skip: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """4: explicit zero padding of input and filter, a gate before and one after."""
    length = u.shape[-1]
    u_padded, k_padded = F.pad(u * before, (0, length)), F.pad(k, (0, length))
    y = torch.fft.irfft(torch.fft.rfft(u_padded) * torch.fft.rfft(k_padded), n=2 * length)
    return y[..., :length] * after


def conjugate_bidirectional(u: Tensor, k: Tensor, k2: Tensor, skip: Tensor) -> Tensor:
    """5: a second filter run backwards by conjugating its spectrum; both meet at lag 0."""
    length, n = u.shape[-1], 2 * u.shape[-1]
    k_f = torch.fft.rfft(k, n=n) + torch.fft.rfft(k2, n=n).conj()
    y = torch.fft.irfft(torch.fft.rfft(u, n=n) * k_f, n=n)[..., :length]
    return y + u * skip[:, None]


def padded_bidirectional(u: Tensor, k: Tensor, k2: Tensor, skip: Tensor) -> Tensor:
    """6: one filter of twice the length, the second half holding the other one flipped; that starts at lag -1."""
    length = u.shape[-1]
    both = F.pad(k, (0, length)) + F.pad(k2.flip(-1), (length, 0))
    y = torch.fft.irfft(torch.fft.rfft(u, n=2 * length) * torch.fft.rfft(both, n=2 * length), n=2 * length)
    return y[..., :length] + u * skip[:, None]


def modulated(u: Tensor, k: Tensor, k2: Tensor, skip: Tensor) -> Tensor:
    """7: layout ``[B, L, H]``, the sequence stacked with a copy of alternating signs."""
    length, n = u.shape[1], 2 * u.shape[1]
    sign = torch.ones(1, length, 1)
    sign[:, 1::2] = -1
    stacked = torch.stack([u, u * sign], dim=-1)
    k_f = torch.fft.rfft(k.t(), n=n, dim=0)[None, :, :, None]
    y = torch.fft.irfft(torch.fft.rfft(stacked, n=n, dim=1) * k_f, n=n, dim=1)[:, :length]
    return y[..., 0] + y[..., 1] * sign


def conjugated_input(u: Tensor, k: Tensor, k2: Tensor, skip: Tensor) -> Tensor:
    """8: a term in the conjugate of the input's spectrum; not a convolution of the input."""
    length, n = u.shape[-1], 2 * u.shape[-1]
    u_f = torch.fft.rfft(u, n=n)
    y_f = u_f * torch.fft.rfft(k, n=n) + u_f.conj() * torch.fft.rfft(k2, n=n).conj()
    return torch.fft.irfft(y_f, n=n)[..., :length] + u * skip[:, None]


class S4D(nn.Module):
    """Diagonal state spaces as a convolution (S4D, arXiv 2206.11893), ``[B, L, D]`` to the same, with a gate."""

    def __init__(self, channels: int = 16, order: int = 8) -> None:
        super().__init__()
        self.log_step = nn.Parameter(torch.rand(channels) * 2 - 5)
        self.log_decay = nn.Parameter(torch.log(0.5 * torch.ones(channels, order)))
        self.frequency = nn.Parameter(math.pi * torch.arange(order).repeat(channels, 1))
        self.mix = nn.Parameter(torch.randn(channels, order, 2))
        self.skip = nn.Parameter(torch.randn(channels))
        self.out = nn.Linear(channels, 2 * channels)

    def filters(self, length: int) -> Tensor:
        poles = torch.complex(-torch.exp(self.log_decay), self.frequency)
        steps = poles * torch.exp(self.log_step)[:, None]
        gain = torch.view_as_complex(self.mix) * (torch.exp(steps) - 1) / poles
        powers = torch.exp(steps[:, :, None] * torch.arange(length))
        return 2 * torch.einsum("hn,hnl->hl", gain, powers).real

    def forward(self, x: Tensor) -> Tensor:
        u = x.transpose(-1, -2)
        length = u.shape[-1]
        k_f = torch.fft.rfft(self.filters(length), n=2 * length)
        y = torch.fft.irfft(torch.fft.rfft(u, n=2 * length) * k_f, n=2 * length)[..., :length]
        y = F.gelu(y + u * self.skip[:, None]).transpose(-1, -2)
        return F.glu(self.out(y), dim=-1)


class MonarchMixer(nn.Module):
    """An M2 encoder block (arXiv 2310.12109): gated bidirectional convolution, then a block-diagonal gated MLP."""

    def __init__(self, width: int = 32, length: int = 24, blocks: int = 4) -> None:
        super().__init__()
        self.project = nn.Linear(width, 3 * width)
        self.short = nn.Conv1d(3 * width, 3 * width, 3, padding=1, groups=3 * width)
        self.forwards = nn.Parameter(torch.randn(width, length) / length)
        self.backwards = nn.Parameter(torch.randn(width, length) / length)
        self.skip = nn.Parameter(torch.randn(width))
        self.back = nn.Linear(width, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.up = nn.Parameter(torch.randn(blocks, 2 * width // blocks, width // blocks))
        self.gate = nn.Parameter(torch.randn(blocks, 2 * width // blocks, width // blocks))
        self.down = nn.Parameter(torch.randn(blocks, width // blocks, 2 * width // blocks))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms[0](x + self.mix(x))
        gated = F.gelu(self.blocked(x, self.gate)) * self.blocked(x, self.up)
        return self.norms[1](x + self.blocked(gated, self.down))

    def mix(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        streams = self.short(self.project(x).transpose(1, 2))
        first, second, v = streams.chunk(3, dim=1)
        y = padded_bidirectional(v * second, self.forwards[:, :length], self.backwards[:, :length], self.skip)
        return self.back((y * first).transpose(1, 2))

    @staticmethod
    def blocked(x: Tensor, weight: Tensor) -> Tensor:
        blocks, _, width = weight.shape
        return torch.einsum("blnk,nok->blno", x.unflatten(-1, (blocks, width)), weight).flatten(-2)


class UNet(nn.Module):
    """Two levels, skip connections by concatenation, attention over the pixels of the lower one, a time embedding."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.enter = nn.Conv2d(3, width, 3, padding=1)
        self.down = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.norms = nn.ModuleList([nn.GroupNorm(4, width), nn.GroupNorm(4, width), nn.GroupNorm(4, width)])
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.project = nn.Conv2d(width, width, 1)
        self.up = nn.ConvTranspose2d(width, width, 4, stride=2, padding=1)
        self.leave = nn.Conv2d(2 * width, 3, 3, padding=1)
        frequencies = torch.exp(-math.log(1e4) * torch.arange(width // 2) / (width // 2))
        self.register_buffer("frequencies", frequencies)

    def forward(self, image: Tensor, step: Tensor) -> Tensor:
        angles = step[:, None] * self.frequencies
        time = self.time(torch.cat([angles.cos(), angles.sin()], dim=-1))[:, :, None, None]
        high = self.enter(image)
        low = self.down(F.silu(self.norms[0](high) + time))
        low = self.attend(F.silu(self.norms[1](low))) + low
        high = torch.cat([self.up(low), high], dim=1)
        return self.leave(high)

    def attend(self, x: Tensor) -> Tensor:
        batch, width, height, breadth = x.shape
        q, k, v = self.qkv(self.norms[2](x)).reshape(batch, 3, 2, width // 2, -1).unbind(1)
        weights = torch.softmax(torch.einsum("bhcq,bhck->bhqk", q, k) * (width // 2) ** -0.5, dim=-1)
        mixed = torch.einsum("bhqk,bhck->bhcq", weights, v)
        return self.project(mixed.reshape(batch, width, height, breadth))


class ConvNet(nn.Module):
    """Convolution, BatchNorm and dropout, to be captured in training: running statistics are written in place."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Dropout(0.1)
        )
        self.head = nn.Linear(8, 5)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(self.head(self.body(image).mean((2, 3))), label)


class Branches(nn.Module):
    """An autocast region, a region without gradients, and a branch on a value."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = F.gelu(self.wide(x))
        with torch.no_grad():
            scale = hidden.float().abs().amax(-1, keepdim=True)
        y = self.narrow(hidden.float() / scale)
        return torch.cond(y.sum() > 0, lambda t: t.sin() + 1, lambda t: t.cos() - 1, (y,))


class Mixing(nn.Module):
    """An FNet block (arXiv 2105.03824): the real part of a Fourier transform over tokens and channels mixes them."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms[0](x + torch.fft.fft(torch.fft.fft(x, dim=-1), dim=-2).real)
        return self.norms[1](x + self.mlp(x))
