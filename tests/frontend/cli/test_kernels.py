"""``regraft kernels``: what is listed, shown and audited, and how a wrong request is told."""

import json

import pytest
from regraft.compiler.errors import UsageError
from regraft.frontend.cli import kernels, main
from regraft.kernels import candidates, families
from regraft.kernels.tunable import tunable
from regraft.lowering import costs
from regraft.lowering.tile.audit import Machine

NAME = "norm.rms.bf16.2304"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REGRAFT_CACHE", str(tmp_path))


def test_every_variant_is_listed(capsys):
    assert main(["kernels", "list", "--json"]) == 0
    listed = [row["variant"] for row in json.loads(capsys.readouterr().out)]
    assert listed == [variant.name for variants in families().values() for variant in variants]


def test_the_source_is_shown_and_parses(capsys):
    assert main(["kernels", "show", NAME]) == 0
    text = capsys.readouterr().out
    assert "@triton.jit" in text
    compile(text, NAME, "exec")


def test_the_tile_program_is_shown(capsys):
    assert main(["kernels", "show", NAME, "--tile"]) == 0
    assert capsys.readouterr().out.startswith("rms_norm(x: bf16[M, WIDTH], ")


def test_machine_code_is_shown(capsys):
    assert main(["kernels", "show", NAME, "--ptx", "--target", "sm_80"]) == 0
    assert ".target sm_80" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show", "norm.rms.bf16.2305"], f"did you mean '{NAME}'"),
        (["audit", "nothing"], "there is no kernel 'nothing'"),
        (["show"], "show takes one kernel"),
        (["audit", "--target", "sm_91"], "did you mean 'sm_90'"),
        (["show", NAME, "--amdgcn", "--target", "sm_80"], "there is no amdgcn for sm_80"),
    ],
)
def test_a_wrong_request_says_what_there_is(words, told, capsys):
    assert main(["kernels", *words]) == UsageError.exit_code
    assert told in capsys.readouterr().err


def test_an_audit_ends_with_1_when_a_variant_fails(capsys, monkeypatch):
    assert main(["kernels", "audit", NAME, "--target", "sm_80"]) == 0
    assert "1 of 1 are as they must be" in capsys.readouterr().out
    spilled = Machine("sm_80", spill_bytes=400)
    monkeypatch.setattr("regraft.lowering.tile.audit.compile_all", lambda pairs, done: [spilled] * len(pairs))
    assert main(["kernels", "audit", NAME, "--target", "sm_80"]) == 1
    assert "a thread spills 400 bytes, 0 are allowed" in capsys.readouterr().out


def test_clearing_the_cache_keeps_what_was_measured(capsys):
    main(["kernels", "audit", NAME, "--target", "sm_80"])
    costs.table_path().write_text("{}")
    capsys.readouterr()
    assert main(["kernels", "cache", "--clear", "--json"]) == 0
    before = {row["what"]: row["files"] for row in json.loads(capsys.readouterr().out)["folders"]}
    assert before == {"printed kernels": 1, "audit results": 1, "measured costs": 1}
    main(["kernels", "cache", "--json"])
    after = {row["what"]: row["files"] for row in json.loads(capsys.readouterr().out)["folders"]}
    assert after == {"printed kernels": 0, "audit results": 0, "measured costs": 1}


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def test_without_a_gpu_tune_says_what_it_could_not_time(capsys, no_gpu):
    assert main(["kernels", "tune", "--op", "attention"]) == 0
    assert "there is no GPU: kernels of attention cannot be timed here" in capsys.readouterr().out
    assert not costs.table_path().exists()
    assert kernels.TAKES_MODEL is False


def test_tuning_writes_the_cost_table_and_says_where(capsys, no_gpu):
    assert main(["kernels", "tune", "--quick", "--op", "long_conv"]) == 0
    shown = capsys.readouterr().out
    assert f"the fastest of each candidate is in {costs.table_path()}" in shown
    (measured,) = json.loads(costs.table_path().read_text())["entries"].values()
    assert set(measured) == {"inductor", "direct", "monarch"}
    assert "rejected" not in measured["direct"]


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_every_call_that_is_tuned_is_one_of_its_operator(kind):
    jobs = tunable(kind)
    assert [job.make("meta").op for job in jobs] == [job.op for job in jobs]
    assert {job.op for job in jobs} <= set(candidates.by_op)
    assert [job.op for job in tunable(kind, quick=True)] == list(dict.fromkeys(job.op for job in jobs))


def test_tuning_an_operator_without_kernels_says_which_there_are(capsys):
    assert main(["kernels", "tune", "--op", "long_con"]) == UsageError.exit_code
    assert "did you mean 'long_conv'" in capsys.readouterr().err
