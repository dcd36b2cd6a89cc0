"""A tree of prompts: SmolLM2 samples several answers to each of several questions after one few-shot prompt, and votes.

``python examples/shared_tree.py [--prompt 1024] [--questions 8] [--answers 8] [--check 2]``. The rows come in any
order; ``group_by_prefix`` finds from their token ids what they share: the prompt by all of them (held once), and each
question by its answers (held once a question). ``--check`` questions are also answered greedily, over the tree and by
plain ``generate`` over the whole text, which must give the same tokens in fp32.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import regraft
import torch
from regraft.frontend.hf import PrefixGroups, group_by_prefix

sys.path.insert(0, str(Path(__file__).parents[1]))
FRUIT = [
    "apples",
    "pears",
    "plums",
    "figs",
    "limes",
    "dates",
    "melons",
    "grapes",
    "kiwis",
    "olives",
    "cherries",
    "peaches",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompt", type=int, default=1024, help="tokens of the shared prompt, about")
    parser.add_argument("--questions", type=int, default=8)
    parser.add_argument("--answers", type=int, default=8, help="answers to sample for each question")
    parser.add_argument("--tokens", type=int, default=4, help="tokens of an answer")
    parser.add_argument("--check", type=int, default=2, help="questions to answer without sharing, too")
    options = parser.parse_args()
    from examples.models import smollm2
    from examples.shared_prompt import console, timed

    (model, _), words = smollm2.load(), smollm2.tokenizer()
    prompt, questions, expected = counts(words, options.prompt, options.questions)
    asked = [question for question in range(options.questions) for _ in range(options.answers)]
    random.Random(0).shuffle(asked)
    rows = [[*prompt, *questions[question]] for question in asked]
    plain = {}
    for question in range(min(options.check, options.questions)):
        whole = torch.tensor([[*prompt, *questions[question]]])
        found = model.generate(whole, **exactly(options.tokens), do_sample=False)
        plain[question] = found[0, whole.shape[1] :].tolist()

    groups = group_by_prefix(rows, min_length=32)
    sharing, read = timed(lambda: regraft.share_prefix(model, groups))
    shape = " and ".join(f"{len(level.ids)} x {max(map(len, level.ids))}" for level in groups.levels)
    held, whole_bytes = sharing.nbytes / 2**20, sharing.nbytes * sum(map(len, rows)) / tokens_held(groups) / 2**20
    console.print(f"{len(rows)} rows share {shape} tokens, read in {read:.1f} s: {held:.0f} MiB, not {whole_bytes:.0f}")
    torch.manual_seed(0)
    sampled, seconds = timed(lambda: answers(sharing, groups, options.tokens, do_sample=True, temperature=0.7))
    for question, truth in enumerate(expected):
        texts = [text(words, row) for row, of in zip(sampled, asked, strict=True) if of == question]
        (best, votes), *_ = Counter(texts).most_common()
        console.print(f"question {question + 1}: {truth}; {votes} of {len(texts)} answers say {best}")
    console.print(f"{len(rows)} answers sampled in {seconds:.1f} s")
    greedy = answers(sharing, groups, options.tokens, do_sample=False)
    same = all(row == plain[of] for row, of in zip(greedy, asked, strict=True) if of in plain)
    console.print(f"{len(plain)} questions answered without sharing: ", end="")
    console.print("the same tokens" if same else "[red]DIFFERENT TOKENS[/red]")
    if not same:
        raise SystemExit(1)


def answers(sharing: Any, groups: PrefixGroups, tokens: int, **how: Any) -> list[list[int]]:
    """What is generated after each row, in the order of the batch that the groups were found in."""
    found = sharing.generate(groups.suffixes, rows=groups.rows, **exactly(tokens), **how)
    return groups.undo(found[:, -tokens:]).tolist()


def exactly(tokens: int) -> dict[str, int]:
    """As many new tokens, no row ending before the others."""
    return {"min_new_tokens": tokens, "max_new_tokens": tokens}


def tokens_held(groups: PrefixGroups) -> int:
    """Tokens whose keys and values the tree holds."""
    return sum(len(level.ids) * max(map(len, level.ids)) for level in groups.levels)


def counts(words: Any, length: int, count: int) -> tuple[list[int], list[list[int]], list[int]]:
    """A prompt of about ``length`` tokens of answered questions about a market, more questions, and their answers."""
    draw = random.Random(1)

    def stall() -> tuple[str, int]:
        amounts = {fruit: draw.randrange(2, 99) for fruit in draw.sample(FRUIT, len(FRUIT))}
        fruit = draw.choice(FRUIT)
        listed = ", ".join(f"{amount} {name}" for name, amount in amounts.items())
        return f"On the stall there are {listed}.\nHow many {fruit} are there?\nAnswer:", amounts[fruit]

    prompt: list[int] = []
    while len(prompt) < length:
        question, answer = stall()
        prompt += words(f"{question} {answer}\n\n").input_ids
    asked = [stall() for _ in range(count)]
    return prompt, [words(question).input_ids for question, _ in asked], [answer for _, answer in asked]


def text(words: Any, ids: list[int]) -> str:
    """The first line of an answer."""
    return words.decode(ids).split("\n")[0].strip()


if __name__ == "__main__":
    main()
