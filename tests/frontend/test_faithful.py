"""What a model computes, what it gives its inputs as gradients and what it writes survive the normal form.

Both doors are held to eager bit for bit: the Dynamo door by running the normalised graph eagerly, the export door by
executing the captured program.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from regraft.compiler.errors import UnsupportedModelError
from regraft.compiler.execute import execute
from regraft.compiler.remarks import Remark, RemarkLog
from regraft.frontend.capture import capture
from regraft.frontend.normalise import normalise
from torch import Tensor, nn
from torch._dynamo.backends.debugging import aot_eager
from torch.nn.attention.flex_attention import flex_attention
from torch.utils import _pytree as pytree
from torch.utils.checkpoint import checkpoint


@dataclass
class Outcome:
    """Everything one call of a model is seen to do."""

    outputs: list[Any]
    gradients: list[Tensor | None]
    inputs: list[Tensor]
    buffers: dict[str, Tensor]

    def assert_equal(self, other: "Outcome") -> None:
        pytree.tree_map(_assert_same, self.__dict__, other.__dict__)


def _assert_same(left: Any, right: Any) -> None:
    if isinstance(left, Tensor):
        assert left.dtype == right.dtype
        torch.testing.assert_close(left, right, rtol=0, atol=0, equal_nan=True)
    else:
        assert left == right


def observe(model: nn.Module, call: Callable[..., Any], inputs: tuple[Any, ...]) -> Outcome:
    """Run ``call`` on copies of ``inputs`` with a fixed seed, then backward from all outputs, weighted."""
    leaves = [x.detach().clone().requires_grad_(x.requires_grad) if isinstance(x, Tensor) else x for x in inputs]
    # Leaves that want gradients cannot be written in place, so the call sees them through a clone.
    given = [x.clone() if isinstance(x, Tensor) else x for x in leaves]
    torch.manual_seed(3)
    outputs = [value for value in pytree.tree_leaves(call(*given)) if value is not None]
    wanted = [x for x in leaves if isinstance(x, Tensor) and x.requires_grad]
    wanted += [p for p in model.parameters() if p.requires_grad]
    total = sum((_weigh(out) for out in outputs if isinstance(out, Tensor) and out.requires_grad), torch.zeros(()))
    gradients = torch.autograd.grad(total, wanted, allow_unused=True) if total.requires_grad and wanted else ()
    return Outcome(
        [out.detach() if isinstance(out, Tensor) else out for out in outputs],
        [None if grad is None else grad.detach() for grad in gradients],
        [x.detach() for x in given if isinstance(x, Tensor)],
        {name: buffer.detach().clone() for name, buffer in model.named_buffers()},
    )


def _weigh(value: Tensor) -> Tensor:
    real = torch.view_as_real(value) if value.is_complex() else value
    return (real.double() * torch.linspace(-1, 1, real.numel(), dtype=torch.float64).view(real.shape).cos()).sum()


def through_dynamo(model: Callable[..., Any], aot: bool = False, **options: Any) -> Callable[..., Any]:
    """``model`` with its Dynamo graphs run in the normal form, eagerly or through AOTAutograd."""

    def backend(gm, example_inputs):
        remarks = RemarkLog()
        program = normalise(gm, example_inputs, remarks)
        program.module.graph.lint()
        copied.extend(remarks)
        return aot_eager(program.module, example_inputs) if aot else program.module.forward

    copied: list[Remark] = []
    compiled = torch.compile(model, backend=backend, **options)
    compiled.copied = copied
    return compiled


def through_export(model: nn.Module, inputs: tuple[Any, ...], **options: Any) -> Callable[..., Any]:
    program = capture(model, inputs, **options)
    return lambda *given: execute(program, pytree.tree_leaves(given))


class InPlaceOnValues(nn.Module):
    def forward(self, x):
        y = x * 2
        y.mul_(3)
        y[0] = 1
        y[:, 1:].add_(x[:, :-1])
        y += x
        return y.sum(), y


class InPlaceOnViews(nn.Module):
    def forward(self, x):
        y = x.clone()
        row = y[1]
        column = y.transpose(0, 1)[2]
        row.zero_()
        before = column.clone()
        column.copy_(x[:, 0].exp())
        return y, before, row * 2


class InPlaceOnInputs(nn.Module):
    def forward(self, x):
        x.add_(1)
        first = x[0] * 3
        x[0].zero_()
        return first, x.cos()


class InPlaceOnBuffers(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("running", torch.ones(5))

    def forward(self, x):
        self.steps += 1
        old = self.running * 1
        self.running.mul_(0.9).add_(x.detach().mean(0), alpha=0.1)
        return x * old + self.running, self.steps + 1


class MasksInPlace(nn.Module):
    def forward(self, x):
        y = x.clone()
        y[x > 0] = 0.5
        y.masked_fill_(x < -1, float("-inf"))
        return torch.where(y.isinf(), 0.0, y)


class ReshapesInPlace(nn.Module):
    def forward(self, x):
        y = x.clone()
        a = y.flatten()
        y.unsqueeze_(0)
        return a, y * 2, y.flatten()


class DropsOut(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x, 0.3) + torch.rand_like(x) * nn.functional.dropout(x, 0.5, training=False)


class Autocasts(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 7)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.linear(x)
            with torch.autocast("cpu", enabled=False):
                z = self.linear(x)
        return y, z, y.float() @ z.T


class StopsGradients(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5))

    def forward(self, x):
        with torch.no_grad():
            scale = (x * self.weight).abs().mean(-1, keepdim=True)
            with torch.enable_grad():
                kept = self.weight.sin()
        return x / (1 + scale) * kept


class Checkpoints(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(5, 9), nn.GELU(), nn.Linear(9, 5))

    def forward(self, x):
        return checkpoint(self.inner, x, use_reentrant=False) + x


class WrongOnPurpose(torch.autograd.Function):
    """Identity with seven times the gradient: shows whether the backward was kept."""

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 7


class CustomBackward(nn.Module):
    def forward(self, x):
        return WrongOnPurpose.apply(x.sin()) + x


class Branches(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: x.sin() * 2, lambda x: x.cos(), (x,))


@torch.compiler.nested_compile_region
def region(x, y):
    return (x * y).sin() + y


class NestedRegions(nn.Module):
    def forward(self, x):
        return region(region(x, x * 2), x)


class FlexAttends(nn.Module):
    def forward(self, x):
        def score(score, batch, head, query, key):
            return torch.where(query >= key, score + 0.1 * (key - query), -float("inf"))

        return flex_attention(x, x * 2, x.cos(), score_mod=score)


class FourierConvolves(nn.Module):
    def __init__(self):
        super().__init__()
        self.filter = nn.Parameter(torch.randn(3, 7))

    def forward(self, x):
        spectrum = torch.fft.rfft(x, n=14) * torch.fft.rfft(self.filter, n=14).conj()
        rotated = torch.view_as_complex(x[..., :6].reshape(2, 3, 3, 2).contiguous()) * torch.polar(
            torch.ones(3), torch.arange(3.0)
        )
        return torch.fft.irfft(spectrum, n=14)[..., :7], torch.view_as_real(rotated), spectrum.abs(), spectrum.real


class SelfAttends(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.attention(x, x, x, attn_mask=mask, is_causal=True, need_weights=False)[0]


class Maps(nn.Module):
    def forward(self, x):
        return torch.vmap(lambda row: (row * row.sum()).sin())(x)


class TakesParts(nn.Module):
    def forward(self, x):
        a, b = x.chunk(2, dim=-1)
        top = torch.topk(x, 2)
        return torch.cat(x.split(2)), a.sum() + b.sum(), top.values, top.indices, x.max(dim=0).values, x.T, x.shape[0]


class TrainingStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))

    def forward(self, x, labels):
        return nn.functional.cross_entropy(self.net(x), labels)


@dataclass
class Case:
    model: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Any, ...]] = lambda: (torch.randn(4, 5, requires_grad=True),)
    aot: bool = False
    """Whether the Dynamo graph needs AOTAutograd to run at all."""


def values(*shape: int) -> Callable[[], tuple[Tensor, ...]]:
    return lambda: (torch.randn(*shape, requires_grad=True),)


CASES = {
    "in-place-on-values": Case(InPlaceOnValues),
    "in-place-on-views": Case(InPlaceOnViews),
    "in-place-on-inputs": Case(InPlaceOnInputs),
    "in-place-on-inputs-without-gradients": Case(InPlaceOnInputs, lambda: (torch.randn(4, 5),)),
    "in-place-on-buffers": Case(InPlaceOnBuffers),
    "masks-in-place": Case(MasksInPlace),
    "reshapes-in-place": Case(ReshapesInPlace),
    "batch-norm-training": Case(lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4)), values(2, 3, 9)),
    "batch-norm-eval": Case(lambda: nn.BatchNorm1d(3).eval(), values(2, 3, 9)),
    "dropout": Case(DropsOut),
    "autocast": Case(Autocasts),
    "no-grad": Case(StopsGradients),
    "checkpoint": Case(Checkpoints),
    "autograd-function": Case(CustomBackward),
    "cond": Case(Branches),
    "nested-region": Case(NestedRegions, aot=True),
    "flex-attention": Case(FlexAttends, lambda: (torch.randn(1, 2, 16, 8),)),
    "complex-fft": Case(FourierConvolves, values(2, 3, 7)),
    "multi-head-attention-training": Case(SelfAttends, values(2, 6, 8)),
    "multi-head-attention-eval": Case(lambda: SelfAttends().eval(), values(2, 6, 8)),
    "vmap": Case(Maps),
    "parts": Case(TakesParts, values(4, 6)),
    "training-step": Case(
        TrainingStep, lambda: (torch.randn(6, 5, requires_grad=True), torch.tensor([0, 2, 1, 1, 0, 2]))
    ),
}

REFUSED_BY_EXPORT = {
    "in-place-on-inputs": "a leaf Variable that requires grad is being used in an in-place operation",
    "autograd-function": "the backward of WrongOnPurpose would be lost",
}
"""Cases ``torch.export`` cannot take, and what the error says."""


@pytest.mark.parametrize("name", CASES)
def test_dynamo_door_is_faithful(name):
    case = CASES[name]
    model = case.model()
    inputs = case.inputs()
    expected = observe(twin := copy.deepcopy(model), twin, inputs)
    observe(model, through_dynamo(model, case.aot), inputs).assert_equal(expected)


@pytest.mark.parametrize("name", CASES)
def test_export_door_is_faithful(name):
    case = CASES[name]
    model = case.model()
    inputs = case.inputs()
    if name in REFUSED_BY_EXPORT:
        with pytest.raises(UnsupportedModelError, match=REFUSED_BY_EXPORT[name]):
            through_export(model, inputs)
        return
    expected = observe(twin := copy.deepcopy(model), twin, inputs)
    observe(model, through_export(model, inputs), inputs).assert_equal(expected)


def test_custom_backward_is_exported_where_no_gradient_is_wanted():
    x = torch.randn(4, 5)
    assert torch.equal(through_export(CustomBackward(), (x,))(x)[0], CustomBackward()(x))


def test_checkpointed_body_is_normalised():
    calls = []

    def backend(gm, example_inputs):
        calls.extend(
            str(node.target)
            for path, module in normalise(gm, example_inputs).graphs()
            for node in module.graph.nodes
            if path and node.op == "call_function"
        )
        return gm.forward

    torch.compile(Checkpoints(), backend=backend)(torch.randn(2, 5))
    assert calls == ["aten.linear.default", "aten.gelu.default", "aten.linear.default"]


def test_shapes_changed_in_place_are_left_alone_with_a_remark():
    compiled = through_dynamo(ReshapesInPlace())
    compiled(torch.randn(4, 5))
    assert {remark.code for remark in compiled.copied} == {"copied-verbatim"}
    assert any("changed in place" in remark.message for remark in compiled.copied)


@pytest.mark.parametrize("door", ["dynamo", "export"])
def test_dynamic_batch_and_length(door):
    model = SelfAttends().eval()
    batch, length = torch.export.Dim("batch", min=2, max=64), torch.export.Dim("length", min=2, max=64)
    if door == "dynamo":
        call = through_dynamo(model, dynamic=True, fullgraph=True)
    else:
        call = through_export(model, (torch.randn(2, 6, 8),), dynamic_shapes={"x": {0: batch, 1: length}})
    for shape in ((2, 6, 8), (3, 17, 8), (5, 63, 8)):
        x = torch.randn(*shape)
        (given,) = pytree.tree_leaves(call(x))
        assert torch.equal(given, model(x))


@pytest.mark.parametrize("door", ["dynamo", "export"])
def test_training_steps_with_an_optimiser(door):
    x, labels = torch.randn(6, 5), torch.tensor([0, 2, 1, 1, 0, 2])
    plain = TrainingStep()
    ours = copy.deepcopy(plain)
    call = through_dynamo(ours) if door == "dynamo" else through_export(ours, (x, labels))
    for model, forward in ((plain, plain), (ours, call)):
        torch.manual_seed(1)
        optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)
        for _ in range(3):
            optimiser.zero_grad()
            (loss,) = pytree.tree_leaves(forward(x, labels))
            loss.backward()
            optimiser.step()
    pytree.tree_map(_assert_same, dict(plain.state_dict()), dict(ours.state_dict()))


def _llama() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": 67, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **heads)).eval()


@pytest.mark.parametrize("kind", ["DynamicCache", "StaticCache"])
def test_decoding_with_a_cache_through_dynamo(kind):
    transformers = pytest.importorskip("transformers")
    model = _llama()
    ids = torch.randint(0, 67, (2, 9))

    def decode(forward):
        static = kind == "StaticCache"
        cache = transformers.StaticCache(model.config, max_cache_len=16) if static else transformers.DynamicCache()
        with torch.no_grad():
            logits = [forward(ids[:, a:b], past_key_values=cache).logits for a, b in ((0, 6), (6, 7), (7, 8))]
        return logits, [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers]

    # Under Dynamo transformers builds its masks in another way than in eager, so Dynamo alone is the reference.
    expected = decode(torch.compile(model, backend="eager"))
    torch._dynamo.reset()
    pytree.tree_map(_assert_same, decode(through_dynamo(model)), expected)


def test_export_takes_a_model_that_returns_a_dynamic_cache():
    model = _llama()
    ids = torch.randint(0, 67, (2, 9))
    leaves = execute(capture(model, {"input_ids": ids, "use_cache": True}), [ids, True])
    result = model(ids, use_cache=True)
    tensors = [result.logits, *(t for layer in result.past_key_values.layers for t in (layer.keys, layer.values))]
    given = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    assert len(given) == len(tensors)
    assert all(any(torch.equal(leaf, tensor) for leaf in given) for tensor in tensors)


def test_export_refuses_a_static_cache_as_input():
    transformers = pytest.importorskip("transformers")
    model = _llama()
    cache = transformers.StaticCache(model.config, max_cache_len=16)
    with pytest.raises(UnsupportedModelError, match="StaticCache"):
        capture(model, {"input_ids": torch.randint(0, 67, (2, 4)), "past_key_values": cache})
