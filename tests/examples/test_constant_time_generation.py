"""Recall survives a model of 8 states in place of every filter, as it does not survive zeros; all ways agree."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks import generation
from examples import constant_time_generation as example
from examples.hyena import zero_filters
from examples.hyena.tasks import Recall, Score, evaluate


@pytest.fixture(scope="module")
def student():
    return example.distilled(example.trained("recall"), 8)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_recall_at_order_8_is_within_a_point_and_zero_filters_fail(student, seed):
    model, task = example.trained("recall"), Recall(size=16, seed=seed)
    scores = {"trained": evaluate(model, task, 2), "order 8": evaluate(example.Forward(student), task, 2)}
    scores["zero filters"] = evaluate(zero_filters(model), task, 2)
    assert scores["trained"].accuracy >= 0.95
    assert example.keeps(scores)


@pytest.mark.parametrize(("order", "zero"), [(0.97, 0.1), (0.99, 0.3)])
def test_a_lost_point_and_a_control_that_succeeds_are_both_seen(order, zero):
    accuracy = {"trained": 0.99, "order 8": order, "zero filters": zero}
    assert not example.keeps({name: Score(0.0, value) for name, value in accuracy.items()})


def test_exact_ways_continue_with_the_same_tokens_and_a_small_state_is_smaller(student):
    pytest.importorskip("transformers")
    ids, _ = Recall(size=1).held_out(0)
    model = example.trained("recall")
    found = example.continued(model, {8: student}, ids[:, :40], 12)
    assert [found[name]["same"] for name in (generation.AGAIN, *generation.EXACT)] == [12] * 4
    assert found["order 8"]["bytes"] < found[generation.DOT]["bytes"]
    shown = example.table("recall", {"trained": Score(0.1, 0.9), "order 8": Score(0.2, 0.8)}, found)
    assert shown.row_count == 7


def test_whole_text_again_steps_as_the_model_does():
    model = generation.untrained(24, dim=16)
    ids = torch.randint(96, (1, 9), generator=torch.Generator().manual_seed(0))
    y, state = generation.Again(model).prefill(ids[:, :8])
    last, _ = generation.Again(model).step(ids[:, 8], state)
    assert torch.allclose(last, model(ids)[:, -1], atol=1e-5)
    assert y.shape == (1, 8, 96)
