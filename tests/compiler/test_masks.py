"""Masks are read for what they hide, element by element."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.analysis.masks import MaskStructure, classify, structure_of

LOWEST = torch.finfo(torch.float32).min


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(
        ["none", "causal", "sliding", "sliding_bidirectional", "prefix", "block_diagonal", "block_causal"]
    ),
    queries=st.integers(1, 9),
    keys=st.integers(1, 9),
    offset=st.integers(-3, 5),
    window=st.integers(1, 4),
)
def test_a_structure_that_is_found_says_exactly_what_the_mask_says(kind, queries, keys, offset, window):
    visible = MaskStructure(kind, offset, window).visible(queries, keys)
    found = structure_of(visible)
    assert found is None or torch.equal(found.visible(queries, keys), visible)


@pytest.mark.parametrize(
    ("structure", "size"),
    [
        (MaskStructure("none"), (5, 7)),
        (MaskStructure("causal"), (7, 7)),
        (MaskStructure("causal", 2), (5, 7)),
        (MaskStructure("causal", 3), (1, 7)),
        (MaskStructure("sliding", 0, 3), (9, 9)),
        (MaskStructure("sliding", 4, 3), (5, 9)),
        (MaskStructure("sliding_bidirectional", 0, 3), (9, 9)),
        (MaskStructure("prefix", 0, 4), (9, 9)),
        (MaskStructure("block_diagonal", 0, 3), (8, 8)),
        (MaskStructure("block_causal", 0, 3), (8, 8)),
    ],
)
def test_the_usual_structures_are_found(structure, size):
    assert structure_of(structure.visible(*size)) == structure


def test_one_element_off_is_no_structure():
    visible = MaskStructure("causal").visible(9, 9)
    visible[6, 2] = False
    assert structure_of(visible) is None


def test_an_additive_mask_is_read_as_what_it_hides():
    visible = MaskStructure("causal").visible(7, 7)
    for hidden in (LOWEST, -torch.inf):
        facts = classify(torch.zeros(7, 7).masked_fill(~visible, hidden).expand(2, 1, 7, 7))
        assert facts is not None
        assert facts.structure == MaskStructure("causal")
        assert facts.equals_boolean


def test_a_finite_mask_over_a_row_that_sees_nothing_is_not_a_boolean_one():
    facts = classify(torch.zeros(7, 7).masked_fill(~MaskStructure("causal", -1).visible(7, 7), LOWEST))
    assert facts is not None
    assert not facts.every_row_sees
    assert not facts.equals_boolean


def test_rows_of_the_batch_that_differ_are_no_structure():
    visible = MaskStructure("causal").visible(7, 7)
    facts = classify(torch.stack([visible, visible | visible.mT]))
    assert facts is not None
    assert facts.structure is None


@pytest.mark.parametrize("bias", [torch.linspace(-1, 0, 49).view(7, 7), torch.full((7, 7), -100.0), torch.zeros(7)])
def test_a_bias_of_values_is_no_mask(bias):
    assert classify(bias) is None
