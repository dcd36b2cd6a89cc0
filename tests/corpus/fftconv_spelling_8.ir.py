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
    fft_rfft: c64[2, 4, 25] = aten.fft_rfft.default(u, 48)
    fft_rfft_1: c64[4, 25] = aten.fft_rfft.default(p_k, 48)
    mul: c64[2, 4, 25] = aten.mul.Tensor(fft_rfft, fft_rfft_1)
    _conj: c64[2, 4, 25] = aten._conj.default(fft_rfft)
    fft_rfft_2: c64[4, 25] = aten.fft_rfft.default(p_k2, 48)
    _conj_1: c64[4, 25] = aten._conj.default(fft_rfft_2)
    mul_1: c64[2, 4, 25] = aten.mul.Tensor(_conj, _conj_1)
    add: c64[2, 4, 25] = aten.add.Tensor(mul, mul_1)
    fft_irfft: f32[2, 4, 48] = aten.fft_irfft.default(add, 48)
    slice_1: f32[2, 4, 24] = aten.slice.Tensor(fft_irfft, 2, 0, 24)
    unsqueeze: f32[4, 1] = aten.unsqueeze.default(p_skip, 1)
    mul_2: f32[2, 4, 24] = aten.mul.Tensor(u, unsqueeze)
    add_1: f32[2, 4, 24] = aten.add.Tensor(slice_1, mul_2)
    return (add_1,)
