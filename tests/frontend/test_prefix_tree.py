"""group_by_prefix finds what rows have in common, orders the batch, and undoes the order."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.errors import UsageError
from regraft.frontend.prefix_tree import group_by_prefix


def rebuilt(groups):
    """The rows in the tree's order, from the nodes above each leaf and the suffixes."""
    prefixes = [()]
    for level in groups.levels:
        prefixes = [prefixes[parent] + ids for parent, ids in zip(level.parents, level.ids, strict=True)]
    leaves = [leaf for leaf, count in enumerate(groups.rows) for _ in range(count)]
    return [prefixes[leaf] + suffix for leaf, suffix in zip(leaves, groups.suffixes, strict=True)]


TREE = [
    [1, 2, 3, 7, 7, 1],
    [9, 9],
    [1, 2, 3, 8, 8, 1],
    [1, 2, 3, 7, 7, 2],
    [1, 2, 3, 8, 8, 2],
    [1, 2, 3, 8, 8],
]


def test_a_tree_of_two_levels_is_found_and_its_groups_are_neighbours():
    groups = group_by_prefix(TREE, min_length=2)
    assert [level.ids for level in groups.levels] == [((1, 2, 3), ()), ((7, 7), (8, 8), (), ())]
    assert [level.parents for level in groups.levels] == [(0, 0), (0, 0, 0, 1)]
    assert groups.rows == (2, 2, 1, 1)
    assert groups.order == (0, 3, 2, 4, 5, 1)
    assert groups.suffixes == ((1,), (2,), (1,), (2,), (8, 8), (9, 9))


def test_short_or_lonely_nodes_are_left_to_what_is_below_them():
    assert len(group_by_prefix(TREE, min_length=3).levels) == 1
    (level,) = group_by_prefix(TREE, min_length=4).levels
    assert level.ids == ((1, 2, 3, 7, 7), (1, 2, 3, 8), ())
    assert group_by_prefix(TREE, min_length=2, min_rows=6).levels == ()


def test_rows_without_anything_in_common_stay_as_they_are():
    groups = group_by_prefix([[1, 2], [3, 4], [5]], min_length=1)
    assert (groups.order, groups.levels, groups.rows) == ((0, 1, 2), (), (3,))
    assert groups.suffixes == ((1, 2), (3, 4), (5,))


def test_equal_rows_keep_their_last_token():
    groups = group_by_prefix([[4, 5, 6]] * 3, min_length=1)
    assert groups.levels[0].ids == ((4, 5),)
    assert groups.suffixes == ((6,),) * 3


def test_padding_is_not_a_common_prefix():
    ids = torch.tensor([[0, 0, 5, 6, 7], [0, 0, 8, 6, 7], [5, 6, 7, 8, 9]])
    mask = (ids != 0).long()
    groups = group_by_prefix(ids, mask, min_length=2)
    assert groups.levels[0].ids == ((5, 6), ())
    assert groups.order == (0, 2, 1)


rows = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(rows, st.integers(1, 3), st.integers(2, 3))
def test_every_row_is_its_prefixes_and_its_suffix(batch, min_length, min_rows):
    groups = group_by_prefix(batch, min_length=min_length, min_rows=min_rows)
    assert sorted(groups.order) == list(range(len(batch)))
    assert rebuilt(groups) == [tuple(batch[row]) for row in groups.order]
    assert all(groups.suffixes)
    assert all(len(ids) == 0 or len(ids) >= min_length for level in groups.levels for ids in level.ids)
    assert all(list(level.parents) == sorted(level.parents) for level in groups.levels)
    assert sum(groups.rows) == len(batch)


@settings(max_examples=100, deadline=None)
@given(rows)
def test_undo_gives_the_order_of_the_batch_back(batch):
    groups = group_by_prefix(batch, min_length=1)
    assert groups.undo(groups.arrange(batch)) == batch
    numbers = torch.arange(len(batch))
    assert torch.equal(groups.undo(groups.arrange(numbers)), numbers)
    twice = groups.arrange(numbers).repeat_interleave(2)
    assert torch.equal(groups.undo(twice), numbers.repeat_interleave(2))


def test_undo_refuses_what_is_no_multiple_of_the_batch():
    with pytest.raises(UsageError, match="no multiple of the batch of 2"):
        group_by_prefix([[1], [2]]).undo([1, 2, 3])


@pytest.mark.parametrize("batch", [[], [[1], []]])
def test_empty_rows_are_refused(batch):
    with pytest.raises(UsageError, match="every row a token"):
        group_by_prefix(batch)
