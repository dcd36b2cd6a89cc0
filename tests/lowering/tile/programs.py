"""Small programs that tests of the tile IR share."""

from regraft.lowering.tile import Builder, cdiv, span


def scaled_sum(dtype="f16", *, block=128, multiple_of=1):
    """y = scale * a + b, row by row."""
    t = Builder("scaled_sum", "y = scale * a + b, row by row.")
    M, N = t.size("M"), t.size("N", multiple_of=multiple_of)
    BLOCK = t.constant("BLOCK", block)
    a, b = t.input("a", (M, N), dtype), t.input("b", (M, N), dtype, contiguous=True)
    y, scale = t.output("y", (M, N), dtype), t.scalar("scale")
    row, column = t.tasks(("row", M), ("column", cdiv(N, BLOCK)))
    at = (row, span(column * BLOCK, BLOCK))
    t.store(y, at, scale * t.load(a, at).f32 + t.load(b, at).f32)
    return t.program()


def turns(update, *names, steps=3):
    """Carry the tiles ``names``, read from inputs of their names, through ``update(t, loop)``, and write them back."""
    t = Builder("turns", "A loop.")
    B = t.constant("B", 16)
    inputs = {name: t.input(f"{name}_in", (B,), "f32") for name in names}
    outputs = {name: t.output(f"{name}_out", (B,), "f32") for name in names}
    t.tasks(("i", 1))
    at = (span(0, B),)
    with t.loop("step", steps, **{name: t.load(buffer, at) for name, buffer in inputs.items()}) as loop:
        update(t, loop)
    for name, buffer in outputs.items():
        t.store(buffer, at, loop[name])
    return t.program()


def visits(rank, group=0, persistent=False):
    """Each task adds 1 to its own element of y."""
    t = Builder("visits", "Count the visits.")
    sizes = t.sizes(*(f"N{axis}" for axis in range(rank)))
    y = t.output("y", sizes, "f32")
    task = t.tasks(*((f"i{axis}", size) for axis, size in enumerate(sizes)), group=group, persistent=persistent)
    t.store(y, task, t.load(y, task) + 1.0)
    return t.program()
