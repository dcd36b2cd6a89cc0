"""Hyena in plain torch: implicit long filters, gated operators, a language model, small trained weights.

``filters`` has the long convolution and the filters it is given, ``operators`` the mixers, ``language`` the model
around them, ``tasks`` what the small models are trained on, ``weights`` loads them; ``../train_hyena.py`` trains them.
"""

from .config import HyenaConfig
from .filters import ImplicitFilter, ModalFilter, long_conv
from .language import HyenaBlock, HyenaLM
from .operators import H3, MIXERS, HyenaOperator, MultiHyena, zero_filters

__all__ = [
    "H3",
    "MIXERS",
    "HyenaBlock",
    "HyenaConfig",
    "HyenaLM",
    "HyenaOperator",
    "ImplicitFilter",
    "ModalFilter",
    "MultiHyena",
    "long_conv",
    "zero_filters",
]
