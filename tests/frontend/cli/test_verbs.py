import subprocess
import sys

import pytest
from regraft.compiler.text import parse_program
from regraft.frontend.cli import VERBS, main

NORM = ("-p", "raise-norm")


def test_help_lists_every_verb_without_loading_torch():
    script = (
        "import sys; from regraft.frontend.cli import main; main(['--help']); "
        "assert not {'torch', 'rich', 'transformers'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for name, summary in VERBS.items():
        assert f"{name} " in ran.stdout
        assert summary in ran.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    assert f"usage: regraft {verb}" in capsys.readouterr().out


def test_without_a_verb_the_overview_is_shown_as_a_usage_error(regraft):
    ran = regraft()
    assert ran.code == 2
    assert "regraft VERB MODEL" in ran.out


def test_version(regraft):
    from regraft import __version__

    assert regraft("--version").out == f"regraft {__version__}\n"


def test_trace_prints_a_program_that_parses(regraft, model):
    ran = regraft("trace", f"{model}:load")
    assert len(parse_program(ran.out).user_inputs()) == 1
    assert 'tied="head.weight"' in ran.out
    assert "tiny_model.py" in regraft("trace", f"{model}:load", "--lines").out


@pytest.mark.parametrize("suffix", [".ir.py", ".pt2"])
def test_trace_writes_what_other_verbs_read(regraft, model, tmp_path, suffix):
    out = tmp_path / f"traced{suffix}"
    assert regraft("trace", f"{model}:load", "-o", out).code == 0
    assert regraft("diff", f"{model}:load", out).code == 0


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        (("--inputs", "f32[2, 8]"), "f32[2, 8]"),
        (("--inputs", "x=f32[2, 8]"), "f32[2, 8]"),
        (("--inputs", "f32[2, 8]", "--dtype", "bf16"), "bf16[2, 8]"),
        (("--inputs", "f32[t=5, 8]"), "f32[s77, 8]"),
    ],
    ids=["positional", "keyword", "dtype", "dynamic"],
)
def test_inputs_by_type(regraft, model, flags, kind):
    (found,) = regraft("inspect", f"{model}:bare", *flags, "--json").json["inputs"].values()
    assert found == kind


def test_dynamic_dimensions_take_a_range(regraft, model):
    found = regraft("inspect", f"{model}:load", "--dynamic", "x:0=2..64", "--json").json
    assert list(found["ranges"].values()) == [[2, 64]]
    assert list(found["sizes"].values()) == [3]


