"""Models run piece by piece give what they give for the whole sequence."""

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import regraft
import torch
from regraft.compiler.errors import UnsupportedModelError, UsageError
from regraft.examples.models import hyena_lm
from regraft.frontend.recurrent import Recurrent, State
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

LENGTH = 83
METHODS = ("relaxed", "epoched", "dot")


class Attention(nn.Module):
    """Causal attention of two heads, over a window if asked."""

    def __init__(self, window: int | None = None) -> None:
        super().__init__()
        self.qkv, self.window = nn.Linear(8, 24), window

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        if self.window is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            y = torch.ops.regraft.attention(q, k, v, mask="sliding", window=self.window)
        return y.transpose(1, 2).flatten(2)


class Conv(nn.Module):
    """A gated long convolution behind a short one."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.short = nn.Conv1d(8, 8, 3, padding=2, groups=8)
        self.taps = nn.Parameter(torch.randn(8, length) * torch.arange(length).div(-20).exp())
        self.skip = nn.Parameter(torch.randn(8))

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        u = self.short(x.mT)[..., :length]
        size = 2 * length
        h = u * u.sigmoid()
        y = torch.fft.irfft(torch.fft.rfft(h, n=size) * torch.fft.rfft(self.taps[:, :length], n=size), n=size)
        return ((y[..., :length] + h * self.skip[:, None]) * u).mT


class Shift(nn.Module):
    """The sample before, and the mean of all so far."""

    def forward(self, x: Tensor) -> Tensor:
        count = torch.arange(1, x.shape[1] + 1)[:, None]
        return F.pad(x, (0, 0, 1, -1)) + x.cumsum(1) / count


class Retention(nn.Module):
    """Linear attention with a decay for each head."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.decay = nn.Linear(8, 24), nn.Parameter(torch.tensor([-0.1, -0.01]))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        return torch.ops.regraft.linear_attention(q, k, v, self.decay)[0].transpose(1, 2).flatten(2)


class Modes(nn.Module):
    """A diagonal state-space model of three modes a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ParameterList([-torch.rand(8, 3), *torch.randn(3, 8, 3), torch.randn(8)])

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.regraft.ssm_scan(x.mT, *self.parts)[0].mT


class Companion(nn.Module):
    """A state-space model of two states a channel, as a rational function."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ParameterList([0.4 * torch.rand(8, 2), torch.randn(8, 2), torch.randn(8)])

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.regraft.ssm_scan_companion(x.mT, *self.parts)[0].mT


class Decays(nn.Module):
    """A long convolution with two slow exponentials a channel, whose poles 8 bits would not tell from 1."""

    def __init__(self) -> None:
        super().__init__()
        decays = torch.arange(LENGTH)[None] * torch.tensor([[-0.002], [-0.03]])
        self.taps = nn.Parameter(torch.rand(8, 2) @ decays.exp() / 8)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.regraft.long_conv(x.mT, self.taps[:, : x.shape[1]]).mT


