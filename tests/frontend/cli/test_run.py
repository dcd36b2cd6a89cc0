import json

import pytest
import torch
from regraft.compiler.text import parse_program
from regraft.frontend.cli import main

RUN = ("-p", "raise-norm")


def test_says_what_each_pass_did_and_names_the_next_command(regraft, model):
    ran = regraft("run", f"{model}:load", *RUN)
    assert ran.code == 0
    row = next(line for line in ran.out.splitlines() if line.startswith("raise-norm"))
    assert row.split()[:6] == ["raise-norm", "exact", "2", "of", "2", "2"]
    assert ran.err.splitlines()[-1] == f"next: regraft bench {model}:load -p raise-norm"


def test_what_the_models_code_prints_is_kept_off_stdout(regraft, model):
    ran = regraft("run", f"{model}:load", *RUN, "--json")
    assert "a word from the model" in ran.err
    assert ran.json["passes"][0]["rewrites"] == 2
    assert "next:" not in ran.err


def test_the_numbers_are_checked_at_the_end_unless_told_otherwise(regraft, model):
    checked = regraft("run", f"{model}:load", *RUN, "--json").json["numerics"]
    assert checked["ok"]
    assert checked["mode"] == "end"
    assert regraft("run", f"{model}:load", *RUN, "--json", "--check", "off").json["numerics"] is None


def test_limit_stops_a_pass_after_so_many_rewrites(regraft, model):
    ran = regraft("run", f"{model}:load", *RUN, "--limit", "raise-norm=1", "--json")
    assert ran.json["passes"][0]["rewrites"] == 1


@pytest.mark.parametrize(
    ("flags", "ran"),
    [
        (("--stop-after", "canonicalise"), ["canonicalise"]),
        (("--skip", "canonicalise"), ["raise-norm"]),
        (("--only", "raise-norm"), ["raise-norm"]),
    ],
)
def test_part_of_a_pipeline(regraft, model, flags, ran):
    passes = regraft("run", f"{model}:load", "-p", "canonicalise,raise-norm", *flags, "--json").json["passes"]
    assert [record["name"] for record in passes if not record["skipped"]] == ran


@pytest.mark.parametrize(
    ("what", "printed"),
    [
        ("all", ["raise-norm", "raise-rotary"]),
        ("changed", ["raise-norm"]),
        ("raise-rotary", ["raise-rotary"]),
    ],
)
def test_print_ir_after_prints_programs_that_parse(regraft, model, what, printed):
    ran = regraft("run", f"{model}:load", "-p", "raise-norm,raise-rotary", "--print-ir-after", what)
    dumps = ran.err.split("# after ")[1:]
    assert [dump.split(":")[0] for dump in dumps] == printed
    text = dumps[0].split("\n", 1)[1].split("next:")[0]
    assert "regraft.rms_norm" in print_targets(parse_program(text))


def print_targets(program):
    return " ".join(str(node.target) for node in program.graph.nodes)


def test_tree_dir_holds_a_program_after_each_pass_and_the_remarks(regraft, model, tmp_path):
    tree = tmp_path / "new" / "tree"
    regraft("run", f"{model}:load", "-p", "raise-norm,raise-rotary", "--tree-dir", tree)
    names = ["00-input.ir.py", "01-raise-norm.ir.py", "02-raise-rotary.ir.py", "remarks.json"]
    assert sorted(path.name for path in tree.iterdir()) == names
    assert "rms_norm" not in (tree / names[0]).read_text()
    assert "regraft.rms_norm" in (tree / names[1]).read_text()
    remarks = json.loads((tree / names[3]).read_text())
    assert [remark["kind"] for remark in remarks] == ["passed", "passed"]


def test_stats_give_file_and_line_of_every_rule(regraft, model):
    statistics = regraft("run", f"{model}:load", *RUN, "--stats", "--json").json["statistics"]
    rewrites = {record["rule"]: record["rewrites"] for record in statistics}
    assert rewrites["rms_norm"] == 2
    assert all("raise_norm/" in record["where"] for record in statistics)
    assert "raise_norm/" in regraft("run", f"{model}:load", *RUN, "--stats").out


def test_time_is_shown_when_asked_for(regraft, model):
    assert "all passes: " in regraft("run", f"{model}:load", *RUN, "--time").out
    assert "all passes: " not in regraft("run", f"{model}:load", *RUN).out


@pytest.mark.parametrize("suffix", [".ir.py", ".pt2"])
def test_the_result_is_a_model_again(regraft, model, tmp_path, suffix):
    out = tmp_path / f"rewritten{suffix}"
    assert regraft("run", f"{model}:load", *RUN, "-o", out).code == 0
    again = regraft("run", out, *RUN, "--json")
    assert again.code == 0
    assert again.json["passes"][0]["rewrites"] == 0
    assert "rms_norm" in json.dumps(regraft("inspect", out, "--json").json["operators"])


def test_a_rewritten_pt2_computes_what_the_model_did(regraft, model, tmp_path):
    out = tmp_path / "rewritten.pt2"
    regraft("run", f"{model}:keywords", *RUN, "-o", out, "--dynamic", "x:0=2..16")
    module = torch.export.load(out).module()
    x = torch.randn(5, 8)
    normed = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * torch.linspace(0.5, 1.5, 8)
    state = module.state_dict()
    y = torch.nn.functional.linear(normed, state["head.weight"], state["head.bias"])
    y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6) * torch.linspace(0.5, 1.5, 8)
    expected = torch.nn.functional.linear(y, state["head.weight"], state["tail.bias"])
    torch.testing.assert_close(module(x=x)["y"], expected)


def test_nothing_of_a_table_is_cut_off_a_terminal(regraft, model, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert "raise-norm" in regraft("run", f"{model}:load", *RUN).out


def test_a_failing_pass_is_an_internal_error_with_a_program_to_reproduce_it(regraft, model, monkeypatch):
    from regraft.passes.raise_norm import RaiseNorm

    def fail(self, program, ctx):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(RaiseNorm, "run", fail)
    ran = regraft("run", f"{model}:load", *RUN)
    assert ran.code == 4
    assert "Traceback" not in ran.err
    path = ran.err.split("to reproduce: ")[1].strip()
    with open(path) as file:
        text = file.read()
    assert "on purpose" in text
    assert f"# regraft run {model}:load -p raise-norm" in text
    assert "aten.pow.Tensor_Scalar" in text
    monkeypatch.undo()
    assert main(["run", path, "-p", "raise-norm", "--json"]) == 0


def test_a_failure_remark_makes_the_command_fail(regraft, model, monkeypatch):
    from regraft.passes.raise_norm import RaiseNorm

    monkeypatch.setattr(RaiseNorm, "run", lambda self, program, ctx: ctx.remark("failure", "", "broken", "it broke"))
    assert regraft("run", f"{model}:load", *RUN).code == 4
    assert regraft("explain", f"{model}:load", *RUN).code == 4
