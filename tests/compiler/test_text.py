"""Text reads back as the program it was printed from, and says where it is wrong when it is."""

import ast
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.errors import UnsupportedModelError, UsageError
from regraft.compiler.execute import execute
from regraft.compiler.pipeline import Pipeline
from regraft.compiler.program import InputKind
from regraft.compiler.text import equal, parse_program, print_program, seeded_inputs, seeded_weights
from regraft.compiler.text.literals import literal, parse_literal
from regraft.frontend.capture import capture
from regraft.passes import DEFAULT, registry
from torch import nn


class Everything(nn.Module):
    """Tied and frozen weights, a buffer, regions, branches, sizes, special floats, several results, nested results."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.second.bias.requires_grad_(False)
        self.register_buffer("steps", torch.arange(3))

    def forward(self, x, scale, flag, *, mask=None):
        with torch.autocast("cpu", torch.bfloat16):
            low = self.first(x)
        with torch.no_grad():
            peak = low.float().amax(-1)
        most = x.shape[0] - 1
        parts = x.split([3, 5], dim=1)
        held = self.second(x).masked_fill(x > 0, -math.inf).clamp(min=-1e30)
        chosen = torch.cond(x.sum() > 0, lambda t: t.sin(), lambda t: t.cos(), (x,))
        cut = x[:most].transpose(0, 1).contiguous(memory_format=torch.contiguous_format)
        return {"low": low, "peak": [peak, None], "rest": (parts[1], held + chosen * scale), "cut": cut + self.steps[0]}


@pytest.fixture
def program():
    inputs = (torch.randn(6, 8), torch.randn(8, 4).t()[:1].reshape(1, 8), True)
    shapes = {"x": {0: torch.export.Dim("rows", min=4, max=512)}, "scale": None, "flag": None}
    return capture(Everything().eval(), inputs, dynamic_shapes=shapes)


def test_a_printed_program_reads_back_equal(program):
    text = print_program(program)
    ast.parse(text)
    parsed = parse_program(text)
    assert equal(program, parsed) is None
    assert print_program(parsed) == text


def test_a_read_program_computes_the_same(program):
    parsed = parse_program(print_program(program))
    inputs = seeded_inputs(program)
    expected = execute(program, inputs, program.weights)
    for left, right in zip(expected, execute(parsed, inputs, program.weights), strict=True):
        assert left is right or torch.equal(left.nan_to_num(), right.nan_to_num())


def test_inputs_keep_kind_name_tie_and_gradients(program):
    parsed = parse_program(print_program(program))
    assert [record.kind for record in parsed.inputs] == [record.kind for record in program.inputs]
    assert {r.fqn: r.tied_to for r in parsed.inputs if r.tied_to} == {"second.weight": "first.weight"}
    needs = {
        r.fqn: n.meta["val"].requires_grad for r, n in zip(parsed.inputs, parsed.placeholders(), strict=True) if r.fqn
    }
    assert needs["first.bias"]
    assert not needs["second.bias"]


def test_symbolic_sizes_keep_their_bounds_and_hints(program):
    text = print_program(program)
    assert "s0 = dim(4, 512, hint=6)" in text
    parsed = parse_program(text)
    assert list(parsed.ranges.values()) == [(4, 512)]
    assert seeded_inputs(parsed)[0].shape == (6, 8)
    assert execute(parsed, [torch.ones(7, 8), torch.ones(1, 8), True], seeded_weights(parsed))[0].shape == (7, 8)


def test_structures_of_builtin_containers_are_kept(program):
    parsed = parse_program(print_program(program))
    assert parsed.in_spec == program.in_spec
    assert parsed.out_spec == program.out_spec


def test_a_rewritten_program_with_folded_weights_reads_back_equal(program):
    Pipeline.parse(DEFAULT, registry).run(program)
    assert equal(program, parse_program(print_program(program))) is None


def test_source_lines_are_kept_when_asked_for(program):
    text = print_program(program, lines=True)
    assert " | " in text
    assert "test_text.py" in text
    assert print_program(parse_program(text), lines=True) == text


def test_a_program_of_dynamo_with_symbols_as_inputs_reads_back_equal():
    text = """program(door="dynamo")
