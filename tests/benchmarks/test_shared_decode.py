"""The decode steps after a shared prompt agree, and their picture shows what was measured, whole or not at all."""

import json
from pathlib import Path

import pytest

pytest.importorskip("transformers")
from regraft.benchmarks import draw, shared_decode

RESULT = Path(__file__).parents[2] / "benchmarks/results/cpu-shared-decode.json"


def test_every_way_gives_the_logits_of_a_whole_row():
    rows = shared_decode.step(33, 3, "cpu", seconds=0, compiled=False)
    assert len({row.variant for row in rows}) == 3
    assert all(row.match < 1e-5 and row.notes["tokens_per_s"] > 0 for row in rows)


def test_the_committed_answers_were_right():
    rows = json.loads(RESULT.read_text())["rows"]
    assert all(row["match"] < 1e-5 for row in rows if row["runs"])
    assert all("needs" in row["notes"]["why"] for row in rows if not row["runs"])


def test_the_picture_shows_every_way_on_logarithmic_axes_with_units():
    pytest.importorskip("matplotlib")
    record = json.loads(RESULT.read_text())
    figure = draw.shared_decode(record)
    assert record["device"] in figure.get_suptitle()
    measured = {row["variant"] for row in record["rows"] if row["runs"]}
    for axes, unit in zip(figure.axes, ("[tokens]", "rows"), strict=True):
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        assert unit in axes.get_xlabel()
        assert set(axes.get_legend_handles_labels()[1]) == {draw.NAMES[name] for name in measured}
    left_out = {row["variant"] for row in record["rows"] if not row["runs"]}
    assert any(text.get_text() == "does not fit" for text in figure.axes[0].texts) == bool(left_out)


def test_a_picture_that_fails_leaves_the_old_one(tmp_path):
    class Failing:
        def savefig(self, path, **options):
            path.write_text("half")
            raise OSError("disk full")

    old = tmp_path / "picture.png"
    old.write_text("whole")
    with pytest.raises(OSError, match="disk full"):
        draw.save(Failing(), old)
    assert old.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [old]
