"""The ``torch.compile`` door: options, exact passes only, what Inductor gets, and what happens on failure."""

import os
import subprocess
import sys
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import regraft.frontend.backend as backend
import torch
from regraft.compiler.errors import UsageError
from regraft.compiler.passes import Numerics, Pass
from regraft.compiler.pipeline import Pipeline
from regraft.frontend.report import Report
from regraft.lowering.inductor import cache_salt
from torch import nn
from torch._dynamo.exc import BackendCompilerFailed
from torch._dynamo.utils import counters

aten = torch.ops.aten


@dataclass(frozen=True)
class Respell(Pass):
    """Write every product anew, so that Inductor is given our graph."""

    name: ClassVar[str] = "respell"
    numerics: ClassVar[Numerics] = Numerics.EXACT

    def run(self, program, ctx):
        for _, module in program.graphs():
            for node in module.graph.find_nodes(op="call_function", target=aten.mul.Tensor):
                with ctx.edit(node, "respell") as edit:
                    edit.replace(node, edit.call(aten.mul.Tensor, *node.args))


@dataclass(frozen=True)
class Approximate(Respell):
    """The same, with a bound."""

    name: ClassVar[str] = "approximate"
    numerics: ClassVar[Numerics] = Numerics.BOUNDED


@dataclass(frozen=True)
class Explodes(Pass):
    """Fail half-way through a rewrite."""

    name: ClassVar[str] = "explodes"
    numerics: ClassVar[Numerics] = Numerics.EXACT

    def run(self, program, ctx):
        (node,) = program.graph.find_nodes(op="call_function", target=aten.sin.default)
        node.replace_all_uses_with(node.args[0])
        program.graph.erase_node(node)
        raise ArithmeticError("half-way")


@dataclass(frozen=True)
class Forgets(Pass):
    """Break the program in a way only the verifier or the compiler can see."""

    name: ClassVar[str] = "forgets"
    numerics: ClassVar[Numerics] = Numerics.EXACT

    def run(self, program, ctx):
        (node,) = program.graph.find_nodes(op="call_function", target=aten.mul.Tensor)
        with ctx.edit(node, "forgets") as edit:
            edit.replace(node, edit.call(aten.mul.Tensor, *node.args))
        program.inputs.pop()


@pytest.fixture(autouse=True)
def _fresh_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("REGRAFT_PASSES", raising=False)
    monkeypatch.delenv("REGRAFT_STRICT", raising=False)
    counters.clear()
    backend.reset()


def compiled(function, passes=(), **options):
    return torch.compile(function, backend="regraft", options={"passes": passes, "strict": True, **options})


def scaled_sine(x):
    return x.sin() * 3 + 1


def test_backend_is_listed():
    assert "regraft" in torch._dynamo.list_backends()


def test_unchanged_graph_is_inductors_own(monkeypatch):
    given = []
    monkeypatch.setattr(backend, "compile_with_inductor", lambda gm, inputs, **kw: given.append((gm, kw)) or gm.forward)
    compiled(scaled_sine, [])(torch.randn(5))
    ((gm, options),) = given
    assert options["pipeline"] is None
    assert {node.op for node in gm.graph.nodes} >= {"call_method"}, "the graph is as Dynamo made it"


def test_rewritten_graph_and_its_backward_go_through_inductor():
    x = torch.randn(3, 7, requires_grad=True)
    given = compiled(scaled_sine, Respell())(x)
    torch.testing.assert_close(given, scaled_sine(x))
    ours, theirs = torch.autograd.grad(given.sum(), x), torch.autograd.grad(scaled_sine(x).sum(), x)
    torch.testing.assert_close(ours, theirs)
    (report,) = backend.reports()
    assert report.rewrites == 1
    assert report.pipeline == "respell"
    assert counters["aot_autograd"]["autograd_cache_bypass"] == 0