s0 = dim(2, None, hint=5)


def graph(s0: s0 = symbol(), x: f32[s0, 4].strided(1, s0) = user(requires_grad=True)):
    enter_autocast = torch.enter_autocast("cpu", torch.bfloat16, True, True)
    mm: bf16[4, 4] = aten.mm.default(x, x)
    exit_autocast = torch.exit_autocast(enter_autocast)
    mul: 2*s0 = operator.mul(s0, 2)
    return (mm, mul)
"""
    text = text.replace("aten.mm.default(x, x)", "aten.matmul.default(t, x)").replace(
        "    mm:", "    t: f32[4, s0] = aten.t.default(x)\n    mm:"
    )
    program = parse_program(text)
    assert [record.kind for record in program.inputs] == [InputKind.SYMBOL, InputKind.USER]
    x = program.placeholders()[1].meta["val"]
    assert x.requires_grad
    assert not x.is_contiguous()
    assert print_program(program) == text
    product, doubled = execute(program, seeded_inputs(program))
    assert (product.dtype, doubled) == (torch.bfloat16, 10)


def test_a_size_known_only_at_run_time_reads_back():
    text = """u0 = dim(0, None)


def graph(x: f32[6]):
    nonzero: i64[u0, 1] = aten.nonzero.default(x)
    add: i64[u0, 1] = aten.add.Tensor(nonzero, 1)
    return (add,)
"""
    program = parse_program(text)
    assert equal(program, parse_program(print_program(program))) is None
    assert execute(program, [torch.tensor([0.0, 1, 2, 0, 0, 0])])[0].shape == (2, 1)


def test_tensors_the_graph_owns_are_small_enough_to_be_written_or_seeded():
    text = """def graph(x: f32[2]):
    two: f32[2] = attr("two", value=[0.1, float("inf")])
    many: f32[100] = attr("folded.many")
    add: f32[2] = aten.add.Tensor(x, two)
    return (add, many)
"""
    program = parse_program(text)
    assert torch.equal(program.module.two, torch.tensor([0.1, math.inf]))
    again = parse_program(print_program(program))
    assert equal(program, again) is None
    assert torch.equal(program.module.folded.many, again.module.folded.many)


def test_equal_names_the_first_difference(program):
    text = print_program(program)
    other = parse_program(text)
    assert equal(program, other) is None
    other = parse_program(text.replace("# first", "# second"))
    assert "module path 'first' and 'second'" in (equal(program, other) or "")


SMALL = """s0 = dim(2, 9, hint=3)


def graph(w: f32[8, 4] = parameter("w"), x: f32[s0, 4] = user()):
    linear: f32[s0, 8] = aten.linear.default(x, w)
    return (linear,)
