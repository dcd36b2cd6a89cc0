"""Tile programs as text: what is said of a small one, and of the first of every family."""

import pytest
from regraft.kernels import families
from regraft.lowering.tile import ir
from regraft.lowering.tile.text import describe
from regraft.tests.lowering.tile.programs import scaled_sum, turns

TEXT = """\
scaled_sum(a: f16[M, N], b: f16[M, N], y: f16[M, N] out, scale)
  y = scale * a + b, row by row.
BLOCK = 128
N is a multiple of 16
tasks row < M, column < cdiv(N, BLOCK); 4 warps
  _1: f16[BLOCK] = load a[row, column * BLOCK : +BLOCK]
  _2: f32[BLOCK] = cast _1
  _3: f32[BLOCK] = mul scale, _2
  _4: f16[BLOCK] = load b[row, column * BLOCK : +BLOCK]
  _5: f32[BLOCK] = cast _4
  _6: f32[BLOCK] = add _3, _5
  store y[row, column * BLOCK : +BLOCK] = _6
"""


def test_a_small_program_is_told_statement_by_statement():
    assert describe(scaled_sum(multiple_of=16)) == TEXT


def test_what_a_loop_carries_is_told():
    def update(t, loop):
        loop["acc"] = loop["acc"] * 2.0

    told = describe(turns(update, "acc"))
    assert "  for step in 0 .. 3, carrying acc <- _1\n    _2: f32[B] = mul acc, 2\n    carry on _2\n" in told
    assert "  acc_1 = what was carried\n  store acc_out[0 : +B] = acc_1\n" in told


@pytest.mark.parametrize("family", sorted(families()))
def test_the_first_kernel_of_a_family_has_a_text(family):
    for variant in families()[family][:1]:
        program = variant.build()
        statements = list(ir.walk(program.body))
        carrying = sum(bool(statement.carries) for statement in statements if isinstance(statement, ir.Loop))
        lines = describe(program).split(" warps\n")[1].splitlines()
        assert len(lines) == len(statements) + 2 * carrying
