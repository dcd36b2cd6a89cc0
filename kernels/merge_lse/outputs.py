"""The merged output of attention parts for eager callers that need no log-sum-exp of it, in few operations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor


def merge_outputs(outs: Sequence[Tensor], lses: Sequence[Tensor]) -> Tensor:
    """The first result of :func:`regraft.compiler.ops.merge_lse.merge_lse`, for parts of one shape.

    outs [..., T, Dv] in one dtype and lses [..., T] in fp32 or fp64, -inf where a part saw no key and its out is 0. A
    row that is empty in every part gives 0. While a graph is traced this is the operator ``regraft::merge_lse``.
    """
    if torch.compiler.is_compiling() or isinstance(outs[0], FakeTensor):
        return torch.ops.regraft.merge_lse(outs, lses)[0]
    if len(outs) == 1:
        return outs[0]
    # A finite least: where every part is empty the weights are equal instead of NaN, and what they weigh is 0.
    weights = torch.stack(list(lses)).clamp(min=torch.finfo(torch.float32).min).softmax(0).unsqueeze(-1)
    merged = outs[0] * weights[0]
    for out, weight in zip(outs[1:], weights[1:], strict=True):
        merged = torch.addcmul(merged, out.to(merged.dtype), weight)
    return merged.to(outs[0].dtype)
