"""The mixers, ``[B, L, D] -> [B, L, D]``, causal, ``L`` up to ``config.length``; :data:`MIXERS` has them by name.

- :class:`HyenaOperator`: of order N, as released or as published (Poli et al., "Hyena Hierarchy", arXiv 2302.10866);
- :class:`MultiHyena`: heads with an outer-product state, one filter per head (Massaroli et al., "Laughing Hyena
  Distillery", arXiv 2310.18780, section 4);
- :class:`H3`: state-space filters (Fu et al., "Hungry Hungry Hippos", arXiv 2212.14052).

All three project to streams of D channels, convolve each channel of each stream with 3 causal taps, gate and convolve
the streams, and project back to D.
"""

import torch
from torch import Tensor, nn

from .config import HyenaConfig
from .filters import ImplicitFilter, ModalFilter, long_conv


class _Mixer(nn.Module):
    """The projections around a mixer of ``streams`` streams; parameters have the names of the released code."""

    def __init__(self, config: HyenaConfig, streams: int) -> None:
        super().__init__()
        self.config = config
        width = config.dim * streams
        self.in_proj = nn.Linear(config.dim, width)
        self.short_filter = nn.Conv1d(width, width, 3, padding=2, groups=width)
        self.out_proj = nn.Linear(config.dim, config.dim)

    def forward(self, u: Tensor) -> Tensor:
        length = u.shape[1]
        if length > self.config.length:
            raise ValueError(f"{length} positions, but the filters have {self.config.length} taps: raise length=")
        mixed = self.short_filter(self.in_proj(u).transpose(1, 2))[..., :length]
        return self.out_proj(self.mix(*mixed.split(self.config.dim, dim=1)).transpose(1, 2))

    def mix(self, *streams: Tensor) -> Tensor:
        """Streams ``[B, D, L]`` to one of the same shape."""
        raise NotImplementedError


class HyenaOperator(_Mixer):
    """Gates and implicit long convolutions in turn, over N + 1 streams: gates ``x_0 .. x_{N-1}`` and ``v``.

    The two forms of order N differ in where they begin:

    - ``published`` (definition 3.1 of the paper): N times ``v = x_i * long_conv(v)``, so N long convolutions;
    - ``released`` (the authors' code): ``v`` is gated before the first convolution, which uses up a gate, so N - 1
      long convolutions: ``v = long_conv(v * x_i)`` for ``i = N-1 .. 1``, then ``v * x_0``.

    The released operator of order N + 1 is the published one of order N applied to ``v * x_N``. Both have the skip of
    the released code, ``long_conv(v) + bias * v``, which the text leaves out; it is a change of tap 0.
    """

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__(config, config.order + 1)
        self.convolutions = config.order - (config.form == "released")
        self.filter_fn = ImplicitFilter(config, config.dim * self.convolutions)

    def mix(self, *streams: Tensor) -> Tensor:
        *gates, v = streams
        per_channel = (self.config.dim, self.convolutions)  # the released code interleaves the filters
        filters = self.filter_fn.filter(v.shape[-1]).unflatten(1, per_channel)[0]
        skips = self.filter_fn.bias.unflatten(0, per_channel)
        if self.config.form == "released":
            v = v * gates.pop()
        for i, gate in enumerate(reversed(gates)):
            v = long_conv(v, filters[:, i], skips[:, i]) * gate
        return v


class MultiHyena(_Mixer):
    """M heads of N = D / M channels with one filter ``h`` each: ``y[t] = sum_j h[t - j] (k[j] v[j]^T)^T q[t]``.

    The convolution runs over the N x N products of keys and values, which is what a head remembers; with filters of
    ones it is linear attention. Tying filters leaves M instead of D of them to distil.
    """

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__(config, 3)
        self.filter_fn = ImplicitFilter(config, config.heads)

    def mix(self, *streams: Tensor) -> Tensor:
        q, k, v = (stream.unflatten(1, (self.config.heads, -1)) for stream in streams)
        products = (k[:, :, :, None] * v[:, :, None]).flatten(2, 3)
        filters = self.filter_fn.filter(products.shape[-1])[0]
        memory = long_conv(products, filters[:, None], self.filter_fn.bias[:, None])
        memory = memory.unflatten(2, (k.shape[2], v.shape[2]))
        return (memory * q[:, :, :, None]).sum(2).flatten(1, 2)


class H3(_Mixer):
    """``q * long_conv(shift(k) * v)`` with modal filters; the shift is the short convolution that each stream has."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__(config, 3)
        self.filter_fn = ModalFilter(config, config.dim)

    def mix(self, *streams: Tensor) -> Tensor:
        q, k, v = streams
        return long_conv(k * v, self.filter_fn.filter(v.shape[-1])[0], self.filter_fn.bias) * q


MIXERS: dict[str, type[_Mixer]] = {"hyena": HyenaOperator, "multihyena": MultiHyena, "h3": H3}


@torch.no_grad()
def zero_filters(model: nn.Module) -> nn.Module:
    """Set every long filter of ``model`` to zero, in place, and leave the skips: the control of claims about them."""
    for module in model.modules():
        if isinstance(module, ImplicitFilter):
            module.implicit_filter[-1].weight.zero_()
        elif isinstance(module, ModalFilter):
            module.residue.zero_()
    return model