"""


@pytest.mark.parametrize(
    ("old", "new", "place", "what", "hint"),
    [
        ("aten.linear.default", "aten.linaer.default", "5:26", "unknown operator 'aten.linaer.default'", "aten.linear"),
        ("aten.linear.default", "hop.condd", "5:26", "unknown operator", "hop.cond"),
        ("linear: f32[s0, 8]", "linear: f32[s0, 7]", "5:13", "declared f32[s0, 7] but computes f32[s0, 8]", None),
        ("linear: f32[s0, 8]", "linear: f32[t, 8]", "5:17", "'t' is neither", "expected"),
        ("linear: f32[s0, 8]", "linear: g32[s0, 8]", "5:13", "'g32' is neither", "expected"),
        ("(x, w)", "(x, v)", "5:49", "'v' is not defined here", "known"),
        ("aten.linear.default(x, w)", "aten.mm.default(w, w)", "5:26", "does not take these arguments", None),
        ("(x, w)", "(x)", "5:26", "lacks its argument 'weight'", "expected"),
        ("(x, w)", "(x, w, biass=None)", "5:52", "no argument 'biass'", "bias"),
        ("(x, w)", "(x, print(1))", "5:49", "'print' cannot be called", "expected"),
        ('parameter("w")', 'paramter("w")', "4:26", "'paramter' is not a kind of input", "parameter"),
        ('parameter("w")', "parameter()", "4:26", "needs its name", "expected"),
        ('parameter("w")', 'parameter("w", tide="v")', "4:41", "unknown option 'tide'", "tied"),
        ("w: f32[8, 4]", "w", "4:11", "has no type", "expected"),
        ("dim(2, 9, hint=3)", "dim(2, 1)", "1:13", "no less than the lowest", None),
        ("dim(2, 9, hint=3)", "dim(2, 9, hint=10)", "1:6", "outside the bounds", None),
        ("    return (linear,)\n", "", "5:5", "does not end in 'return'", None),
        ("return (linear,)", "for a in b: pass", "6:5", "not a statement of a graph", "expected"),
        ("def graph", "def grahp", "4:1", "does not belong at the top level", "expected"),
        ("def graph(", "def graph((", "4:", "not Python syntax", None),
        ("linear: ", "x: ", "5:5", "'x' is defined twice", None),
    ],
)
def test_malformed_text_is_refused_with_its_place(old, new, place, what, hint):
    assert old in SMALL
    with pytest.raises(UsageError) as refusal:
        parse_program(SMALL.replace(old, new, 1), file="small.ir.py")
    error = refusal.value
    assert what in error.what
    assert error.where.startswith(f"small.ir.py:{place}")
    assert hint is None or hint in error.hint


def test_text_can_call_nothing_but_operators():
    for target in ("torch.load", "os.system", "operator.methodcaller", "torch.ops.load_library"):
        with pytest.raises(UsageError, match="unknown operator"):
            parse_program(SMALL.replace("aten.linear.default(x, w)", f'{target}("x")'))


def test_a_graph_out_of_normal_form_is_refused():
    graph = capture(nn.ReLU(), (torch.randn(3),))
    call = next(node for node in graph.graph.nodes if node.op == "call_function")
    call.target = torch.nn.functional.relu
    with pytest.raises(UnsupportedModelError, match="cannot be written as text"):
        print_program(graph)


def test_comments_and_docstrings_are_free_and_formatting_is_no_difference():
    loose = '"""A head."""\n# of a model\n' + SMALL.replace("(x, w)", "(\n        x,\n        w,\n    )  # head")
    tight = SMALL.replace("(x, w)", "(x, w)  # head")
    assert equal(parse_program(loose), parse_program(tight)) is None


def test_seeded_indices_stay_inside_their_table_and_masks_keep_their_first_keys():
    program = parse_program("""def graph(
    table: f32[5, 4] = parameter("table"),
    tied: f32[5, 4] = parameter("tied", tied="table"),
    ids: i64[3, 8] = user(),
    mask: b1[3, 8] = user(),
):
    unsqueeze: i64[3, 8, 1] = aten.unsqueeze.default(ids, -1)
    embedding: f32[3, 8, 1, 4] = aten.embedding.default(table, unsqueeze)
    return (embedding, mask)
""")
    ids, mask = seeded_inputs(program)
    assert 0 <= ids.min() < ids.max() < 5
    assert mask[:, :6].all()
    weights = seeded_weights(program)
    assert weights["tied"] is weights["table"]
    assert not torch.equal(weights["table"], seeded_weights(program, 1)["table"])


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
scalars |= st.sampled_from([..., torch.float32, torch.strided, torch.preserve_format, torch.device("cuda:1")])
scalars |= st.complex_numbers(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)))
def test_every_argument_reads_back_as_it_was(value):
    again = parse_literal(ast.parse(literal(value), mode="eval").body, {})
    assert repr(again) == repr(value)
    assert type(again) is type(value)


def test_complex_numbers_keep_infinities_and_the_signs_of_zeros():
    for value in (complex(math.inf, -0.0), complex(-0.0, math.nan), -0j):
        assert repr(parse_literal(ast.parse(literal(value), mode="eval").body, {})) == repr(value)
