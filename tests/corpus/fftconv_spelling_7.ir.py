program(door="export")
call = ((...,), {})
returns = ...


def graph(
    *,
    p_k: f32[4, 24] = parameter("k"),
    p_k2: f32[4, 24] = parameter("k2"),
    p_skip: f32[4] = parameter("skip"),
    c_lifted_tensor_0: f32[()] = constant("lifted_tensor_0", value=-1.0),
    u: f32[2, 24, 4],
):
    ones: f32[1, 24, 1] = aten.ones.default([1, 24, 1], device=torch.device("cpu"), pin_memory=False)
    lift_fresh_copy: f32[()] = aten.lift_fresh_copy.default(c_lifted_tensor_0)
    slice_1: f32[1, 12, 1] = aten.slice.Tensor(ones, 1, 1, 9223372036854775807, 2)
    fill_: f32[1, 12, 1] = aten.fill_.Tensor(slice_1, lift_fresh_copy)
    mul: f32[2, 24, 4] = aten.mul.Tensor(u, ones)
    stack: f32[2, 24, 4, 2] = aten.stack.default([u, mul], -1)
    t: f32[24, 4] = aten.t.default(p_k)
    fft_rfft: c64[25, 4] = aten.fft_rfft.default(t, 48, 0)
    unsqueeze: c64[1, 25, 4] = aten.unsqueeze.default(fft_rfft, 0)
    unsqueeze_1: c64[1, 25, 4, 1] = aten.unsqueeze.default(unsqueeze, 3)
    fft_rfft_1: c64[2, 25, 4, 2] = aten.fft_rfft.default(stack, 48, 1)
    mul_1: c64[2, 25, 4, 2] = aten.mul.Tensor(fft_rfft_1, unsqueeze_1)
    fft_irfft: f32[2, 48, 4, 2] = aten.fft_irfft.default(mul_1, 48, 1)
    slice_2: f32[2, 24, 4, 2] = aten.slice.Tensor(fft_irfft, 1, 0, 24)
    select: f32[2, 24, 4] = aten.select.int(slice_2, 3, 0)
    select_1: f32[2, 24, 4] = aten.select.int(slice_2, 3, 1)
    mul_2: f32[2, 24, 4] = aten.mul.Tensor(select_1, ones)
    add: f32[2, 24, 4] = aten.add.Tensor(select, mul_2)
    return (add,)
