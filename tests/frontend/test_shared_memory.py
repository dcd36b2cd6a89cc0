"""Sharing a prefix takes the memory of one prefix: peaks of resident memory, each case in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux's /proc")

SMALL = {"prefix": 4096, "batch": 64, "suffix": 64}
LARGE = {"prefix": 16384, "batch": 256, "suffix": 64, "heads": 8}  # whole keys and values: 17 GB
DATA = 1 << 30
"""What a process may allocate beside its inputs, as a limit of the operating system."""

COMMON = """
import json, re, resource, sys
from pathlib import Path
import torch
import regraft

torch.set_num_threads(1)
torch.set_grad_enabled(False)
given = json.loads(sys.argv[1])
P, B, S, joined = given["prefix"], given["batch"], given["suffix"], given["joined"]

def status(name):
    return 1024 * int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

def from_here():
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident
    return status("VmRSS")

def tell(start, split):
    print(json.dumps({"growth": status("VmHWM") - start, "peak": status("VmHWM"), "split": split}))
"""

DECODE = """
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

sizes = {"vocab_size": 50, "hidden_size": 128, "intermediate_size": 64, "num_hidden_layers": 1, "head_dim": 64}
heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": P + S + 1}
model = LlamaForCausalLM(LlamaConfig(**sizes, **heads)).eval()
ids = torch.randint(50, (B, S + 1), generator=torch.Generator().manual_seed(0))

def decode(prompt, rows, joined):
    handle = regraft.share_prefix(model, prompt)
    start = from_here() - handle.nbytes
    cache = handle.new_cache()
    if joined:
        cache, (level,) = DynamicCache(), handle.levels
        cache.update(*(states[0].expand(B, -1, -1, -1) for states in (level.keys, level.values)), 0)
    for part in (rows[:, :-1], rows[:, -1:]):
        model(part, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return start, handle.nbytes + 2 * B * S * 64 * 4

decode(torch.arange(40), ids[:3, :4], False)
tell(*decode(torch.arange(P) % 50, ids, joined))
"""

PASS = """
import torch.nn.functional as F

class Completions(torch.nn.Module):
    def forward(self, q, kp, vp, ks, vs):
        keys, values = (torch.cat([p.expand(len(q), -1, -1, -1), s], 2) for p, s in ((kp, ks), (vp, vs)))
        return F.scaled_dot_product_attention(q, keys, values)

def inputs(P, B):
    H = given.get("heads", 1)
    return tuple(torch.randn(shape) for shape in [(B, H, 1, 64), *[(1, H, P, 64)] * 2, *[(B, H, S, 64)] * 2])

def ready(tensors):
    return Completions() if joined else regraft.optimize(Completions(), tensors, check="off", timing_runs=0)

few = inputs(1024, 16)
ready(few)(*few)
start = from_here()
tensors = inputs(P, B)
module = ready(tensors)
if "data" in given:
    most = status("VmData") + given["data"]
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
module(*tensors)
tell(start, sum(each.nbytes for each in tensors[1:]))
"""


def run(script, *, joined, **sizes):
    words = [sys.executable, "-c", COMMON + script, json.dumps({"joined": joined, **sizes})]
    return subprocess.run(words, capture_output=True, text=True, timeout=300)


def measured(script, **given):
    done = run(script, **given)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


# A constant beside the keys and values: activations of all rows' own tokens, and what an allocator keeps.
@pytest.mark.slow
@pytest.mark.parametrize(("script", "constant"), [(DECODE, 32 << 20), (PASS, 8 << 20)], ids=["declared", "proved"])
def test_the_peak_is_that_of_the_split_keys_and_values(script, constant):
    shared = measured(script, joined=False, **SMALL)
    assert shared["growth"] <= 1.2 * shared["split"] + constant
    whole = measured(script, joined=True, **SMALL)
    assert whole["growth"] > 3 * (1.2 * whole["split"] + constant)


def test_what_would_be_17_gb_runs_in_less_than_one():
    shared = measured(PASS, joined=False, data=DATA, **LARGE)
    assert shared["peak"] < 1e9
    assert shared["growth"] <= 1.2 * shared["split"] + (8 << 20)
    whole = run(PASS, joined=True, data=DATA, **LARGE)
    assert whole.returncode != 0
    assert "memory" in whole.stderr
