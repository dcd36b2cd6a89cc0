"""Every wrong request is one clear error on stderr, the right exit code, no traceback, and no file left behind."""

import os
import subprocess
import sys

import pytest

USAGE, UNSUPPORTED = 2, 3


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (("run", "{m}:load", "-p", "raise-nrom"), USAGE, "did you mean 'raise-norm'"),
        (("run", "{m}:load", "-p", "raise-norm{deep=1}"), USAGE, "has no option 'deep'"),
        (("run", "{m}:load", "-p", "raise-norm{"), USAGE, "column"),
        (("run", "{m}:load", "-p", "raise-norm", "--skip", "raise-nrom"), USAGE, "not in the pipeline"),
        (("run", "{m}:load", "-p", "raise-norm", "--limit", "raise-norm"), USAGE, "PASS=N"),
        (("run", "{m}:load", "-p", "raise-norm", "--print-ir-after", "changd"), USAGE, "did you mean 'changed'"),
        (("run", "{m}:load", "-p", "truncate-filters"), USAGE, "either taps or tol"),
        (("run", "{m}:load", "-p", "truncate-filters{taps=8,tol=0.1}"), USAGE, "either taps or tol"),
        (("sweep", "{m}:load"), USAGE, "-p truncate-filters"),
        (("sweep", "{m}:load", "-p", "truncate-filters"), USAGE, "--values taps=64"),
        (("sweep", "{m}:load", "-p", "truncate-filters", "--values", "taps"), USAGE, "OPTION=VALUE"),
        (("sweep", "{m}:load", "-p", "truncate-filters", "--values", "taps=8,0"), USAGE, "taps must be at least 1"),
        (("sweep", "{m}:load", "-p", "truncate-filters", "--values", "tabs=8"), USAGE, "did you mean 'taps'"),
        (("sweep", "{m}:load", "-p", "default", "--values", "taps=8"), USAGE, "name the pass alone"),
        (("sweep", "{m}:load", "-p", "truncate-filers", "--values", "taps=8"), USAGE, "'truncate-filters'"),
        (("run", "{m}:lod"), USAGE, "did you mean 'load'"),
        (("run", "{m}"), USAGE, "{m}:load"),
        (("run", "{m}:broken"), USAGE, "no weights today"),
        (("run", "{m}:number"), USAGE, "gave int, not a model"),
        (("run", "{m}:bare"), USAGE, "--inputs"),
        (("run", "{m}:bare", "--inputs", "f33[2]"), USAGE, "'f33[2]' is not a tensor type"),
        (("run", "{m}:narrow"), USAGE, "given were f32[3, 7]"),
        (("run", "{m}:extra"), USAGE, "too many positional arguments"),
        (("run", "{m}:load", "--device", "cuda:99"), USAGE, "device 'cuda:99' is not there"),
        (("run", "{m}:load", "--device", "toaster"), USAGE, "this machine has cpu"),
        (("run", "{m}:load", "--dtype", "f31"), USAGE, "invalid choice"),
        (("run", "{m}:load", "--dynamic", "x"), USAGE, "NAME:DIM"),
        (("run", "{m}:load", "--dynamic", "z:0"), USAGE, "no argument 'z'"),
        (("run", "{m}:load", "--dynamic", "x:2"), USAGE, "2 dimensions"),
        (("run", "nowhere.py:load"), USAGE, "there is no file 'nowhere.py'"),
        (("run", "no_such_package.module:load"), USAGE, "no_such_package"),
        (("run", "no/such/model"), USAGE, "there is no model"),
        (("run", "{d}"), USAGE, "no config.json"),
        (("run", "{d}/nothing.pt2"), USAGE, "there is no file"),
        (("run", "{d}/nothing.ir.py"), USAGE, "cannot be read"),
        (("run", "{m}:load", "-o", "out.onnx"), USAGE, ".ir.py or .pt2"),
        (("run", "{m}:load", "-o", "{d}/no/such/out.pt2"), USAGE, "there is no directory"),
        (("trace", "{m}:load", "-o", "{d}/no/such/out.pt2"), USAGE, "there is no directory"),
        (("run", "{m}:load", "--tree-dir", "{m}"), USAGE, "not a directory"),
        (("inspect", "{m}:load", "--sites", "layers.*"), USAGE, "no site matches 'layers.*'"),
        (("explain", "{m}:load", "-p", "raise-norm", "--site", "layers.*"), USAGE, "matches 'layers.*'"),
        (("explain", "{m}:load", "-p", "raise-norm", "--pass", "raise-rotary"), USAGE, "not in the pipeline"),
        (("passes", "raise-nrom"), USAGE, "did you mean 'raise-norm'"),
        (("diff", "{m}:load", "{m}:load", "{m}:load"), USAGE, "one or two models"),
        (("diff", "{m}:load", "{m}:load", "-p", "raise-norm"), USAGE, "one model"),
        (("bench", "{m}:load", "--threads", "0"), USAGE, "--threads"),
        (("rnu", "{m}:load"), USAGE, "did you mean 'run'"),
        (("run",), USAGE, "MODEL"),
        (("run", "{m}:load", "--no-such-flag"), USAGE, "--no-such-flag"),
        (("run", "{m}:branches"), UNSUPPORTED, "for 2 reasons"),
        (("run", "{m}:fixed", "--dynamic", "x:0"), UNSUPPORTED, "a dynamic dimension is fixed by the code"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_is_one_clear_error(regraft, model, tmp_path, argv, code, message):
    def fill(text):
        return text.replace("{m}", model).replace("{d}", str(tmp_path))

    ran = regraft(*map(fill, argv))
    assert ran.code == code
    assert fill(message) in ran.err
    assert ran.err.count("regraft: ") == 1
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert {path.name for path in tmp_path.iterdir()} <= {"tiny_model.py", "__pycache__"}


def test_an_unsupported_model_names_every_line_and_what_to_try(regraft, model):
    ran = regraft("run", f"{model}:branches")
    for line in ("if x.sum() > 0:", "if x.prod() > 3:"):
        assert line in ran.err
    assert "torch.cond" in ran.err
    assert "backend='regraft'" in ran.err
    assert "def forward" not in ran.err


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("def graph(x: f32[2]):\n    y: f32[2] = aten.rleu.default(x)\n    return (y,)\n", ":2:"),
        ("def graph(x: f32[2)\n", ":1:"),
        ("def graph(x: f32[2]):\n    y: f32[3] = aten.relu.default(x)\n    return (y,)\n", ":2:"),
    ],
    ids=["unknown operator", "syntax", "wrong type"],
)
def test_malformed_text_names_file_line_and_column(regraft, tmp_path, text, place):
    file = tmp_path / "bad.ir.py"
    file.write_text(text)
    ran = regraft("run", file)
    assert ran.code == USAGE
    assert f"{file}{place}" in ran.err


