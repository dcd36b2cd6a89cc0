"""Programs as text: files in Python syntax, ``NAME.ir.py``, that print and parse back to an equal program.

- :func:`print_program` writes a program, :func:`parse_program` and :func:`load_program` read one.
- :func:`equal` gives the first difference between two programs, or ``None``.
- :func:`seeded_weights` and :func:`seeded_inputs` make random values of the declared types; the text holds no weights.

::

    program(door="export")
    s0 = dim(2, 4096, hint=16)


    def graph(*, w: f32[8, 8] = parameter("head.weight"), x: f32[s0, 8]):
        linear: f32[s0, 8] = aten.linear.default(x, w)  # head
        rows: s0 = aten.sym_size.int(x, 0)
        return (linear, rows)

Types are written before ``=``: tensors as ``f32[2, s0]`` (``.strided(...)`` when an input is not contiguous,
``.on("cuda:0")`` off the CPU), sizes as their expression, several results as a tuple or list of types. The comment that
ends a line is the module path of the node, and after ``|`` the user's source line. Bodies of higher-order operators are
nested functions. ``call`` and ``returns`` are the structures around inputs and outputs, with ``...`` for each leaf;
structures that hold other classes than tuple, list and dict are not kept, and the program is called flat.
"""

from .equality import equal
from .parser import load_program, parse_program
from .printer import print_program
from .seeds import seeded_inputs, seeded_weights

__all__ = ["equal", "load_program", "parse_program", "print_program", "seeded_inputs", "seeded_weights"]
