"""Terrain diffusion: a one-step consistency model of 128 x 128 heightfields (U-Net, 10.5M, 28 attention blocks).

The package carries an ONNX graph. The network is rebuilt here in plain torch under the names of the checkpoint
(``input_blocks``, ``middle_block``, ``output_blocks``, as in guided-diffusion): levels of 32, 32, 64, 96, 128 channels
with four residual blocks each, self-attention in heads of 32 channels at 32 x 32 and below. The exporter folded the
affine parameters of the group norms into anonymous constants; they are found by the order in which the norms run.

Denoiser (Song et al., "Consistency Models", arXiv 2303.01469, section 4, with the boundary condition at ``sigma_min``):
``c_skip(s) x + c_out(s) F(c_in(s) x, s)``, ``s`` from 0.002 to 80.

Run this file to see heights of a drawn landscape.
"""

from pathlib import Path

import torch
from regraft.frontend.weights import ensure
from torch import Tensor, nn
from torch.nn import functional as F

SIGMA_MIN, SIGMA_MAX, SIGMA_DATA = 0.002, 80.0, 0.5
_CHANNELS = (32, 32, 64, 96, 128)
_BLOCKS_PER_LEVEL = 4
_FIRST_ATTENTION_LEVEL = 2
_EMBEDDING = 128
_HEAD = 32


def load(batch: int = 1, seed: int = 0) -> tuple[nn.Module, tuple[Tensor, Tensor, Tensor]]:
    """The network; noise ``[B, 1, 128, 128]`` of scale 80, its sigma ``[B]``, difficulty in [0, 1] ``[B]``."""
    net = TerrainUNet().eval()
    net.load_state_dict(_state_dict(_directory() / "terrain_consistency_unet_difficulty100.onnx", net))
    noise = torch.randn(batch, 1, 128, 128, generator=torch.Generator().manual_seed(seed))
    return net, (noise * SIGMA_MAX, torch.full((batch,), SIGMA_MAX), torch.linspace(0.5, 1.0, batch))


class TerrainUNet(nn.Module):
    """``(noisy [B, 1, H, W], sigma [B], difficulty [B]) -> [B, 1, H, W]`` in [-1, 1]; H, W multiples of 16."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.zeros(_EMBEDDING // 8))
        self.register_buffer("log_sigma_scale", torch.ones(()))
        self.time_embed = _mlp(_EMBEDDING // 4)
        self.label_emb = _mlp(1)
        width = _CHANNELS[0]
        skips = [width]
        self.input_blocks = nn.ModuleList([Chain(nn.Conv2d(1, width, 3, padding=1))])
        for level, channels in enumerate(_CHANNELS):
            for _ in range(_BLOCKS_PER_LEVEL):
                self.input_blocks.append(_stage(width, channels, level))
                width = channels
                skips.append(width)
            if channels != _CHANNELS[-1]:
                self.input_blocks.append(Chain(Residual(width, width, resize="down")))
                skips.append(width)
        self.middle_block = Chain(Residual(width, width), Attention(width), Residual(width, width))
        self.output_blocks = nn.ModuleList()
        for level, channels in reversed(list(enumerate(_CHANNELS))):
            for block in range(_BLOCKS_PER_LEVEL + 1):
                stage = _stage(width + skips.pop(), channels, level)
                width = channels
                if level and block == _BLOCKS_PER_LEVEL:
                    stage.append(Residual(width, width, resize="up"))
                self.output_blocks.append(stage)
        self.out = nn.Sequential(_norm(width), nn.SiLU(), nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, noisy: Tensor, sigma: Tensor, difficulty: Tensor) -> Tensor:
        angles = (sigma.log() * self.log_sigma_scale)[:, None] * self.frequencies
        embedding = self.time_embed(torch.cat([angles.cos(), angles.sin()], -1)) + self.label_emb(difficulty[:, None])
        spread = (sigma**2 + SIGMA_DATA**2).rsqrt()
        away = sigma - SIGMA_MIN
        c_skip = SIGMA_DATA**2 / (away**2 + SIGMA_DATA**2)
        c_out = away * SIGMA_DATA * spread

        hidden, skips = noisy * spread[:, None, None, None], []
        for block in self.input_blocks:
            hidden = block(hidden, embedding)
            skips.append(hidden)
        hidden = self.middle_block(hidden, embedding)
        for block in self.output_blocks:
            hidden = block(torch.cat([hidden, skips.pop()], 1), embedding)
        denoised = c_out[:, None, None, None] * self.out(hidden) + c_skip[:, None, None, None] * noisy
        return denoised.clamp(-1, 1)


class Chain(nn.Sequential):
    """Modules one after the other; residual blocks also get the embedding."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        for module in self:
            x = module(x, embedding) if isinstance(module, Residual) else module(x)
        return x


