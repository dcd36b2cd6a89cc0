"""The tile kernel of the diagonal state-space scan against its definition in fp64."""

import pytest
import regraft.compiler.ops  # noqa: F401
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.kernels import candidates
from regraft.kernels.ssm_scan.op import ssm_scan, tables
from regraft.kernels.ssm_scan.program import SsmScan, scan
from regraft.lowering.candidates import call_with
from regraft.lowering.targets import target_for
from regraft.tests.kernels.harness import GATES, operator_checks, prove, relative_error, same_gradients

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
TILES = (16, 16, 16, 4)
semantic = torch.ops.regraft.ssm_scan


def inputs(length, modes=5, dtype="f32", rate=0.1, skip=True, state=True):
    torch.manual_seed(length)
    modal = -rate * torch.rand(3, modes), 6 * torch.rand(3, modes) - 3, *torch.randn(2, 3, modes)
    u = torch.randn(2, 3, length).to(DTYPES[dtype])
    return u, *modal, torch.randn(3) if skip else None, torch.randn(2, 3, modes, 2) if state else None


def kernel(*args):
    return ssm_scan(*args, *TILES)


def exactly(args):
    return semantic(*(None if x is None else x.double() for x in args))


def agree(args, allowed):
    for found, wanted in zip(kernel(*args), exactly(args), strict=True):
        assert relative_error(found, wanted) < allowed


@pytest.mark.parametrize("length", [1, 16, 17, 256, 300])
@pytest.mark.parametrize("rate", [0.0, 0.1, 20.0])
def test_outputs_and_state_are_those_of_the_definition(length, rate):
    agree(inputs(length, rate=rate), GATES["f32"])


@settings(max_examples=8, deadline=None)
@given(
    length=st.sampled_from([3, 33, 257]),
    modes=st.sampled_from([1, 8, 16]),
    dtype=st.sampled_from(["f32", "f16"]),
    skip=st.booleans(),
    state=st.booleans(),
)
def test_any_length_modes_type_and_options(length, modes, dtype, skip, state):
    agree(inputs(length, modes, dtype, skip=skip, state=state), GATES[dtype])


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("length", [19, 270])
def test_the_program_touches_no_memory_that_is_not_its_own(dtype, length):
    args = inputs(length, dtype=dtype)
    kind = SsmScan(dtype, TILES[0], True, *TILES[1:])
    y, final = exactly(args)
    given_ = {"u": args[0], "initial": args[6], **tables(*args[:6], kind)}
    prove(scan(kind), given_, expected={"y": y, "final": final})


def test_residues_that_cancel_do_not_lose_what_is_left():
    u, radius, angle, re, im, skip, state = inputs(64, 2, "f16")
    angle[:, 1] = angle[:, 0] + 1e-2
    radius[:, 1] = radius[:, 0]
    re[:, 1], im[:, 1] = -re[:, 0], -im[:, 0]
    args = (u, radius, angle, re, im, skip, state)
    agree(args, GATES["f16"])


def test_a_transposed_input_is_read_in_place_and_the_output_is_contiguous():
    u, *rest = inputs(20)
    y, _ = kernel(u.transpose(1, 2).contiguous().transpose(1, 2), *rest)
    assert y.is_contiguous()
    assert torch.equal(y, kernel(u, *rest)[0])


def test_nothing_in_the_batch_and_no_modes():
    u, *rest, state = inputs(9)
    y, final = kernel(u[:0], *rest, state[:0])
    assert y.shape == (0, 3, 9)
    assert final.shape == (0, 3, 5, 2)
    *modal, skip = rest
    y, _ = kernel(u, *(x[:, :0] for x in modal), skip, state[:, :, :0])
    assert relative_error(y, skip[:, None] * u) < GATES["f32"]


def test_two_calls_in_a_row_are_one_call():
    u, *rest, state = inputs(300)
    whole, final = kernel(u, *rest, state)
    first, middle = kernel(u[..., :261], *rest, state)
    second, last = kernel(u[..., 261:], *rest, middle)
    assert relative_error(torch.cat((first, second), -1), whole) < 1e-6
    assert relative_error(last, final) < 1e-6


@pytest.mark.parametrize("options", [{}, {"skip": False, "state": False}])
def test_gradients_are_those_of_the_definition(options):
    given_ = inputs(21, **options)
    present = [at for at, x in enumerate(given_) if x is not None]

    def spread(function):
        def call(*tensors):
            whole = [None] * 7
            for at, tensor in zip(present, tensors, strict=True):
                whole[at] = tensor
            return function(*whole)

        return call

    same_gradients(spread(kernel), spread(semantic), [given_[at] for at in present], GATES["f32"])


@pytest.mark.parametrize("length", [1, 17, 270])
@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_gradients_of_the_input_and_the_state_are_a_scan_backwards(length, dtype):
    u, *fixed, state = inputs(length, dtype=dtype)
    assert not any(x.requires_grad for x in fixed)

    def of(function):
        return lambda u, state: function(u, *(x.to(torch.promote_types(x.dtype, state.dtype)) for x in fixed), state)

    same_gradients(of(kernel), of(semantic), [u, state])


def test_without_a_gradient_of_a_parameter_the_definition_is_not_computed_again(monkeypatch):
    monkeypatch.setattr("regraft.kernels.ssm_scan.op.definition", None)
    u, *fixed = inputs(40)
    kernel(u.requires_grad_(), *fixed)[0].sum().backward()
    assert u.grad.shape == u.shape


def test_the_operators_are_what_torch_asks_of_them():
    operator_checks(torch.ops.regraft_tile.ssm_scan.default, (*inputs(5), *TILES))
    operator_checks(torch.ops.regraft_tile.ssm_scan_adjoint.default, (*inputs(5), *TILES))


@pytest.mark.parametrize("arch", ["sm_86", "sm_90"])
def test_every_configuration_computes_the_call(arch):
    candidate = candidates.registry.get("ssm_scan.tile")()
    args = inputs(70, 20)
    call = call_with(semantic.default, *args)
    assert candidate.supports(call, target_for(arch)) is None
    for config in candidate.configs(call, target_for(arch)):
        for found, wanted in zip(candidate.run(call, config), exactly(args), strict=True):
            assert relative_error(found, wanted) < GATES["f32"]


def test_what_the_candidate_does_not_take_is_declined_with_a_reason():
    candidate = candidates.registry.get("ssm_scan.tile")()

    def code(args, arch="sm_90"):
        declined = candidate.supports(call_with(semantic.default, *args), target_for(arch))
        return declined.code if declined else None

    u, *rest = inputs(5)
    assert code((u, *rest)) is None
    assert code((u, *rest), "cpu") == "device"
    assert code((u.double(), *rest)) == "dtype"
    assert code((u, rest[0].double(), *rest[1:])) == "dtype"
    assert code(inputs(5, 100)) == "many-modes"


@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "gfx942"])
def test_the_kernel_is_estimated_to_be_faster_than_products_through_memory_but_no_faster_than_memory(arch):
    call, target = call_with(semantic.default, *inputs(1000, dtype="bf16")), target_for(arch)
    tile, products = (candidates.registry.get(f"ssm_scan.{name}")() for name in ("tile", "inductor"))
    (config,) = tile.configs(call, target)
    ours, theirs = tile.estimate(call, target, config), products.estimate(call, target, {})
    assert ours.floor_seconds <= ours.seconds < theirs.seconds
