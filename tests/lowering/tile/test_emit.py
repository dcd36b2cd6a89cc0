"""The printed kernel: the same text for the same program, with the bounds and copies that it needs and no others."""

import os
import subprocess
import sys

import pytest
import torch
from regraft.kernels.matmul.program import MatmulTile, matmul
from regraft.lowering.tile import Builder, launch, reference, span
from regraft.lowering.tile.emit import emit
from regraft.tests.lowering.tile.programs import scaled_sum, turns, visits

DEVICE = "cpu" if launch.interpreting() else "cuda"

SOURCE = '''\
"""scaled_sum: made from a tile program; 4 warps, 1 stages, one task each, row order."""

import triton
import triton.language as tl

BLOCK = tl.constexpr(128)


@triton.jit
def scaled_sum(a, b, y, M, N, a_stride_0, a_stride_1, scale):
    """y = scale * a + b, row by row."""
    range_block = tl.arange(0, BLOCK)
    task = tl.program_id(0)
    row = task // tl.cdiv(N, BLOCK)
    column = task % tl.cdiv(N, BLOCK)
    t1 = tl.load(
        a + row * a_stride_0 + (column * BLOCK) * a_stride_1 + range_block * a_stride_1,
        mask=column * BLOCK + range_block < N,
        other=0,
    )
    t4 = tl.load(b + row * N + column * BLOCK + range_block, mask=column * BLOCK + range_block < N, other=0)
    tl.store(
        y + row * N + column * BLOCK + range_block,
        ((scale * t1.to(tl.float32)) + t4.to(tl.float32)).to(tl.float16),
        mask=column * BLOCK + range_block < N,
    )
'''


def test_a_small_program_reads_like_its_formula():
    assert emit(scaled_sum()) == SOURCE


PRINT = """
from regraft.lowering.tile.emit import emit
from regraft.kernels.matmul.program import MatmulTile, matmul
program = matmul(MatmulTile(), "bf16", ("bf16",))
print(program.key, emit(program), end="")
"""


def test_the_same_program_prints_the_same_text_in_another_process():
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    there = subprocess.run([sys.executable, "-c", PRINT], env=env, capture_output=True, check=True, text=True).stdout
    program = matmul(MatmulTile(), "bf16", ("bf16",))
    assert there == f"{program.key} {emit(program)}"
    assert scaled_sum().key == scaled_sum().key != scaled_sum(block=64).key
    assert emit(scaled_sum()) == emit(scaled_sum())


def test_bounds_are_left_out_where_they_are_proved():
    assert emit(scaled_sum(multiple_of=64)).count("mask=") == 3
    assert "mask=" not in emit(scaled_sum(multiple_of=256))


def test_a_bound_below_is_printed_where_the_start_may_be_negative():
    t = Builder("shifted", "y = x from SHIFT on.")
    (N,), SHIFT, B = t.sizes("N"), t.integer("SHIFT"), t.constant("B", 16)
    x, y = t.input("x", (N,), "f32", contiguous=True), t.output("y", (B,), "f32")
    t.tasks(("i", 1))
    t.store(y, (span(0, B),), t.load(x, (span(SHIFT, B),), pad=-1.0))
    assert "mask=(SHIFT + range_b >= 0) & (SHIFT + range_b < N), other=-1)" in emit(t.program())


def check_turns(program, **inputs):
    """The printed loop, run, does what the program means."""
    outputs = {name.replace("in", "out"): torch.empty(16) for name in inputs}
    expected = {name: tensor.clone() for name, tensor in outputs.items()}
    reference.run(program, {**inputs, **expected})
    found = {name: tensor.to(DEVICE) for name, tensor in {**inputs, **outputs}.items()}
    launch.launch(program, found)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name].cpu(), tensor)
    return emit(program)


def test_what_nothing_reads_any_more_is_updated_in_place():
    def update(t, loop):
        loop["acc"] = loop["acc"] * 0.5 + 1.0

    text = check_turns(turns(update, "acc"), acc_in=torch.randn(16))
    assert "        acc = (acc * 0.5) + 1\n" in text


def test_a_value_that_an_expression_not_printed_yet_reads_is_kept():
    def update(t, loop):
        old = loop["acc"] * 2.0
        loop["acc"] = t.map("sin", loop["acc"])
        loop["other"] = old + loop["other"]

    text = check_turns(turns(update, "acc", "other"), acc_in=torch.randn(16), other_in=torch.randn(16))
    assert "        other = (acc * 2) + other\n        acc = t" in text


def test_a_value_that_an_inner_loop_begins_with_is_kept():
    def update(t, loop):
        old = loop["acc"] * 2.0
        loop["acc"] = t.map("sin", loop["acc"])
        with t.loop("inner", 2, part=old) as inner:
            inner["part"] = inner["part"] * 0.5
        loop["other"] = inner["part"] + loop["other"]

    check_turns(turns(update, "acc", "other"), acc_in=torch.randn(16), other_in=torch.randn(16))


