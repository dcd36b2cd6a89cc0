"""The tile programs of attention against the dialect's definition in fp64, forward and backward."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.ops.attention import MASKS, WINDOWED, attention_lse
from regraft.kernels.attention.backward import backward_keys, backward_queries, row_terms
from regraft.kernels.attention.masks import Visible
from regraft.kernels.attention.program import LOG2E, AttentionTile, Form, forward
from regraft.lowering.tile import Program
from regraft.lowering.tile.chain import chain
from regraft.tests.kernels.harness import prove
from torch import Tensor

TILE = AttentionTile(16, 16, 4, 2)


def heads(*shape: int, seed: int) -> Tensor:
    """Numbers that fp16 and bf16 hold exactly, with logits of some size."""
    noise = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return (noise * 1.5).bfloat16().double()


class Problem:
    """Operands, numbers and expected results of one attention."""

    def __init__(self, form: Form, queries: int, keys: int, offset: int = 0, window: int = 0) -> None:
        self.form = form
        batch, kv_heads = 2, 1
        self.q = heads(batch, kv_heads * form.group, queries, form.head_dim, seed=1)
        self.k = heads(batch, kv_heads, keys, form.head_dim, seed=2)
        self.v = heads(batch, kv_heads, keys, form.value_dim, seed=3)
        bias = heads(batch, self.q.shape[1], queries, keys, seed=4)
        self.bias = {"": None, "bool": bias > -1}.get(form.bias, bias)
        self.lengths = torch.tensor([0, max(keys - 3, 1)]) if form.lengths else None
        self.cap, self.scale = 4.0 if form.softcap else 0.0, 0.8 * form.head_dim**-0.5
        self.sizes = {"OFFSET": offset, "WINDOW": window, "QUERIES": queries}
        self.scalars = {"factor": (self.cap or self.scale) * LOG2E, "inner": self.scale / (self.cap or 1.0)}
        self.tensors = {"q": self.q, "k": self.k, "v": self.v}
        if self.bias is not None:
            self.tensors["bias"] = self.bias
        if self.lengths is not None:
            self.tensors["key_lengths"] = self.lengths.to(torch.int32)

    def exact(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        window = {"window": self.sizes["WINDOW"]} if self.form.mask in WINDOWED else {}
        offset = {"offset": self.sizes["OFFSET"]} if self.form.mask != "none" else {}
        options = {"mask": self.form.mask, "scale": self.scale, "softcap": self.cap, **window, **offset}
        return attention_lse(q, k, v, self.bias, self.lengths, **options)

    def check_forward(self, tile: AttentionTile = TILE) -> None:
        out, lse = self.exact(self.q, self.k, self.v)
        expected = {"out": out, "lse": lse}
        prove(forward(self.form, tile), self.tensors, self.scalars, self.sizes, expected=expected)

    def check_backward(self, tile: AttentionTile = TILE) -> None:
        operands = [tensor.clone().requires_grad_() for tensor in (self.q, self.k, self.v)]
        out, lse = self.exact(*operands)
        seen = lse.isfinite()
        dout, dlse = heads(*out.shape, seed=5), heads(*lse.shape, seed=6) * seen
        torch.autograd.backward([out, lse.where(seen, lse.new_zeros(()))], [dout, dlse])
        dq, dk, dv = (operand.grad for operand in operands)
        out, lse = out.detach(), lse.detach()
        delta = (dout * out).sum(-1) - dlse
        base = (lse * LOG2E).where(seen, torch.tensor(math.inf))
        rows = {"dout": dout, "out": out, "lse": lse, "dlse": dlse}
        if self.form.dtype == "f32":
            terms = row_terms("f32", self.form.value_dim, True)
            prove(terms, rows, expected={"delta": delta, "base": base})
        given = self.tensors | {"dout": dout, "delta": delta, "base": base}
        scalars = self.scalars | {"scale": self.scale}
        transposed = {"bias": self.bias.mT} if self.bias is not None else {}
        prove(backward_keys(self.form, tile), given | transposed, scalars, self.sizes, expected={"dk": dk, "dv": dv})
        prove(backward_queries(self.form, tile), given, scalars, self.sizes, expected={"dq": dq})


OFFSETS = st.sampled_from((0, 15, -9, 40))


@settings(max_examples=7, deadline=None)
@given(mask=st.sampled_from(MASKS), offset=OFFSETS, window=st.sampled_from((1, 7, 16, 40)), lengths=st.booleans())
def test_every_mask_shows_the_keys_that_the_dialect_shows(mask: str, offset: int, window: int, lengths: bool) -> None:
    Problem(Form("f32", 16, 16, 2, mask, lengths), 20, 35, offset, window).check_forward()


@settings(max_examples=4, deadline=None)
@given(mask=st.sampled_from(MASKS), offset=OFFSETS, window=st.sampled_from((1, 7, 40)), lengths=st.booleans())
def test_gradients_go_through_the_same_keys(mask: str, offset: int, window: int, lengths: bool) -> None:
    Problem(Form("f32", 16, 16, 2, mask, lengths), 20, 35, offset, window).check_backward()


@pytest.mark.parametrize("sides", [(16, 40), (64, 80), (96, 128), (256, 16)])
@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_any_head_dim_fits(sides: tuple[int, int], dtype: str) -> None:
    problem = Problem(Form(dtype, *sides, 1, "causal"), 9, 19, 10)
    problem.check_forward()
    problem.check_backward()


def test_bfloat16_is_held_to_its_gate() -> None:
    problem = Problem(Form("bf16", 40, 40, 3, "causal"), 19, 19)
    problem.check_forward()
    problem.check_backward()


@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (1, 63), (3, 16), (17, 1), (16, 48)])
def test_lengths_need_not_be_multiples_of_a_tile(queries: int, keys: int) -> None:
    Problem(Form("f16", 16, 16, 1, "causal"), queries, keys, keys - queries).check_forward()


@pytest.mark.parametrize("bias", ["f32", "bool"])
def test_a_bias_is_added_and_a_mask_hides(bias: str) -> None:
    problem = Problem(Form("f32", 16, 16, 2, "causal", bias=bias), 19, 30, 11)
    problem.check_forward()
    problem.check_backward()


@pytest.mark.parametrize("bias", ["", "f32"])
def test_a_soft_cap_bends_the_logits_before_bias_and_mask(bias: str) -> None:
    problem = Problem(Form("f32", 16, 16, 2, "sliding", True, bias, True), 19, 30, 11, 9)
    problem.check_forward()
    problem.check_backward()


def test_logits_of_any_size_neither_overflow_nor_vanish() -> None:
    problem = Problem(Form("f32", 16, 16, 1, "causal"), 20, 40, 20)
    problem.tensors["q"] = problem.q = problem.q * 100
    problem.check_forward()


@settings(max_examples=30, deadline=None)
@given(mask=st.sampled_from(MASKS), offset=st.integers(-70, 70), window=st.integers(1, 40))
def test_the_queries_of_a_key_are_those_that_see_it(mask: str, offset: int, window: int) -> None:
    seen, count = Visible(mask, offset, window), 30
    for key in range(0, count, 3):
        first, last = seen.first_query(key), seen.last_query(key)
        of_key = [q for q in range(count) if (first is None or q >= first) and (last is None or q <= last)]
        of_query = []
        for query in range(count):
            low, high = seen.first(query), seen.last(query)
            of_query += [query] if (low is None or low <= key) and (high is None or key <= high) else []
        assert of_key == of_query, f"key {key}"


def loops(program: Program) -> int:
    from regraft.lowering.tile import ir

    return sum(isinstance(statement, ir.Loop) for statement in ir.walk(program.body))


def test_only_the_tiles_at_an_edge_are_masked() -> None:
    from regraft.lowering.tile.emit import emit

    source = emit(forward(Form("f16", 64, 64, mask="causal"), AttentionTile()))
    full, _, edges = source.partition("for edge in")
    assert "tl.where(" not in full.partition("for tile in")[2]
    assert "key_position <= last_key" in edges
    assert loops(backward_keys(Form("f16", 64, 64), AttentionTile())) == 1


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_work_behind_it_is_in_the_same_program(dtype: str) -> None:
    problem = Problem(Form(dtype, 24, 40, group=2, mask="causal", lengths=True), 21, 17)
    out, _ = problem.exact(problem.q, problem.k, problem.v)
    beside = {"full0": heads(*out.shape, seed=7), "full1": heads(2, 1, 40, seed=8).expand(out.shape)}
    text = "v = silu(x) * full0; v, v + full1"
    expected = dict(zip(("out0", "out1"), chain(text).evaluate(out, beside), strict=True))
    program = forward(problem.form, TILE, text, (dtype, "f32"), (dtype, "f32"))
    prove(program, problem.tensors | beside, problem.scalars, problem.sizes, expected=expected)