class Residual(nn.Module):
    """Two normalised 3 x 3 convolutions, the second modulated by the embedding, beside a skip; may resize by two."""

    def __init__(self, width: int, channels: int, resize: str | None = None) -> None:
        super().__init__()
        self.resize = resize
        self.in_layers = nn.Sequential(_norm(width), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(_EMBEDDING, 2 * channels))
        convolution = nn.Conv2d(channels, channels, 3, padding=1)
        self.out_layers = nn.Sequential(_norm(channels), nn.SiLU(), nn.Dropout(0.0), convolution)
        self.skip_connection = nn.Identity() if width == channels else nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        norm, activation, convolution = self.in_layers
        hidden = convolution(self._resized(activation(norm(x))))
        scale, shift = self.emb_layers(embedding)[:, :, None, None].chunk(2, 1)
        norm, *rest = self.out_layers
        hidden = norm(hidden) * (1 + scale) + shift
        for module in rest:
            hidden = module(hidden)
        return self.skip_connection(self._resized(x)) + hidden

    def _resized(self, x: Tensor) -> Tensor:
        if self.resize == "down":
            return F.avg_pool2d(x, 2)
        if self.resize == "up":
            return F.interpolate(x, scale_factor=2.0, mode="nearest")
        return x


class Attention(nn.Module):
    """Self-attention over all pixels, in heads of 32 channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.qkv(self.norm(x)).unflatten(1, (3, -1, _HEAD)).flatten(-2).transpose(-1, -2)  # [B, 3, H, T, D]
        attended = F.scaled_dot_product_attention(*heads.unbind(1))
        return x + self.proj_out(attended.transpose(-1, -2).reshape(x.shape))


def _stage(width: int, channels: int, level: int) -> Chain:
    attention = [Attention(channels)] if level >= _FIRST_ATTENTION_LEVEL else []
    return Chain(Residual(width, channels), *attention)


def _mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, _EMBEDDING), nn.SiLU(), nn.Linear(_EMBEDDING, _EMBEDDING))


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels)


def _directory() -> Path:
    return ensure("terrain") / "terrain_diffusion" / "weights"


def _state_dict(path: Path, net: TerrainUNet) -> dict[str, Tensor]:
    """Named tensors as they are; scale and shift of the n-th norm from the multiply and add that follow it in ONNX."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    constants = {value.name: torch.from_numpy(numpy_helper.to_array(value).copy()) for value in graph.initializer}
    state = {name.removeprefix("network."): value for name, value in constants.items() if name.startswith("network.")}
    state["frequencies"] = constants["unsqueeze_4"].flatten()
    state["log_sigma_scale"] = constants["scalar_tensor_default_1"]

    producers = {output: node for node in graph.node for output in node.output}
    # Modules are registered in the order in which they run, so the two sequences correspond.
    norms = [name for name, module in net.named_modules() if isinstance(module, nn.GroupNorm)]
    results = [node.output[0] for node in graph.node if node.output[0].split(".")[0].startswith("group_norm")]
    for name, result in zip(norms, results, strict=True):
        scaled, shift = producers[result].input
        state[f"{name}.bias"] = constants[shift].flatten()
        state[f"{name}.weight"] = constants[producers[scaled].input[1]].flatten()
    return state


if __name__ == "__main__":
    net, inputs = load(batch=2)
    with torch.no_grad():
        fields = net(*inputs)
    for field, difficulty in zip(fields, inputs[2], strict=True):
        rough = field.diff(dim=-1).abs().mean()
        print(f"difficulty {difficulty:.2f}: mean {field.mean():+.3f}, spread {field.std():.3f}, slope {rough:.4f}")
