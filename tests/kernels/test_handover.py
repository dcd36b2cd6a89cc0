"""Kernel operators inside graphs that Inductor compiles: whole, with dynamic sizes, with gradients, from its caches."""

import pytest
import torch
from regraft.kernels.matmul.op import tile_matmul
from torch import Tensor
from torch._dynamo.utils import counters

TILE = "32x32x16,g2,w4,s2"


def layer(x: Tensor, w: Tensor, bias: Tensor) -> Tensor:
    (hidden,) = tile_matmul(x * 2, w, [bias], True, "x", "gelu(x + row0)", "f32", TILE, "")
    return hidden.sin() + 1


def inputs(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    shapes = (rows, 17), (23, 17), (23,)
    return tuple(torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    counters.clear()


def test_one_graph_serves_every_length_and_its_gradients():
    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    for rows in (20, 9, 33):
        given = inputs(rows)
        expected, made = layer(*given), compiled(*given)
        torch.testing.assert_close(made, expected)
        wanted = torch.autograd.grad(expected.square().sum(), given)
        torch.testing.assert_close(torch.autograd.grad(made.square().sum(), given), wanted)
    assert counters["stats"]["unique_graphs"] == 1


def test_a_second_compilation_hits_the_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    given = inputs(12)
    with torch.no_grad():
        for _ in range(2):
            torch._dynamo.reset()
            counters.clear()
            torch.compile(layer, fullgraph=True)(*given)
    assert counters["inductor"]["fxgraph_cache_hit"] + counters["aot_autograd"]["autograd_cache_hit"] >= 1
