"""Attention whose keys lie on two processes equals attention over all of them."""

import math
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from regraft.compiler.ops.attention import attention_lse
from regraft.kernels.merge_lse.across import merge_across

pytestmark = pytest.mark.skipif(not (dist.is_available() and dist.is_gloo_available()), reason="gloo is not built in")


def attend(rank: int, folder: str, split: int) -> None:
    """Process ``rank`` of two: its keys are those before ``split``, or the rest; saves what it merged."""
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    q, k, v, bias = problem()
    own = slice(0, split) if rank == 0 else slice(split, None)
    part = attention_lse(q, k[:, :, own], v[:, :, own], bias[..., own])
    torch.save(merge_across(*part), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def problem() -> tuple[torch.Tensor, ...]:
    """Grouped queries, 17 keys; query 0 sees none, and query 1 only the last, so one process has nothing for it."""
    generator = torch.Generator().manual_seed(0)
    q = 4 * torch.randn(3, 4, 3, 16, generator=generator)
    k, v = torch.randn(2, 1, 2, 17, 16, generator=generator)
    bias = torch.zeros(3, 17)
    bias[0], bias[1, :-1] = -math.inf, -math.inf
    return q, k, v, bias


@pytest.mark.parametrize("split", [9, 1, 17])
def test_a_prefix_on_two_processes_is_merged_by_its_log_sum_exp(tmp_path: Path, split: int) -> None:
    mp.spawn(attend, (str(tmp_path), split), nprocs=2)
    q, k, v, bias = (t.double() for t in problem())
    out, lse = attention_lse(q, k, v, bias)
    for rank in (0, 1):
        got_out, got_lse = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(got_out.double(), out, rtol=2e-6, atol=2e-6)
        torch.testing.assert_close(got_lse.double(), lse, rtol=2e-6, atol=2e-6)
        assert got_out[:, :, 0].eq(0).all()
        assert got_lse[:, :, 0].eq(-math.inf).all()


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="merge_across: lse is"):
        merge_across(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2))
