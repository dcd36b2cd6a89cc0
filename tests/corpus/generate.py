"""Write the corpus: ``python tests/corpus/generate.py [NAME ...]`` captures the models below and prints them as text.

Models are built from their configuration with random weights, nothing is downloaded. transformers and diffusers are
needed here and nowhere else; the tests read the text alone.
"""

import importlib.util
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import regraft.frontend.capture
import torch
from regraft.compiler.text import equal, parse_program, print_program
from torch import nn
from torch.export import Dim

HERE = Path(__file__).parent

Case = tuple[nn.Module, Any] | tuple[nn.Module, Any, Any]
"""A model, its example inputs, and its dynamic shapes if it has any."""

TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "vocab_size": 96,
    "max_position_embeddings": 64,
}
GROUPED = TINY | {"num_key_value_heads": 2, "num_hidden_layers": 2}
NO_CACHE = {"use_cache": False}


def tokens(*shape: int) -> torch.Tensor:
    return torch.randint(0, 96, shape)


def hf(name: str, inputs: Callable[[], dict[str, Any]], *, options: dict[str, Any] | None = None, **sizes: Any) -> Case:
    """``NAME`` of transformers, from ``NAMEConfig`` of the same family, in eval mode."""
    import transformers

    model_class = getattr(transformers, name)
    config = model_class.config_class(**sizes)
    for key, value in (options or {}).items():
        setattr(config, key, value)
    return model_class(config).eval(), inputs()


def decoder(name: str, **sizes: Any) -> Callable[[], Case]:
    return partial(hf, name, lambda: {"input_ids": tokens(2, 12)} | NO_CACHE, **sizes)


def padded(name: str, **sizes: Any) -> Callable[[], Case]:
    mask = torch.ones(2, 12, dtype=torch.long)
    return partial(hf, name, lambda: {"input_ids": tokens(2, 12), "attention_mask": mask}, **sizes)


def picture(name: str, size: int = 32, **sizes: Any) -> Callable[[], Case]:
    return partial(hf, name, lambda: {"pixel_values": torch.randn(2, 3, size, size)}, image_size=size, **sizes)


def dynamic_llama() -> Case:
    model, inputs = decoder("LlamaForCausalLM", **GROUPED)()
    mask = torch.ones(2, 12, dtype=torch.long)
    shapes = {0: Dim("batch"), 1: Dim("length")}
    return model, inputs | {"attention_mask": mask}, {"input_ids": shapes, "attention_mask": shapes, "use_cache": None}


def bloom() -> Case:
    model, inputs = decoder("BloomForCausalLM", hidden_size=32, n_layer=1, n_head=4, vocab_size=96)()
    # Its activation is an autograd.Function, whose backward torch.export would lose.
    return model.requires_grad_(False), inputs


def t5() -> Case:
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4, "vocab_size": 96}
    return hf(
        "T5ForConditionalGeneration",
        lambda: {"input_ids": tokens(2, 10), "decoder_input_ids": tokens(2, 6)} | NO_CACHE,
        **sizes,
    )


def bart() -> Case:
    sizes = {f"{side}_{what}": size for side in ("encoder", "decoder") for what, size in SEQ2SEQ.items()}
    inputs = lambda: {"input_ids": tokens(2, 10), "decoder_input_ids": tokens(2, 6)} | NO_CACHE  # noqa: E731
    return hf("BartModel", inputs, d_model=32, vocab_size=96, max_position_embeddings=64, **sizes)


def whisper() -> Case:
    sizes = {f"{side}_{what}": size for side in ("encoder", "decoder") for what, size in SEQ2SEQ.items()}
    inputs = lambda: {"input_features": torch.randn(1, 8, 40), "decoder_input_ids": tokens(1, 6)} | NO_CACHE  # noqa: E731
    return hf(
        "WhisperModel", inputs, d_model=32, vocab_size=96, num_mel_bins=8, max_source_positions=20,
        max_target_positions=16, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, **sizes,
    )  # fmt: skip


SEQ2SEQ = {"layers": 1, "attention_heads": 4, "ffn_dim": 64}


def dit() -> Case:
    from diffusers import DiTTransformer2DModel

    model = DiTTransformer2DModel(
        num_attention_heads=4, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=1, norm_num_groups=4,
        sample_size=8, patch_size=2, num_embeds_ada_norm=10,
    )  # fmt: skip
    inputs = {
        "hidden_states": torch.randn(2, 4, 8, 8),
        "timestep": torch.tensor([3, 7]),
        "class_labels": torch.arange(2),
    }
    return model.eval(), inputs | {"return_dict": False}


def pixart() -> Case:
    from diffusers import PixArtTransformer2DModel

    model = PixArtTransformer2DModel(
        num_attention_heads=4, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=1, norm_num_groups=4,
        cross_attention_dim=32, sample_size=8, patch_size=2, caption_channels=16, use_additional_conditions=False,
    )  # fmt: skip
    inputs = {
        "hidden_states": torch.randn(2, 4, 8, 8),
        "encoder_hidden_states": torch.randn(2, 5, 16),
        "timestep": torch.tensor([3, 7]),
        "added_cond_kwargs": {"resolution": None, "aspect_ratio": None},
        "encoder_attention_mask": torch.ones(2, 5),
        "return_dict": False,
    }
    return model.eval(), inputs


def hyena() -> Case:
    return example("hyena_lm").load(batch=2, dim=16, layers=1, length=24, vocab=96, filter_width=8)


