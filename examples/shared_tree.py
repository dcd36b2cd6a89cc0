"""A tree of prompts: SmolLM2 samples several verdicts on each of several reviews after one few-shot prompt, and votes.

``python examples/shared_tree.py [--prompt 1024] [--reviews 8] [--answers 8] [--check 2]``. The rows come in any order;
``group_by_prefix`` finds from their token ids what they share: the prompt is held once, and so is each review for its
answers. ``--check`` reviews are also judged greedily, over the tree and by plain ``generate`` over the whole text,
which must give the same tokens in fp32.
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
SAID = {
    "good": [
        "The soup was hot and full of flavour.",
        "We were welcomed like old friends.",
        "The bread was fresh from the oven.",
        "I would go back tomorrow.",
        "The waiter knew every dish by heart.",
        "A quiet table by the window made the evening.",
        "The prices are more than fair.",
    ],
    "bad": [
        "The soup was cold and tasted of nothing.",
        "Nobody greeted us for half an hour.",
        "The bread was stale.",
        "I will never go back.",
        "The waiter forgot our order twice.",
        "Our table was sticky and next to the bins.",
        "It costs far too much for what it is.",
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompt", type=int, default=1024, help="tokens of the shared prompt, about")
    parser.add_argument("--reviews", type=int, default=8)
    parser.add_argument("--answers", type=int, default=8, help="verdicts to sample on each review")
    parser.add_argument("--tokens", type=int, default=3, help="tokens of a verdict")
    parser.add_argument("--check", type=int, default=2, help="reviews to judge without sharing, too")
    options = parser.parse_args()
    from examples.models import smollm2
    from examples.shared_prompt import console, timed

    (model, _), words = smollm2.load(), smollm2.tokenizer()
    prompt, written, meant = reviews(words, options.prompt, options.reviews)
    about = [review for review in range(options.reviews) for _ in range(options.answers)]
    random.Random(0).shuffle(about)
    rows = [[*prompt, *written[review]] for review in about]
    plain = {}
    for review in range(min(options.check, options.reviews)):
        whole = torch.tensor([[*prompt, *written[review]]])
        found = model.generate(whole, **exactly(options.tokens), do_sample=False)
        plain[review] = found[0, whole.shape[1] :].tolist()

    groups = group_by_prefix(rows, min_length=32)
    sharing, read = timed(lambda: regraft.share_prefix(model, groups))
    shape = " and ".join(f"{len(level.ids)} x {max(map(len, level.ids))}" for level in groups.levels)
    held = sharing.nbytes / 2**20
    whole_size = held * sum(map(len, rows)) / tokens_held(groups)
    console.print(f"{len(rows)} rows share {shape} tokens, read in {read:.1f} s: {held:.0f} MiB, not {whole_size:.0f}")
    torch.manual_seed(0)
    sampled, seconds = timed(lambda: answers(sharing, groups, options.tokens, do_sample=True))
    for review, verdict in enumerate(meant):
        said = Counter(text(words, row) for row, of in zip(sampled, about, strict=True) if of == review)
        votes = ", ".join(f"{count} x {answer}" for answer, count in said.most_common())
        console.print(f"review {review + 1}, meant to be {verdict}: {votes}")
    console.print(f"{len(rows)} verdicts sampled in {seconds:.1f} s")
    greedy = answers(sharing, groups, options.tokens, do_sample=False)
    same = all(row == plain[of] for row, of in zip(greedy, about, strict=True) if of in plain)
    console.print(f"{len(plain)} reviews judged without sharing: ", end="")
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


def reviews(words: Any, length: int, count: int) -> tuple[list[int], list[list[int]], list[str]]:
    """A prompt of about ``length`` tokens of reviews with their verdicts, more reviews, and theirs."""
    draw = random.Random(1)

    def review() -> tuple[str, str]:
        verdict = draw.choice(list(SAID))
        sentences = " ".join(draw.sample(SAID[verdict], 4))
        return f"Review of restaurant {draw.randrange(100, 1000)}: {sentences}\nVerdict:", verdict

    prompt: list[int] = []
    while len(prompt) < length:
        prompt += words("{} {}\n\n".format(*review())).input_ids
    asked = [review() for _ in range(count)]
    return prompt, [words(question).input_ids for question, _ in asked], [verdict for _, verdict in asked]


def text(words: Any, ids: list[int]) -> str:
    """The first line of an answer."""
    return words.decode(ids).split("\n")[0].strip()


if __name__ == "__main__":
    main()
