program(door="export")
call = ((...,), {})
returns = ...


def graph(
    *,
    p_k: f32[4, 24] = parameter("k"),
    p_k2: f32[4, 24] = parameter("k2"),
    p_skip: f32[4] = parameter("skip"),
    u: f32[2, 4, 24],
):
    to: f32[4, 24] = aten.to.dtype(p_k, torch.float32)
    fft_rfft: c64[4, 25] = aten.fft_rfft.default(to, 48)
    div: c64[4, 25] = aten.div.Tensor(fft_rfft, 48)
    to_1: f32[2, 4, 24] = aten.to.dtype(u, torch.float32)
    fft_rfft_1: c64[2, 4, 25] = aten.fft_rfft.default(to_1, 48)
    mul: c64[2, 4, 25] = aten.mul.Tensor(fft_rfft_1, div)
    fft_irfft: f32[2, 4, 48] = aten.fft_irfft.default(mul, 48, -1, "forward")
    slice_1: f32[2, 4, 24] = aten.slice.Tensor(fft_irfft, 2, 0, 24)
    unsqueeze: f32[4, 1] = aten.unsqueeze.default(p_skip, 1)
    mul_1: f32[2, 4, 24] = aten.mul.Tensor(to_1, unsqueeze)
    add: f32[2, 4, 24] = aten.add.Tensor(slice_1, mul_1)
    to_2: f32[2, 4, 24] = aten.to.dtype(add, torch.float32)
    return (to_2,)
