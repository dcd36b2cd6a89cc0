"""`shared_prefix_cat` repeats each group's prefix for the rows of that group, and says what it cannot join."""

import pytest
import regraft.compiler.ops  # noqa: F401
import torch

shared_prefix_cat = torch.ops.regraft.shared_prefix_cat


@pytest.mark.parametrize("dim", [1, 2, -1])
@pytest.mark.parametrize(("groups", "rows"), [(1, 1), (1, 5), (3, 6), (4, 4)])
def test_each_row_begins_with_the_prefix_of_its_group(groups, rows, dim):
    prefix, suffix = torch.randn(groups, 2, 3, 5), torch.randn(rows, 2, 3, 5)
    found = shared_prefix_cat(prefix, suffix, dim)
    expected = torch.cat([prefix.repeat_interleave(rows // groups, 0), suffix], dim)
    assert torch.equal(found, expected)


@pytest.mark.parametrize(("prefix", "suffix"), [(0, 3), (3, 0)])
def test_either_part_may_be_empty(prefix, suffix):
    a, b = torch.randn(1, 2, prefix, 4), torch.randn(3, 2, suffix, 4)
    assert shared_prefix_cat(a, b, 2).shape == (3, 2, 3, 4)


@pytest.mark.parametrize(
    ("prefix", "suffix", "dim", "message"),
    [
        (torch.ones(2, 3), torch.ones(3, 3), 1, "a multiple of the 2 groups"),
        (torch.ones(2, 3), torch.ones(2, 3), 0, "other than the batch"),
        (torch.ones(2, 3), torch.ones(2, 3, 1), 1, "rank 3"),
        (torch.ones(2, 3), torch.ones(2, 3).half(), 1, "float16"),
    ],
)
def test_what_does_not_fit_is_named(prefix, suffix, dim, message):
    with pytest.raises(ValueError, match=message):
        shared_prefix_cat(prefix, suffix, dim)