def test_two_values_can_change_places():
    def update(t, loop):
        loop["a"], loop["b"] = loop["b"], loop["a"]

    text = check_turns(turns(update, "a", "b"), a_in=torch.randn(16), b_in=torch.randn(16))
    assert "        a, b = b, a\n" in text


def test_a_value_carried_on_as_another_is_kept():
    def update(t, loop):
        before = loop["a"]
        loop["a"] = loop["a"] + 1.0
        loop["b"] = before

    check_turns(turns(update, "a", "b"), a_in=torch.randn(16), b_in=torch.randn(16))


def test_one_value_carried_on_twice_is_right_in_both():
    def update(t, loop):
        loop["a"] = loop["b"] = loop["a"] * 0.5 + loop["b"]

    check_turns(turns(update, "a", "b"), a_in=torch.randn(16), b_in=torch.randn(16))


def test_a_loop_without_turns_leaves_what_it_carries():
    def update(t, loop):
        loop["a"] = loop["a"] + 1.0

    check_turns(turns(update, "a", steps=0), a_in=torch.randn(16))


def test_the_interpreter_gets_no_bfloat16_to_compute_with():
    text = emit(scaled_sum("bf16"), interpreted=True)
    assert text.count(".to(tl.float32)") == 2
    assert "((scale * t1) + t4).to(tl.bfloat16)" in text
    assert text.count("bfloat16") == 1


def copy_rows():
    t = Builder("copy_rows", "y = x.")
    M, B = t.size("M"), t.constant("B", 16)
    x, y = t.input("x", (M, B), "u8"), t.output("y", (M, B), "u8")
    (row,) = t.tasks(("row", M))
    t.store(y, (row, span(0, B)), t.load(x, (row, span(0, B))))
    return t.program()


def test_offsets_of_two_billion_elements_are_64_bits_wide():
    assert ".to(tl.int64)" not in emit(copy_rows())
    assert "task = tl.program_id(0).to(tl.int64)" in emit(copy_rows(), wide=True)
    # Three rows, 2^30 elements apart; only the pages of the rows are ever touched.
    memory = torch.empty((1 << 31) + 16, dtype=torch.uint8, device=DEVICE)
    x = memory.as_strided((3, 16), (1 << 30, 1))
    x.copy_(torch.arange(48).reshape(3, 16))
    y = torch.empty(3, 16, dtype=torch.uint8, device=DEVICE)
    launch.launch(copy_rows(), {"x": x, "y": y})
    assert torch.equal(y.flatten().cpu(), torch.arange(48, dtype=torch.uint8))


def test_loops_of_wide_offsets_count_in_64_bits():
    def update(t, loop):
        loop["a"] = loop["a"] + 1.0

    assert "        step = tl.cast(step, tl.int64)\n" in emit(turns(update, "a"), wide=True)


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize(
    ("counts", "group"),
    [((7,), 0), ((5, 7), 0), ((5, 7), 2), ((5, 7), 3), ((5, 7), 8), ((1, 7), 2), ((2, 5, 3), 0), ((2, 5, 3), 2)],
)
def test_every_task_is_run_exactly_once(counts, group, persistent):
    y = torch.zeros(counts, device=DEVICE)
    launch.launch(visits(len(counts), group=group, persistent=persistent), {"y": y})
    assert torch.equal(y.cpu(), torch.ones(counts))


@pytest.mark.parametrize("name", ["maximum", "minimum", "relu"])
def test_a_nan_comes_through_as_in_torch(name):
    t = Builder("nans", f"y = {name}(x, ...).")
    x, y = t.input("x", (16,), "f32"), t.output("y", (16,), "f32")
    t.tasks(("i", 1))
    given = t.load(x, (span(0, 16),))
    t.store(y, (span(0, 16),), t.map(name, given, *((0.5,) if name != "relu" else ())))
    program, tensor = t.program(), torch.linspace(-3, 3, 16)
    tensor[3] = torch.nan
    expected = {"maximum": tensor.clamp(min=0.5), "minimum": tensor.clamp(max=0.5), "relu": tensor.relu()}[name]
    for run in (reference.run, launch.launch):
        found = torch.empty(16, device=DEVICE)
        run(program, {"x": tensor.to(DEVICE), "y": found})
        assert torch.equal(found.nan_to_num(7.0).cpu(), expected.nan_to_num(7.0))
    # Triton's interpreter never drops a NaN, compiled code does unless it is told.
    assert name == "relu" or "propagate_nan=tl.PropagateNan.ALL" in emit(program)
