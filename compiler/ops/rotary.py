"""Rotary position embedding: features are rotated in pairs by an angle that grows with the position.

RoFormer (arXiv 2104.09864), section 3.2.2. Two layouts of the pairs are in use, and they are not interchangeable:

- half-split (Llama, GPT-NeoX): feature i pairs with i + R/2, and cos is ``cat(c, c)``;
- interleaved (GPT-J, the paper): feature 2i pairs with 2i + 1, and cos repeats every value twice.
"""

import torch
from torch import Tensor

from .registry import Call, declare, known, require


def rotary(x: Tensor, cos: Tensor, sin: Tensor, *, interleaved: bool = False) -> Tensor:
    """x * cos + rotated(x) * sin, for x [..., T, D] and cos, sin [..., T, R] that broadcast to x, with R <= D.

    ``rotated`` maps every pair (a, b) to (-b, a). Of the D features the first R are rotated, the rest pass through.
    The dtype is what ATen promotes x and cos to.

    Raises ``ValueError`` when cos and sin differ in width, or that width is odd or more than D.
    """
    width, features = cos.shape[-1], x.shape[-1]
    require("rotary", "sin", not known(sin.shape[-1] != width), f"as wide as cos ({width})", sin.shape[-1])
    require("rotary", "the width of cos", not known(width % 2 != 0), "even", width)
    require("rotary", "the width of cos", not known(width > features), f"at most x's {features} features", width)
    if known(width == features):
        return x * cos + _rotated(x, interleaved) * sin
    head, rest = x[..., :width], x[..., width:]
    head = head * cos + _rotated(head, interleaved) * sin
    return torch.cat((head, rest), dim=-1)


def _rotated(x: Tensor, interleaved: bool) -> Tensor:
    if interleaved:
        return torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).flatten(-2)
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)


def _examples() -> list[Call]:
    x = torch.linspace(-2, 3, 2 * 3 * 5 * 8).reshape(2, 3, 5, 8)
    angles = torch.arange(5.0).outer(torch.tensor([1.0, 0.1, 0.01]))
    halves, pairs = torch.cat((angles, angles), -1), angles.repeat_interleave(2, -1)
    return [
        ((x[..., :6], halves.cos(), halves.sin()), {}),
        ((x[..., :6], pairs.cos(), pairs.sin()), {"interleaved": True}),
        ((x, halves.cos(), halves.sin()), {}),
    ]


ROTARY = declare(rotary, "(Tensor x, Tensor cos, Tensor sin, *, bool interleaved=False) -> Tensor", _examples)
