"""What rows of a batch share is found in every spelling, and never claimed where it does not hold."""

import inspect

import pytest
import regraft.frontend.backend  # noqa: F401  (registers the backend)
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.analysis.sharing import sharing
from regraft.compiler.ops.shared_prefix import shared_prefix_cat
from regraft.compiler.passes import Numerics, Pass
from regraft.frontend.capture import capture
from torch import nn
from torch.export import Dim

ROWS, PREFIX, SUFFIX = 4, 6, 5
ZEROS, TWOS = torch.zeros(ROWS, dtype=torch.int64), torch.full((ROWS,), 2)


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


def layout_of(function, *args, batch=0, axis=2, **options):
    program = capture(Of(function).eval(), args, **options)
    result = program.graph.output_node().args[0][-1]
    return sharing(program).layout(result, batch=batch, axis=axis)


def found(layout):
    return [(segment.length, segment.groups) for segment in layout.segments]


def check_by_running(function, args, layout):
    """Rows that are said to be equal are."""
    value = function(*args)
    for segment in layout.segments:
        run = value.narrow(layout.axis, segment.start, segment.length)
        for group in run.chunk(segment.groups):
            assert torch.equal(group, group[:1].expand_as(group))


def prefix(copies=1, seed=0):
    return torch.randn(copies, 2, PREFIX, 3, generator=torch.Generator().manual_seed(seed))


def suffix():
    return torch.randn(ROWS, 2, SUFFIX, 3, generator=torch.Generator().manual_seed(9))


def joined(repeat):
    return lambda p, s: torch.cat([repeat(p), s], 2)


def then(change):
    return lambda p, s, *factors: change(torch.cat([p.expand(ROWS, -1, -1, -1), s], 2), *factors)