class Stack(nn.Module):
    """Token and position embeddings, layers with residuals and norms, logits."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(11, 8), nn.Embedding(LENGTH, 8)
        self.layers, self.head = nn.ModuleList(layers), nn.Linear(8, 11)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        for layer in self.layers:
            x = x + layer(F.layer_norm(x, (8,)))
        return self.head(x)


def llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=11,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        use_cache=False,
    )
    return LlamaForCausalLM(config)


def hyena(mixer: str) -> nn.Module:
    return hyena_lm.load(dim=16, layers=2, length=96, vocab=11, mixer=mixer)[0]


MODELS: dict[str, Callable[[], nn.Module]] = {
    "attention": lambda: Stack(Attention(), Attention()),
    "window": lambda: Stack(Attention(window=5)),
    "hybrid": lambda: Stack(Conv(LENGTH), Attention(), Conv(LENGTH)),
    "shift": lambda: Stack(Shift()),
    "retention": lambda: Stack(Retention()),
    "modes": lambda: Stack(Modes()),
    "companion": lambda: Stack(Companion()),
    "hyena": lambda: hyena("hyena"),
    "multihyena": lambda: hyena("multihyena"),
    "h3": lambda: hyena("h3"),
    "llama": llama,
}


@cache
def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[name]().eval().requires_grad_(False)


@cache
def derived(name: str, exact: str = "relaxed") -> Recurrent:
    return regraft.recurrent(made(name), (IDS[:1],), exact=exact)


IDS = torch.randint(11, (3, LENGTH), generator=torch.Generator().manual_seed(1))


def logits(y: Any) -> Tensor:
    return y if isinstance(y, Tensor) else y.logits


def assert_same(actual: Tensor, name: str, ids: Tensor = IDS) -> None:
    expected = logits(made(name)(ids))
    assert (actual - expected).abs().max() / expected.abs().max() < 1e-5


def run(module: Recurrent, ids: Tensor, sizes: list[int]) -> Tensor:
    """Pieces of these sizes, the rest in steps."""
    state, outputs, at = module.init_state(ids.shape[0]), [], 0
    for size in sizes:
        y, state = module.prefill(ids[:, at : at + size], state)
        outputs += [logits(y)] if size else []
        at += size
    for t in range(at, ids.shape[1]):
        y, state = module.step(ids[:, t], state)
        outputs.append(logits(y).unsqueeze(1))
    assert state.position == ids.shape[1]
    return torch.cat(outputs, 1)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("prompt", [0, 1, 37, LENGTH])
def test_a_prompt_and_steps_give_the_forward_of_the_whole(name: str, prompt: int) -> None:
    assert_same(run(derived(name), IDS, [prompt]), name)


@pytest.mark.parametrize("name", MODELS)
def test_the_size_of_pieces_does_not_matter(name: str) -> None:
    assert_same(run(derived(name), IDS, [2, 13, 0, 1, 32, 30]), name)


@pytest.mark.parametrize("exact", METHODS)
def test_every_way_to_decode_a_convolution_exactly_gives_the_same(exact: str) -> None:
    assert_same(run(derived("hybrid", exact), IDS, [5]), "hybrid")


def test_a_distilled_model_steps_as_it_prefills() -> None:
    module = regraft.recurrent(made("hyena"), (IDS,), max_length=96, passes="distill-ssm{tol=0.5}")
    assert not module.derived.banks
    whole, _ = module.prefill(IDS)
    stepped = run(module, IDS, [7])
    assert (stepped - whole).abs().max() / whole.abs().max() < 1e-4


def test_compiled_pieces_write_their_state_too() -> None:
    module = regraft.recurrent(made("hybrid"), (IDS,), compile={"backend": "aot_eager"})
    assert_same(run(module, IDS[:, :45], [30]), "hybrid", IDS[:, :45])


def test_no_step_of_a_convolution_grows_anything() -> None:
    module = derived("hyena")
    state = module.init_state(2)
    before = {name: (x.shape, x.data_ptr()) for name, x in state.tensors.items()}
    for t in range(LENGTH):
        _, state = module.step(IDS[:2, t], state)
    assert {name: (x.shape, x.data_ptr()) for name, x in state.tensors.items()} == before


def test_a_state_is_copied_saved_and_expanded_over_a_batch() -> None:
    module = derived("hybrid")
    _, state = module.prefill(IDS[:1, :40])
    kept = state.clone()
    module.step(IDS[:1, 40], state)
    file = io.BytesIO()
    torch.save(kept, file)
    file.seek(0)
    loaded = torch.load(file)
    assert isinstance(loaded, State)
    assert loaded.position == 40
    ids = torch.cat((IDS[:1, :41].expand(3, -1), IDS[:, 41:42]), 1)
    y, _ = module.prefill(ids[:, 40:], loaded.to("cpu").expand(3))
    assert_same(torch.cat((made("hybrid")(ids)[:, :40], y), 1), "hybrid", ids)


def test_a_state_is_a_pytree() -> None:
    state = derived("hybrid").init_state(2)
    doubled = pytree.tree_map(lambda x: x + 1, state)
    assert isinstance(doubled, State)
    assert doubled.batch == 2
    assert all((x == 1).all() for x in doubled.tensors.values())


def test_generation_takes_the_most_likely_ids_of_the_whole_forward() -> None:
    ids = IDS[:2, :9]
    made_up = derived("hybrid").generate(ids, 12)
    again = ids
    for _ in range(12):
        again = torch.cat((again, made("hybrid")(again)[:, -1].argmax(-1, keepdim=True)), 1)
    assert torch.equal(made_up, again)


def test_drawing_from_one_id_is_taking_the_most_likely() -> None:
    ids, module = IDS[:2, :9], derived("llama")
    likely = module.generate(ids, 5)
    assert torch.equal(module.generate(ids, 5, temperature=2.0, top_k=1), likely)
    assert torch.equal(module.generate(ids, 5, temperature=2.0, top_p=1e-6), likely)
    drawn = module.generate(ids, 40, temperature=1.0, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(drawn[:, :14], likely)


def test_a_row_that_has_ended_goes_on_with_the_end() -> None:
    module, ids = derived("hybrid"), IDS[:2, :9]
    free = module.generate(ids, 12)
    end = int(free[0, 10])
    ended = module.generate(ids, 12, eos=end)
    at = int((ended[0, 9:] == end).int().argmax()) + 9
    assert (ended[0, at:] == end).all()
    assert torch.equal(ended[0, : at + 1], free[0, : at + 1])


class Looking(nn.Module):
    """Looks ahead in one of several ways."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.mix = how, nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(x)
        if self.how == "mean":
            return x - x.mean(1, keepdim=True)
        if self.how == "flip":
            return x + x.flip(1)
        if self.how == "softmax":
            return x.softmax(1)
        if self.how == "next":
            return F.pad(x, (0, 0, -1, 1))
        if self.how == "attention":
            return F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None])[:, 0]
        if self.how == "reshape":
            return x + x.mT.reshape(x.shape)
        return x * (torch.arange(x.shape[1]) / x.shape[1])[:, None]


