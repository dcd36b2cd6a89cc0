"""An operator that nothing lowers leaves Inductor's result as it was: same kernels, same calls, same numbers."""

import pytest
import regraft.compiler.ops  # noqa: F401
import torch
import torch.nn.functional as F
from torch._dynamo.utils import counters
from torch._inductor import metrics
from torch._inductor.utils import fresh_cache, run_and_get_code

ops = torch.ops.regraft


def llama_norm(x, weight):
    h = x.to(torch.float32)
    h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)
    return weight * h.to(x.dtype)


def gemma_norm(x, weight):
    h = x.float()
    h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)
    return (h * (1.0 + weight.float())).type_as(x)


def rotate_half(x):
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)


def causal_fft(u, k, skip):
    n = 2 * u.shape[-1]
    y = torch.fft.irfft(torch.fft.rfft(u, n=n) * torch.fft.rfft(k, n=n), n=n)[..., : u.shape[-1]]
    return y + u * skip.unsqueeze(-1)


def sliding_sdpa(q, k, v):
    j = torch.arange(k.shape[2])
    r = torch.arange(q.shape[2]).unsqueeze(-1)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=(j <= r) & (j > r - 4))


HEADS = [(2, 4, 16, 8)] * 3
GROUPED = [(2, 4, 16, 8), (2, 2, 16, 8), (2, 2, 16, 8)]
PAIRS = {
    "rms_norm, late": (
        [(2, 5, 32), (32,)],
        llama_norm,
        lambda x, w: ops.rms_norm(x, w, compute_dtype=torch.float32),
    ),
    "rms_norm, early": (
        [(2, 5, 32), (32,)],
        gemma_norm,
        lambda x, w: ops.rms_norm(x, w, cast="early", weight_offset=1.0, compute_dtype=torch.float32),
    ),
    "layer_norm": ([(2, 5, 32), (32,), (32,)], lambda x, w, b: F.layer_norm(x, (32,), w, b), ops.layer_norm),
    "rotary": (
        [(2, 4, 6, 8), (6, 8), (6, 8)],
        lambda x, cos, sin: (x * cos) + (rotate_half(x) * sin),
        ops.rotary,
    ),
    "gated_mlp": (
        [(2, 5, 16), (24, 16), (24, 16), (16, 24)],
        lambda x, gate, up, down: F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down),
        ops.gated_mlp,
    ),
    "attention": (HEADS, F.scaled_dot_product_attention, ops.attention),
    "attention, causal": (
        HEADS,
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        lambda q, k, v: ops.attention(q, k, v, mask="causal"),
    ),
    "attention, grouped": (
        GROUPED,
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True),
        lambda q, k, v: ops.attention(q, k, v, mask="causal"),
    ),
    "attention, sliding": (HEADS, sliding_sdpa, lambda q, k, v: ops.attention(q, k, v, mask="sliding", window=4)),
    "attention, one query at the last key": (
        [(2, 4, 1, 8), (2, 4, 16, 8), (2, 4, 16, 8)],
        F.scaled_dot_product_attention,
        lambda q, k, v: ops.attention(q, k, v, mask="causal", offset=15),
    ),
    "long_conv": (
        [(2, 3, 16), (3, 16), (3,)],
        causal_fft,
        lambda u, k, skip: ops.long_conv(u, k, skip, fft_size=32),
    ),
    "short_conv": (
        [(2, 3, 16), (3, 4)],
        lambda u, k: F.silu(F.conv1d(u, k.unsqueeze(1), padding=3, groups=3)[..., : u.shape[-1]]),
        lambda u, k: ops.short_conv(u, k, activation="silu"),
    ),
}


def kernels_and_calls(function, tensors):
    """How many kernels Inductor generates forward and backward, its extern calls in order, output and gradients."""
    torch._dynamo.reset()
    metrics.reset()
    tensors = [t.clone().requires_grad_() for t in tensors]

    def step():
        out = torch.compile(function, fullgraph=True)(*tensors)
        out.float().square().sum().backward()
        return out

    with torch._inductor.config.patch(fx_graph_cache=False), torch._functorch.config.patch(enable_autograd_cache=False):
        out, codes = run_and_get_code(step)
    calls = [
        line.split(" = ")[-1].split("(")[0].strip()
        for code in codes
        for line in code.splitlines()
        if "extern_kernels." in line or "torch.ops.aten" in line
    ]
    return metrics.generated_kernel_count, calls, [out.detach(), *(t.grad for t in tensors)]


HALF = ["rms_norm, late", "rms_norm, early", "rotary"]


@pytest.mark.parametrize(
    ("name", "dtype"), [(name, torch.float32) for name in PAIRS] + [(name, torch.bfloat16) for name in HALF]
)
def test_it_compiles_to_the_kernels_of_the_plain_spelling(name, dtype):
    shapes, plain, semantic = PAIRS[name]
    torch.manual_seed(0)
    tensors = [torch.randn(shape).to(dtype) for shape in shapes]
    expected, found = kernels_and_calls(plain, tensors), kernels_and_calls(semantic, tensors)
    assert found[:2] == expected[:2]
    assert found[0] or found[1]
    for a, b in zip(found[2], expected[2], strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["rms_norm, late", "attention, sliding"])
def test_a_second_compilation_is_found_in_the_cache(name):
    shapes, _, semantic = PAIRS[name]
    tensors = [torch.randn(shape) for shape in shapes]
    with fresh_cache(), torch._functorch.config.patch(enable_autograd_cache=True):
        for event in ("autograd_cache_miss", "autograd_cache_hit"):
            torch._dynamo.reset()
            counters.clear()
            torch.compile(semantic, fullgraph=True)(*tensors)
            assert counters["aot_autograd"][event] == 1
            assert counters["aot_autograd"]["autograd_cache_bypass"] == 0
