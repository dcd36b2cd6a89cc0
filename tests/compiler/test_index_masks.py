"""Masks made from positions are read for what they hide, whatever the sizes turn out to be."""

import pytest
import torch
from regraft.compiler.analysis.index_masks import conditions_of, structure_of_conditions
from regraft.compiler.analysis.masks import MaskStructure
from regraft.compiler.execute import execute
from regraft.frontend.testing import run_pass

SIZES = [(1, 1), (3, 7), (7, 3), (6, 6)]


def read(function, *types):
    """The structure of the mask [queries, keys] a function returns, and the program that computes it."""
    program = run_pass("canonicalise", function, *types).program
    mask = next(node for node in program.graph.nodes if node.op == "output").args[0][0]
    conditions = conditions_of(mask)
    queries, keys = mask.meta["val"].shape[-2:]
    return (None if conditions is None else structure_of_conditions(conditions, queries, keys)), program


def positions(q, k):
    return torch.arange(q.shape[0])[:, None], torch.arange(k.shape[0])


def causal(q, k):
    i, j = positions(q, k)
    return j <= i


def strict(q, k):
    i, j = positions(q, k)
    return j < i


def shifted_between(q, k):
    i, j = positions(q, k)
    return (i + 5)[1:] - 2 >= j[None]


def not_later(q, k):
    i, j = positions(q, k)
    return ~(j > i)


def windowed(q, k):
    i, j = positions(q, k)
    return (j <= i) & (i - j < 3)


def gathered(q, k):
    i, j = positions(q, k)
    at = (torch.arange(k.shape[0]) + 2)[j]
    return at.expand(q.shape[0], -1) <= i.expand(-1, k.shape[0])


def documents_of_one(q, k):
    i, j = positions(q, k)
    where = torch.arange(k.shape[0])
    document = (torch.diff(where, prepend=where[:1] - 1) != 1).cumsum(0)
    return (j <= i) & (document[j][None] == document[:1][:, None])


@pytest.mark.parametrize(
    ("function", "structure"),
    [
        (causal, MaskStructure("causal")),
        (strict, MaskStructure("causal", -1)),
        (shifted_between, MaskStructure("causal", 4)),
        (not_later, MaskStructure("causal")),
        (windowed, MaskStructure("sliding", 0, 3)),
        (gathered, MaskStructure("causal", -2)),
        (documents_of_one, MaskStructure("causal")),
    ],
)
def test_the_structure_read_hides_what_the_mask_hides_at_every_size(function, structure):
    found, program = read(function, "f32[q=4, 2]", "f32[k=5, 2]")
    assert found == structure
    for queries, keys in SIZES:
        visible = execute(program, [torch.zeros(queries, 2), torch.zeros(keys, 2)])[0]
        assert torch.equal(structure.visible(*visible.shape), visible)


def later(q, k):
    i, j = positions(q, k)
    return j >= i


def along_queries_only(q, k):
    i, _ = positions(q, k)
    return (i >= 3).expand(-1, k.shape[0])


def twice_as_fast(q, k):
    i, j = positions(q, k)
    return 2 * j <= i


def either(q, k):
    i, j = positions(q, k)
    return (j <= i) | (j < 2)


def outside_the_window(q, k):
    i, j = positions(q, k)
    return ~((j <= i) & (j > i - 3))


def counted_from_the_end(q, k):
    i, j = positions(q, k)
    return torch.arange(k.shape[0])[j - 1] <= i


def written_in_place(q, k):
    i, j = positions(q, k)
    j = j.clone()
    j[:2] = 0
    return j <= i


def uneven_documents(q, k):
    i, j = positions(q, k)
    where = torch.arange(k.shape[0])
    return (j <= i) & ((torch.diff(where, prepend=where[:1] - 2) != 1).cumsum(0)[j][None] == 0)


@pytest.mark.parametrize(
    "function",
    [
        later,
        along_queries_only,
        twice_as_fast,
        either,
        outside_the_window,
        counted_from_the_end,
        written_in_place,
        uneven_documents,
    ],
)
def test_what_is_no_structure_is_not_taken_for_one(function):
    assert read(function, "f32[q=4, 2]", "f32[k=5, 2]")[0] is None


def test_an_offset_from_an_input_is_not_read():
    def from_input(q, k, start):
        i, j = positions(q, k)
        return j <= i + start

    assert read(from_input, "f32[q=4, 2]", "f32[k=5, 2]", "i64[1]")[0] is None


def test_a_condition_that_always_holds_is_none():
    def after_a_prefix(q, k):
        i, j = positions(q, k)
        return j <= i + k.shape[0]

    structure, _ = read(after_a_prefix, "f32[q=4, 2]", "f32[k=5, 2]")
    assert structure == MaskStructure("none"), "no key lies beyond a whole length of keys"


def test_queries_that_end_with_the_keys_are_lower_right():
    def decode(q, k):
        i, j = positions(q, k)
        return j <= i + (k.shape[0] - q.shape[0])

    structure, program = read(decode, "f32[q=4, 2]", "f32[k=5, 2]")
    assert structure is not None
    assert structure.kind == "causal"
    lengths = [node.meta["val"] for node in program.graph.nodes if isinstance(node.meta.get("val"), torch.SymInt)]
    assert str(structure.offset) in map(str, lengths)


def test_the_last_query_sees_every_key():
    def decode(k):
        return torch.arange(k.shape[0]) <= torch.arange(1)[:, None] + (k.shape[0] - 1)

    assert read(decode, "f32[k=5, 2]")[0] == MaskStructure("none")
