"""The estimate of shared memory and registers, held to what the compiler takes for a product of matrices."""

import pytest
from regraft.kernels.matmul.program import MatmulTile, matmul
from regraft.lowering.targets import target_for
from regraft.lowering.tile.audit import compile_for
from regraft.lowering.tile.resources import resources

TILES = [
    MatmulTile(),
    MatmulTile(64, 64, 32, warps=4),
    MatmulTile(128, 256, 64, stages=2),
    MatmulTile(64, 128, 64, stages=4),
]


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("tile", TILES, ids=str)
def test_estimates_are_near_what_the_compiler_takes(tile, arch):
    program = matmul(tile, "bf16", ("bf16",))
    guess, made = resources(program, target_for(arch)), compile_for(program, arch)
    assert guess.shared_bytes == pytest.approx(made.shared_bytes, rel=0.25)
    assert made.registers / 2.5 <= guess.registers <= made.registers * 2.5


def test_more_stages_take_more_shared_memory_until_it_is_too_much():
    target = target_for("sm_86")
    found = [resources(matmul(MatmulTile(stages=stages), "bf16", ("bf16",)), target) for stages in (2, 3, 4, 5)]
    assert [one.shared_bytes for one in found] == sorted({one.shared_bytes for one in found})
    assert [one.fits(target) for one in found] == [True, True, True, False]
