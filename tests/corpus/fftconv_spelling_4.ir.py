program(door="export")
call = ((..., ..., ...), {})
returns = ...


def graph(
    *,
    p_k: f32[4, 24] = parameter("k"),
    p_k2: f32[4, 24] = parameter("k2"),
    p_skip: f32[4] = parameter("skip"),
    u: f32[2, 4, 24],
    gates_0: f32[2, 4, 24],
    gates_1: f32[2, 4, 24],
):
    mul: f32[2, 4, 24] = aten.mul.Tensor(u, gates_0)
    pad: f32[2, 4, 48] = aten.pad.default(mul, [0, 24])
    pad_1: f32[4, 48] = aten.pad.default(p_k, [0, 24])
    fft_rfft: c64[2, 4, 25] = aten.fft_rfft.default(pad)
    fft_rfft_1: c64[4, 25] = aten.fft_rfft.default(pad_1)
    mul_1: c64[2, 4, 25] = aten.mul.Tensor(fft_rfft, fft_rfft_1)
    fft_irfft: f32[2, 4, 48] = aten.fft_irfft.default(mul_1, 48)
    slice_1: f32[2, 4, 24] = aten.slice.Tensor(fft_irfft, 2, 0, 24)
    mul_2: f32[2, 4, 24] = aten.mul.Tensor(slice_1, gates_1)
    return (mul_2,)
