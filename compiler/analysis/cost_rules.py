"""FLOPs by operator: rules read arguments by schema name and give ``(other FLOPs, those of matrix multiplications)``.

The conventions are those of :mod:`.cost`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import sympy
from torch import Tensor

Argument = Callable[[str], Any]
Rule = Callable[[Argument, Tensor], tuple[sympy.Expr, sympy.Expr]]

SOFTMAX, LAYER_NORM = 5, 7


def size(value: Any) -> sympy.Expr:
    """A size as an expression."""
    return sympy.Integer(value) if isinstance(value, int) else value.node.expr


def elements(tensor: Tensor, *, stored: bool = False) -> sympy.Expr:
    """Number of elements; with ``stored``, of those in memory (a dimension of stride 0 holds one)."""
    pairs = cast("Iterator[tuple[Any, Any]]", zip(tensor.shape, tensor.stride(), strict=True))
    return sympy.Mul(*(size(n) for n, stride in pairs if not (stored and isinstance(stride, int) and stride == 0)))


def _none_or(tensor: Tensor | None) -> sympy.Expr:
    return sympy.Integer(0) if tensor is None else elements(tensor)


def _matmul(arg: Argument, out: Tensor, left: str = "self") -> tuple[sympy.Expr, sympy.Expr]:
    return sympy.Integer(0), 2 * elements(out) * size(arg(left).shape[-1])


def _with_addend(left: str) -> Rule:
    def rule(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
        return elements(out), _matmul(arg, out, left)[1]

    return rule


def _linear(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    return elements(out) * int(arg("bias") is not None), _matmul(arg, out, "input")[1]


def _conv(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    taps = sympy.Mul(*map(size, arg("weight").shape[1:]))
    return elements(out) * int(arg("bias") is not None), 2 * elements(out) * taps


def _conv_transpose(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    taps = sympy.Mul(*map(size, arg("weight").shape[1:]))
    return elements(out) * int(arg("bias") is not None), 2 * elements(arg("input")) * taps


def _convolution(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    return (_conv_transpose if arg("transposed") else _conv)(arg, out)


def _scores(q: Tensor, k: Tensor, v: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    """Elements of the logits, and FLOPs of both products."""
    logits = sympy.Mul(*map(size, q.shape[:-1])) * size(k.shape[-2])
    return logits, 2 * logits * (size(q.shape[-1]) + size(v.shape[-1]))


def _sdpa(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    logits, products = _scores(arg("query"), arg("key"), arg("value"))
    # One more to scale.
    return logits * (SOFTMAX + 1 + int(arg("attn_mask") is not None)), products


def _attention(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    logits, products = _scores(arg("q"), arg("k"), arg("v"))
    return logits * (SOFTMAX + 1 + int(arg("bias") is not None) + 3 * int(bool(arg("softcap")))), products


def is_plain(equation: str) -> bool:
    """Whether an einsum names its result and has no ellipsis, which the rule for it needs."""
    return "->" in equation and "." not in equation


def _einsum(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    """Operand after operand, as written: each product runs over the labels of both and keeps those still needed."""
    left, _, result = arg("equation").replace(" ", "").partition("->")
    labels, tensors = left.split(","), arg("tensors")
    sizes: dict[str, sympy.Expr] = {}
    for names, tensor in zip(labels, tensors, strict=True):
        sizes |= dict(zip(names, map(size, tensor.shape), strict=True))
    held, rest, products = set(labels[0]), sympy.Integer(0), sympy.Integer(0)
    for at in range(1, len(labels)):
        both = held | set(labels[at])
        held = both & set(result).union(*labels[at + 1 :])
        work = sympy.Mul(*(sizes[label] for label in both))
        # Without a sum it is a plain product.
        rest, products = (rest, products + 2 * work) if held != both else (rest + work, products)
    return rest, products


def _per_element(argument: str, count: int) -> Rule:
    return lambda arg, out: (count * elements(arg(argument)), sympy.Integer(0))


def _merge_lse(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    parts = len(arg("outs"))
    return (2 * parts - 1) * elements(out) + SOFTMAX * parts * elements(arg("lses")[0]), sympy.Integer(0)


def _rms_norm(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    names_weight = arg("weight") is not None
    return (3 + names_weight) * elements(out), sympy.Integer(0)


def _rotary(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    x = arg("x")
    return 3 * sympy.Mul(*map(size, x.shape[:-1])) * size(arg("cos").shape[-1]), sympy.Integer(0)


def _gated_mlp(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    rows = sympy.Mul(*map(size, arg("x").shape[:-1]))
    matrices = sympy.Add(*(_none_or(arg(name)) for name in ("gate_weight", "up_weight", "down_weight")))
    biases = sympy.Add(*(_none_or(arg(name)) for name in ("gate_bias", "up_bias", "down_bias")))
    # The activation and the product.
    return rows * (2 * size(arg("down_weight").shape[1]) + biases), 2 * rows * matrices


def _fft(real: bool, inverse: bool = False) -> Rule:
    def rule(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
        long = out if inverse or not real else arg("self")
        at = arg("dim")
        asked = arg("n")
        n = size(asked) if asked is not None else size(long.shape[at])
        rows = sympy.Mul(*(size(s) for i, s in enumerate(out.shape) if i != at % out.dim()))
        return (1 if real else 2) * rows * transform(n), sympy.Integer(0)

    return rule


def transform(n: sympy.Expr) -> sympy.Expr:
    """FLOPs of a real FFT of size n."""
    return sympy.Mul(sympy.Rational(5, 2), n, sympy.log(n, 2))


def _long_conv(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    u, k = arg("u"), arg("k")
    # With fft_size=0 the operator takes some size from here on; a symbolic one is not worked out further.
    filters = sympy.Mul(*map(size, k.shape[:-1]))
    asked = arg("fft_size")
    n = size(u.shape[-1]) + size(k.shape[-1]) - 1 if isinstance(asked, int) and asked == 0 else size(asked)
    if arg("lags") == "circular" and isinstance(asked, int) and asked == 0:
        n = size(u.shape[-1])
    transforms = filters * transform(n) * (1 + (arg("k_rev") is not None))
    return transforms + _spectral_product(arg, out, n), sympy.Integer(0)


def _long_conv_spectrum(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    return _spectral_product(arg, out, size(arg("fft_size"))), sympy.Integer(0)


def _spectral_product(arg: Argument, out: Tensor, n: sympy.Expr) -> sympy.Expr:
    """Both transforms of u, the complex product (6 FLOPs a bin), skip and gates."""
    rows = sympy.Mul(*map(size, out.shape[:-1]))
    more = 2 * (arg("skip") is not None) + (arg("pre_gate") is not None) + (arg("post_gate") is not None)
    return rows * (2 * transform(n) + 6 * (n / 2 + 1)) + more * elements(out)


def _short_conv(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    more = (arg("bias") is not None) + (arg("activation") != "identity")
    return more * elements(out), 2 * elements(out) * size(arg("k").shape[-1])


def _linear_attention(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    """Scores and values within chunks; between them each step is added to the state and read off it."""
    q, v, chunk = arg("q"), arg("v"), int(arg("chunk"))
    heads = cast(sympy.Expr, sympy.Max(*(size(arg(name).shape[1]) for name in ("q", "k", "v"))))
    rows, widths = size(q.shape[0]) * heads * size(q.shape[2]), (size(q.shape[-1]), size(v.shape[-1]))
    # A score is multiplied by its decay, which is the exponential of a sum.
    decayed = 3 * int(arg("decay") is not None)
    return decayed * rows * chunk, 2 * rows * (chunk * sympy.Add(*widths) + 2 * sympy.Mul(*widths))


def _ssm_scan(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    """Within chunks a product with the taps; a complex state per mode that each step is added to and read off."""
    return sympy.Integer(0), 2 * elements(arg("u")) * (int(arg("chunk")) + 4 * size(arg("angle").shape[-1]))


def _ssm_scan_companion(arg: Argument, out: Tensor) -> tuple[sympy.Expr, sympy.Expr]:
    """Within chunks a product with the taps; a real state per order that each step is added to and read off."""
    order = size(arg("denominator").shape[-1])
    return sympy.Integer(0), 2 * elements(arg("u")) * (int(arg("chunk")) + 2 * order)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


CONTRACTIONS: dict[str, Rule] = {
    "linear": _linear,
    "mm": _matmul,
    "bmm": _matmul,
    "mv": _matmul,
    "dot": _matmul,
    "matmul": _matmul,
    "addmm": _with_addend("mat1"),
    "baddbmm": _with_addend("batch1"),
    "conv1d": _conv,
    "conv2d": _conv,
    "conv3d": _conv,
    "conv_transpose1d": _conv_transpose,
    "conv_transpose2d": _conv_transpose,
    "conv_transpose3d": _conv_transpose,
    "convolution": _convolution,
    "_convolution": _convolution,
    "scaled_dot_product_attention": _sdpa,
    "einsum": _einsum,
}
"""ATen operators that multiply matrices."""

OTHERS: dict[tuple[str, str], Rule] = {
    ("aten", "fft_rfft"): _fft(real=True),
    ("aten", "fft_irfft"): _fft(real=True, inverse=True),
    ("aten", "fft_fft"): _fft(real=False),
    ("aten", "fft_ifft"): _fft(real=False),
    ("aten", "rms_norm"): _rms_norm,
    ("aten", "glu"): _per_element("self", 1),
    ("aten", "diff"): _per_element("self", 1),
    **{("aten", f"__{name}__"): _per_element("self", 1) for name in ("and", "or", "xor")},
    ("regraft", "attention"): _attention,
    ("regraft", "attention_lse"): _attention,
    ("regraft", "merge_lse"): _merge_lse,
    ("regraft", "rms_norm"): _rms_norm,
    ("regraft", "layer_norm"): _per_element("x", LAYER_NORM),
    ("regraft", "rotary"): _rotary,
    ("regraft", "gated_mlp"): _gated_mlp,
    ("regraft", "long_conv"): _long_conv,
    ("regraft", "long_conv_spectrum"): _long_conv_spectrum,
    ("regraft", "short_conv"): _short_conv,
    ("regraft", "linear_attention"): _linear_attention,
    ("regraft", "ssm_scan"): _ssm_scan,
    ("regraft", "ssm_scan_companion"): _ssm_scan_companion,
    ("regraft", "shared_prefix_cat"): _per_element("suffix", 0),
}
"""Operators with a rule of their own, by namespace and name."""

_ONE_EACH = _names(
    "sum mean amax amin max min argmax argmin prod any all cumsum cumprod cummax logcumsumexp norm count_nonzero "
    "nll_loss_nd avg_pool1d avg_pool2d max_pool1d max_pool2d adaptive_avg_pool1d adaptive_avg_pool2d"
)
REDUCTIONS: dict[str, int] = {
    **dict.fromkeys(_ONE_EACH, 1),
    **dict.fromkeys(_names("linalg_vector_norm dropout"), 2),
    **dict.fromkeys(_names("var std var_mean"), 3),
    **dict.fromkeys(_names("batch_norm logsumexp"), 4),
    **dict.fromkeys(_names("softmax _softmax log_softmax _log_softmax cross_entropy_loss"), SOFTMAX),
    **dict.fromkeys(_names("layer_norm native_layer_norm group_norm instance_norm"), LAYER_NORM),
}
"""FLOPs for each element of the first tensor."""

COPIES = _names(
    "to _to_copy type_as clone contiguous cat concat stack copy fill zero pad constant_pad_nd reshape repeat roll flip "
    "tile repeat_interleave tril triu full_like zeros_like ones_like empty_like rand_like randn_like new_zeros "
    "new_ones new_full new_empty lift_fresh_copy scatter index_copy index_put slice_scatter select_scatter masked_fill "
    "complex where upsample_nearest1d upsample_nearest2d pixel_shuffle unfold im2col uniform normal one_hot"
)
"""Operators that move or make data and compute nothing (a draw is not a FLOP)."""

LOOKUPS = _names("embedding index index_select gather take take_along_dim")
"""Operators that read the rows they are asked for."""
