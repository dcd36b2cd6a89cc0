"""What every operator of the dialect promises, whatever it computes."""

import importlib
import sys

import pytest
import torch
from regraft.compiler import ops
from regraft.compiler.ops import OPS, is_semantic, op_name
from torch.fx.experimental.proxy_tensor import make_fx
from torch.library import opcheck
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

CALLS = [
    pytest.param(op, args, kwargs, id=f"{op.name}-{i}")
    for op in OPS.values()
    for i, (args, kwargs) in enumerate(op.example_inputs())
]
every_call = pytest.mark.parametrize(("op", "args", "kwargs"), CALLS)


def as_function(op, args, kwargs):
    """The call as a function of its tensors alone, and those tensors."""
    leaves, spec = tree_flatten(args)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]

    def function(*tensors):
        filled = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            filled[place] = tensor
        return op.overload(*tree_unflatten(filled, spec), **kwargs)

    return function, [leaves[i] for i in places]


def call_targets(graph):
    return [node.target for node in graph.nodes if node.op == "call_function"]


def outputs(result):
    return result if isinstance(result, (tuple, list)) else (result,)


def double(tensor):
    if tensor.is_complex():
        return tensor.to(torch.complex128)
    return tensor.double() if tensor.is_floating_point() else tensor


def differentiable(tensor):
    copy = tensor.detach().clone()
    return copy.requires_grad_() if copy.is_floating_point() or copy.is_complex() else copy


def in_double(kwargs):
    return {key: torch.float64 if value is torch.float32 else value for key, value in kwargs.items()}


@every_call
def test_passes_every_check_of_opcheck(op, args, kwargs):
    args = tree_map_only(torch.Tensor, differentiable, args)
    opcheck(op.overload, args, kwargs)


@every_call
def test_is_one_node_before_dispatch(op, args, kwargs):
    function, tensors = as_function(op, args, kwargs)
    for mode in ("real", "fake", "symbolic"):
        graph = make_fx(function, pre_dispatch=True, tracing_mode=mode)(*tensors).graph
        assert [t for t in call_targets(graph) if is_semantic(t)] == [op.overload], mode
        assert all(is_semantic(t) or "getitem" in str(t) for t in call_targets(graph)), mode


@every_call
@pytest.mark.parametrize("strict", [False, True])
def test_is_one_node_under_export(op, args, kwargs, strict):
    function, tensors = as_function(op, args, kwargs)

    class Model(torch.nn.Module):
        def forward(self, *tensors):
            return function(*tensors)

    program = torch.export.export(Model(), tuple(tensors), strict=strict)
    assert [t for t in call_targets(program.graph) if is_semantic(t)] == [op.overload]
    decomposed = call_targets(program.run_decompositions().graph)
    assert decomposed
    assert not any(is_semantic(t) for t in decomposed)


@every_call
def test_is_one_node_in_the_graph_dynamo_hands_over(op, args, kwargs):
    function, tensors = as_function(op, args, kwargs)
    graphs = []

    def backend(module, example_inputs):
        graphs.append(module.graph)
        return module

    result = torch.compile(function, backend=backend, fullgraph=True)(*tensors)
    torch.testing.assert_close(result, function(*tensors))
    (graph,) = graphs
    assert [t for t in call_targets(graph) if is_semantic(t)] == [op.overload]


@every_call
def test_gradients_agree_with_finite_differences(op, args, kwargs):
    function, tensors = as_function(op, args, in_double(kwargs))
    tensors = [differentiable(double(t)) for t in tensors]

    def finite(*tensors):
        return tuple(out.masked_fill(out == -torch.inf, 0.0) for out in outputs(function(*tensors)))

    assert torch.autograd.gradcheck(finite, tensors, fast_mode=True)


