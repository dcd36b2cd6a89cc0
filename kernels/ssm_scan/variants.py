"""The state-space scan worth looking at: halves and fp32, the usual and many modes."""

from functools import partial

from ...lowering.tile.variant import Variant
from .program import SsmScan, scan

VARIANTS = (
    Variant("ssm_scan.bf16.16", partial(scan, SsmScan("bf16", 16))),
    Variant("ssm_scan.bf16.32", partial(scan, SsmScan("bf16", 32, warps=8)), ("sm_80", "sm_86", "sm_90", "sm_100")),
    Variant("ssm_scan.f32.16.initial", partial(scan, SsmScan("f32", 16, True))),
)
