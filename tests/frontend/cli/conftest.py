"""A tiny model file, and the command run in this process."""

import json
from dataclasses import dataclass

import pytest
from regraft.frontend.cli import main

MODEL = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, width))
        self.head = nn.Linear(width, width)
        self.tail = nn.Linear(width, width)
        self.tail.weight = self.head.weight

    def normed(self, x):
        return self.scale * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))

    def forward(self, x, flag=None):
        return {"y": self.tail(self.normed(self.head(self.normed(x))))}


class Branches(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            x = x + 1
        if x.prod() > 3:
            x = x - 1
        return x


class Fixed(nn.Module):
    def forward(self, x):
        return x + 1 if x.shape[0] == 3 else x


def load():
    print("a word from the model's own code")
    return Block(), (torch.randn(3, 8),)


def keywords():
    return Block(), {"x": torch.randn(3, 8)}


def bare():
    return Block()


def narrow():
    return Block(), (torch.randn(3, 7),)


def extra():
    return Block(), (torch.randn(3, 8), None, torch.randn(1))


def branches():
    return Branches(), (torch.randn(3),)


def fixed():
    return Fixed(), (torch.randn(3, 2),)


def broken():
    raise ValueError("no weights today")


def number():
    return 3


def needs(argument):
    return argument
"""


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Path of the model file; the cache, where reproducers go, is a temporary one."""
    monkeypatch.setenv("REGRAFT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "tiny_model.py"
    path.write_text(MODEL)
    return str(path)


@pytest.fixture
def regraft(model, capsys):
    """Run the command; gives its exit code and what it wrote."""

    def call(*argv):
        capsys.readouterr()
        code = main([str(word) for word in argv])
        written = capsys.readouterr()
        return Outcome(code, written.out, written.err)

    return call
