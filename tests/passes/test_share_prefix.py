"""Sharing a prefix end to end: found through both doors, exact, and the large keys are never made."""

import pytest
import regraft
import regraft.frontend.backend
import torch
import torch.nn.functional as F
from regraft.compiler.ops import OPS
from regraft.compiler.program import tensor_of
from regraft.frontend.backend import reports
from regraft.frontend.testing import assert_no_worse, run_pass
from torch import nn

ALWAYS = "default,share-prefix{min-prefix=1,min-gain=0}"
attend = OPS["attention"].overload


class Completions(nn.Module):
    """Attention over one prompt and the rows' own keys, every head repeated as Hugging Face does."""

    def forward(self, q, kp, vp, ks, vs, bias=None):
        k, v = (
            torch.cat([p.expand(q.shape[0], -1, -1, -1), s], 2).repeat_interleave(q.shape[1] // p.shape[1], 1)
            for p, s in ((kp, ks), (vp, vs))
        )
        return F.scaled_dot_product_attention(q, k, v, bias)


class Beams(nn.Module):
    """Cross-attention of beams over encoder states that are repeated before they are projected."""

    def __init__(self):
        super().__init__()
        self.key, self.value = nn.Linear(32, 32), nn.Linear(32, 32)

    def forward(self, q, states):
        rows = q.shape[0]
        k, v = (
            layer(states.repeat_interleave(rows, 0)).view(rows, -1, 4, 8).transpose(1, 2)
            for layer in (self.key, self.value)
        )
        return F.scaled_dot_product_attention(q, k, v)


def tensors(rows=4, heads=4, kv_heads=2, queries=1, prefix=12, suffix=5, width=8, scale=1.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(rows + prefix)
    q = scale * torch.randn(rows, heads, queries, width, generator=generator)
    kp, vp = torch.randn(2, 1, kv_heads, prefix, width, generator=generator)
    ks, vs = torch.randn(2, rows, kv_heads, suffix, width, generator=generator)
    return [x.to(dtype) for x in (q, kp, vp, ks, vs)]


def error(found, wanted):
    return float((found.detach().double() - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("scale", [1.0, 16.0])
@pytest.mark.parametrize(("prefix", "suffix", "queries", "width"), [(1, 1, 1, 16), (127, 7, 4, 40), (128, 64, 1, 63)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_parts_are_as_near_to_the_truth_as_the_whole(scale, prefix, suffix, queries, width, dtype):
    inputs = tensors(queries=queries, prefix=prefix, suffix=suffix, width=width, scale=scale, dtype=dtype)
    model = Completions().eval()
    shared = regraft.optimize(model, tuple(inputs), passes=ALWAYS)
    assert [r for r in shared.report.remarks if r.pass_name == "share-prefix" and r.kind == "passed"]
    exact = model(*(x.double() for x in inputs))
    floor = 2e-6 if dtype is torch.float32 else 0.0
    assert error(shared(*inputs), exact) <= max((2 if floor else 1.5) * error(model(*inputs), exact), floor)


def test_the_whole_keys_are_never_made():
    inputs = tensors()
    shared = regraft.optimize(Completions().eval(), tuple(inputs), passes=ALWAYS)
    (variant,) = shared.forward.variants
    lengths = [size for node in variant.module.graph.nodes if (x := tensor_of(node)) is not None for size in x.shape]
    assert 12 + 5 not in lengths


def test_all_mass_in_one_part():
    q, kp, vp, ks, vs = tensors()
    for where in (kp, ks):
        keys = [kp, ks]
        at = 0 if where is kp else 1
        keys[at] = keys[at] + 40 * q[:1, :2].sign() if at == 0 else keys[at] + 40 * q[:, :2].sign()
        inputs = (q, keys[0], vp, keys[1], vs)
        model = Completions().eval()
        shared = regraft.optimize(model, inputs, passes=ALWAYS)
        exact = model(*(x.double() for x in inputs))
        assert error(shared(*inputs), exact) <= max(2 * error(model(*inputs), exact), 2e-6)


def test_a_mask_for_each_row_is_split_with_the_keys():
    inputs = tensors()
    bias = torch.where(torch.rand(4, 1, 1, 17, generator=torch.Generator().manual_seed(3)) < 0.3, -torch.inf, 0.0)
    bias[1, ..., :12] = -torch.inf
    bias[1, ..., -1] = 0.0
    model = Completions().eval()
    shared = regraft.optimize(model, (*inputs, bias), passes=ALWAYS)
    assert shared.report.rewrites
    assert error(shared(*inputs, bias), model(*(x.double() for x in inputs), bias.double())) < 2e-6


def test_lengths_of_the_rows_hide_keys_of_both_parts():
    def function(q, kp, vp, ks, vs, lengths):
        k, v = (torch.cat([p.expand(4, -1, -1, -1), s], 2) for p, s in ((kp, ks), (vp, vs)))
        return attend(q, k, v, None, lengths)

    class Model(nn.Module):
        def forward(self, *args):
            return function(*args)

    inputs = (*tensors(), torch.tensor([17, 12, 14, 5]))
    shared = regraft.optimize(Model().eval(), inputs, passes=ALWAYS)
    assert any(r.pass_name == "share-prefix" and r.kind == "passed" for r in shared.report.remarks)
    exact = function(*(x.double() if x.is_floating_point() else x for x in inputs))
    assert error(shared(*inputs), exact) < 2e-6


def test_beams_project_the_encoder_states_once():
    torch.manual_seed(0)
    model, inputs = Beams().eval(), (torch.randn(8, 4, 1, 8), torch.randn(1, 24, 32))
    shared = regraft.optimize(model, inputs, passes="default,sink-expand,share-prefix{min-prefix=1,min-gain=0}")
    once = [r for r in shared.report.remarks if r.pass_name == "sink-expand" and r.kind == "passed"]
    assert "computed for 1 rows instead of 8" in {remark.message for remark in once}
    assert any(r.pass_name == "share-prefix" and r.kind == "passed" for r in shared.report.remarks)
    assert error(shared(*inputs), model.double()(*(x.double() for x in inputs))) < 2e-6


def test_a_growing_suffix_is_compiled_at_most_twice():
    torch._dynamo.reset()
    model = torch.compile(Completions().eval(), backend="regraft", options={"passes": ALWAYS})
    before = len(reports())
    q, kp, vp, ks, vs = tensors(rows=4, suffix=201)
    with torch.no_grad():
        for length in range(2, 201):
            found = model(q, kp, vp, ks[:, :, :length], vs[:, :, :length])
    assert len(reports()) - before <= 2
    assert error(found, Completions()(*(x.double() for x in (q, kp, vp, ks[:, :, :length], vs[:, :, :length])))) < 2e-6


def tree(q, k0, k1, k2, mask="none", offset=0):
    k = torch.cat([k0.expand(32, -1, -1, -1), k1.repeat_interleave(8, 0), k2], 2)
    return attend(q, k, k, None, mask=mask, offset=offset)


def tree_types(first, second):
    return "f32[32, 2, 1, 8]", f"f32[1, 2, {first}, 8]", f"f32[4, 2, {second}, 8]", "f32[32, 2, 5, 8]"


@pytest.mark.parametrize(
    ("first", "second", "levels"),
    [
        (4096, 2048, "4096 x 1 + 2048 x 4 + 5 x 32"),
        (4096, 3, "4096 x 1 + 8 x 32"),
        (3, 4096, "4099 x 4 + 5 x 32"),
    ],
)
@pytest.mark.parametrize("mask", ["none", "causal"])
def test_a_level_that_is_too_short_joins_the_one_below(first, second, levels, mask):
    def function(*inputs):
        return tree(*inputs, mask, first + second + 4 if mask == "causal" else 0)

    rewritten = run_pass("sink-expand,share-prefix", function, *tree_types(first, second))
    (remark,) = (r for r in rewritten.remarks if r.pass_name == "share-prefix")
    assert levels in remark.message
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_every_level_is_kept_where_the_gain_is_not_asked_for():
    rewritten = run_pass("sink-expand,share-prefix{min-prefix=1,min-gain=0}", tree, *tree_types(4096, 3))
    assert "4096 x 1 + 3 x 4 + 5 x 32" in str(rewritten.remarks)
