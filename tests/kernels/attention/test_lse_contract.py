"""What every lowering of ``attention_lse`` has to deliver, run on those that can run here."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.ops.attention import attention_lse as definition
from regraft.compiler.ops.merge_lse import merge_lse
from regraft.kernels.attention import cpu, lse
from regraft.kernels.attention.candidates import AttentionLseTiles
from regraft.kernels.attention.flex import AttentionLseFlex
from regraft.kernels.attention.libraries import AttentionLseFlash
from regraft.lowering.candidates import Call, call_with
from regraft.lowering.targets import target_for
from regraft.tests.kernels.harness import GATES, operator_checks, relative_error
from torch import Tensor

Lowering = Callable[..., tuple[Tensor, Tensor]]

SMALL = {"block_m": 16, "block_n": 16, "num_warps": 4, "num_stages": 1}


def called(q: Tensor, k: Tensor, v: Tensor, *rest: Any, **options: Any) -> Call:
    return call_with(torch.ops.regraft.attention_lse.default, q, k, v, *rest, **options)


LOWERINGS: dict[str, Lowering] = {
    "definition": definition,
    "flash": lambda *args, **options: AttentionLseFlash().run(called(*args, **options), {}),
    "flex": lambda *args, **options: AttentionLseFlex().run(called(*args, **options), {}),
    "tile": lambda *args, **options: AttentionLseTiles().run(called(*args, **options), SMALL),
    "eager": lse.attention_lse,
}
GATE = {torch.float32: GATES["f32"], torch.float16: GATES["f16"], torch.bfloat16: GATES["bf16"]}
# Far less than what rounding a log-sum-exp to a half would cost, which is half a gate.
LSE_GATE = {dtype: gate if dtype == torch.float32 else gate / 16 for dtype, gate in GATE.items()}

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")

every_lowering = pytest.mark.parametrize("lowering", LOWERINGS.values(), ids=LOWERINGS.keys())


def values(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(dtype)


def formula(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None = None, scale: float | None = None) -> Any:
    """In fp64, keys repeated for every query head; ``visible`` broadcasts to the logits."""
    q, k, v = q.double(), k.double(), v.double()
    k, v = (each.repeat_interleave(q.shape[1] // k.shape[1], 1).expand(q.shape[0], -1, -1, -1) for each in (k, v))
    logits = torch.einsum("bhid,bhjd->bhij", q, k) * (q.shape[-1] ** -0.5 if scale is None else scale)
    logits = logits if visible is None else logits.masked_fill(~visible, -math.inf)
    sums = logits.logsumexp(-1)
    return torch.nan_to_num(torch.exp(logits - sums.unsqueeze(-1))) @ v, sums


def agrees(made: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor], dtype: torch.dtype) -> None:
    out, sums = made
    assert out.dtype == dtype
    assert sums.dtype == torch.float32
    assert sums.is_contiguous()
    assert sums.shape == out.shape[:-1]
    assert relative_error(out, expected[0]) <= GATE[dtype]
    assert relative_error(sums, expected[1]) <= LSE_GATE[dtype]


@every_lowering
@pytest.mark.parametrize("features", [16, 40, 63, 64, 80, 96, 112, 128, 129])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_the_log_sum_exp_is_natural_in_fp32_and_contiguous(
    lowering: Lowering, features: int, dtype: torch.dtype
) -> None:
    q, k, v = (values(2, heads, length, features, dtype=dtype) for heads, length in ((4, 3), (2, 19), (2, 19)))
    agrees(lowering(q, k, v), formula(q, k, v), dtype)


@every_lowering
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize("queries", [1, 5])
def test_any_strides_and_shared_keys(lowering: Lowering, heads: tuple[int, int], queries: int) -> None:
    ours, theirs = heads
    q = values(3, queries, ours, 24).transpose(1, 2)
    k, v = values(3, theirs, 24, 17).mT, values(3, 17, theirs, 24).transpose(1, 2)
    agrees(lowering(q, k, v), formula(q, k, v), torch.float32)
    agrees(lowering(q, k[:1], v[:1]), formula(q, k[:1], v[:1]), torch.float32)
    visible = torch.arange(17) <= torch.arange(queries).unsqueeze(-1) + 12
    made = lowering(q, k[:1], v[:1], mask="causal", offset=12, scale=0.3)
    agrees(made, formula(q, k[:1], v[:1], visible, 0.3), torch.float32)


@every_lowering
@pytest.mark.parametrize("queries", [3, 7])
def test_causality_is_upper_left_unless_an_offset_says_otherwise(lowering: Lowering, queries: int) -> None:
    q, k, v = values(2, 4, queries, 16), values(2, 2, 5, 16), values(2, 2, 5, 16, seed=1)
    positions, keys = torch.arange(queries).unsqueeze(-1), torch.arange(5)
    for offset in (0, 5 - queries):
        made = lowering(q, k, v, mask="causal", offset=offset)
        agrees(made, formula(q, k, v, keys <= positions + offset), torch.float32)


@every_lowering
def test_a_row_that_sees_no_key_is_empty_not_nan(lowering: Lowering) -> None:
    q, k, v = values(3, 4, 2, 16), values(3, 2, 40, 16), values(3, 2, 40, 16)
    lengths = torch.tensor([40, 0, 33])
    visible = (torch.arange(40) < lengths[:, None])[:, None, None]
    agrees(lowering(q, k, v, None, lengths), formula(q, k, v, visible), torch.float32)
    bias = torch.zeros(4, 2, 40)
    bias[1], bias[2, :, :39] = -math.inf, -math.inf
    made = lowering(q, k, v, bias)
    agrees(made, formula(q, k, v, bias == 0), torch.float32)
    assert (made[0][:, 1] == 0).all()
    assert (made[1][:, 1] == -math.inf).all()


@every_lowering
@pytest.mark.parametrize("heads", [2, 1])
def test_no_keys_at_all_are_the_identity_of_merging(lowering: Lowering, heads: int) -> None:
    q, k, v = values(3, 2, 4, 16), values(1, heads, 9, 16), values(1, heads, 9, 16)
    whole = lowering(q, k, v)
    out, sums = lowering(q, k[:, :, :0], v[:, :, :0])
    assert out.shape == q.shape
    assert (out == 0).all()
    assert (sums == -math.inf).all()
    merged = merge_lse([whole[0], out], [whole[1], sums])
    assert relative_error(merged[0], whole[0]) <= 1e-7
    assert torch.equal(merged[1], whole[1])


@pytest.mark.parametrize("lowering", [LOWERINGS["flash"], lse.attention_lse], ids=["flash", "eager"])
@pytest.mark.parametrize("lengths", [(31, 0, 7), (7, 7, 7), (0, 0, 0), (40, 33, 12)])
def test_what_lies_past_the_length_may_be_nan(lowering: Lowering, lengths: tuple[int, ...]) -> None:
    q, k, v = values(3, 4, 2, 16), values(3, 2, 40, 16), values(3, 2, 40, 16)
    visible = (torch.arange(40) < torch.tensor(lengths)[:, None])[:, None, None]
    expected = formula(q, k, v, visible)
    past = ~visible.mT
    k, v = k.masked_fill(past, math.nan), v.masked_fill(past, math.nan)
    agrees(lowering(q, k, v, None, torch.tensor(lengths)), expected, torch.float32)


@every_lowering
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("sharpness", [1, 4, 16])
@pytest.mark.parametrize("mass", ["spread", "first", "last"])
def test_parts_merge_to_the_whole_wherever_the_mass_is(
    lowering: Lowering, dtype: torch.dtype, sharpness: int, mass: str
) -> None:
    q, k, v = (values(2, 2, length, 24, dtype=dtype, seed=length) for length in (3, 21, 21))
    q = q * sharpness
    if mass != "spread":
        # One key that looks like every query of its head.
        k[:, :, 0 if mass == "first" else 20] = 3 * q.mean(2) / sharpness
    expected = formula(q, k, v)
    whole = relative_error(lowering(q, k, v)[0], expected[0])
    outs, sums = zip(*(lowering(q, k[:, :, part], v[:, :, part]) for part in (slice(13), slice(13, 21))), strict=True)
    out, total = merge_lse(outs, sums)
    floor = 2e-6 if dtype == torch.float32 else GATE[dtype]
    assert relative_error(out, expected[0]) <= max(2 * whole, floor)
    assert relative_error(total, expected[1]) <= LSE_GATE[dtype]


@settings(max_examples=25, deadline=None)
@given(data=st.data(), cuts=st.lists(st.integers(0, 23), max_size=4), name=st.sampled_from(("definition", "flash")))
def test_any_split_of_the_keys_merges_in_any_order_and_any_tree(
    data: st.DataObject, cuts: list[int], name: str
) -> None:
    q, k, v = 4 * values(2, 4, 3, 16), values(2, 2, 23, 16), values(2, 2, 23, 16, seed=1)
    ends = [0, *sorted(cuts), 23]
    parts = [LOWERINGS[name](q, k[:, :, low:high], v[:, :, low:high]) for low, high in itertools.pairwise(ends)]
    parts = data.draw(st.permutations(parts))
    while len(parts) > 1:
        at = data.draw(st.integers(0, len(parts) - 2))
        outs, sums = zip(*parts[at : at + 2], strict=True)
        parts[at : at + 2] = [merge_lse(outs, sums)]
    agrees(parts[0], formula(q, k, v), torch.float32)


def test_the_cpu_operator_keeps_its_promises_and_its_gradients() -> None:
    q, k, v = values(2, 4, 3, 16).requires_grad_(), values(2, 2, 7, 16), values(2, 2, 7, 16, seed=1)
    for kv, lengths, mask, offset in ((k, None, "none", 0), (k[:1], None, "none", 0), (k, [7, 3], "causal", 2)):
        lengths = None if lengths is None else torch.tensor(lengths)
        args = (q, kv, v[: kv.shape[0]], None, lengths, mask, offset, 0, 0.3)
        operator_checks(cpu.attention_lse, args, formula=_of_operator)


def test_the_cpu_operator_refuses_the_gradient_of_a_bias() -> None:
    q, bias = values(1, 2, 3, 16), values(3, 3).requires_grad_()
    out, _ = cpu.attention_lse(q, q, q, bias, None, "none", 0, 0, 0.25)
    with pytest.raises(RuntimeError, match="bias"):
        out.sum().backward()


@pytest.mark.parametrize(("name", "shape"), [("v", (2, 1, 9, 16)), ("v", (2, 2, 4, 16)), ("k", (3, 2, 9, 16))])
def test_keys_and_values_that_do_not_fit_are_an_error_not_a_stray_read(name: str, shape: tuple[int, ...]) -> None:
    given = {"k": values(2, 2, 9, 16), "v": values(2, 2, 9, 16)} | {name: values(*shape)}
    with pytest.raises(ValueError, match="v is"):
        cpu.attention_lse(values(2, 2, 3, 16), given["k"], given["v"], None, None, "none", 0, 0, 0.25)


def _of_operator(
    q: Tensor, k: Tensor, v: Tensor, bias: Any, lengths: Any, mask: str, offset: int, window: int, scale: float
) -> Any:
    return definition(q, k, v, bias, lengths, mask=mask, offset=offset, window=window, scale=scale)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"value_features": 24}, "head-dim"),
        ({"softcap": 30.0}, "softcap"),
        ({"bias": values(3, 9), "training": True}, "bias-gradient"),
        ({"dtype": torch.int32}, "dtype"),
    ],
)
def test_what_the_flash_kernel_does_not_take_is_declined(options: dict[str, Any], code: str) -> None:
    dtype, width = options.pop("dtype", torch.float32), options.pop("value_features", 16)
    q, k, v = (torch.zeros(1, 2, n, d, dtype=dtype) for n, d in ((3, 16), (9, 16), (9, width)))
    call = Call("attention_lse", None, {**_DEFAULTS, "q": q, "k": k, "v": v, **options}, None)
    call = Call(call.op, None, call.arguments, None, training=options.get("training", False))
    decline = AttentionLseFlash().supports(call, target_for("cpu"))
    assert decline is not None
    assert decline.code == code


_DEFAULTS = {"bias": None, "key_lengths": None, "mask": "none", "offset": 0, "window": 0, "scale": None, "softcap": 0.0}


def test_traced_the_eager_entry_is_the_operator() -> None:
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    q = values(1, 2, 3, 16)
    torch.compile(lse.attention_lse, backend=keep, fullgraph=True)(q, q, q)
    assert "regraft.attention_lse" in graphs[0].code


def test_a_growing_cache_asks_for_a_lowering_once_in_a_power_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    choose = lse._choose
    monkeypatch.setattr(lse, "_chosen", {})
    monkeypatch.setattr(lse, "_choose", lambda arguments: asked.append(1) or choose(arguments))
    q, k = values(2, 2, 1, 16), values(2, 2, 64, 16)
    for length in range(33, 65):
        lse.attention_lse(q, k[:, :, :length], k[:, :, :length], mask="causal", offset=length - 1)
    assert len(asked) == 1
