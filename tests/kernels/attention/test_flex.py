"""What ``attention_lse`` hands to PyTorch's flex_attention, which blocks it visits, and when it is taken."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.ops.attention import MASKS, key_mask
from regraft.compiler.ops.attention import attention_lse as definition
from regraft.kernels import candidates
from regraft.kernels.attention import flex
from regraft.kernels.attention.flex import BLOCK, AttentionLseFlex
from regraft.lowering.candidates import Call, call_with
from regraft.lowering.costs import Measured, key_of, record
from regraft.lowering.select import decide
from regraft.lowering.targets import target_for
from regraft.tests.kernels.harness import GATES, relative_error, same_strides
from torch import Tensor

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")

H200 = target_for("sm_90")
OPERATOR = torch.ops.regraft.attention_lse.default


def values(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def asked(q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...] = (), **options: Any) -> Call:
    dtype, training = options.pop("dtype", torch.bfloat16), options.pop("training", False)
    tensors = (torch.empty(shape, dtype=dtype, device="meta") for shape in (q, k, v or k))
    return call_with(OPERATOR, *tensors, training=training, **options)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("softcap", [0.0, 5.0])
@pytest.mark.parametrize("bias", ["none", "alibi", "boolean"])
def test_every_mask_with_soft_cap_bias_and_wider_values_is_the_definition(mask: str, softcap: float, bias: str) -> None:
    q, k, v = values(2, 4, 7, 16), values(2, 2, 19, 16), values(2, 2, 19, 24)
    options: dict[str, Any] = {"mask": mask, "softcap": softcap, "scale": 0.7}
    options |= {} if mask == "none" else {"offset": 3} | ({} if mask == "causal" else {"window": 5})
    distances = -(torch.arange(19) - torch.arange(7)[:, None]).abs().float()
    added = {
        "none": None,
        "alibi": torch.tensor([0.5, 0.25, 0.125, 0.0625])[:, None, None] * distances,
        "boolean": values(2, 1, 1, 19) > -0.5,
    }[bias]
    made = AttentionLseFlex().run(call_with(OPERATOR, q, k, v, added, torch.tensor([19, 6]), **options), {})
    wide = None if added is None or added.dtype == torch.bool else added.double()
    expected = definition(
        q.double(), k.double(), v.double(), added if wide is None else wide, torch.tensor([19, 6]), **options
    )
    assert relative_error(made[0], expected[0]) <= GATES["f32"]
    assert relative_error(made[1], expected[1]) <= GATES["f32"]


def test_queries_that_share_their_keys_are_rows_of_one_product(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Size] = []
    attend = flex._attend
    monkeypatch.setattr(flex, "_attend", lambda q, *rest: seen.append(q.shape) or attend(q, *rest))
    q, k = values(3, 4, 5, 16), values(1, 2, 9, 16)
    AttentionLseFlex().run(call_with(OPERATOR, q, k, k), {})
    AttentionLseFlex().run(call_with(OPERATOR, q, k, k, mask="causal", offset=8), {})
    AttentionLseFlex().run(call_with(OPERATOR, q, k, k, mask="causal", offset=7), {})
    assert seen == [(1, 2, 30, 16), (1, 2, 30, 16), (3, 4, 5, 16)]


@settings(max_examples=60, deadline=None)
@given(
    mask=st.sampled_from(MASKS),
    sizes=st.tuples(st.integers(1, 400), st.integers(1, 600)),
    offset=st.integers(-200, 400),
    window=st.integers(1, 300),
    lengths=st.none() | st.lists(st.integers(0, 600), min_size=2, max_size=2),
)
def test_blocks_left_out_are_hidden_and_blocks_without_a_mask_are_visible(
    mask: str, sizes: tuple[int, int], offset: int, window: int, lengths: list[int] | None
) -> None:
    queries, keys = sizes
    offset, window = (0 if mask == "none" else offset), (window if mask not in ("none", "causal") else 0)
    ends = None if lengths is None else torch.tensor(lengths).clamp(max=keys)
    q, k = values(2, 1, queries, 1), values(2, 1, keys, 1)
    made = flex._block_mask(q, keys, None, ends, mask, offset, window)
    visible = key_mask(q, k, ends, mask, offset, window)
    visible = torch.ones(queries, keys, dtype=torch.bool) if visible is None else visible
    padded = torch.zeros(2, -(-queries // BLOCK) * BLOCK, -(-keys // BLOCK) * BLOCK, dtype=torch.bool)
    padded[:, :queries, :keys] = visible.expand(2, 1, queries, keys).squeeze(1)
    blocks = padded.unflatten(2, (-1, BLOCK)).unflatten(1, (-1, BLOCK))
    some, all_of = blocks.any(4).any(2), blocks.all(4).all(2)
    partial, whole = (_dense(counts, indices, some.shape) for counts, indices in (
        (made.kv_num_blocks, made.kv_indices), (made.full_kv_num_blocks, made.full_kv_indices)
    ))  # fmt: skip
    assert not (partial & whole).any()
    assert (whole == all_of).all()
    assert ((partial | whole) >= some).all()
    if mask != "none" and ends is None and offset >= 0 and queries + offset <= keys:
        # Where every row sees a key, no block is visited for nothing.
        assert ((partial | whole) == some).all()


def _dense(counts: Tensor, indices: Tensor, shape: torch.Size) -> Tensor:
    found = torch.zeros(shape, dtype=torch.bool)
    for b, row in torch.cartesian_prod(torch.arange(shape[0]), torch.arange(shape[1])).tolist():
        at = min(b, counts.shape[0] - 1)
        found[b, row, indices[at, 0, row, : counts[at, 0, row]].long()] = True
    return found


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"dtype": torch.float64}, "dtype"),
        ({"q": (1, 2, 3, 8), "k": (1, 2, 9, 8)}, "head-dim"),
        ({"v": (1, 2, 9, 8)}, "head-dim"),
        ({"q": (2, 3, 16), "k": (2, 9, 16)}, "rank"),
        ({"q": (1, 1, 2, 3, 16), "k": (1, 1, 2, 9, 16)}, "rank"),
        ({"training": True}, "gradient"),
    ],
)
def test_what_it_does_not_take_is_declined(options: dict[str, Any], code: str) -> None:
    decline = AttentionLseFlex().supports(asked(**{"q": (1, 2, 3, 16), "k": (1, 2, 9, 16), **options}), H200)
    assert decline is not None
    assert decline.code == code


def test_it_is_for_gpus() -> None:
    decline = AttentionLseFlex().supports(asked((1, 2, 3, 16), (1, 2, 9, 16)), target_for("cpu"))
    assert decline is not None
    assert decline.code == "device"


@pytest.mark.parametrize(("milliseconds", "chosen"), [(0.2, "flex"), (0.5, "sdpa"), (0.95, None)])
def test_it_is_taken_where_it_was_measured_to_be_the_fastest_and_nowhere_else(
    milliseconds: float, chosen: str | None
) -> None:
    call = asked((8, 8, 64, 64), (8, 8, 4096, 64), mask="sliding", offset=4032, window=512)
    assert decide(call, H200, candidates).chosen is None
    times = {"inductor": 1.0, "sdpa": 0.4 if chosen else 0.95, "flex": milliseconds}
    measured = {name: Measured(taken / 1e3) for name, taken in times.items()}
    record({key_of(call, candidates.reference("attention_lse"), H200): measured})
    found = decide(call, H200, candidates).chosen
    assert (found and found.candidate.own_name) == chosen


def test_shapes_and_strides_of_a_traced_call_are_the_real_ones() -> None:
    q, k, v = values(2, 4, 3, 16), values(2, 2, 7, 16), values(1, 2, 7, 24).expand(2, -1, -1, -1)
    same_strides(flex.attention_lse, (q, k, v, None, torch.tensor([7, 3]), "causal", 2, 0, 0.3, 0.0))
