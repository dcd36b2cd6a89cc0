"""Writing a program in the format its file's name asks for."""

from __future__ import annotations

from pathlib import Path

from ...compiler.text import print_program
from ..models import Subject
from .files import write

FORMATS = (".ir.py", ".pt2")


def write_program(path: Path, subject: Subject, *, lines: bool = False) -> None:
    """Write the subject's program as text, or as an exported program with its weights and inputs."""
    if path.name.endswith(".ir.py"):
        write(path, print_program(subject.program, lines=lines))
        return
    import torch

    from ..exported import to_exported

    exported = to_exported(subject.program, subject.inputs)
    write(path, lambda temporary: torch.export.save(exported, temporary))