def test_an_importable_module_is_a_model(regraft, model, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    assert regraft("inspect", "tiny_model:load").code == 0


def test_training_mode_is_traced_when_asked_for(regraft, model):
    assert "training=True" in regraft("trace", f"{model}:load", "--train").out
    assert "training=True" not in regraft("trace", f"{model}:load").out


def test_inspect_counts_tied_weights_once(regraft, model):
    found = regraft("inspect", f"{model}:load", "--json").json
    assert found["parameters"] == 8 + 64 + 8 + 8
    assert found["tied"] == 1
    assert found["operators"]["aten.linear.default"] == 2
    assert found["cost"]["matmul_flops"] == 2 * 2 * 3 * 8 * 8
    shown = regraft("inspect", f"{model}:load").out
    assert "88 parameters" in shown
    assert "aten.linear.default" in shown


def test_inspect_lists_the_sites_a_glob_names(regraft, model):
    found = regraft("inspect", f"{model}:load", "--sites", "head", "--json").json
    assert [site["site"] for site in found] == ["head/linear#0"]
    assert found[0]["type"] == "f32[3, 8]"


def test_passes_lists_them_with_their_numerics(regraft):
    found = {record["name"]: record for record in regraft("passes", "--json").json}
    assert found["raise-norm"]["numerics"] == "exact"
    assert found["raise-norm"]["default"]
    assert "raise-norm" in regraft("passes").out


def test_passes_of_a_name_shows_options_with_types_and_rules_with_places(regraft):
    found = regraft("passes", "fold-constants", "--json").json
    assert found["options"] == [{"name": "max-bytes", "type": "int", "default": 1 << 26}]
    shown = regraft("passes", "raise-norm").out
    assert "passes/raise_norm/rms_norm.py:" in shown
    assert "rms_norm" in shown


def test_explain_says_what_happened_at_each_site(regraft, model):
    remarks = regraft("explain", f"{model}:load", *NORM, "--json").json
    assert [remark["kind"] for remark in remarks] == ["passed", "passed"]
    only = regraft("explain", f"{model}:load", *NORM, "--site", "*rms_norm#1", "--json").json
    assert [remark["site"] for remark in only] == ["/rms_norm#1"]
    assert "2 rewritten, 0 declined" in regraft("explain", f"{model}:load", *NORM).out


def test_explain_missed_shows_only_what_was_declined(regraft, model):
    ran = regraft("explain", f"{model}:load", *NORM, "--missed")
    assert "nothing was declined" in ran.out


def test_diff_of_a_pipeline_shows_what_came_and_went(regraft, model):
    ran = regraft("diff", f"{model}:load", *NORM)
    assert ran.code == 1
    assert "+2 rms_norm" in ran.out
    found = regraft("diff", f"{model}:load", *NORM, "--json").json
    assert found["different"]
    assert found["sites"][""]["rsqrt"] == -2


def test_diff_of_a_model_with_itself_finds_nothing(regraft, model):
    ran = regraft("diff", f"{model}:load", f"{model}:keywords")
    assert ran.code == 0
    assert "the graphs are the same" in ran.out


def test_check_prints_the_tolerance_that_would_pass_and_the_one_demanded(regraft, model):
    ran = regraft("check", f"{model}:load", *NORM)
    assert ran.code == 0
    for word in ("would pass", "demanded", "output 0", "gradient of head.weight", "/rms_norm#1"):
        assert word in ran.out
    assert "gradient" not in regraft("check", f"{model}:load", *NORM, "--no-gradients").out


@pytest.fixture
def wrong_norm(monkeypatch):
    """RMSNorm with an epsilon of another model, at its second site."""
    from regraft.passes.raise_norm import RaiseNorm

    def run(self, program, ctx):
        import torch

        for site in ctx.sites(program, torch.ops.aten.rsqrt.default):
            with ctx.edit(site.node, "rsqrt", site) as edit:
                value = edit.call(torch.ops.aten.rsqrt.default, site.node.args[0])
                if edit.number == 2:
                    value = edit.call(torch.ops.aten.mul.Tensor, value, 1.01)
                edit.replace(site.node, value)
            ctx.passed(site, "rewritten", "the same again")

    monkeypatch.setattr(RaiseNorm, "run", run)


@pytest.mark.usefixtures("wrong_norm")
def test_check_and_run_fail_with_a_wrong_pass(regraft, model):
    checked = regraft("check", f"{model}:load", *NORM)
    assert checked.code == 1
    assert "a pass broke its promise" in checked.out
    assert checked.err.splitlines()[-1] == f"next: regraft bisect {model}:load -p raise-norm"
    assert not regraft("check", f"{model}:load", *NORM, "--json").json["ok"]
    ran = regraft("run", f"{model}:load", *NORM, "--check", "each")
    assert ran.code == 1
    assert "regraft bisect" in ran.err


@pytest.mark.usefixtures("wrong_norm")
def test_bisect_names_the_rewrite(regraft, model, tmp_path):
    ran = regraft("bisect", f"{model}:load", *NORM, "--tree-dir", tmp_path / "tree")
    assert ran.code == 1
    assert "rewrite 2 of pass 'raise-norm'" in ran.out
    assert "--limit raise-norm=2" in ran.err
    assert {path.name for path in (tmp_path / "tree").iterdir()} == {"good.ir.py", "bad.ir.py"}
    assert regraft("bisect", f"{model}:load", *NORM, "--json").json["rewrite"] == 2


def test_bisect_finds_nothing_in_a_right_pipeline(regraft, model):
    ran = regraft("bisect", f"{model}:load", *NORM)
    assert ran.code == 0
    assert "keeps the numbers" in ran.out


def test_bench_times_before_and_after_with_a_match(regraft, model):
    found = regraft("bench", f"{model}:load", *NORM, "--eager", "--seconds", "0", "--json").json
    assert [timing["name"] for timing in found["timings"]] == ["eager, before", "eager, after"]
    assert all(timing["rounds"] >= 5 and timing["match"] < 1e-6 for timing in found["timings"])
    assert found["rewrites"] == 2


def test_bench_compiles_with_inductor(regraft, model):
    found = regraft("bench", f"{model}:load", *NORM, "--seconds", "0", "--json").json
    assert [timing["name"] for timing in found["timings"][2:]] == ["inductor, before", "inductor, after"]
    assert all(timing["match"] < 1e-6 for timing in found["timings"])


def test_doctor_finds_settings_without_effect(regraft, monkeypatch):
    monkeypatch.setenv("REGRAFT_STRICKT", "1")
    ran = regraft("doctor", "--json")
    assert ran.code == int(not ran.json["ok"])
    found = {finding["name"]: finding for finding in ran.json["findings"]}
    assert found["REGRAFT_STRICKT"]["status"] == "warning"
    assert "REGRAFT_STRICT" in found["REGRAFT_STRICKT"]["advice"]
    assert found["torch"]["status"] == "ok"


def test_doctor_fails_without_a_compiler(regraft, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    ran = regraft("doctor")
    assert ran.code == 1
    assert "no-such-compiler is not there" in ran.out


def test_a_hugging_face_directory_is_a_model(regraft, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2
    )
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "with")
    ran = regraft("inspect", tmp_path / "with", "--json")
    assert ran.code == 0
    assert "no tokenizer" in ran.err
    config.architectures = ["LlamaForCausalLM"]
    config.save_pretrained(tmp_path / "without")
    without = regraft("inspect", tmp_path / "without", "--json")
    assert "random ones of seed 0" in without.err
    assert without.json["parameters"] == ran.json["parameters"]


def test_a_pt2_that_returns_a_class_of_transformers_is_read_by_a_fresh_process(regraft, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2
    )
    config.architectures = ["LlamaForCausalLM"]
    config.save_pretrained(tmp_path)
    out = tmp_path / "rewritten.pt2"
    assert regraft("run", tmp_path, "-p", "raise-norm", "-o", out).code == 0
    command = [sys.executable, "-m", "regraft", "inspect", str(out)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "dialect: 3 rms_norm" in ran.stdout


def test_a_directory_with_its_own_code_is_not_run(regraft, tmp_path):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "config.json").write_text('{"auto_map": {"AutoModel": "modeling.Own"}}')
    ran = regraft("inspect", tmp_path / "hub")
    assert ran.code == 3
    assert "its own modelling code" in ran.err


def test_a_pt2_can_be_moved_to_a_device(regraft, model, tmp_path):
    out = tmp_path / "traced.pt2"
    regraft("trace", f"{model}:load", "-o", out)
    assert regraft("inspect", out, "--device", "cpu").code == 0


FILTERED = """
import torch


class Filtered(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.k = torch.nn.Parameter(torch.linspace(0, -6, 40).exp().repeat(3, 1))

    def forward(self, u):
        n = 80
        return torch.fft.irfft(torch.fft.rfft(u, n=n) * torch.fft.rfft(self.k, n=n), n=n)[..., :40]


def load():
    return Filtered(), (torch.randn(2, 3, 40),)
"""


def test_sweep_shows_error_against_saving_and_names_the_check(regraft, tmp_path):
    path = tmp_path / "filtered.py"
    path.write_text(FILTERED)
    argv = ("sweep", f"{path}:load", "-p", "truncate-filters", "--values", "taps=4,16,40")
    found = regraft(*argv, "--json").json
    assert [row["rewritten"] for row in found["rows"]] == [1, 1, 0]
    assert found["rows"][0]["error"] > found["rows"][1]["error"] > found["rows"][2]["error"] == 0
    shown = regraft(*argv)
    assert shown.code == 0
    assert "taps=16" in shown.out
    assert "1 nothing-to-drop" in shown.out
    assert "next: regraft check" in shown.err
    assert "truncate-filters{taps=16}" in shown.err


def test_sweep_of_several_options_takes_every_combination(regraft, tmp_path):
    path = tmp_path / "filtered.py"
    path.write_text(FILTERED)
    values = ("--values", "rows=3,8", "--values", "columns=2,10")
    found = regraft("sweep", f"{path}:load", "-p", "sparsify-spectrum", *values, "--json").json
    settings = [(row["setting"]["rows"], row["setting"]["columns"]) for row in found["rows"]]
    assert settings == [("3", "2"), ("3", "10"), ("8", "2"), ("8", "10")]


def test_sweep_of_a_model_without_sites_names_explain(regraft, model):
    shown = regraft("sweep", f"{model}:load", "-p", "truncate-filters", "--values", "taps=4")
    assert shown.code == 0
    assert "none" in shown.out
    assert "next: regraft explain" in shown.err
