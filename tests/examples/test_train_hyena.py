"""Small Hyenas train as the script says, can be interrupted, and the trained ones need their filters."""

import copy
import dataclasses
import sys
from pathlib import Path

import pytest
import torch
from regraft.frontend.testing import run_pass
from regraft.frontend.weights import WeightsUnavailable

sys.path.insert(0, str(Path(__file__).parents[2]))
from examples import train_hyena
from examples.hyena import HyenaConfig, HyenaLM, tasks, zero_filters
from examples.hyena.tasks import IGNORED, Characters, Genes, Recall, evaluate
from examples.hyena.weights import load_characters, load_genes, load_recall, read, write

TINY = train_hyena.Recipe(
    HyenaConfig(vocab=8, dim=8, layers=1, length=20, filter_width=8), Recall(vocab=8, length=20, size=3), steps=4
)


def same(a: HyenaLM, b: HyenaLM) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path):
    whole = train_hyena.train(TINY, tmp_path / "whole.pt")
    half = train_hyena.train(TINY, tmp_path / "parts.pt", until=2)
    assert not same(half, whole)
    assert same(train_hyena.train(TINY, tmp_path / "parts.pt"), whole)
    assert {file.name for file in tmp_path.iterdir()} == {"whole.pt", "parts.pt"}


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    train_hyena.train(TINY, tmp_path / "state.pt", until=1)
    for recipe, seed in ((dataclasses.replace(TINY, rate=1.0), 0), (TINY, 1)):
        with pytest.raises(SystemExit, match=r"other settings: pass --no-resume"):
            train_hyena.train(recipe, tmp_path / "state.pt", seed=seed)
    assert not same(train_hyena.train(TINY, tmp_path / "state.pt", resume=False), HyenaLM(TINY.config))


def test_the_script_writes_weights_that_can_be_read_and_scored(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(train_hyena.RECIPES, "recall", TINY)
    files = ["--checkpoint", str(tmp_path / "state.pt"), "--output", str(tmp_path / "recall.safetensors")]
    train_hyena.main(["--task", "recall", *files])
    first = capsys.readouterr().out
    assert "zero filters" in first
    train_hyena.main(["--task", "recall", "--evaluate", *files])
    assert capsys.readouterr().out == "".join(line for line in first.splitlines(True) if "loss" in line)


def test_saved_weights_come_back_with_their_config_and_their_ties(tmp_path):
    model = HyenaLM(dataclasses.replace(TINY.config, mixer="h3"))
    write(model, tmp_path / "model.safetensors", {"note": "untrained"})
    again = read(tmp_path / "model.safetensors")
    assert again.config == model.config
    assert not again.training
    assert again.head.weight is again.embedding.weight
    assert same(again, model)


def test_recall_asks_for_the_value_of_every_key_that_was_seen_before():
    ids, targets = Recall(vocab=12, length=40, size=5).batch(3)
    for row, wanted in zip(ids.tolist(), targets.tolist(), strict=True):
        seen: dict[int, int] = {}
        for i in range(0, 40, 2):
            assert row[i] < 6 <= row[i + 1]
            assert wanted[i] == seen.get(row[i], IGNORED)
            assert wanted[i + 1] == IGNORED
            assert seen.setdefault(row[i], row[i + 1]) == row[i + 1]


def test_batches_depend_on_the_step_and_on_the_seed_and_are_never_held_out():
    task = Recall()
    first, again, other = task.batch(7)[0], task.batch(7)[0], Recall(seed=1).batch(7)[0]
    assert torch.equal(first, again)
    drawn = [first, other, task.batch(8)[0], task.held_out(7)[0]]
    assert len({tuple(ids.flatten().tolist()) for ids in drawn}) == 4


def test_text_is_encoded_in_plain_characters_and_back():
    plain = "Four score & seven; 'years' [87].\n"
    assert tasks.decode(tasks.encode(plain)) == plain
    assert tasks.decode(tasks.encode("“so” – it’s é")) == '"so" - it\'s  '


def test_genes_are_labelled_by_the_strand_that_codes_for_them():
    record = """\
FEATURES             Location/Qualifiers
     gene            1..20
     CDS             2..4
                     /gene="A"
     CDS             complement(join(6..7,
                     9..>10))
                     /note="CDS             1..20"
     CDS             join(12..13,15..15)
                     /gene="C"
ORIGIN
        1 acgtnacgta cgtacg
       17 tagc
//
"""
    ids, labels = tasks.parse_genbank(record).tolist()
    assert ids == [0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 2, 1]
    assert labels == [5, 6, 6, 6, 5, 7, 7, 5, 7, 7, 5, 6, 6, 5, 6, 5, 5, 5, 5, 5]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_trained_model_recalls_and_cannot_without_its_filters(seed):
    model, (ids,) = load_recall()
    assert ids.shape == (1, 256)
    fresh = Recall(vocab=model.config.vocab, size=8, seed=seed)
    assert evaluate(model, fresh, 1).accuracy >= 0.95
    assert evaluate(zero_filters(copy.deepcopy(model)), fresh, 1).accuracy < 0.20


def test_the_trained_model_of_text_predicts_a_speech_and_needs_its_filters():
    model, (ids,) = load_characters(batch=4)

    def loss(each: HyenaLM) -> float:
        with torch.no_grad():
            return torch.nn.functional.cross_entropy(each(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).item()

    assert loss(model) < 1.3
    assert loss(zero_filters(copy.deepcopy(model))) > loss(model) + 0.15


@pytest.mark.weights
@pytest.mark.parametrize(("load", "task"), [(load_characters, Characters(size=4)), (load_genes, Genes(size=4))])
def test_trained_models_beat_their_controls_on_held_out_data(load, task):
    try:
        task.held_out(0)
    except WeightsUnavailable as reason:
        pytest.skip(str(reason))
    model, _ = load()
    score, control = evaluate(model, task, 4), evaluate(zero_filters(copy.deepcopy(model)), task, 4)
    assert score.loss < control.loss - 0.1
    assert score.accuracy > control.accuracy + 0.05


@pytest.mark.parametrize("load", [load_recall, load_characters, load_genes])
def test_every_convolution_of_a_trained_model_is_raised_and_folded(load):
    model, inputs = load()
    rewritten = run_pass("default", model, *inputs)
    assert rewritten.count("long_conv_spectrum") == rewritten.count("short_conv") == model.config.layers
    assert rewritten.count("fft") == rewritten.count("sin") == 0
