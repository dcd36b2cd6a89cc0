program(door="export")
call = ((...,), {})
returns = ...


def graph(
    *,
    p_log_step: f32[16] = parameter("log_step"),
    p_log_decay: f32[16, 8] = parameter("log_decay"),
    p_frequency: f32[16, 8] = parameter("frequency"),
    p_mix: f32[16, 8, 2] = parameter("mix"),
    p_skip: f32[16] = parameter("skip"),
    p_out_weight: f32[32, 16] = parameter("out.weight"),
    p_out_bias: f32[32] = parameter("out.bias"),
    x: f32[2, 24, 16],
):
    transpose: f32[2, 16, 24] = aten.transpose.int(x, -1, -2)
    exp: f32[16, 8] = aten.exp.default(p_log_decay)
    neg: f32[16, 8] = aten.neg.default(exp)
    complex_1: c64[16, 8] = aten.complex.default(neg, p_frequency)
    exp_1: f32[16] = aten.exp.default(p_log_step)
    unsqueeze: f32[16, 1] = aten.unsqueeze.default(exp_1, 1)
    mul: c64[16, 8] = aten.mul.Tensor(complex_1, unsqueeze)
    view_as_complex: c64[16, 8] = aten.view_as_complex.default(p_mix)
    exp_2: c64[16, 8] = aten.exp.default(mul)
    sub: c64[16, 8] = aten.sub.Tensor(exp_2, 1)
    mul_1: c64[16, 8] = aten.mul.Tensor(view_as_complex, sub)
    div: c64[16, 8] = aten.div.Tensor(mul_1, complex_1)
    unsqueeze_1: c64[16, 8, 1] = aten.unsqueeze.default(mul, 2)
    arange: i64[24] = aten.arange.default(24, device=torch.device("cpu"), pin_memory=False)
    mul_2: c64[16, 8, 24] = aten.mul.Tensor(unsqueeze_1, arange)
    exp_3: c64[16, 8, 24] = aten.exp.default(mul_2)
    einsum: c64[16, 24] = aten.einsum.default("hn,hnl->hl", [div, exp_3])
    real: f32[16, 24] = aten.real.default(einsum)
    mul_3: f32[16, 24] = aten.mul.Tensor(real, 2)
    fft_rfft: c64[16, 25] = aten.fft_rfft.default(mul_3, 48)
    fft_rfft_1: c64[2, 16, 25] = aten.fft_rfft.default(transpose, 48)
    mul_4: c64[2, 16, 25] = aten.mul.Tensor(fft_rfft_1, fft_rfft)
    fft_irfft: f32[2, 16, 48] = aten.fft_irfft.default(mul_4, 48)
    slice_1: f32[2, 16, 24] = aten.slice.Tensor(fft_irfft, 2, 0, 24)
    unsqueeze_2: f32[16, 1] = aten.unsqueeze.default(p_skip, 1)
    mul_5: f32[2, 16, 24] = aten.mul.Tensor(transpose, unsqueeze_2)
    add: f32[2, 16, 24] = aten.add.Tensor(slice_1, mul_5)
    gelu: f32[2, 16, 24] = aten.gelu.default(add)
    transpose_1: f32[2, 24, 16] = aten.transpose.int(gelu, -1, -2)
    linear: f32[2, 24, 32] = aten.linear.default(transpose_1, p_out_weight, p_out_bias)  # out
    glu: f32[2, 24, 16] = aten.glu.default(linear)
    return (glu,)
