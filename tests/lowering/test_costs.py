"""The cost table: found again by what it holds for, merged, and never in the way."""

import json

import pytest
import torch
from regraft.lowering import costs
from regraft.lowering.costs import Key, Measured, digest, look_up, record

KEY = Key("NVIDIA H200", "3.7.1", "2.13.0", "long_conv", "bf16", "eager", "rows 16")


def test_what_is_recorded_is_found():
    record({KEY: {"tile": Measured(0.002, {"num_warps": 4}), "other": Measured(0.0, {}, "it is wrong")}})
    found = look_up(KEY, on_cpu=False).measured
    assert found["tile"] == Measured(0.002, {"num_warps": 4})
    assert found["other"].rejected == "it is wrong"


@pytest.mark.parametrize("other", ["device", "triton", "torch", "op", "dtype", "mode", "bucket"])
def test_a_measurement_holds_for_nothing_else(other):
    record({KEY: {"tile": Measured(0.002)}})
    assert not look_up(costs.replace(KEY, **{other: "another"}), on_cpu=False).measured


def test_writers_keep_what_others_wrote():
    record({KEY: {"tile": Measured(0.002), "direct": Measured(0.004)}})
    record({KEY: {"tile": Measured(0.001)}, costs.replace(KEY, bucket="rows 64"): {"tile": Measured(0.003)}})
    found = look_up(KEY, on_cpu=False).measured
    assert (found["tile"].seconds, found["direct"].seconds) == (0.001, 0.004)
    assert [path.name for path in costs.table_path().parent.iterdir() if path.suffix == ".json"] == ["costs.json"]


BROKEN = ["", "{", "[]", '{"schema": 0, "entries": {}}', '{"schema": 1}', '{"schema": 1, "entries": {"a": {"b": 3}}}']


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_cannot_be_read_is_named_ignored_and_written_anew(text):
    costs.table_path().write_text(text)
    with pytest.warns(RuntimeWarning, match=r"costs\.json is ignored"):
        assert not look_up(KEY, on_cpu=False).measured
    record({KEY: {"tile": Measured(0.001)}})
    assert look_up(KEY, on_cpu=False).measured
    assert json.loads(costs.table_path().read_text())["schema"] == costs.SCHEMA


def test_shipped_measurements_of_a_cpu_stand_for_any_and_say_where_they_were_made(monkeypatch, tmp_path):
    monkeypatch.setattr(costs, "SHIPPED", tmp_path / "shipped.json")
    record({KEY.of_any_cpu: {"direct": Measured(0.1)}}, tmp_path / "shipped.json", where="a machine")
    found = look_up(KEY, on_cpu=True)
    assert (found.measured["direct"].seconds, found.where) == (0.1, "a machine")
    assert not look_up(KEY, on_cpu=False).measured


def test_this_machines_measurements_go_before_the_shipped_ones(monkeypatch, tmp_path):
    monkeypatch.setattr(costs, "SHIPPED", tmp_path / "shipped.json")
    record({KEY: {"direct": Measured(0.1)}}, tmp_path / "shipped.json", where="a machine")
    record({KEY: {"direct": Measured(0.2)}})
    assert look_up(KEY, on_cpu=True).measured["direct"].seconds == 0.2


def test_the_digest_changes_with_the_table_and_salts_compiled_graphs():
    from regraft.compiler.pipeline import Pipeline
    from regraft.lowering.inductor import cache_salt

    before = digest(), cache_salt(Pipeline(()))
    record({KEY: {"tile": Measured(0.002)}})
    assert digest() != before[0]
    assert cache_salt(Pipeline(())) != before[1]


def test_the_shipped_table_is_read_without_complaint_and_covers_every_bucket(recwarn):
    from regraft.kernels.long_conv.candidates import LENGTHS, TAPS, bucket

    for length in LENGTHS:
        for rows in (1, 4, 16, 64, 256, 1024, 4096, 10**6):
            for taps in (*TAPS, length):
                key = Key("any", "-", "-", "long_conv", "f32", "eager", bucket(rows, length, taps))
                assert {"inductor", "direct", "monarch"} <= set(look_up(key, on_cpu=True).measured), key
    assert not recwarn.list


def test_a_call_on_a_cpu_asks_for_no_triton():
    from regraft.kernels import candidates
    from regraft.lowering.candidates import call_with
    from regraft.lowering.targets import target_of

    call = call_with(torch.ops.regraft.long_conv.default, torch.ones(2, 3, 9), torch.ones(3, 5))
    key = costs.key_of(call, candidates.reference("long_conv"), target_of("cpu"))
    assert (key.triton, key.torch, key.dtype) == ("-", torch.__version__, "f32")
    assert key.bucket == "rows 16, length 256, taps 8"
