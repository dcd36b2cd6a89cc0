"""Launching: what does not fit is refused with its name, and printed sources are kept by their content."""

import pytest
import torch
from regraft.lowering.tile import Builder, TileError, launch, reference, span
from regraft.lowering.tile.emit import emit
from regraft.tests.lowering.tile.programs import scaled_sum

DEVICE = "cpu" if launch.interpreting() else "cuda"


def tensors(rows=3, columns=64, **changes):
    made = {name: torch.randn(rows, columns, device=DEVICE) for name in "aby"}
    return {name: tensor for name, tensor in {**made, **changes}.items() if tensor is not None}


def empty(*shape, dtype=torch.float32, device=DEVICE):
    return torch.empty(shape, dtype=dtype, device=device)


BAD = {
    "tensor a is missing; it takes a, b, y": {"a": None},
    "b is torch.float16, made for torch.float32": {"b": empty(3, 64, dtype=torch.half)},
    "b is on meta, others on ": {"b": empty(3, 64, device="meta")},
    "a has 1 dimensions, not 2": {"a": empty(64)},
    "b has size 4 along dimension 0, not M = 3": {"b": empty(4, 64)},
    "y has size 32 along dimension 1, not N = 64": {"y": empty(3, 32)},
    "b is not contiguous": {"b": empty(64, 3).T},
    "N = 65 is not a multiple of 16": {"a": empty(3, 65), "b": empty(3, 65), "y": empty(3, 65)},
}


@pytest.mark.parametrize("run", [launch.launch, reference.run], ids=["launch", "reference"])
@pytest.mark.parametrize(("told", "changes"), BAD.items(), ids=BAD)
def test_a_tensor_that_does_not_fit_is_refused_by_its_name(told, changes, run):
    with pytest.raises(TileError) as error:
        run(scaled_sum("f32", multiple_of=16), tensors(**changes), {"scale": 2.0})
    assert str(error.value).startswith(f"scaled_sum: {told}")


def test_a_size_that_no_tensor_tells_has_to_be_given():
    t = Builder("first", "The first COUNT.")
    B, COUNT = t.constant("B", 16), t.size("COUNT")
    y = t.output("y", (B,), "f32")
    t.tasks(("i", 1))
    t.store(y, (span(0, B, limit=COUNT),), t.full([B], 1.0))
    y = torch.zeros(16, device=DEVICE)
    with pytest.raises(TileError, match="first: size COUNT is no dimension of a tensor, and was not given"):
        launch.launch(t.program(), {"y": y})
    launch.launch(t.program(), {"y": y}, sizes={"COUNT": 5})
    assert y.tolist() == [1.0] * 5 + [0.0] * 11


@pytest.mark.parametrize("shape", [(3, 64), (1, 1), (2, 200)])
def test_strided_and_odd_tensors_are_read_where_they_lie(shape):
    given = tensors(*shape, a=torch.randn(shape[1], 2 * shape[0], device=DEVICE).T[::2])
    launch.launch(scaled_sum("f32", block=64), given, {"scale": -0.5})
    torch.testing.assert_close(given["y"], given["a"] * -0.5 + given["b"])


@pytest.mark.parametrize("shape", [(0, 64), (3, 0)])
def test_no_tasks_are_no_work(shape):
    given = tensors(*shape)
    launch.launch(scaled_sum("f32"), given, {"scale": 1.0})
    reference.run(scaled_sum("f32"), given, {"scale": 1.0})


def test_tensors_of_a_cpu_need_the_interpreter(monkeypatch):
    monkeypatch.setattr(launch, "interpreting", lambda: False)
    with pytest.raises(TileError, match=r"tensors are on a CPU, .* \(TRITON_INTERPRET=1\)"):
        launch.launch(scaled_sum("f32"), {name: tensor.cpu() for name, tensor in tensors().items()}, {"scale": 1.0})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("REGRAFT_CACHE", str(tmp_path))
    return launch.kernels_directory()


def test_a_source_is_kept_once_for_each_content(folder):
    one, other = emit(scaled_sum()), emit(scaled_sum(block=64))
    files = [launch.written(text, "scaled_sum") for text in (one, other, one)]
    assert files[0] == files[2] != files[1]
    assert sorted(folder.glob("*.py")) == sorted(set(files))
    assert [file.read_text() for file in files] == [one, other, one]


@pytest.mark.parametrize("damage", ["", "raise SystemExit", "# not the kernel\n"])
def test_a_damaged_source_is_written_anew(folder, damage):
    text = emit(scaled_sum())
    launch.written(text, "scaled_sum").write_text(damage)
    assert launch.written(text, "scaled_sum").read_text() == text


def test_a_kernel_is_the_function_of_its_file(folder):
    kernel = launch.kernel_of(scaled_sum(block=32))
    assert kernel is launch.kernel_of(scaled_sum(block=32))
    (file,) = folder.glob("*.py")
    assert kernel.fn.__code__.co_filename == str(file)


@pytest.mark.parametrize("run", [launch.launch, reference.run], ids=["launch", "reference"])
def test_what_is_not_given_at_all_is_missed_by_its_name(run):
    with pytest.raises(TileError, match="scaled_sum: scalar scale is missing"):
        run(scaled_sum("f32", multiple_of=16), tensors(), {})
    with pytest.raises(TileError, match="scaled_sum: tensor a is missing"):
        run(scaled_sum("f32", multiple_of=16), {}, {"scale": 2.0})
