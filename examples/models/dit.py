"""A diffusion transformer (DiT, adaLN-zero) in plain torch with random weights.

From Peebles and Xie, "Scalable Diffusion Models with Transformers" (arXiv 2212.09748, section 3.2), the teacher of
"Grafting" (arXiv 2506.05340): the sum ``c`` of a timestep and a class embedding gives each block six vectors, and

    x = x + gate1 * attention(modulate(norm(x), shift1, scale1))
    x = x + gate2 * mlp(modulate(norm(x), shift2, scale2)),      modulate(h, shift, scale) = h * (1 + scale) + shift

with layer norms that have no affine part. Training would start from gates and an output layer of zero, and such a model
gives zero whatever a rewrite does to it: here they keep PyTorch's random initialisation, like everything else.

``load(image=32, patch=2, dim=1152, depth=28, heads=16, channels=4, classes=1000, learn_sigma=True)`` has the shape of
XL/2 at 256 x 256. Run this file to see one prediction.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class DiTConfig:
    """Sizes of the model; the default has 64 tokens of 192 channels and runs in milliseconds on a CPU."""

    image: int = 16
    patch: int = 2
    channels: int = 4
    dim: int = 192
    depth: int = 4
    heads: int = 3
    mlp_ratio: float = 4.0
    classes: int = 10
    learn_sigma: bool = False
    """Predict a variance beside the noise, doubling the output channels."""


def load(batch: int = 2, seed: int = 0, **sizes: float) -> tuple[nn.Module, tuple[Tensor, Tensor, Tensor]]:
    """A seeded ``DiT(DiTConfig(**sizes))``; noise ``[B, C, S, S]``, timesteps ``[B]``, classes ``[B]``."""
    config = DiTConfig(**sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DiT(config).eval()
        noise = torch.randn(batch, config.channels, config.image, config.image)
    timesteps = torch.linspace(999, 1, batch).round()
    return model, (noise, timesteps, torch.arange(batch) % config.classes)


class DiT(nn.Module):
    """``(x [B, C, S, S], t [B], y [B]) -> [B, C or 2C, S, S]``; class ``classes`` stands for no class (guidance)."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.config = config
        self.grid = config.image // config.patch
        self.out_channels = config.channels * (2 if config.learn_sigma else 1)
        self.x_embedder = nn.Conv2d(config.channels, config.dim, config.patch, stride=config.patch)
        self.t_embedder = TimestepEmbedder(config.dim)
        self.y_embedder = nn.Embedding(config.classes + 1, config.dim)
        self.register_buffer("pos_embed", _sincos_2d(config.dim, self.grid))
        self.blocks = nn.ModuleList(DiTBlock(config) for _ in range(config.depth))
        self.final_layer = FinalLayer(config.dim, config.patch**2 * self.out_channels)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        tokens = self.x_embedder(x).flatten(2).transpose(1, 2) + self.pos_embed
        c = self.t_embedder(t) + self.y_embedder(y)
        for block in self.blocks:
            tokens = block(tokens, c)
        patches = self.final_layer(tokens, c)
        grid, patch = self.grid, self.config.patch
        image = patches.unflatten(2, (patch, patch, self.out_channels)).unflatten(1, (grid, grid))
        return image.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


class DiTBlock(nn.Module):
    """Attention and MLP, each between a modulation and a gate that the condition ``c [B, D]`` sets."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        dim, hidden = config.dim, int(config.dim * config.mlp_ratio)
        self.norm1 = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.attn = Attention(dim, config.heads)
        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, dim))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c)[:, None].chunk(6, dim=-1)
        x = x + gate1 * self.attn(modulate(self.norm1(x), shift1, scale1))
        return x + gate2 * self.mlp(modulate(self.norm2(x), shift2, scale2))


class Attention(nn.Module):
    """Bidirectional self-attention ``[B, N, D] -> [B, N, D]`` with one fused projection."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class TimestepEmbedder(nn.Module):
    """Cosines and sines of the timestep at 128 frequencies from 1 down to 1/10000, then an MLP."""

    def __init__(self, dim: int, frequencies: int = 128) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(2 * frequencies, dim), nn.SiLU(), nn.Linear(dim, dim))
        exponents = torch.arange(frequencies) / frequencies
        self.register_buffer("frequencies", torch.exp(-math.log(10_000) * exponents), persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        angles = t[:, None] * self.frequencies
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=-1))


class FinalLayer(nn.Module):
    """Modulated norm and the projection from a token to the pixels of its patch."""

    def __init__(self, dim: int, pixels: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(dim, pixels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 2 * dim))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(c)[:, None].chunk(2, dim=-1)
        return self.linear(modulate(self.norm_final(x), shift, scale))


def modulate(h: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Scale and shift normalised tokens ``[B, N, D]`` by vectors ``[B, 1, D]``."""
    return h * (1 + scale) + shift


def _sincos_2d(dim: int, grid: int) -> Tensor:
    """Fixed positions ``[1, grid * grid, dim]``: a quarter of the channels each for sin and cos of column and row."""
    rates = 10_000.0 ** (-torch.arange(dim // 4) / (dim // 4))
    angles = torch.arange(grid)[:, None] * rates
    axis = torch.cat([angles.sin(), angles.cos()], dim=-1)
    columns, rows = axis.expand(grid, -1, -1), axis[:, None].expand(-1, grid, -1)
    return torch.cat([columns, rows], dim=-1).reshape(1, grid * grid, dim)


if __name__ == "__main__":
    model, inputs = load()
    with torch.no_grad():
        noise = model(*inputs)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}M parameters, {model.grid**2} tokens")
    print(f"prediction {tuple(noise.shape)}: mean {noise.mean():+.4f}, spread {noise.std():.4f}")
