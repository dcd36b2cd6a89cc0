"""A process that compiles Triton kernels for devices that need not be there: a job a line in, its outcome a line out.

Run as a script by :mod:`.audit`, apart from the process that asks: Triton's interpreter changes Triton's language for
good, and a compiler that crashes should take nothing with it. Needs Triton alone.

A job is ``{"file", "name", "signature", "constants", "aligned", "arch", "warps", "stages", "texts"}``: where the kernel
is, the types of its parameters, values of constant ones, names of those divisible by 16, and whether to give the texts
of all stages. The answer is ``{"fault"}``, or the fields of :class:`.audit.Machine`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import sys
import tempfile
import time
from typing import Any

INSTRUCTIONS = {
    "mma": r"\bmma\.sync",
    "wgmma": r"\bwgmma\.mma_async",
    "tcgen05": r"\btcgen05\.mma",
    "mfma": r"\bv_mfma_",
    "tma": r"\bcp\.async\.bulk\.tensor",
}
"""What is counted in the machine's text."""

TF32 = r"tf32|xf32"
"""What a product of rounded fp32 operands has in its name."""


def main() -> None:
    """Answer until there are no more jobs."""
    # Whatever the compiler prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory(prefix="regraft-audit-") as folder:
        os.environ["TRITON_CACHE_DIR"] = folder
        for line in sys.stdin:
            try:
                answer = compiled(json.loads(line))
            except Exception as error:
                answer = {"fault": f"{type(error).__name__}: {_last_lines(str(error))}"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def compiled(job: dict[str, Any]) -> dict[str, Any]:
    """Compile one job; raises what Triton raises."""
    import triton
    from triton import knobs
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    knobs.compilation.always_compile = True
    knobs.nvidia.dump_ptxas_log = True
    kernel = _kernel(job["file"], job["name"])
    places = {name: (at,) for at, name in enumerate(kernel.arg_names)}
    aligned = {places[name]: [["tt.divisibility", 16]] for name in job["aligned"]}
    source = ASTSource(kernel, job["signature"], job["constants"], aligned)
    arch = job["arch"]
    nvidia = arch.startswith("sm_")
    target = GPUTarget("cuda", int(arch[3:]), 32) if nvidia else GPUTarget("hip", arch, 64)
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()) as log:
        made = triton.compile(source, target, {"num_warps": job["warps"], "num_stages": job["stages"]})
    seconds = time.perf_counter() - started
    text = made.asm["ptx" if nvidia else "amdgcn"]
    facts = _of_ptxas(log.getvalue()) if nvidia else _of_amdgcn(text)
    stages = ("ttir", "ttgir", "llir", "ptx", "amdgcn")
    products = "\n".join(line for line in text.splitlines() if "mma" in line)
    return {
        **facts,
        "shared_bytes": made.metadata.shared,
        "instructions": {name: len(re.findall(pattern, text)) for name, pattern in INSTRUCTIONS.items()},
        "tf32": bool(re.search(TF32, products)),
        "seconds": round(seconds, 2),
        "texts": {stage: made.asm[stage] for stage in stages if stage in made.asm} if job["texts"] else {},
    }


def _kernel(file: str, name: str) -> Any:
    spec = importlib.util.spec_from_file_location("regraft_audited", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def _of_ptxas(log: str) -> dict[str, int]:
    """Registers a thread and bytes it spills, from the assembler's own account."""
    registers = re.findall(r"Used (\d+) registers", log)
    spilled = re.findall(r"(\d+) bytes spill stores", log)
    if not registers or not spilled:
        raise RuntimeError(f"ptxas gave no account: {_last_lines(log)}")
    return {"registers": max(map(int, registers)), "spill_bytes": max(map(int, spilled))}


def _of_amdgcn(text: str) -> dict[str, int]:
    """The same from the notes of an AMD kernel; a spilled register of a lane is 4 bytes."""
    notes = {name: int(count) for name, count in re.findall(r"\.(\w+_count):\s+(\d+)", text)}
    spilled = notes["vgpr_spill_count"] + notes["sgpr_spill_count"]
    return {"registers": notes["vgpr_count"], "spill_bytes": 4 * spilled}


def _last_lines(text: str, count: int = 12) -> str:
    return "\n".join(text.strip().splitlines()[-count:])


if __name__ == "__main__":
    # The folder of this script holds modules with everyday names.
    sys.path.pop(0)
    main()
