"""Sizes of a Hyena model and of its filters, and which operator mixes the sequence."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class HyenaConfig:
    """The defaults are small and quick on a CPU; the filters are those of the released code."""

    vocab: int = 256
    dim: int = 256
    layers: int = 4
    length: int = 1024
    """Taps of the filters, and so the longest input."""
    mixer: Literal["hyena", "multihyena", "h3"] = "hyena"
    form: Literal["released", "published"] = "released"
    """Of the ``hyena`` mixer: see :class:`~examples.hyena.operators.HyenaOperator`."""
    order: int = 2
    """Of the ``hyena`` mixer; the other two are of order 2."""
    heads: int = 8
    """Of the ``multihyena`` mixer."""
    modes: int = 16
    """States of a filter of the ``h3`` mixer, real ones: half as many complex modes."""

    filter_width: int = 64
    filter_features: int = 5
    """Features of the positional encoding: time, and (features - 1) / 2 cosines and as many sines; odd, at least 3."""
    sine_frequency: float = 10.0
    """Initial frequency of the sines: 10 as released for synthetic tasks, 14 for text; 1 keeps the filters smooth."""
    fast_decay: float = 0.3
    slow_decay: float = 1.5
    """Fractions of ``length`` after which the fastest and the slowest window have fallen to 1 %."""
    train_positions: bool = True
    """Whether the positional encoding is a parameter; a fixed one keeps the filters smooth."""

    def __post_init__(self) -> None:
        """Refuse sizes that fit no operator."""
        if self.filter_features < 3 or self.filter_features % 2 == 0:
            raise ValueError(f"filter_features must be odd and at least 3, got {self.filter_features}")
        if self.mixer == "multihyena" and self.dim % self.heads:
            raise ValueError(f"dim {self.dim} does not divide into {self.heads} heads")
        if self.modes < 2 or self.modes % 2:
            raise ValueError(f"modes must be even and at least 2, got {self.modes}: each complex mode is two states")
        if self.mixer == "hyena" and self.order < (2 if self.form == "released" else 1):
            raise ValueError(f"the {self.form} operator has no long convolution at order {self.order}")