def test_trains_a_model_with_dropout_off_and_batch_norm_on():
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.SiLU(), nn.Linear(8, 1))
    x = torch.randn(6, 5)

    def step(call):
        loss = (call(x) * 2).square().mean()
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        return loss, gradients, {name: buffer.clone() for name, buffer in model.named_buffers()}

    start = {name: value.clone() for name, value in model.state_dict().items()}
    expected = step(model)
    model.load_state_dict(start)
    scaled = torch.compile(lambda x: model(x) * 1, backend="regraft", options={"passes": Respell(), "strict": True})
    loss, gradients, buffers = step(scaled)
    torch.testing.assert_close(loss, expected[0])
    torch.testing.assert_close(gradients, expected[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(buffers, expected[2])


def test_dynamic_sizes_share_one_graph():
    call = torch.compile(scaled_sine, backend="regraft", dynamic=True, options={"passes": Respell(), "strict": True})
    for size in (2, 17, 63):
        x = torch.randn(size, 3)
        torch.testing.assert_close(call(x), scaled_sine(x))
    assert len(backend.reports()) == 1


def test_graph_breaks_give_one_report_each():
    def broken(x):
        y = x * 2
        torch._dynamo.graph_break()
        return y * 3

    x = torch.randn(4)
    torch.testing.assert_close(compiled(broken, Respell())(x), x * 6)
    assert [report.rewrites for report in backend.reports()] == [1, 1]


def test_reset_forgets_reports_and_compiles_anew():
    x = torch.randn(4)
    for _ in range(2):
        compiled(scaled_sine, Respell())(x)
        assert len(backend.reports()) == 1
        torch._dynamo.reset()
        assert backend.reports() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pases": ""}, r"no option 'pases'[\s\S]*'passes'"),
        ({"max_autotune": True}, r"it is an option of Inductor"),
        ({"inductor": {"max_autotun": True}}, r"no option 'max_autotun'[\s\S]*'max_autotune'"),
        ({"strict": "yes"}, "True or False"),
        ({"report": 3}, "a callable or a list"),
        ({"mode": "max-autotun"}, r"'max-autotune'"),
        ({"passes": "no-such-pass"}, "there is no pass 'no-such-pass'"),
        ({"passes": (), "skip": "respell"}, "'respell' is not in the pipeline"),
        (
            {"passes": Approximate()},
            r"'approximate' is bounded and torch.compile\(backend='regraft'\) takes only exact",
        ),
    ],
)
def test_wrong_options_are_refused_by_name(options, message):
    call = torch.compile(scaled_sine, backend="regraft", options=options)
    with pytest.raises(BackendCompilerFailed, match=message) as caught:
        call(torch.randn(3))
    assert isinstance(caught.value.inner_exception, UsageError)


def test_wrong_mode_is_refused():
    with pytest.raises(BackendCompilerFailed, match="no compilation mode 'fast'"):
        torch.compile(scaled_sine, backend="regraft", mode="fast")(torch.randn(3))


@pytest.mark.parametrize("way", ["keyword", "option"])
def test_mode_reaches_inductor(way, monkeypatch):
    seen = []
    monkeypatch.setattr(
        backend, "compile_with_inductor", lambda gm, inputs, **kw: seen.append(kw["mode"]) or gm.forward
    )
    monkeypatch.setenv("REGRAFT_PASSES", "")
    given = {"mode": "max-autotune"} if way == "keyword" else {"options": {"mode": "max-autotune"}}
    torch.compile(scaled_sine, backend="regraft", **given)(torch.randn(3))
    assert seen == ["max-autotune"]


def test_inductor_options_are_in_force_while_it_compiles():
    torch.manual_seed(1)
    expected = torch.nn.functional.dropout(torch.ones(64) * 2, 0.5)
    call = compiled(lambda x: torch.nn.functional.dropout(x * 2, 0.5), Respell(), inductor={"fallback_random": True})
    torch.manual_seed(1)
    assert torch.equal(call(torch.ones(64)), expected)


@pytest.mark.parametrize("passes", [Explodes(), Forgets()], ids=str)
def test_failure_inside_leaves_the_graph_to_inductor(passes):
    x = torch.randn(3, requires_grad=True)
    call = compiled(scaled_sine, passes, strict=False)
    with pytest.warns(UserWarning, match="left a graph to Inductor as it was"):
        given = call(x)
    torch.testing.assert_close(given, scaled_sine(x))
    torch.testing.assert_close(torch.autograd.grad(given.sum(), x)[0], 3 * x.cos())
    (report,) = backend.reports()
    assert report.failure
    assert [remark.kind for remark in report.remarks if remark.code == "internal-error"] == ["failure"]


