"""``generate`` of a model that looks at the rows it is given when their cache shares a prefix.

A cache never sees token ids, so that rows which begin otherwise would be answered as if they began with the prefix.
``generate`` sees both: :func:`check_rows` makes it compare them before it begins.
"""

from __future__ import annotations

from inspect import Signature, signature
from types import MethodType
from typing import Any

from torch import Tensor

from ..compiler.errors import UsageError
from .shared_cache import SharedPrefixCache


def check_rows(model: Any) -> None:
    """Let ``model.generate`` check rows against the prefix of their cache; safe to call again."""
    if not isinstance(model.generate, CheckedGenerate):
        model.generate = CheckedGenerate(model)


class CheckedGenerate:
    """A ``generate`` that raises :class:`UsageError` for rows that do not begin with the prefix their cache shares."""

    def __init__(self, model: Any) -> None:
        """Of one model; a copy of the model has a copy of this."""
        self._model = model

    @property
    def __signature__(self) -> Signature:
        """That of the model's class."""
        return signature(MethodType(type(self._model).generate, self._model))

    def __call__(self, inputs: Any = None, *args: Any, **options: Any) -> Any:
        """As the class of the model has it."""
        cache = options.get("past_key_values")
        if isinstance(cache, SharedPrefixCache) and cache.paths:
            ids = options.get("input_ids") if inputs is None else inputs
            self._check(ids, options.get("attention_mask"), cache)
        return type(self._model).generate(self._model, inputs, *args, **options)

    @staticmethod
    def _check(ids: Any, mask: Tensor | None, cache: SharedPrefixCache) -> None:
        if not isinstance(ids, Tensor):
            raise UsageError(
                "rows without token ids cannot be compared with the prefix that their cache shares",
                hint="give input_ids: whole rows, the prefix included",
            )
        if mask is not None and mask.shape[1] == cache.prefix_length + ids.shape[1]:
            # By the convention of transformers the ids are only what follows the states of the cache.
            return
        cache.check_ids(ids, mask)
