"""Tile programs: kernels as data. Written with :mod:`.build`, checked by :mod:`.verify`, run by :mod:`.reference`,
printed as Triton by :mod:`.emit` and launched by :mod:`.launch`.
"""

from .build import Builder, Complex, Tile, span, spans
from .index import cdiv, floordiv
from .ir import Program, TileError
from .variant import Variant

__all__ = ["Builder", "Complex", "Program", "Tile", "TileError", "Variant", "cdiv", "floordiv", "span", "spans"]