@every_call
def test_gradients_in_single_precision_are_those_in_double(op, args, kwargs):
    function, tensors = as_function(op, args, kwargs)
    tensors = [t.float() if t.dtype == torch.bfloat16 else t for t in tensors]
    exact, _ = as_function(op, args, in_double(kwargs))
    gradients = []
    for call, inputs in (function, map(differentiable, tensors)), (exact, (differentiable(double(t)) for t in tensors)):
        inputs = list(inputs)
        sum(out.double().cos().sum() for out in outputs(call(*inputs))).backward()
        gradients.append([t.grad for t in inputs if t.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 0
    for single, exact_gradient in zip(*gradients, strict=True):
        scale = exact_gradient.abs().max().item()
        torch.testing.assert_close(
            double(single), exact_gradient, rtol=0, atol=scale * 50 * torch.finfo(torch.float32).eps
        )


@every_call
def test_works_on_fake_tensors_with_the_true_metadata(op, args, kwargs):
    real = outputs(op.overload(*args, **kwargs))
    with torch._subclasses.FakeTensorMode() as mode:
        fake = outputs(op.overload(*tree_map_only(torch.Tensor, mode.from_tensor, args), **kwargs))
    for a, b in zip(real, fake, strict=True):
        assert (a.shape, a.dtype, a.stride()) == (b.shape, b.dtype, b.stride())


@every_call
def test_an_empty_batch_gives_an_empty_result(op, args, kwargs):
    """Every argument with a row for each of the batch is cut; of shared prefixes one is left."""
    whole = outputs(op.overload(*args, **kwargs))
    rows = whole[0].shape[0]

    def cut(tensor):
        batched = tensor.shape[0] == rows and (tensor.dim() > 2 or not tensor.is_floating_point())
        return tensor[:0] if batched else tensor

    given = tree_map_only(torch.Tensor, cut, args)
    if op.name == "shared_prefix_cat":
        given = (args[0], args[1][:0])
    given = tree_map_only(torch.Tensor, differentiable, given)
    if whole[0].dim() < 3:
        pytest.skip("the call has no batch")
    found = outputs(op.overload(*given, **kwargs))
    assert [(x.shape, x.dtype) for x in found] == [((0, *x.shape[1:]), x.dtype) for x in whole]
    sum(x.double().sum() for x in found).backward()


@every_call
def test_under_autocast_it_is_what_its_reference_is(op, args, kwargs):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = outputs(op.overload(*args, **kwargs)), outputs(op.reference(*args, **kwargs))
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)


def test_the_table_says_what_is_registered():
    assert set(OPS) >= {
        "attention", "attention_lse", "merge_lse", "rms_norm", "layer_norm", "rotary", "gated_mlp",
        "long_conv", "long_conv_spectrum", "short_conv",
    }  # fmt: skip
    for name, op in OPS.items():
        assert op.name == name
        assert op.overload is getattr(torch.ops.regraft, name).default
        assert torch._C.parse_schema(op.schema) == op.overload._schema
        assert op.summary
        assert op.summary.endswith(".")


def test_an_operator_is_known_by_overload_and_by_packet():
    assert is_semantic(torch.ops.regraft.attention.default)
    assert is_semantic(torch.ops.regraft.attention)
    assert op_name(torch.ops.regraft.merge_lse.default) == "merge_lse"
    for other in (torch.ops.aten.linear.default, torch.ops.aten.mul, torch.nn.functional.linear, "attention", None):
        assert not is_semantic(other)
    with pytest.raises(KeyError, match=r"aten\.linear"):
        op_name(torch.ops.aten.linear.default)


def test_importing_again_leaves_the_operators_in_place():
    x = torch.ones(2, 3)
    names = [name for name in sys.modules if name.startswith("regraft.compiler.ops")]
    kept = {name: sys.modules.pop(name) for name in names}
    try:
        again = importlib.import_module("regraft.compiler.ops")
        assert again is not ops
        assert again.OPS["rms_norm"].overload is OPS["rms_norm"].overload
        importlib.reload(again)
        importlib.reload(sys.modules["regraft.compiler.ops.registry"])
        torch.testing.assert_close(torch.ops.regraft.rms_norm(x), x)
    finally:
        sys.modules.update(kept)
    torch.testing.assert_close(torch.ops.regraft.rms_norm(x), x)
