"""The tile kernels of linear attention against its definition in fp64, forward and backward."""

import pytest
import regraft.compiler.ops  # noqa: F401
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.kernels import candidates
from regraft.kernels.linear_attention.op import linear_attention
from regraft.kernels.linear_attention.program import LinearAttention, outputs, states
from regraft.lowering.candidates import call_with
from regraft.lowering.targets import target_for
from regraft.tests.kernels.harness import GATES, operator_checks, prove, relative_error, same_gradients

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
TILES = (16, 16, 16, 4, 1)
semantic = torch.ops.regraft.linear_attention


def tensors(length, widths=(16, 16), heads=(1, 1, 1), decay="step", dtype="f32", rate=-0.5, initial=True):
    torch.manual_seed(length)
    many = max(heads)
    q, k = (torch.randn(1, h, length, widths[0]).to(DTYPES[dtype]) for h in heads[:2])
    v = torch.randn(1, heads[2], length, widths[1]).to(DTYPES[dtype])
    shape = {"none": None, "head": (many,), "step": (1, many, length)}[decay]
    g = None if shape is None else 2 * rate * torch.rand(shape)
    return q, k, v, g, torch.randn(1, many, *widths) if initial else None


def kernel(*args):
    return linear_attention(*args, 0.5, *TILES)


def definition(*args):
    return semantic(*args, scale=0.5)


@pytest.mark.parametrize("length", [1, 3, 16, 33])
@pytest.mark.parametrize("rate", [-1e-6, -0.5, -20.0])
def test_outputs_and_gradients_are_those_of_the_definition(length, rate):
    same_gradients(kernel, definition, tensors(length, rate=rate), GATES["f32"])


@settings(max_examples=4, deadline=None)
@given(
    length=st.sampled_from([1, 17]),
    widths=st.sampled_from([(16, 16), (40, 24), (8, 33)]),
    heads=st.sampled_from([(1, 1, 1), (2, 2, 2), (1, 1, 2), (2, 1, 1)]),
    decay=st.sampled_from(["none", "head", "step"]),
    dtype=st.sampled_from(list(DTYPES)),
    initial=st.booleans(),
)
def test_any_shape_type_and_sharing_of_heads(length, widths, heads, decay, dtype, initial):
    if dtype == "bf16" and _interpreted():
        dtype = "f16"
    given_ = tensors(length, widths, heads, decay, dtype, initial=initial)
    if decay == "head":
        _same_gradients_but_of_the_rate(given_, GATES[dtype])
    else:
        same_gradients(kernel, definition, given_, GATES[dtype])


def _same_gradients_but_of_the_rate(given_, allowed):
    q, k, v, rate, initial = given_
    rest = [x for x in (q, k, v, initial) if x is not None]

    def with_rate(function):
        return lambda q, k, v, initial=None: function(q, k, v, rate, initial)

    same_gradients(with_rate(kernel), with_rate(definition), rest, allowed)


def test_the_gradient_of_a_rate_is_the_sum_of_those_of_its_steps():
    q, k, v, rate, initial = tensors(40, heads=(2, 2, 2), decay="head")
    rate.requires_grad_()
    weight = torch.randn(1, 2, 40, 16)
    (kernel(q, k, v, rate, initial)[0] * weight).sum().backward()
    steps = rate.detach().double().reshape(1, 2, 1).repeat(1, 1, 40).requires_grad_()
    out, _ = definition(*(x.double() for x in (q, k, v)), steps, initial.double())
    (out * weight).sum().backward()
    # The steps cancel each other: what they sum to is as exact as the largest of them.
    assert ((rate.grad - steps.grad.sum((0, 2))).abs() < GATES["f32"] * steps.grad.abs().sum((0, 2))).all()


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("decay", ["none", "head", "step"])
def test_no_program_touches_memory_that_is_not_its_own(dtype, decay):
    q, k, v, g, initial = tensors(19, (20, 24), decay=decay, dtype=dtype)
    kind = LinearAttention(dtype, decay, True, (1, 1, 1), *TILES)
    exact = [None if x is None else x.double() for x in (q, k, v, g, initial)]
    _, final = semantic(*exact)
    _, middle = semantic(
        *(x[:, :, :16] for x in exact[:3]), exact[3] if decay != "step" else exact[3][..., :16], exact[4]
    )
    h = torch.stack((exact[4], middle), 2)
    given_ = {"k": k, "v": v, "initial": initial} | ({} if g is None else {"decay": g})
    prove(states(kind), given_, expected={"h": h, "final": final})
    out, _ = semantic(*exact, scale=0.5)
    given_ = {"q": q, "k": k, "v": v, "h": h} | ({} if g is None else {"decay": g})
    prove(outputs(kind), given_, {"scale": 0.5}, expected={"out": out})


