"""Fixtures every test may use."""

import os

import pytest
import torch

# Without a GPU kernels run in Triton's interpreter, which has to be asked for before triton is imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _shipped_costs_only(monkeypatch, tmp_path):
    """What was measured on this machine decides nothing in a test."""
    monkeypatch.setattr("regraft.lowering.costs.table_path", lambda: tmp_path / "costs.json")


@pytest.fixture(autouse=True)
def _fresh_dynamo():
    yield
    torch._dynamo.reset()
