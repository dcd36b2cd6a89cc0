"""Turn operators of the dialect that nothing lowers back into the ATen they stand for.

A compiled graph needs none of this: AOTAutograd dissolves composite operators while tracing. Run eagerly each would
cost a call into its Python definition, with its checks, every time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch.fx.node import map_arg

from ..compiler.inline import inline
from ..compiler.ops import OPS, is_semantic, op_name
from ..compiler.program import Program, value_of
from ..compiler.rewriter import Edit, refresh


def dissolve(program: Program) -> fx.GraphModule:
    """A copy of the program's graph without operators of the dialect; those with several results stay."""
    copied = program.copy()
    mode = copied.fake_mode
    for _, module in copied.graphs():
        relaid: list[fx.Node] = []
        for node in list(module.graph.nodes):
            if is_semantic(node.target) and isinstance(value_of(node), torch.Tensor):
                edit = Edit(node, "dissolve", op_name(node.target), 0, "", mode)
                edit.replace(node, inline(edit, _definition(node), *node.all_input_nodes))
                edit.finish()
                relaid += edit.relaid
        refresh(module.graph, mode, relaid)
    copied.recompile()
    return copied.module


def _definition(node: fx.Node) -> Any:
    """The reference of an operator as a function of the nodes it reads."""
    sources = node.all_input_nodes
    reference = OPS[op_name(node.target)].reference

    def call(*values: Any) -> Any:
        given = dict(zip(sources, values, strict=True))
        args, kwargs = map_arg((node.args, dict(node.kwargs)), given.__getitem__)
        return reference(*args, **kwargs)

    return call
