"""Hand a whole graph over to Inductor, as ``torch.compile``'s own backend does, with the cache key salted.

Inductor keys its caches by the graph and its configuration. Kernel operators are opaque to it, so what we are (version,
pipeline, sources, cost table) goes into the key through the ``uuid()`` of a graph pass that does nothing else.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import fx

from ..compiler.errors import UsageError, nearest
from ..compiler.pipeline import Pipeline
from . import costs

_ROOT = Path(__file__).parents[1]
_SOURCES = ("compiler", "passes", "lowering", "kernels", "frontend")


def compile_with_inductor(
    module: fx.GraphModule,
    example_inputs: Sequence[Any],
    *,
    mode: str | None = None,
    options: Mapping[str, Any] | None = None,
    pipeline: Pipeline | None = None,
) -> Callable[..., Any]:
    """Compile ``module``, forward and (lazily) backward, over inputs in placeholder order.

    ``mode`` and ``options`` mean what they mean to ``torch.compile``. ``pipeline`` is what rewrote the graph: it salts
    the cache key. Without it the call is Inductor's own, with Inductor's own cache entries.
    """
    import torch._inductor.config as config

    check_inductor(mode, options or {})
    inductor: Any = torch._TorchCompileInductorWrapper(mode, dict(options or {}), None)
    if pipeline is None:
        return inductor(module, list(example_inputs))
    # The cache key pickles this set of names in hash order, which differs from one process to the next.
    module._non_persistent_buffers_set.clear()
    before = inductor.config.get("pre_grad_custom_pass", config.pre_grad_custom_pass)
    return inductor(module, list(example_inputs), config_patches={"pre_grad_custom_pass": _salt(pipeline, before)})


def check_inductor(mode: str | None, options: Mapping[str, Any]) -> None:
    """Raise :class:`UsageError` for a mode or an option that Inductor does not have, naming the nearest."""
    import torch._inductor.config as config

    modes = torch._inductor.list_mode_options()
    if mode is not None and mode not in {"default", *modes}:
        raise UsageError(f"there is no compilation mode {mode!r}", hint=nearest(mode, {"default", *modes}))
    if options:
        known = config.get_config_copy()
        for name in options:
            if name.replace("-", "_") not in known:
                raise UsageError(f"Inductor has no option {name!r}", hint=nearest(name, known))


def cache_salt(pipeline: Pipeline) -> str:
    """A digest of everything of ours that a compiled graph depends on besides the graph."""
    digest = hashlib.sha256(f"{_sources_digest()} {costs.digest()} {pipeline}".encode())
    for pass_ in pipeline.passes:
        # Passes of other packages lie outside our own sources.
        file = inspect.getsourcefile(type(pass_))
        if file is not None and Path(file).is_file():
            digest.update(Path(file).read_bytes())
    return digest.hexdigest()


@functools.cache
def _sources_digest() -> str:
    digest = hashlib.sha256((_ROOT / "__init__.py").read_bytes())
    for file in sorted(file for package in _SOURCES for file in (_ROOT / package).rglob("*.py")):
        digest.update(str(file.relative_to(_ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _salt(pipeline: Pipeline, before: Any) -> Any:
    from torch._inductor.custom_graph_pass import CustomGraphPass

    class Salt(CustomGraphPass):
        """Carries the salt; runs the user's own pass, if there is one, as Inductor would have."""

        def __call__(self, graph: fx.Graph) -> None:
            if before is not None:
                before(graph)

        def uuid(self) -> Any:
            if before is None:
                return ("regraft", salt)
            theirs = before.uuid() if isinstance(before, CustomGraphPass) else None
            # No identity of theirs means no caching, as without us.
            return None if theirs is None else ("regraft", salt, theirs)

    salt = cache_salt(pipeline)
    return Salt()