def torch_encoder() -> Case:
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, 1, enable_nested_tensor=False).train(False), (torch.randn(2, 9, 32),)


def recurrent() -> Case:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.GRUCell(8, 16), nn.Linear(16, 8)

        def forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            outputs = []
            for step in x.unbind(1):
                state = self.cell(step, state)
                outputs.append(self.head(state))
            return torch.stack(outputs, 1), state

    return Recurrent().eval(), (torch.randn(2, 4, 8), torch.randn(2, 16))


def spelling(name: str, *shapes: tuple[int, ...]) -> Callable[[], Case]:
    def build() -> Case:
        return local().Spelled(getattr(local(), name)).eval(), tuple(torch.randn(shape) for shape in shapes)

    return build


def small(name: str, *inputs: torch.Tensor, train: bool = False, shapes: Any = None) -> Callable[[], Case]:
    return lambda: (getattr(local(), name)().train(train), inputs, shapes)


def local() -> Any:
    return load_module(HERE / "convolutions.py")


def example(name: str) -> Any:
    return load_module(HERE.parents[1] / "examples" / "models" / f"{name}.py")


def load_module(path: Path) -> Any:
    if path.stem not in sys.modules:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        sys.modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[path.stem])
    return sys.modules[path.stem]


GPT2 = {"n_embd": 32, "n_layer": 1, "n_head": 4, "vocab_size": 96, "n_positions": 64}
ROW = (2, 4, 24)

MODELS: dict[str, Callable[[], Case]] = {
    "llama": decoder("LlamaForCausalLM", **GROUPED),
    "llama_eager": decoder("LlamaForCausalLM", **GROUPED, attn_implementation="eager"),
    "llama_dynamic": dynamic_llama,
    "mistral": decoder("MistralForCausalLM", **GROUPED, sliding_window=5, head_dim=8),
    "gemma": decoder("GemmaForCausalLM", **GROUPED, head_dim=8),
    "gemma2": decoder("Gemma2ForCausalLM", **GROUPED, head_dim=8, sliding_window=5, attn_implementation="eager"),
    "qwen2": decoder("Qwen2ForCausalLM", **GROUPED),
    "qwen3": decoder("Qwen3ForCausalLM", **GROUPED, head_dim=8),
    "gpt2": decoder("GPT2LMHeadModel", **GPT2),
    "phi": decoder("PhiForCausalLM", **TINY, partial_rotary_factor=0.5),
    "gpt_neox": decoder("GPTNeoXForCausalLM", **TINY),
    "opt": decoder("OPTForCausalLM", **TINY, ffn_dim=64, word_embed_proj_dim=32),
    "bloom": bloom,
    "mamba": decoder("MambaForCausalLM", hidden_size=16, state_size=4, num_hidden_layers=1, vocab_size=96),
    "bert": padded("BertModel", **TINY),
    "roberta": padded("RobertaModel", **TINY),
    "distilbert": padded("DistilBertModel", dim=32, n_layers=1, n_heads=4, hidden_dim=64, vocab_size=96),
    "t5": t5,
    "bart": bart,
    "whisper": whisper,
    "vit": picture("ViTModel", patch_size=8, **TINY),
    "clip_vision": picture("CLIPVisionModel", patch_size=8, **TINY),
    "swin": picture("SwinModel", embed_dim=16, depths=[2], num_heads=[2], window_size=4, patch_size=4),
    "convnext": picture("ConvNextModel", hidden_sizes=[16, 32], depths=[1, 1], num_stages=2),
    "dit": dit,
    "pixart": pixart,
    "hyena": hyena,
    "s4d": small("S4D", torch.randn(2, 24, 16)),
    "m2": small("MonarchMixer", torch.randn(2, 24, 32)),
    "fnet": small("Mixing", torch.randn(2, 12, 32)),
    "unet": small("UNet", torch.randn(2, 3, 8, 8), torch.rand(2) * 100),
    "transformer_encoder": torch_encoder,
    "recurrent": recurrent,
    "convnet_training": small("ConvNet", torch.randn(4, 3, 6, 6), torch.randint(0, 5, (4,)), train=True),
    "branches": small("Branches", torch.randn(3, 8), shapes={"x": {0: Dim.DYNAMIC}}),
    "fftconv_spelling_1": spelling("real_fft", ROW),
    "fftconv_spelling_2": spelling("complex_fft", ROW),
    "fftconv_spelling_3": spelling("halved_spectrum", ROW),
    "fftconv_spelling_4": spelling("padded_and_gated", ROW, ROW, ROW),
    "fftconv_spelling_5": spelling("conjugate_bidirectional", ROW),
    "fftconv_spelling_6": spelling("padded_bidirectional", ROW),
    "fftconv_spelling_7": spelling("modulated", (2, 24, 4)),
    "fftconv_spelling_8": spelling("conjugated_input", ROW),
}


def write(name: str) -> None:
    torch.manual_seed(0)
    model, inputs, *shapes = MODELS[name]()
    program = regraft.frontend.capture.capture(model, inputs, dynamic_shapes=shapes[0] if shapes else None)
    text = print_program(program)
    difference = equal(program, parse_program(text, file=f"{name}.ir.py"))
    if difference is not None:
        raise SystemExit(f"{name}: does not read back: {difference}")
    (HERE / f"{name}.ir.py").write_text(text, encoding="utf-8")
    print(f"{name:24} {len(program.graph.nodes):5} nodes {len(text) / 1024:6.1f} KiB")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    for chosen in sys.argv[1:] or MODELS:
        write(chosen)
