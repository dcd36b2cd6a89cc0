"""A model comes back as the class it was, runs the rewritten graph where it may, and the original where it must."""

import copy
import pickle
import warnings

import pytest
import regraft
import torch
from regraft.compiler.errors import UnsupportedModelError, UsageError
from regraft.frontend.dispatch import Dispatch
from torch import nn


class Block(nn.Module):
    """A model with tied weights, a buffer, a loose tensor, keyword-only flags and a dictionary of outputs."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.second = nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(8)
        self.loose = torch.full((8,), 0.5)

    def forward(self, x, scale=None, *, negate=False):
        y = self.norm(self.second(torch.relu(self.first(x)))) * self.loose + torch.tensor([1.0] * 8)
        y = y if scale is None else y * scale
        return {"y": -y if negate else y, "sum": y.sum()}


class Filtered(nn.Module):
    """A model whose kernel is computed from a parameter, so that it can be folded."""

    def __init__(self):
        super().__init__()
        self.mlp = nn.Linear(3, 3, bias=False)
        self.register_buffer("grid", torch.linspace(0, 1, 12).view(4, 3))

    def forward(self, x):
        return x @ torch.sin(self.mlp(self.grid)) @ torch.cos(self.mlp(self.grid)).T


@pytest.fixture
def model():
    return Block().eval()


@pytest.fixture
def x():
    return torch.randn(4, 8)


def optimized(model, *inputs, **options):
    return regraft.optimize(model, inputs, **{"passes": "raise-norm", "timing_runs": 0, "check": "off", **options})


def runs_rewritten(module, *args, **kwargs):
    before = sum(module.forward.hits.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module(*args, **kwargs)
    return sum(module.forward.hits.values()) > before


def test_class_parameters_and_keys_are_those_of_the_model(model, x):
    fast = optimized(model, x)
    assert type(fast) is Block
    assert fast.first.weight is model.first.weight
    assert fast.second.weight is fast.first.weight
    assert list(fast.state_dict()) == list(model.state_dict())
    assert "forward" not in model.__dict__


def test_inplace_rewrites_the_model_itself(model, x):
    assert optimized(model, x, inplace=True) is model
    assert isinstance(model.forward, Dispatch)


@pytest.mark.parametrize("compile", [False, True])
def test_outputs_and_gradients_are_those_of_the_model(model, x, compile):
    fast = optimized(model, x, compile=compile)
    expected, got = model(x), fast(x)
    assert list(got) == ["y", "sum"]
    torch.testing.assert_close(got["y"], expected["y"])
    wanted = torch.autograd.grad(expected["sum"], model.parameters())
    torch.testing.assert_close(torch.autograd.grad(got["sum"], fast.parameters()), wanted)
    assert fast.forward.hits[0] == 1


def test_a_call_may_name_its_arguments_and_spell_out_defaults(model, x):
    fast = optimized(model, x)
    assert runs_rewritten(fast, x=x)
    assert runs_rewritten(fast, x, None, negate=False)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda m, x: m(x[:3]), "shape"),
        (lambda m, x: m(x, negate=True), "arguments"),
        (lambda m, x: m(x, scale=torch.ones(8)), "arguments"),
        (lambda m, x: m(x.t().contiguous().t()[:, :8].repeat(2, 1)[::2]), "contiguous"),
        (lambda m, x: m.train()(x), "training mode"),
        (lambda m, x: torch.autocast("cpu", torch.bfloat16)(m)(x), "autocast"),
        (lambda m, x: (m.first.register_forward_hook(lambda *_: None), m(x))[1], "hooks"),
        (lambda m, x: (setattr(m, "first", nn.Linear(8, 8)), m(x))[1], "submodule was replaced"),
        (lambda m, x: m.double()(x.double()), "weight changed its type"),
    ],
    ids=["shape", "flag", "structure", "strides", "training", "autocast", "hook", "submodule", "dtype"],
)
def test_a_call_unlike_the_traced_one_runs_the_original_and_says_so_once(model, x, call, reason):
    fast = optimized(copy.deepcopy(model), x)
    with pytest.warns(UserWarning, match=reason):
        call(fast, x)
    assert sum(fast.forward.misses.values()) == 1
    assert not fast.forward.hits


def test_a_dynamic_dimension_serves_its_whole_range(model):
    batch = torch.export.Dim("batch", min=2, max=16)
    fast = optimized(model, torch.randn(4, 8), dynamic_shapes={"x": {0: batch}})
    assert runs_rewritten(fast, torch.randn(7, 8))
    assert not runs_rewritten(fast, torch.randn(17, 8))


def test_a_second_call_adds_a_second_signature(model, x):
    fast = optimized(model, x)
    again = optimized(fast, x[:2])
    assert runs_rewritten(again, x)
    assert runs_rewritten(again, x[:2])
    assert sorted(again.forward.hits) == [0, 1]


def test_a_deep_copy_runs_over_its_own_weights(model, x):
    fast = optimized(model, x)
    other = copy.deepcopy(fast)
    with torch.no_grad():
        other.first.weight.zero_()
    assert runs_rewritten(other, x)
    torch.testing.assert_close(fast(x)["y"], model(x)["y"])
    assert not torch.allclose(other(x)["y"], fast(x)["y"])


def test_pickling_keeps_the_rewritten_graph(model, x):
    fast = pickle.loads(pickle.dumps(optimized(model, x)))
    assert runs_rewritten(fast, x)
    torch.testing.assert_close(fast(x)["y"], model(x)["y"])


def test_nested_bodies_survive_pickling(x):
    fast = pickle.loads(pickle.dumps(optimized(Branching().eval(), x)))
    assert runs_rewritten(fast, x)
    torch.testing.assert_close(fast(x), Branching()(x))


class Branching(nn.Module):
    """Nested bodies: a branch and an autocast region."""

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            y = x @ x.T
        return torch.cond(x.sum() > 0, lambda v: v + 1, lambda v: v - 1, (y,))


def test_loading_weights_is_seen_by_the_rewritten_graph(model, x):
    fast = optimized(model, x)
    other = Block().eval()
    fast.load_state_dict(other.state_dict())
    assert runs_rewritten(fast, x)
    torch.testing.assert_close(fast(x)["y"], other(x)["y"])


@pytest.mark.parametrize("change", ["step", "load", "replace"])
def test_what_was_folded_from_weights_follows_them(change):
    model, x = Filtered().eval(), torch.randn(2, 4)
    fast = optimized(model, x, passes="fold-constants", inplace=True)
    assert fast.forward.variants[0].prelude is not None
    with torch.no_grad():
        before = fast(x)
        if change == "step":
            model.mlp.weight.add_(0.3)
        elif change == "load":
            model.load_state_dict({**model.state_dict(), "mlp.weight": torch.randn(3, 3)})
        else:
            model.mlp.weight = nn.Parameter(torch.randn(3, 3))
        after = fast(x)
        expected = fast.forward.original(x)
    torch.testing.assert_close(after, expected)
    assert not torch.allclose(before, after)


def test_gradients_reach_the_weights_something_was_folded_from():
    model, x = Filtered().eval(), torch.randn(2, 4)
    fast = optimized(model, x, passes="fold-constants")
    (got,) = torch.autograd.grad(fast(x).sum(), fast.mlp.weight)
    (expected,) = torch.autograd.grad(model(x).sum(), model.mlp.weight)
    torch.testing.assert_close(got, expected)


def test_hooks_on_the_module_itself_run_as_before(model, x):
    fast = optimized(model, x)
    seen = []
    fast.register_forward_hook(lambda module, args, output: seen.append(output["y"].shape))
    assert runs_rewritten(fast, x)
    assert seen == [(4, 8)]


def test_the_report_holds_passes_and_gain(model, x):
    fast = optimized(model, x, timing_runs=2)
    assert [record.pass_name for record in fast.report.records] == ["raise-norm"]
    assert fast.report.measured_gain.runs == 2
    assert "raise-norm" in str(fast.report)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"passes": "raise-nrom"}, "raise-norm"),
        ({"passes": "raise-norm{x=1}"}, "no option 'x'"),
        ({"check": "sometimes"}, "check='sometimes'"),
        ({"skip": ["raise-rotary"]}, "not in the pipeline"),
    ],
)
def test_a_wrong_request_names_the_mistake_and_leaves_the_model_alone(model, x, options, match):
    with pytest.raises(UsageError, match=match):
        optimized(model, x, inplace=True, **options)
    assert "forward" not in model.__dict__


def test_a_compiled_wrapper_is_refused_with_the_way_to_do_it(model, x):
    with pytest.raises(UsageError, match="compile=True"):
        optimized(torch.compile(model), x)


def test_a_model_that_cannot_be_exported_says_why_and_what_to_try():
    class Printing(nn.Module):
        def forward(self, x):
            return x + 1 if x.sum().item() > 0 else x - 1

    with pytest.raises(UnsupportedModelError, match=r"backend='regraft'"):
        optimized(Printing(), torch.randn(3))