def test_a_step_that_forgets_all_gives_no_nan_forward_or_backward():
    q, k, v, g, initial = tensors(33)
    g[..., 20] = -torch.inf
    same_gradients(kernel, definition, (q, k, v, g, initial), GATES["f32"])


def test_what_decays_little_after_what_decays_much_is_not_lost():
    q, k, v, g, initial = tensors(16, rate=-1e-3)
    g[..., :8] = -100.0
    assert (
        relative_error(kernel(q, k, v, g, initial)[0], definition(*(x.double() for x in (q, k, v, g, initial)))[0])
        < 1e-6
    )


def test_two_calls_in_a_row_are_one_call():
    q, k, v, g, initial = tensors(40)
    whole, final = kernel(q, k, v, g, initial)
    first, middle = kernel(*(x[:, :, :23] for x in (q, k, v, g)), initial)
    second, last = kernel(*(x[:, :, 23:] for x in (q, k, v, g)), middle)
    assert relative_error(torch.cat((first, second), 2), whole) < 1e-6
    assert relative_error(last, final) < 1e-6


def test_the_operator_is_what_torch_asks_of_one():
    operator_checks(torch.ops.regraft_tile.linear_attention.default, (*tensors(5, heads=(1, 1, 2)), 0.5, *TILES))


def test_the_backward_is_the_same_every_time():
    def gradients():
        leaves = [x.clone().requires_grad_() for x in tensors(33, (40, 24))]
        torch.autograd.backward([y.sum() for y in kernel(*leaves)])
        return [x.grad for x in leaves]

    assert all(torch.equal(a, b) for a, b in zip(gradients(), gradients(), strict=True))


def test_what_the_candidate_does_not_take_is_declined_with_a_reason():
    candidate = candidates.registry.get("linear_attention.tile")()
    q, k, v, g, initial = tensors(5)

    def code(*args, arch="sm_90"):
        declined = candidate.supports(call_with(semantic.default, *args), target_for(arch))
        return declined.code if declined else None

    assert code(q, k, v, g, initial) is None
    assert code(q, k, v, g, arch="cpu") == "device"
    assert code(q.half(), k, v) == "dtype"
    assert code(q, k, v, g.double()) == "dtype"
    wide = torch.ones(1, 1, 5, 300)
    assert code(wide, wide, v) == "width"


@pytest.mark.parametrize("arch", ["sm_86", "sm_90"])
@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_every_configuration_computes_the_call(arch, dtype):
    candidate = candidates.registry.get("linear_attention.tile")()
    given_ = tensors(21, (80, 40), dtype=dtype)
    call = call_with(semantic.default, *given_)
    wanted = semantic(*(x.double() for x in given_))
    for config in candidate.configs(call, target_for(arch)):
        for found, expected in zip(candidate.run(call, config), wanted, strict=True):
            assert relative_error(found, expected) < GATES[dtype]


def _interpreted():
    from regraft.lowering.tile.launch import interpreting

    return interpreting()
