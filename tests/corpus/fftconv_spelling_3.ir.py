program(door="export")
call = ((...,), {})
returns = (..., ...)


def graph(
    *,
    p_k: f32[4, 24] = parameter("k"),
    p_k2: f32[4, 24] = parameter("k2"),
    p_skip: f32[4] = parameter("skip"),
    u: f32[2, 4, 24],
):
    to: f32[2, 4, 24] = aten.to.dtype(u, torch.float32)
    fft_fft: c64[2, 4, 48] = aten.fft_fft.default(to, 48)
    slice_1: c64[2, 4, 25] = aten.slice.Tensor(fft_fft, 2, 0, 25)
    to_1: f32[4, 24] = aten.to.dtype(p_k, torch.float32)
    fft_rfft: c64[4, 25] = aten.fft_rfft.default(to_1, 48)
    mul: c64[2, 4, 25] = aten.mul.Tensor(slice_1, fft_rfft)
    div: c64[2, 4, 25] = aten.div.Tensor(mul, 48)
    fft_irfft: f32[2, 4, 48] = aten.fft_irfft.default(div, 48, -1, "forward")
    slice_2: f32[2, 4, 24] = aten.slice.Tensor(fft_irfft, 2, 0, 24)
    unsqueeze: f32[4, 1] = aten.unsqueeze.default(p_skip, 1)
    mul_1: f32[2, 4, 24] = aten.mul.Tensor(to, unsqueeze)
    add: f32[2, 4, 24] = aten.add.Tensor(slice_2, mul_1)
    view_as_real: f32[2, 4, 48, 2] = aten.view_as_real.default(fft_fft)
    sum_1: f32[2, 4, 2] = aten.sum.dim_IntList(view_as_real, [-2])
    return (add, sum_1)
