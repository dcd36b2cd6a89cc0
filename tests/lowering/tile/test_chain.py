"""Chains of pointwise work: what a text says, how a bad one is told, and that tiles and tensors come to the same."""

import pytest
import torch
import torch.nn.functional as F
from regraft.lowering.tile import Builder, TileError, reference, span
from regraft.lowering.tile.chain import IDENTITY, chain


@pytest.mark.parametrize(
    ("text", "extras", "outputs"),
    [
        ("x", (), 1),
        ("gelu(x + row0)", ("row0",), 1),
        ("column0 * x + row1 * full0 - row0", ("full0", "row0", "row1", "column0"), 1),
        ("s = x + full0; s, silu(s) * full1", ("full0", "full1"), 2),
        (" -x * -0.5 ", (), 1),
    ],
)
def test_a_text_tells_its_operands_and_outputs(text, extras, outputs):
    found = chain(text)
    assert (found.extras, found.outputs) == (extras, outputs)
    assert found.trivial == (found is IDENTITY)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x +", "invalid syntax"),
        ("", "the last part must be what it gives"),
        ("s = x", "the last part must be what it gives"),
        ("x; x", "only the last part may be an output"),
        ("a = b = x; b", "only the last part may be an output"),
        ("a, b = x; a", "only the last part may be an output"),
        ("x + bias", "bias is not x, full0, row0, column0 or assigned before"),
        ("x + full", "full is not x"),
        ("s = t; t = x; s", "t is not x"),
        ("gelu", "gelu is not x"),
        ("relu(x, x)", "relu takes 1 operands"),
        ("maximum(x)", "maximum takes 2 operands"),
        ("round(x)", "round(x) cannot be read"),
        ("gelu(x, approximate='tanh')", "gelu(x, approximate='tanh') cannot be read"),
        ("x ** 2", "x ** 2 cannot be read"),
        ("x if x else x", "x if x else x cannot be read"),
        ("x + 'a'", "'a' cannot be read"),
    ],
)
def test_a_text_that_cannot_be_read_is_told(text, told):
    with pytest.raises(TileError) as error:
        chain(text)
    assert str(error.value).startswith(f"chain {text!r}: ")
    assert told in str(error.value)


TEXTS = [
    "gelu(x + row0)",
    "s = x + full0; s, silu(s) * full1, -s / 2",
    "relu(column0 * x) - 0.5 * maximum(row0, x)",
    "x = x * 2; y = tanh(x); y * y + x",
]


@pytest.mark.parametrize("text", TEXTS)
def test_tiles_and_tensors_come_to_the_same(text):
    work = chain(text)
    sides = {"full": (16, 32), "row": (32,), "column": (16,)}
    extras = {name: torch.randn(sides[name.rstrip("01")]).half() for name in work.extras}
    x = torch.randn(16, 32).half()

    t = Builder("worked", "y = work(x).")
    given = {name: t.input(name, tensor.shape, "f16") for name, tensor in {"x": x, **extras}.items()}
    made = {f"y{at}": t.output(f"y{at}", (16, 32), "f32") for at in range(work.outputs)}
    t.tasks(("i", 1))

    def load(name):
        tile = t.load(given[name], tuple(span(0, side) for side in given[name].shape))
        return tile.row if name.startswith("row") else tile.col if name.startswith("column") else tile

    for buffer, tile in zip(made.values(), work.apply(t, load("x"), load), strict=True):
        assert tile.dtype == "f32"
        t.store(buffer, (span(0, 16), span(0, 32)), tile)
    found = {name: torch.empty(16, 32) for name in made}
    reference.run(t.program(), {"x": x, **extras, **found})
    for tile, tensor in zip(found.values(), work.evaluate(x, extras), strict=True):
        torch.testing.assert_close(tile, tensor, rtol=1e-6, atol=1e-6)


def test_an_operand_is_loaded_once():
    t = Builder("twice", "")
    full = t.input("full0", (16,), "f16")
    loads = []

    def load(name):
        loads.append(name)
        return t.load(full, (span(0, 16),))

    chain("x * full0 + full0").apply(t, t.zeros(16), load)
    assert loads == ["full0"]


def test_tensors_are_computed_in_fp32_with_gradients():
    x, bias = torch.randn(3, 5).half().requires_grad_(), torch.randn(5).half()
    (found,) = chain("gelu(x + row0)").evaluate(x, {"row0": bias})
    torch.testing.assert_close(found, F.gelu(x.float() + bias.float()))
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert gradient.shape == x.shape
    (wide,) = chain("x * 2").evaluate(x.double(), {})
    assert wide.dtype == torch.float64
