"""Many questions after one long few-shot prompt: SmolLM2 reads the prompt once and answers all of them together.

``python examples/shared_prompt.py [--prompt 2048] [--questions 64] [--tokens 6] [--check 2]``. The prompt is a list of
solved sums; the first ``--check`` questions are also answered by plain ``generate`` over the whole text, which must
give the same tokens in fp32. What is timed is said with its memory. In bf16, where tokens may differ by rounding alone,
the same continuations are forced on the model with and without sharing: neither may be farther from fp32.
"""

from __future__ import annotations

import argparse
import copy
import random
import sys
import time
from pathlib import Path
from typing import Any

import regraft
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompt", type=int, default=2048, help="tokens of the shared prompt")
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=6, help="tokens to generate for each question")
    parser.add_argument("--check", type=int, default=2, help="questions to answer without sharing, too")
    options = parser.parse_args()
    from examples.models import smollm2

    (model, _), words = smollm2.load(), smollm2.tokenizer()
    prompt, questions = sums(words, options.prompt, options.questions)
    sharing, shared_seconds = timed(lambda: regraft.share_prefix(model, prompt))
    new = {"min_new_tokens": options.tokens, "max_new_tokens": options.tokens, "do_sample": False}
    together, seconds = timed(lambda: sharing.generate(questions, **new))
    answers = [words.decode(row[-options.tokens :]).split("\n")[0].strip() for row in together]

    console.print(f"{len(questions)} questions after {len(prompt)} tokens, the first of them:")
    table = Table()
    for column in ("question", "answer"):
        table.add_column(column)
    for question, answer in list(zip(questions, answers, strict=True))[:5]:
        table.add_row(words.decode(question).strip(), answer)
    console.print(table)
    held = sharing.nbytes / 2**20
    console.print(f"prompt read once in {shared_seconds:.1f} s, held once in {held:.0f} MiB ", end="")
    console.print(f"instead of {held * len(questions):.0f} MiB; all answers in {seconds:.1f} s")

    plain_model, _ = smollm2.load()
    for row, question in enumerate(questions[: options.check]):
        whole = torch.tensor([[*prompt, *question]])
        plain, alone = timed(lambda whole=whole: plain_model.generate(whole, **new))
        same = torch.equal(plain[0, whole.shape[1] :], together[row, -options.tokens :])
        console.print(f"question {row + 1} alone, without sharing: {alone:.1f} s, ", end="")
        console.print("the same tokens" if same else "[red]DIFFERENT TOKENS[/red]")
        if not same:
            raise SystemExit(1)

    forced = torch.stack([torch.tensor(sums(words, 128, 1, seed=seed)[0]) for seed in (1, 2)])
    plain, shared = divergences(plain_model, prompt, forced)
    verdict = "no farther with sharing" if shared <= 1.2 * plain else "[red]FARTHER WITH SHARING[/red]"
    console.print(f"bf16, KL divergence from fp32 a token: {plain:.2e}, {shared:.2e} with sharing: {verdict}")


def divergences(model: Any, prompt: list[int], forced: Tensor) -> tuple[float, float]:
    """How far bf16 is from the fp32 ``model`` on tokens ``forced`` [B, S] after the prompt, and how far with sharing.

    Mean Kullback-Leibler divergence of what is predicted at each forced position, in nats.
    """
    whole = torch.cat([torch.tensor(prompt).expand(len(forced), -1), forced], 1)
    half = copy.deepcopy(model).bfloat16()

    def predicted(model: Any, ids: Tensor, **options: Any) -> Tensor:
        with torch.no_grad():
            return model(ids, logits_to_keep=forced.shape[1], **options).logits.double().log_softmax(-1)

    exact, plain = predicted(model, whole), predicted(half, whole)
    shared = predicted(half, forced, past_key_values=regraft.share_prefix(half, prompt).new_cache())
    far = [F.kl_div(found, exact, reduction="none", log_target=True).sum(-1).mean() for found in (plain, shared)]
    return float(far[0]), float(far[1])


def sums(words: Any, length: int, count: int, seed: int = 0) -> tuple[list[int], list[list[int]]]:
    """A prompt of ``length`` tokens of solved sums, and ``count`` questions of the same number of tokens."""
    draw = random.Random(seed)

    def sum_of() -> tuple[int, int]:
        return draw.randrange(10, 50), draw.randrange(10, 50)

    solved = "".join(f"{a} + {b} = {a + b}\n" for a, b in (sum_of() for _ in range(length)))
    lines = (f"\n{a} + {b} =" for a, b in (sum_of() for _ in range(count)))
    return words(solved).input_ids[:length], [words(line).input_ids for line in lines]


def timed(call: Any) -> tuple[Any, float]:
    """A result, and the seconds it took."""
    start = time.perf_counter()
    with torch.no_grad():
        result = call()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    main()