BLOCKED = {
    "mean": "mean",
    "flip": "flip",
    "softmax": "softmax",
    "next": "pad",
    "attention": "attention",
    "reshape": "reshape",
    "ramp": "length of the sequence",
}


@pytest.mark.parametrize("how", BLOCKED)
def test_a_model_that_looks_ahead_is_refused_with_the_operator_and_its_line(how: str) -> None:
    model = Stack(Looking(how)).eval().requires_grad_(False)
    with pytest.raises(UnsupportedModelError, match=BLOCKED[how]) as error:
        regraft.recurrent(model, (IDS,))
    assert "test_recurrent.py" in str(error.value)


def test_an_attention_mask_as_a_second_input_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="2 tensors"):
        regraft.recurrent(made("llama"), {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)})


def test_more_positions_than_max_length_are_an_error() -> None:
    module = regraft.recurrent(made("attention"), (IDS,), max_length=20)
    _, state = module.prefill(IDS[:, :20])
    with pytest.raises(UsageError, match="max_length=20"):
        module.step(IDS[:, 20], state)


def test_more_positions_than_the_model_has_are_an_error() -> None:
    with pytest.raises(UnsupportedModelError, match=f"max_length={LENGTH}|{LENGTH}"):
        regraft.recurrent(made("hybrid"), (IDS,), max_length=LENGTH + 1)


def test_another_batch_than_the_state_has_is_an_error() -> None:
    module = derived("hybrid")
    with pytest.raises(UsageError, match="3 rows and the state 2"):
        module.prefill(IDS, module.init_state(2))


def test_weights_that_have_changed_are_noticed() -> None:
    model = Stack(Conv(LENGTH)).eval().requires_grad_(False)
    module = regraft.recurrent(model, (IDS,))
    with torch.no_grad():
        model.layers[0].taps.mul_(2)
    with pytest.raises(UsageError, match="changed"):
        module.init_state()


def test_poles_are_exponentiated_once_and_again_when_they_change() -> None:
    model = Stack(Modes()).eval().requires_grad_(False)
    module = regraft.recurrent(model, (IDS,))
    _, state = module.prefill(IDS[:, :9])
    (name,) = module._computed
    before = module._computed[name][1]
    module.step(IDS[:, 9], state.clone())
    assert module._computed[name][1] is before
    model.layers[0].parts[0].mul_(3)
    module.step(IDS[:, 9], state)
    torch.testing.assert_close(module._computed[name][1].norm(dim=0), before.norm(dim=0) ** 3)


@pytest.mark.parametrize("cast", [torch.bfloat16, torch.float16, torch.float64])
def test_a_cast_is_refused_before_poles_and_weights_are_rounded(cast: torch.dtype) -> None:
    module = regraft.recurrent(made("hyena"), (IDS,), max_length=96, passes="distill-ssm{tol=0.5}")
    before = {name: x.clone() for name, x in (*module.named_parameters(), *module.named_buffers())}
    with pytest.raises(UsageError, match="cast the model before"):
        module.to(cast)
    for name, x in (*module.named_parameters(), *module.named_buffers()):
        assert x.dtype == before[name].dtype
        assert torch.equal(x, before[name])
    run(module.to("cpu"), IDS[:, :9], [5])


@pytest.mark.parametrize("cast", [torch.bfloat16, torch.float16])
def test_a_model_that_was_cast_steps_with_poles_in_single_precision(cast: torch.dtype) -> None:
    model = Stack(Decays()).eval().requires_grad_(False).to(cast)
    module = regraft.recurrent(model, (IDS,), passes="distill-ssm{order=4}")
    poles = [x for x, _ in module.derived.known.items() if x.endswith("_pole")]
    assert poles
    whole, state = module.prefill(IDS)
    assert {module._computed[name][1].dtype for name in poles} == {torch.float32}
    assert all(x.dtype == torch.float32 for name, x in state.tensors.items() if "ssm_scan" in name)
    stepped = run(module, IDS, [7])
    assert whole.dtype == cast
    allowed = 4 * torch.finfo(cast).eps
    assert (stepped - whole).float().norm() / whole.float().norm() < allowed


def test_a_model_in_training_mode_is_refused() -> None:
    with pytest.raises(UsageError, match="eval"):
        regraft.recurrent(Stack(Shift()).train(), (IDS,))
