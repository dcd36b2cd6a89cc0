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
    fft_fft: c64[2, 4, 48] = aten.fft_fft.default(u, 48)
    fft_fft_1: c64[4, 48] = aten.fft_fft.default(p_k, 48)
    mul: c64[2, 4, 48] = aten.mul.Tensor(fft_fft, fft_fft_1)
    fft_ifft: c64[2, 4, 48] = aten.fft_ifft.default(mul, 48)
    real: f32[2, 4, 48] = aten.real.default(fft_ifft)
    slice_1: f32[2, 4, 24] = aten.slice.Tensor(real, 2, 0, 24)
    unsqueeze: f32[4, 1] = aten.unsqueeze.default(p_skip, 1)
    mul_1: f32[2, 4, 24] = aten.mul.Tensor(u, unsqueeze)
    add: f32[2, 4, 24] = aten.add.Tensor(slice_1, mul_1)
    return (add,)