def test_settings_that_a_file_fixes_are_refused(regraft, tmp_path):
    file = tmp_path / "small.ir.py"
    file.write_text("def graph(x: f32[2]):\n    y: f32[2] = aten.relu.default(x)\n    return (y,)\n")
    assert regraft("run", file, "-p", "raise-norm").code == 0
    ran = regraft("run", file, "--dtype", "bf16")
    assert ran.code == USAGE
    assert "--dtype does not apply" in ran.err


def test_a_broken_pt2_is_not_a_traceback(regraft, tmp_path):
    (tmp_path / "junk.pt2").write_bytes(b"junk")
    ran = regraft("run", tmp_path / "junk.pt2")
    assert ran.code == USAGE
    assert "cannot be loaded" in ran.err


def test_a_write_that_fails_halfway_leaves_the_old_file(regraft, model, tmp_path, monkeypatch):
    out = tmp_path / "out.ir.py"
    out.write_text("what was there")

    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    ran = regraft("trace", f"{model}:load", "-o", out)
    assert ran.code == USAGE
    assert "No space left" in ran.err
    assert out.read_text() == "what was there"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(regraft, model, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    ran = regraft("trace", f"{model}:load", "-o", tmp_path / "locked" / "out.ir.py")
    assert ran.code == USAGE
    assert "cannot be written" in ran.err


def test_traceback_is_there_when_asked_for(model):
    command = [sys.executable, "-m", "regraft", "run", f"{model}:broken", "--traceback"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == USAGE
    assert "Traceback" in ran.stderr
    assert "no weights today" in ran.stderr
