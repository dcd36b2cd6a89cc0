"""regraft: compiler-style graph rewriting for PyTorch models.

The public face is small and loaded on first use, so that ``import regraft`` costs next to nothing:

- :func:`optimize` rewrites a model with a pipeline of checked passes and gives back the same class of module.
- :func:`explain` says what a pipeline would do to a model, site by site.
- :func:`share_prefix` holds a prompt that many completions begin with once, inside ``generate`` of transformers.
- :func:`recurrent` derives from a causal model one that takes its input piece by piece, with a state.
- :class:`Pass`, :class:`Numerics` and :class:`Pipeline` are what an author of passes needs.
- ``torch.compile(model, backend="regraft")`` is the third door.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "optimize": ".frontend.optimize",
    "explain": ".frontend.explain",
    "share_prefix": ".frontend.shared_prefix",
    "recurrent": ".frontend.recurrent",
    "Pass": ".compiler.passes",
    "Numerics": ".compiler.passes",
    "Pipeline": ".compiler.pipeline",
}

__all__ = ["Numerics", "Pass", "Pipeline", "__version__", "explain", "optimize", "recurrent", "share_prefix"]

if TYPE_CHECKING:
    from .compiler.passes import Numerics, Pass
    from .compiler.pipeline import Pipeline
    from .frontend.explain import explain
    from .frontend.optimize import optimize
    from .frontend.recurrent import recurrent
    from .frontend.shared_prefix import share_prefix


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(sorted(_PUBLIC))}")
    value = getattr(import_module(_PUBLIC[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
