import pytest
import torch
from regraft.lowering.tile import Builder, TileError, cdiv, reference, span
from regraft.lowering.tile.emit import emit


def shifted(named_start: bool = True):
    """y[i] = x[i + shift] where that exists, else 0, tile by tile."""
    t = Builder("shifted", "y = x shifted.")
    (N,) = t.sizes("N")
    SHIFT, BLOCK = t.integer("SHIFT"), t.constant("BLOCK", 16)
    x, y = t.input("x", (N,), "f32"), t.output("y", (N,), "f32")
    (i,) = t.tasks(("i", cdiv(N, BLOCK)))
    start = t.define("start", i * BLOCK + (0 if named_start else SHIFT))
    t.store(y, (span(i * BLOCK, BLOCK),), t.load(x, (span(start + SHIFT if named_start else start, BLOCK),)))
    return t.program()


def test_an_index_with_a_name_is_printed_once_and_means_what_it_stands_for():
    x, y = torch.arange(20.0), torch.empty(20)
    reference.run(shifted(), {"x": x, "y": y}, sizes={"SHIFT": -3})
    assert torch.equal(y, torch.cat([torch.zeros(3), x[:-3]]))
    assert "start = i * BLOCK\n" in emit(shifted())


def test_a_negative_index_with_a_name_is_a_fault():
    with pytest.raises(TileError, match=r"start = .* is -3, below 0"):
        reference.run(shifted(named_start=False), {"x": torch.ones(20), "y": torch.empty(20)}, sizes={"SHIFT": -3})


def test_tiles_of_integers_divide_with_rest():
    t = Builder("digits", "y = x // 3, z = x % 3, both = one of each digit.")
    BLOCK = t.constant("BLOCK", 16)
    y, z = (t.output(name, (BLOCK,), "i32") for name in "yz")
    both = t.output("both", (BLOCK,), "f32")
    t.tasks(("i", 1))
    x, all_of_it = t.iota(0, BLOCK), (span(0, BLOCK),)
    quotient, rest = t.map("floordiv", x, 3), t.map("remainder", x, 3)
    t.store(y, all_of_it, quotient)
    t.store(z, all_of_it, rest)
    equal = t.map("and", t.map("eq", quotient, 1), t.map("eq", rest, 1))
    t.store(both, all_of_it, t.map("where", equal, t.full([BLOCK], 1.0), 0.0))
    made = {name: torch.empty(16, dtype=torch.int32) for name in "yz"} | {"both": torch.empty(16)}
    reference.run(t.program(), made)
    assert made["y"].tolist() == [x // 3 for x in range(16)]
    assert made["z"].tolist() == [x % 3 for x in range(16)]
    assert made["both"].nonzero().tolist() == [[4]]
