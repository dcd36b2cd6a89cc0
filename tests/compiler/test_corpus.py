"""Real graphs, replayed: they read back as they are, run, and the default pipeline does to them what it did before.

``NAME.expected.txt`` beside each graph holds what the pipeline did to it; ``REGRAFT_UPDATE_GOLDEN=1`` writes it anew.
"""

import os
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import torch
from regraft.compiler.execute import execute
from regraft.compiler.numerics import check_program
from regraft.compiler.ops import is_semantic, op_name
from regraft.compiler.pipeline import Pipeline, PipelineResult
from regraft.compiler.program import Program
from regraft.compiler.text import equal, load_program, print_program, seeded_inputs, seeded_weights
from regraft.passes import DEFAULT, registry

CORPUS = Path(__file__).parents[1] / "corpus"
NAMES = sorted(path.name.removesuffix(".ir.py") for path in CORPUS.glob("*.ir.py"))


@cache
def loaded(name: str) -> Program:
    program = load_program(CORPUS / f"{name}.ir.py")
    program.weights = seeded_weights(program)
    return program


@cache
def rewritten(name: str) -> tuple[Program, PipelineResult]:
    """The program and what the passes of the default pipeline that can be imported made of a copy."""
    program = loaded(name).copy()
    passes = [part for part in DEFAULT.split(",") if available(part)]
    result = Pipeline.parse(",".join(passes), registry).run(program)
    program.recompile()
    return program, result


@cache
def available(name: str) -> bool:
    try:
        registry.get(name)
    except (ImportError, AttributeError):
        return False
    return True


def summary(program: Program, result: PipelineResult) -> str:
    """What the pipeline did, by pass, and the operators of the dialect that are in the graph afterwards."""
    lines: list[str] = []
    for record in result.records:
        remarks = result.remarks.of(record.pass_name)
        counts = Counter(f"{remark.kind} {remark.code}" for remark in remarks)
        size = f"{record.nodes_before} -> {record.nodes_after} nodes"
        lines.append(f"{record.pass_name}: {record.rewrites} rewrites, {size}")
        lines += [f"  {count} {code}" for code, count in sorted(counts.items())]
    nodes = [node for _, module in program.graphs() for node in module.graph.nodes]
    ops = Counter(op_name(node.target) for node in nodes if is_semantic(node.target))
    lines += ["after:", *(f"  {count} {op}" for op, count in sorted(ops.items()))]
    return "\n".join(lines) + "\n"


def test_the_corpus_holds_at_least_twenty_graphs():
    assert len(NAMES) >= 20


@pytest.mark.parametrize("name", NAMES)
def test_reads_back_as_it_was_written(name):
    program = loaded(name)
    text = (CORPUS / f"{name}.ir.py").read_text()
    assert print_program(program) == text
    assert equal(program, program.copy()) is None


@pytest.mark.parametrize("name", NAMES)
def test_runs_to_finite_results(name):
    program = loaded(name)
    weights = {fqn: value.clone() for fqn, value in program.weights.items()}
    results = [value for value in execute(program, seeded_inputs(program), weights) if isinstance(value, torch.Tensor)]
    assert results
    assert all(value.isfinite().all() for value in results)


@pytest.mark.parametrize("name", NAMES)
def test_the_pipeline_does_what_it_did_before(name):
    golden = CORPUS / f"{name}.expected.txt"
    text = summary(*rewritten(name))
    if os.environ.get("REGRAFT_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert golden.read_text() == text


@pytest.mark.parametrize("name", NAMES)
def test_the_pipeline_keeps_results_and_gradients(name):
    before, (after, _) = loaded(name), rewritten(name)
    record = check_program(before, after, seeded_inputs(before), before.weights)
    assert record.ok, str(record)