ONE_THEN_OWN = [(PREFIX, 1), (SUFFIX, ROWS)]
SPELLINGS = {
    "expand": joined(lambda p: p.expand(ROWS, -1, -1, -1)),
    "expand_as": joined(lambda p: p.expand_as(torch.zeros(ROWS, 2, PREFIX, 3))),
    "expand with a new dimension": joined(lambda p: p[0].expand(ROWS, -1, -1, -1)),
    "broadcast_to": joined(lambda p: torch.broadcast_to(p, (ROWS, 2, PREFIX, 3))),
    "repeat": joined(lambda p: p.repeat(ROWS, 1, 1, 1)),
    "repeat with a new dimension": joined(lambda p: p[0].repeat(ROWS, 1, 1, 1)),
    "tile": joined(lambda p: p.tile(ROWS, 1, 1, 1)),
    "repeat_interleave": joined(lambda p: p.repeat_interleave(ROWS, 0)),
    "repeat_interleave written out": joined(lambda p: p[:, None].expand(1, ROWS, 2, PREFIX, 3).reshape(ROWS, 2, -1, 3)),
    "stack": joined(lambda p: torch.stack([p[0]] * ROWS)),
    "cat along the batch": joined(lambda p: torch.cat([p] * ROWS)),
    "index_select by zeros": joined(lambda p: p.index_select(0, torch.zeros(ROWS, dtype=torch.int64))),
    "one row of several": joined(lambda p: p.repeat(3, 1, 1, 1).index_select(0, torch.full((ROWS,), 2))),
    "declared": lambda p, s: shared_prefix_cat(p, s, 2),
    "cast and copied": joined(lambda p: p.double().expand(ROWS, -1, -1, -1).clone().float()),
    "scaled after joining": then(lambda x: x * 2 + 1),
    "grouped queries": then(lambda x: x[:, :, None].expand(-1, -1, 3, -1, -1).reshape(ROWS, 6, -1, 3)),
    "grouped queries interleaved": then(lambda x: x.repeat_interleave(3, 1)),
    "behind an empty cache": lambda p, s: torch.cat([torch.tensor([]), p.expand(ROWS, -1, -1, -1), s], -2),
    "heads behind time": lambda p, s: torch.cat(
        [p.transpose(1, 2).expand(ROWS, -1, -1, -1), s.transpose(1, 2)], 1
    ).transpose(1, 2),
    "projected": then(lambda x: F.linear(x, torch.ones(5, 3))),
    "normalised": then(lambda x: F.layer_norm(x, (3,))),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_shared_prefix_is_found(spelling):
    args = (prefix(), suffix())
    layout = layout_of(SPELLINGS[spelling], *args)
    assert found(layout) == ONE_THEN_OWN
    assert layout.shared
    check_by_running(SPELLINGS[spelling], args, layout)


@pytest.mark.parametrize(
    "middle",
    [
        lambda p: p.repeat_interleave(2, 0),
        lambda p: p[:, None].expand(2, 2, 2, PREFIX, 3).reshape(ROWS, 2, PREFIX, 3),
        lambda p: p.unsqueeze(1).expand(-1, 2, -1, -1, -1).flatten(0, 1),
    ],
)
def test_a_tree_has_a_segment_for_every_level(middle):
    def function(p, m, s):
        return torch.cat([p.expand(ROWS, -1, -1, -1), middle(m), s], 2)

    args = (prefix(), prefix(2, 1), suffix())
    layout = layout_of(function, *args)
    assert found(layout) == [(PREFIX, 1), (PREFIX, 2), (SUFFIX, ROWS)]
    check_by_running(function, args, layout)


def test_the_source_is_the_prefix_before_it_was_repeated():
    layout = layout_of(SPELLINGS["heads behind time"], prefix(), suffix())
    first = layout.segments[0]
    compact = torch.zeros(first.source.meta["val"].shape)
    assert compact.shape[0] == 1
    for target, arguments in first.views:
        compact = target(compact, *arguments)
    assert compact.shape == (1, 2, PREFIX, 3)


def test_a_slice_keeps_what_it_cuts():
    function = then(lambda x: x[:, :, 2:-2])
    layout = layout_of(function, prefix(), suffix())
    assert found(layout) == [(PREFIX - 2, 1), (SUFFIX - 2, ROWS)]
    check_by_running(function, (prefix(), suffix()), layout)


@pytest.mark.parametrize(
    ("stop", "lengths"),
    [
        (None, [(PREFIX, 1), (SUFFIX, ROWS)]),
        (-1, [(PREFIX, 1), (SUFFIX - 1, ROWS)]),
        (PREFIX - 2, [(PREFIX - 2, 1)]),
    ],
)
def test_a_slice_from_before_the_start_begins_at_the_start(stop, lengths):
    function = then(lambda x: x[:, :, -PREFIX - SUFFIX - 2 : stop])
    layout = layout_of(function, prefix(), suffix())
    assert layout.segments[0].start == 0
    assert found(layout) == lengths
    check_by_running(function, (prefix(), suffix()), layout)


@pytest.mark.parametrize(("start", "length"), [(0, 2), (1, 1), (-3, 2), (-2, 2), (-2, 0)])
def test_the_source_is_narrowed_as_the_value_is(start, length):
    layout = layout_of(then(lambda x: x.narrow(3, start, length)), prefix(), suffix())
    first, compact = layout.segments[0], prefix()
    for target, arguments in first.views:
        compact = target(compact, *arguments)
    assert torch.equal(compact, prefix().narrow(3, start, length))


def test_the_batch_need_not_come_first():
    layout = layout_of(then(lambda x: x.permute(2, 0, 1, 3)), prefix(), suffix(), batch=1, axis=0)
    assert found(layout) == ONE_THEN_OWN


def test_beams_share_encoder_states_through_projection_and_heads():
    def function(states):
        wide = F.linear(states.repeat_interleave(ROWS, 0), torch.ones(4, 3))
        return wide.view(ROWS, PREFIX, 2, 2).transpose(1, 2)

    states = torch.randn(1, PREFIX, 3)
    layout = layout_of(function, states)
    assert found(layout) == [(PREFIX, 1)]
    check_by_running(function, (states,), layout)


def test_sizes_may_be_symbolic():
    batch, length = Dim("batch", min=2, max=64), Dim("length", min=2, max=64)
    layout = layout_of(
        lambda p, s: torch.cat([p.expand(s.shape[0], -1, -1, -1), s], 2),
        prefix(),
        suffix(),
        dynamic_shapes=[(None, {0: batch, 2: length})],
    )
    first, second = layout.segments
    assert (first.length, first.groups) == (PREFIX, 1)
    assert str(second.groups) == str(layout.rows)


def one_row_written(p, s):
    rows = p.repeat(ROWS, 1, 1, 1)
    rows[1] += 1
    return torch.cat([rows, s], 2)


def through_a_view(x, _):
    x[2].zero_()
    return x


NEAR_MISSES = {
    "one row written": one_row_written,
    "one row filled": then(lambda x, _: x.index_fill_(0, torch.tensor([1]), 0.0)),
    "a view written": then(through_a_view),
    "dropout": then(lambda x, _: F.dropout(x, 0.5, training=True)),
    "noise": then(lambda x, _: x + torch.rand_like(x)),
    "a factor for each row": then(lambda x, f: x * f),
    "positions of each row": then(lambda x, f: x * (f * torch.arange(11.0)[:, None]).cos()),
    "rolled along time": then(lambda x, _: x.roll(1, 2)),
    "rolled along the batch": then(lambda x, f: (x + f).roll(1, 0)),
    "mixed with what is behind": then(lambda x, _: x.flip(2).cumsum(2)),
    "batch statistics": then(lambda x, f: F.batch_norm(x + f, None, None, training=True)),
    "sorted by the batch": then(lambda x, f: (x + f).sort(0).values),
    "heads joined with the batch": then(lambda x, f: (x * f).reshape(2, 4, 11, 3).transpose(0, 1).contiguous()),
    "pairs of rows": lambda p, s, f: s.index_select(0, torch.tensor([0, 0, 1, 1])),
    "an index that is an input": lambda p, s, f: s.index_select(0, f.flatten().long().clamp(0, 3)),
    "repeated in turn": lambda p, s, f: s[:2].repeat(2, 1, 1, 1),
    "different prompts stacked": lambda p, s, f: torch.stack([p[0], p[0] + 1, p[0], p[0]]),
    "different prompts joined": lambda p, s, f: torch.cat([p, p + 1, p, p]),
    "scattered into": then(lambda x, f: x.index_put((torch.tensor([1]),), torch.zeros(()))),
    "padding of one row": lambda p, s, f: torch.where(f > 0, p.expand(ROWS, -1, -1, -1), 0.0),
    "looked up by row": lambda p, s, f: F.embedding(f.reshape(ROWS, 1, 1).long().clamp(0, 3).expand(-1, 2, 2), s[0, 0]),
    "a product over the batch": then(lambda x, f: torch.einsum("bhtd,bc->chtd", x, f.reshape(ROWS, 1).expand(-1, 4))),
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_rows_that_differ_are_not_said_to_share(name):
    function = NEAR_MISSES[name]
    args = (prefix(), suffix(), torch.tensor([1.0, 2.0, 3.0, -1.0]).reshape(ROWS, 1, 1, 1))
    if "f" not in inspect.signature(function).parameters and function is one_row_written:
        args = args[:2]
    layout = layout_of(function, *args)
    assert not layout.shared
    assert layout.why


def test_a_source_that_is_written_later_is_not_named():
    def function(p, s):
        whole = torch.cat([p.repeat(ROWS, 1, 1, 1), s], 2)
        p.mul_(2)
        return whole

    layout = layout_of(function, prefix(), suffix())
    assert found(layout) == ONE_THEN_OWN
    assert layout.segments[0].source is None


def test_strides_of_an_input_are_no_fact_where_nothing_guards_them():
    assert not layout_of(lambda p: p + 1, prefix().expand(ROWS, -1, -1, -1)).shared


def test_strides_of_an_input_are_a_fact_under_dynamo():
    layouts = []

    class Look(Pass):
        """Ask what the result shares."""

        name = "look"
        numerics = Numerics.EXACT

        def run(self, program, ctx):
            result = program.graph.output_node().args[0][0]
            layouts.append(sharing(program).layout(result, batch=0, axis=2))

    torch._dynamo.reset()
    module = Of(lambda p, s: torch.cat([p, s], 2))
    compiled = torch.compile(module, backend="regraft", dynamic=False, options={"passes": [Look()]})
    compiled(prefix().expand(ROWS, -1, -1, -1), suffix())
    compiled(prefix().repeat(ROWS, 1, 1, 1), suffix())
    assert [found(layout) for layout in layouts] == [ONE_THEN_OWN, [(PREFIX, ROWS), (SUFFIX, ROWS)]]


STEPS = [
    lambda x: x * 2,
    lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
    lambda x: x.exp(),
    lambda x: x.reshape(ROWS, 1, 2, -1, 3)[:, 0],
    lambda x: x[:, :, 1:],
    lambda x: x.softmax(-1),
    lambda x: x.flip(2),
    lambda x: x.roll(1, 0),
    lambda x: x + x[:, :, :1],
    lambda x: x.half().float(),
    lambda x: torch.cat([x, x], 2),
    lambda x: torch.cat([x[:, :1], x[:, 1:]], 1),
    lambda x: x.index_select(0, torch.zeros(ROWS, dtype=torch.int64)),
    lambda x: x[:2].repeat_interleave(2, 0),
]
STARTS = [
    lambda p, m, s: torch.cat([p.expand(ROWS, -1, -1, -1), s], 2),
    lambda p, m, s: torch.cat([p.repeat(ROWS, 1, 1, 1), m.repeat_interleave(2, 0)], 2),
    lambda p, m, s: torch.cat([m.repeat_interleave(2, 0), s], 2),
    lambda p, m, s: torch.cat([m.repeat(2, 1, 1, 1), s], 2),
]


@settings(max_examples=40, deadline=None)
@given(start=st.sampled_from(STARTS), steps=st.lists(st.sampled_from(STEPS), max_size=4), add=st.booleans())
def test_whatever_is_claimed_holds_when_it_is_run(start, steps, add):
    def function(p, m, s):
        value = start(p, m, s)
        for step in steps:
            value = step(value)
        return value + start(p, m, s)[:, :, :1] if add else value

    args = (prefix(), prefix(2, 1), suffix())
    check_by_running(function, args, layout_of(function, *args))
