import pytest
import triton
from regraft.lowering.tile.index import cdiv, evaluate, floordiv, size_symbol, text

B, N = size_symbol("B"), size_symbol("N")


@pytest.mark.parametrize(
    "index", [cdiv(floordiv(B + 1, 2), 2), floordiv(B + N, 2), floordiv(floordiv(B, 2) + 3, 4), cdiv(B + N, 4)], ids=str
)
def test_a_printed_quotient_means_what_the_expression_does(index):
    for b, n in ((1, 5), (2, 3), (7, 2), (64, 9)):
        assert eval(text(index), {"B": b, "N": n, "tl": triton}) == evaluate(index, {B: b, N: n})


def test_rounding_up_twice_is_printed_as_such():
    assert text(cdiv(floordiv(B + 1, 2), 2)) == "tl.cdiv(tl.cdiv(B, 2), 2)"
