"""stories15M: a small Llama (6 layers, 288, 6 heads, context 256) trained on children's stories; loads in a second.

The package carries one file of llama2.c: header, fp32 weights, then a SentencePiece vocabulary with scores. llama2.c
rotates neighbouring pairs of a head, Hugging Face rotates its two halves, so the rows of the query and key projections
are put in the other order.

Run this file to read a story.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from regraft.frontend.weights import ensure
from tokenizers import Tokenizer, decoders, models, normalizers, processors
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

_STORY = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park with her friends. "
    "One day, she found a shiny needle under a big tree and wanted to share it with her mom. "
)
_HEADER_BYTES = 28
_WEIGHTS_END = 60_816_028


def load(batch: int = 1, length: int = 64) -> tuple[nn.Module, dict[str, Any]]:
    """The model in fp32 and ``batch`` rows of ``length`` (at most 256) tokens of a story, each starting elsewhere."""
    raw = _file().read_bytes()
    dim, hidden, layers, heads, kv_heads, vocab, context = _header(raw)
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=dim,
        intermediate_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=context,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).eval()
    weights = np.frombuffer(raw, "<f4", offset=_HEADER_BYTES, count=(_WEIGHTS_END - _HEADER_BYTES) // 4)
    model.load_state_dict(_state_dict(torch.from_numpy(weights.copy()), config))
    words = torch.tensor(tokenizer()(_STORY).input_ids)
    rows = (torch.arange(batch)[:, None] * 7 + torch.arange(length)) % len(words)
    return model, {"input_ids": words[rows], "use_cache": False}


@lru_cache(maxsize=1)
def tokenizer() -> PreTrainedTokenizerFast:
    """The Llama 2 vocabulary as byte-fallback BPE: a merge for every split of a piece into two pieces, by score."""
    pieces = _vocabulary(_file().read_bytes())
    ids = {piece: i for i, (piece, _) in reversed(list(enumerate(pieces)))}
    merges = [
        (-score, ids[piece[:cut]], ids[piece[cut:]])
        for piece, score in pieces[259:]  # after <unk>, <s>, </s> and the 256 bytes
        for cut in range(1, len(piece))
        if piece[:cut] in ids and piece[cut:] in ids
    ]
    names = [piece for piece, _ in pieces]
    bpe = models.BPE(
        vocab=ids,
        merges=[(names[left], names[right]) for _, left, right in sorted(merges)],
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )
    fast = Tokenizer(bpe)
    fast.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    fast.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    fast.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=fast, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def _file() -> Path:
    return ensure("stories15m") / "package" / "src" / "llama2.data"


def _header(raw: bytes) -> tuple[int, ...]:
    """Dim, hidden, layers, heads, key heads, vocabulary (positive: the output layer is the embedding), context."""
    return tuple(np.frombuffer(raw, "<i4", count=7).tolist())


def _state_dict(flat: Tensor, config: LlamaConfig) -> dict[str, Tensor]:
    """Cut the flat file into matrices, all layers of a kind together, in the order llama2.c writes them."""
    dim, hidden, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    kv_dim = dim // heads * kv_heads
    kinds = {
        "input_layernorm": (dim,),
        "self_attn.q_proj": (dim, dim),
        "self_attn.k_proj": (kv_dim, dim),
        "self_attn.v_proj": (kv_dim, dim),
        "self_attn.o_proj": (dim, dim),
        "post_attention_layernorm": (dim,),
        "mlp.gate_proj": (hidden, dim),
        "mlp.down_proj": (dim, hidden),
        "mlp.up_proj": (hidden, dim),
    }
    cursor = 0

    def take(*shape: int) -> Tensor:
        nonlocal cursor
        size = int(np.prod(shape))
        cursor += size
        return flat[cursor - size : cursor].reshape(shape)

    embedding = take(config.vocab_size, dim)
    state = {"model.embed_tokens.weight": embedding, "lm_head.weight": embedding}
    for kind, shape in kinds.items():
        for layer, weight in enumerate(take(layers, *shape)):
            if kind in ("self_attn.q_proj", "self_attn.k_proj"):
                weight = _halves_from_pairs(weight, heads if kind == "self_attn.q_proj" else kv_heads)
            state[f"model.layers.{layer}.{kind}.weight"] = weight
    state["model.norm.weight"] = take(dim)
    return state


def _halves_from_pairs(weight: Tensor, heads: int) -> Tensor:
    """Reorder the rows of each head from ``x0 y0 x1 y1 ...`` to ``x0 x1 ... y0 y1 ...``."""
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(weight.shape)


def _vocabulary(raw: bytes) -> list[tuple[str, float]]:
    """Pieces with their scores: after the longest length, one (fp32 score, int32 length, bytes) record per piece."""
    size = _header(raw)[5]
    pieces, at = [], _WEIGHTS_END + 4
    for _ in range(size):
        score = float(np.frombuffer(raw, "<f4", count=1, offset=at)[0])
        length = int(np.frombuffer(raw, "<i4", count=1, offset=at + 4)[0])
        at += 8 + length
        # llama2.c writes SentencePiece's word mark as a space, and the first 259 pieces in a form of its own.
        pieces.append((raw[at - length : at].decode(errors="replace"), score))
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    names += [piece.replace(" ", "▁") for piece, _ in pieces[len(names) :]]
    return [(name, score) for name, (_, score) in zip(names, pieces, strict=True)]


if __name__ == "__main__":
    model, _ = load()
    tokens = tokenizer()
    start = tokens("One day, a little girl named Lily found a needle", return_tensors="pt").input_ids
    print(tokens.decode(model.generate(start, max_new_tokens=100, do_sample=False)[0], skip_special_tokens=True))
