"""Rotary embeddings of real architectures are raised for queries and keys of every layer."""

import pytest
import torch
from regraft.compiler.program import module_path
from regraft.frontend.testing import assert_no_worse, run_pass


def rotate_half(x):
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)


def rotaries(program):
    return [node for node in program.graph.nodes if str(node.target) == "regraft.rotary.default"]


@pytest.mark.parametrize(
    ("name", "interleaved", "narrow"),
    [
        ("llama", False, False),
        ("qwen3", False, False),
        ("phi3", False, False),
        ("gemma2", False, False),
        ("gpt_neox", False, True),
        ("gptj", True, True),
    ],
)
def test_queries_and_keys_of_both_layers_are_raised(name, interleaved, narrow, hf_program):
    program, _ = hf_program(name, torch.float32, "canonicalise,raise-rotary")
    found = rotaries(program)
    paths = [module_path(node) for node in found]
    assert len(found) == 4
    assert all(paths.count(path) == 2 for path in paths)
    for node in found:
        x, cos = node.args[0].meta["val"], node.args[1].meta["val"]
        assert node.kwargs.get("interleaved", False) is interleaved
        assert (cos.shape[-1] < x.shape[-1]) is narrow


def test_tables_that_broadcast_over_heads_are_not_expanded():
    def forward(x, cos, sin):
        return x * cos.unsqueeze(1) + rotate_half(x) * sin.unsqueeze(1)

    rewritten = run_pass("raise-rotary", forward, "f32[2, 3, 5, 8]", "f32[2, 5, 8]", "f32[2, 5, 8]")
    (node,) = rotaries(rewritten.program)
    assert node.args[1].meta["val"].shape == (2, 1, 5, 8)


def test_rotation_added_twice_is_not_one():
    def forward(x, cos, sin):
        return torch.add(x * cos, rotate_half(x) * sin, alpha=2)

    assert run_pass("raise-rotary", forward, "f32[5, 8]", "f32[5, 8]", "f32[5, 8]").unchanged


def test_table_wider_than_the_value_is_left_alone():
    def forward(x, cos, sin):
        return x * cos + rotate_half(x) * sin

    rewritten = run_pass("raise-rotary", forward, "f32[5, 2]", "f32[5, 2]", "f32[3, 5, 2]")
    assert rewritten.unchanged
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_halves_of_unequal_size_are_no_pairs():
    def forward(x, cos, sin):
        return x * cos + torch.cat((-x[..., 5:], x[..., :5]), -1) * sin

    assert run_pass("raise-rotary", forward, "f32[3, 8]", "f32[3, 8]", "f32[3, 8]").unchanged


def test_rest_put_in_front_is_rotated_alone():
    def forward(x, cos, sin):
        head, rest = x[..., :4], x[..., 4:]
        return torch.cat((rest, head * cos + rotate_half(head) * sin), -1)

    rewritten = run_pass("raise-rotary", forward, "f32[3, 8]", "f32[3, 4]", "f32[3, 4]")
    assert rewritten.count("rotary") == rewritten.count("cat") == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)
