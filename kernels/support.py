"""What the kernel operators share: running a tile program where its tensors are.

On a GPU a program is launched through Triton. On a CPU it runs in Triton's interpreter if that is on, else in the
torch reference interpreter: right and slow, there so that operators can be checked anywhere. Selection never takes it
for speed.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..lowering.tile import Program, reference
from ..lowering.tile.launch import interpreting, launch


def execute(
    program: Program,
    tensors: Mapping[str, Tensor],
    scalars: Mapping[str, float] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> None:
    """Run ``program`` over ``tensors`` by buffer name, writing its outputs in place; see :func:`.launch.launch`."""
    device = next(iter(tensors.values())).device
    if device.type == "cpu" and not interpreting():
        reference.run(program, tensors, scalars, sizes)
    else:
        launch(program, tensors, scalars, sizes)
