"""Pointwise work round a call goes into its kernel, seen from the pass: what is absorbed, told, and left alone."""

import pytest
import regraft
import torch
import torch.nn.functional as F
from regraft.compiler.numerics import check_program
from regraft.compiler.pipeline import Pipeline
from regraft.frontend.capture import capture
from regraft.frontend.testing import assert_no_worse, run_pass
from regraft.kernels import candidates
from regraft.kernels.matmul.candidates import LinearReference, LinearTile
from regraft.kernels.norm.candidates import RmsNormTile
from regraft.lowering.candidates import call_of, operator_of
from regraft.lowering.costs import Measured, key_of, record
from regraft.lowering.pointwise import by_rows, by_strides
from regraft.lowering.targets import target_for
from regraft.passes import DEFAULT, registry
from torch import fx, nn

H200 = target_for("sm_90")


class Eval(nn.Module):
    """A function in eval mode."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def measure(graph):
    """Every tile kernel for a call of the graph was a million times faster than the reference."""
    for node in graph.nodes:
        op = operator_of(node)
        if f"{op}.tile" in candidates.by_op.get(op, ()):
            call, tile = call_of(node), candidates.registry.get(f"{op}.tile")()
            quick = Measured(1e-6, tile.configs(call, H200)[-1])
            record({key_of(call, candidates.reference(op), H200): {"tile": quick, "inductor": Measured(1.0)}})


@pytest.fixture
def select(monkeypatch):
    """Run ``select-kernels`` as on a GPU on which every tile kernel was measured to be fast."""
    monkeypatch.setattr("regraft.lowering.select.target_of", lambda device: H200)

    def run(function, *types, gradients=True):
        model = Eval(function).eval()
        measure(run_pass([], model, *types).before.graph)
        found = run_pass("select-kernels", model, *types)
        checked = check_program(found.before, found.program, found.inputs, gradients=gradients)
        assert checked.ok, str(checked)
        return found

    return run


def absorbed(found):
    """What the one selected kernel says it takes over."""
    (remark,) = (remark for remark in found.remarks if remark.code == "selected")
    return remark.message.partition("; it takes over ")[2]


def left(found):
    """The calls of ATen that do more than change a shape."""
    shapes = {"aten.view.default", "aten.reshape.default", "aten.transpose.int", "aten.contiguous.default",
              "aten.expand.default", "aten.permute.default"}  # fmt: skip
    return {target for target in found.targets() if target.startswith("aten.")} - shapes


X, W, B, Y = "f32[3, 5, 16]", "f32[20, 16]", "f32[20]", "f32[3, 5, 20]"


@pytest.mark.parametrize(
    ("work", "types", "told"),
    [
        (lambda y, gate, r: F.gelu(y) * gate + r, (Y, Y), "(gelu(x) * full0) + full1"),
        (lambda y, b, c: (y + b) * c, (B, "f32[3, 5, 1]"), "(x + row0) * column0"),
        (lambda y, r: torch.maximum(y, r).clamp(-1, 2), (Y,), "minimum(maximum(maximum(x, full0), -1.0), 2.0)"),
        (lambda y: F.dropout(y * 0.5, 0.3, training=False).bfloat16(), (), "x * 0.5"),
        (lambda y: (h := y * 2, h.bfloat16()), (), "x * 2.0"),
        (lambda y, r: (y + r, F.silu(y + r)), (Y,), "x + full0, silu(x + full0)"),
    ],
    ids=["gate and residual", "row and column", "bounds", "dropout in eval, cast", "a cast beside", "two outputs"],
)
def test_work_behind_a_product_is_absorbed(select, work, types, told):
    found = select(lambda x, w, *rest: work(F.linear(x, w), *rest), X, W, *types)
    assert absorbed(found) == f"{told} behind it"
    assert found.count("regraft_tile.matmul") == 1
    assert left(found) <= {"aten.to.dtype"}


def test_work_before_a_narrow_product_is_absorbed(select):
    found = select(lambda g, u, w, b: F.relu(F.linear(F.silu(g) * u, w, b)), X, X, W, B)
    assert absorbed(found) == "silu(x) * full0 before it and relu(x) behind it"
    assert not left(found)


@pytest.mark.parametrize(
    ("function", "types"),
    [
        (lambda g, u, w: F.linear(F.silu(g) * u, w), (X, X, "f32[300, 16]")),
        (lambda g, w: (h := F.silu(g), F.linear(h, w)), (X, W)),
        (lambda x, w: (h := F.relu(x)) @ h, ("f32[16, 16]", "f32[16, 16]")),
        (lambda g, w: F.linear(F.dropout(F.silu(g), 0.5), w), (X, W)),
        (lambda g, w: F.linear(g * g.sum(-1, keepdim=True).long(), w), (X, W)),
        (lambda g, u, w: (h := g + u, g.mul_(2), F.linear(h, w)), (X, X, W)),
    ],
    ids=["a wide product", "used by others", "both operands", "dropout", "integers", "written in place"],
)
def test_work_before_a_product_stays_where_it_must(select, function, types):
    found = select(function, *types)
    assert "before it" not in " ".join(remark.message for remark in found.remarks)


@pytest.mark.parametrize(
    ("work", "types"),
    [
        (lambda y: y.softmax(-1), ()),
        (lambda y: y.sum(-1, keepdim=True), ()),
        (lambda y: F.dropout(y, 0.5), ()),
        (lambda y: y > 0, ()),
        (lambda y: y * float("inf"), ()),
        (lambda y, r: y * r, ("f64[3, 5, 20]",)),
        (lambda y, r: y * r, ("f32[5, 20]",)),
        (lambda y, r: y * r, ("f32[3, 1, 20]",)),
        (lambda y, r: y * r, ("f32[2, 3, 5, 20]",)),
        (lambda y, r: (y, y + r.mul_(y.sum()), y.sum()), (Y,)),
        (lambda y: (y.exp(), y.sin(), y.cos()), ()),
        (lambda y: (y.exp(), y.sum() + y), ()),
    ],
    ids=[
        "softmax", "reduction", "dropout", "comparison", "infinity", "another dtype", "row for each row",
        "row for some", "broadcast", "in place", "three outputs", "nothing is spared",
    ],
)  # fmt: skip
def test_work_that_a_product_cannot_do_stays(select, work, types):
    found = select(lambda x, w, *rest: work(F.linear(x, w), *rest), X, W, *types)
    assert absorbed(found) == ""


RMS, ROW = torch.ops.regraft.rms_norm, "f32[16]"


@pytest.mark.parametrize(
    ("function", "types", "told"),
    [
        (lambda x, w, g: RMS(x, w) * F.silu(g), (X, ROW, X), "x * silu(full0) behind it"),
        (lambda x, r, w, g: (t := x + r, RMS(t, w) * g), (X, X, ROW, X), "the sum before it and x * full0 behind it"),
        (lambda x, r, w: (t := x + r, RMS(t, w) + t), (X, X, ROW), "the sum before it"),
        (lambda x, r, w, g: (t := x + r, y := RMS(t, w), y * (t * g)), (X, X, ROW, X), "the sum before it"),
        (lambda x, r, w, g: (t := x + r, u := t * 2, RMS(t, w) * g, u), (X, X, ROW, X), "x * full0 behind it"),
        (lambda x, w: RMS(x, w).softmax(-1), (X, ROW), ""),
    ],
    ids=["gate", "sum and gate", "the sum again", "work on the sum", "the sum before", "softmax"],
)
def test_a_norm_takes_the_sum_before_it_and_the_work_behind_it(select, function, types, told):
    # The gradients of norms, which take a while without a GPU, have tests of their own.
    assert absorbed(select(function, *types, gradients=False)) == told


def test_what_inductor_fuses_with_a_norm_and_the_kernel_does_not_counts_against_it():
    def spared(function, *types):
        graph = run_pass([], Eval(function).eval(), *types).before.graph
        (norm,) = graph.find_nodes(op="call_function", target=RMS.default)
        return RmsNormTile().spared_bytes(RmsNormTile().match(norm))

    assert spared(lambda x, w: RMS(x, w) * 2, X, ROW) == 0
    assert spared(lambda x, w: RMS(x, w).pow(3), X, ROW) == -2 * 4 * 3 * 5 * 16
    assert spared(lambda x, w, m: F.linear(RMS(x, w), m), X, ROW, W) == 0
    assert spared(lambda x, w: RMS(x.sin(), w), X, ROW) == -2 * 4 * 3 * 5 * 16
    assert spared(lambda x, r, w: RMS(x + r, w), X, X, ROW) == 0
    assert spared(lambda x, w, g: RMS(x, w) * g.pow(3), X, ROW, X) == -2 * 4 * 3 * 5 * 16


ATTENTION = torch.ops.regraft.attention
Q, K, GATE = "f32[2, 4, 3, 8]", "f32[2, 2, 5, 8]", "f32[2, 3, 32]"


def merged(heads):
    return heads.transpose(1, 2).contiguous().reshape(2, 3, 32)


@pytest.mark.parametrize(
    ("work", "types", "told"),
    [
        (lambda y, r: y * 0.5 + r, ("f32[4, 1, 8]",), "(x * 0.5) + full0"),
        (lambda y, g: merged(y) * torch.sigmoid(g), (GATE,), "x * sigmoid(full0)"),
        (lambda y, b, g: (h := merged(y) + b, h * g), ("f32[32]", GATE), "v0 = x + full0; v0, v0 * full1"),
        (lambda y, g, w: F.linear(F.gelu(merged(y)) * g, w), (GATE, "f32[7, 32]"), "gelu(x) * full0"),
        (lambda y, g: (merged(y), merged(y) * g), (GATE,), ""),
        (lambda y: merged(y).softmax(-1), (), ""),
    ],
    ids=["by strides", "merged heads", "two outputs", "before a projection", "views of others", "softmax"],
)  # fmt: skip
def test_work_behind_attention_is_absorbed_also_behind_the_merging_of_heads(select, work, types, told):
    found = select(lambda q, k, v, *rest: work(ATTENTION(q, k, v, mask="causal", offset=2), *rest), Q, K, K, *types)
    remark = next(remark for remark in found.remarks if remark.rule == "attention.tile")
    assert remark.message.partition("; it takes over ")[2] == (told and f"{told} behind it")
    assert bool(left(found) - {"aten.linear.default"}) == (not told)


@pytest.mark.parametrize(
    ("work", "types", "told"),
    [
        (lambda y, d: F.gelu(y + d), ("f32[3, 1]",), "gelu(x + full0)"),
        (lambda y, r: F.gelu(y).transpose(1, 2) + r, ("f32[2, 70, 3]",), "gelu(x)"),
        (lambda y, r: F.relu(y.transpose(1, 2) + r), ("f32[2, 70, 3]",), "relu(x + full0)"),
        (lambda y: (h := y * 2, torch.tanh(h)), (), "v0 = x * 2.0; v0, tanh(v0)"),
        (lambda y: y.cumsum(-1), (), ""),
    ],
    ids=["bias and activation", "a view between", "behind a view", "two outputs", "sums"],
)
def test_work_behind_a_long_convolution_is_absorbed(select, work, types, told):
    long_conv = torch.ops.regraft.long_conv
    found = select(lambda u, k, *rest: work(long_conv(u, k), *rest), "f32[2, 3, 70]", "f32[3, 70]", *types)
    assert absorbed(found) == (told and f"{told} behind it")
    assert found.count("regraft_tile.long_conv_epilogue") == bool(told)


def test_what_may_not_be_moved_leaves_the_kernel_without_it(select):
    def written(x, w, r):
        y = F.relu(F.linear(x, w))
        x.mul_(2)
        return y + r

    found = select(written, X, W, Y, gradients=False)
    assert absorbed(found) == ""
    assert found.count("regraft_tile.matmul") == 1


class Gated(nn.Module):
    """A block with gated attention and a feed-forward part."""

    def __init__(self, width=32):
        super().__init__()
        self.before, self.between = nn.RMSNorm(width), nn.LayerNorm(width)
        self.qkv, self.gate, self.out = (nn.Linear(width, n * width) for n in (3, 1, 1))
        self.up, self.down = nn.Linear(width, 48), nn.Linear(48, width)

    def forward(self, x):
        y = self.before(x)
        q, k, v = (z.view(2, 9, 4, 8).transpose(1, 2) for z in self.qkv(y).chunk(3, -1))
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(2, 9, 32)
        x = x + self.out(heads * torch.sigmoid(self.gate(y)))
        return x + self.down(F.gelu(self.up(self.between(x))))


def test_optimize_absorbs_in_a_model_and_tells_where(monkeypatch):
    monkeypatch.setattr("regraft.lowering.select.target_of", lambda device: H200)
    model, x = Gated().eval(), torch.randn(2, 9, 32)
    passes = [name for name in DEFAULT.split(",") if name != "select-kernels"]
    measure(run_pass(passes, model, x).program.graph)
    fast = regraft.optimize(model, (x,), timing_runs=0)
    told = {str(remark.site): remark.message for remark in fast.report.remarks if remark.code == "selected"}
    assert {site: text.partition("takes over ")[2] for site, text in told.items() if "takes over" in text} == {
        "/attention#0": "x * sigmoid(full0) behind it",
        "out/linear#0": "full0 + x behind it",
        "up/linear#0": "gelu(x) behind it",
        "down/linear#0": "full0 + x behind it",
    }
    torch.testing.assert_close(fast(x), model(x), rtol=1e-5, atol=1e-5)


def test_in_training_nothing_is_absorbed_that_a_backward_would_compute_again(select):
    types = [(X, W), (Q, K, K), ("f32[2, 3, 70]", "f32[3, 70]"), (X, "f32[16]")]
    calls = [F.linear, ATTENTION, torch.ops.regraft.long_conv, RMS]
    for function, given in zip(calls, types, strict=True):
        graph = run_pass([], Eval(lambda *args, f=function: F.relu(f(*args))).eval(), *given).before.graph
        (node,) = (node for node in graph.nodes if operator_of(node) in candidates.by_op)
        tile = candidates.registry.get(f"{operator_of(node)}.tile")()
        assert len(tile.match(node).nodes) == 2
        assert tile.match(node, training=True).nodes == (node,)


def test_work_on_a_dynamic_length_is_absorbed_and_what_it_spares_counted_at_every_length(monkeypatch):
    monkeypatch.setattr("regraft.lowering.select.target_of", lambda device: H200)
    rows = torch.export.Dim("rows", min=2, max=8)
    inputs = torch.randn(3, 5, 16), torch.randn(20, 16), torch.randn(3, 5, 20)
    model = Eval(lambda x, w, r: F.gelu(F.linear(x, w)) + r).eval()
    program = capture(model, inputs, dynamic_shapes=(({0: rows}, None, {0: rows}),))
    (product,) = program.graph.find_nodes(op="call_function", target=torch.ops.aten.linear.default)
    call, spared = call_of(product), 2 * 4 * 5 * 20 / H200.memory_rate
    config = LinearTile().configs(call, H200)[-1]
    for n in (2, 4, 8):
        # Slower than the reference by half of what is spared.
        times = {"tile": Measured(1e-9 + n * spared / 2, config), "inductor": Measured(1e-9)}
        record({key_of(call.at(lambda _, n=n: n), LinearReference(), H200): times})
    result = Pipeline.parse("select-kernels", registry).run(program)
    assert [remark.code for remark in result.remarks] == ["selected"]
    assert next(iter(result.remarks)).message.endswith("gelu(x) + full0 behind it")
    for count in (2, 7):
        given = [torch.randn(count, 5, 16), inputs[1], torch.randn(count, 5, 20)]
        assert_no_worse(program, result.program, given)


def test_symbolic_sizes_that_are_not_known_to_agree_do_not_lie_beside_each_other():
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    mode = FakeTensorMode(shape_env=ShapeEnv(duck_shape=False))
    two, other = (mode.from_tensor(torch.ones(5, size), static_shapes=False) for size in (20, 20))
    node = fx.Graph().placeholder("x")
    for value, expected in ((two, "full"), (two.sum(1, keepdim=True), "column"), (two[:1], "row"), (other, None)):
        node.meta["val"] = value
        assert by_rows(two)(node) == expected
        assert by_strides(two)(node) == (expected and "full")
    assert not mode.shape_env.guards