def test_failures_warn_once():
    with pytest.warns(UserWarning, match="left a graph"):
        compiled(scaled_sine, Explodes(), strict=False)(torch.randn(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled(lambda x: x.sin() - 1, Explodes(), strict=False)(torch.randn(3))


def test_strict_raises_what_failed():
    with pytest.raises(BackendCompilerFailed, match="half-way"):
        compiled(scaled_sine, Explodes())(torch.randn(3))


def test_failure_of_the_compiler_on_our_graph_falls_back_too(monkeypatch):
    real = backend.compile_with_inductor

    def fails_on_ours(module, inputs, **options):
        if options["pipeline"] is not None:
            raise RuntimeError("cannot lower this")
        return real(module, inputs, **options)

    monkeypatch.setattr(backend, "compile_with_inductor", fails_on_ours)
    x = torch.randn(3)
    with pytest.warns(UserWarning, match="cannot lower this"):
        torch.testing.assert_close(compiled(scaled_sine, Respell(), strict=False)(x), scaled_sine(x))


def test_environment_means_what_the_keywords_mean(monkeypatch):
    monkeypatch.setenv("REGRAFT_PASSES", "no-such-pass")
    with pytest.raises(BackendCompilerFailed, match="there is no pass 'no-such-pass'"):
        torch.compile(scaled_sine, backend="regraft")(torch.randn(3))
    monkeypatch.setenv("REGRAFT_STRICT", "1")
    assert backend.Settings.read({}).strict
    assert not backend.Settings.read({"strict": False}).strict
    monkeypatch.setenv("REGRAFT_STRICT", "perhaps")
    with pytest.raises(UsageError, match="REGRAFT_STRICT"):
        backend.Settings.read({})


def test_report_goes_to_a_list_or_a_callable():
    held: list[Report] = []
    compiled(scaled_sine, Respell(), report=held)(torch.randn(3))
    torch._dynamo.reset()
    compiled(scaled_sine, Respell(), report=held.append)(torch.randn(3))
    assert [report.rewrites for report in held] == [1, 1]


def test_skipped_pass_does_not_run():
    compiled(scaled_sine, Respell(), skip=["respell"])(torch.randn(3))
    (report,) = backend.reports()
    assert report.rewrites == 0
    assert report.records[0].skipped == "skipped by request"


def test_salt_tells_pipelines_apart():
    first, second = Pipeline((Respell(),)), Pipeline((Respell(), Respell()))
    assert cache_salt(first) == cache_salt(Pipeline((Respell(),)))
    assert cache_salt(first) != cache_salt(second)


def test_second_compilation_hits_the_caches_and_another_pipeline_does_not():
    def compile_with(passes):
        torch._dynamo.reset()
        counters.clear()
        compiled(scaled_sine, passes)(torch.randn(33))
        return counters["aot_autograd"]["autograd_cache_hit"], counters["inductor"]["fxgraph_cache_miss"]

    assert compile_with([Respell()]) == (0, 1)
    assert compile_with([Respell()]) == (1, 0)
    assert compile_with([Respell(), Respell()]) == (0, 1)


@pytest.mark.slow
def test_dynamos_minifier_reproduces_a_failure(tmp_path):
    """A pass that fails on ``sin`` is blamed by the minifier's script, which names our backend, on a smaller graph."""
    site = tmp_path / "site"
    (site / "sinful-1.dist-info").mkdir(parents=True)
    (site / "sinful-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: sinful\nVersion: 1\n")
    points = "[regraft.passes]\nsinful = sinful:Sinful\n"
    points += "[torch_dynamo_backends]\nregraft = regraft.frontend.backend:regraft\n"
    (site / "sinful-1.dist-info" / "entry_points.txt").write_text(points)
    (site / "sinful.py").write_text(
        textwrap.dedent("""
            from dataclasses import dataclass
            import torch
            from regraft.compiler.passes import Numerics, Pass

            @dataclass(frozen=True)
            class Sinful(Pass):
                "Fail on every sine."
                name = "sinful"
                numerics = Numerics.EXACT

                def run(self, program, ctx):
                    if program.graph.find_nodes(op="call_function", target=torch.ops.aten.sin.default):
                        raise ArithmeticError("no sines here")
        """)
    )
    (tmp_path / "model.py").write_text(
        textwrap.dedent("""
            import torch

            @torch.compile(backend="regraft")
            def function(x):
                y = x.relu() + 1
                for _ in range(3):
                    y = (y * 2).cos()
                return y.sin().exp() + x.sum()

            function(torch.randn(4))
        """)
    )
    package = Path(backend.__file__).parents[2]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(site), str(package), os.environ.get("PYTHONPATH", "")]),
        "REGRAFT_PASSES": "sinful",
        "REGRAFT_STRICT": "1",
        "TORCHDYNAMO_REPRO_AFTER": "dynamo",
        "TORCH_COMPILE_DEBUG_DIR": str(tmp_path),
    }

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )

    failed = run("model.py")
    assert "no sines here" in failed.stderr
    (launcher,) = tmp_path.rglob("minifier_launcher.py")
    minified = run(str(launcher))
    (script,) = tmp_path.rglob("repro.py")
    text = script.read_text()
    assert "backend='regraft'" in text, minified.stderr
    assert "sin" in text
    assert "cos" not in text
    assert "no sines here" in run(str(script)).stderr
