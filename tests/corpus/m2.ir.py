program(door="export")
call = ((...,), {})
returns = ...


def graph(
    *,
    p_forwards: f32[32, 24] = parameter("forwards"),
    p_backwards: f32[32, 24] = parameter("backwards"),
    p_skip: f32[32] = parameter("skip"),
    p_up: f32[4, 16, 8] = parameter("up"),
    p_gate: f32[4, 16, 8] = parameter("gate"),
    p_down: f32[4, 8, 16] = parameter("down"),
    p_project_weight: f32[96, 32] = parameter("project.weight"),
    p_project_bias: f32[96] = parameter("project.bias"),
    p_short_weight: f32[96, 1, 3] = parameter("short.weight"),
    p_short_bias: f32[96] = parameter("short.bias"),
    p_back_weight: f32[32, 32] = parameter("back.weight"),
    p_back_bias: f32[32] = parameter("back.bias"),
    p_norms_0_weight: f32[32] = parameter("norms.0.weight"),
    p_norms_0_bias: f32[32] = parameter("norms.0.bias"),
    p_norms_1_weight: f32[32] = parameter("norms.1.weight"),
    p_norms_1_bias: f32[32] = parameter("norms.1.bias"),
    x: f32[2, 24, 32],
):
    linear: f32[2, 24, 96] = aten.linear.default(x, p_project_weight, p_project_bias)  # project
    transpose: f32[2, 96, 24] = aten.transpose.int(linear, 1, 2)
    conv1d: f32[2, 96, 24] = aten.conv1d.default(transpose, p_short_weight, p_short_bias, [1], [1], [1], 96)  # short
    chunk: [f32[2, 32, 24], f32[2, 32, 24], f32[2, 32, 24]] = aten.chunk.default(conv1d, 3, 1)
    getitem: f32[2, 32, 24] = operator.getitem(chunk, 0)
    getitem_1: f32[2, 32, 24] = operator.getitem(chunk, 1)
    getitem_2: f32[2, 32, 24] = operator.getitem(chunk, 2)
    mul: f32[2, 32, 24] = aten.mul.Tensor(getitem_2, getitem_1)
    alias: f32[32, 24] = aten.alias.default(p_forwards)
    alias_1: f32[32, 24] = aten.alias.default(p_backwards)
    pad: f32[32, 48] = aten.pad.default(alias, [0, 24])
    flip: f32[32, 24] = aten.flip.default(alias_1, [-1])
    pad_1: f32[32, 48] = aten.pad.default(flip, [24, 0])
    add: f32[32, 48] = aten.add.Tensor(pad, pad_1)
    fft_rfft: c64[2, 32, 25] = aten.fft_rfft.default(mul, 48)
    fft_rfft_1: c64[32, 25] = aten.fft_rfft.default(add, 48)
    mul_1: c64[2, 32, 25] = aten.mul.Tensor(fft_rfft, fft_rfft_1)
    fft_irfft: f32[2, 32, 48] = aten.fft_irfft.default(mul_1, 48)
    slice_1: f32[2, 32, 24] = aten.slice.Tensor(fft_irfft, 2, 0, 24)
    unsqueeze: f32[32, 1] = aten.unsqueeze.default(p_skip, 1)
    mul_2: f32[2, 32, 24] = aten.mul.Tensor(mul, unsqueeze)
    add_1: f32[2, 32, 24] = aten.add.Tensor(slice_1, mul_2)
    mul_3: f32[2, 32, 24] = aten.mul.Tensor(add_1, getitem)
    transpose_1: f32[2, 24, 32] = aten.transpose.int(mul_3, 1, 2)
    linear_1: f32[2, 24, 32] = aten.linear.default(transpose_1, p_back_weight, p_back_bias)  # back
    add_2: f32[2, 24, 32] = aten.add.Tensor(x, linear_1)
    layer_norm: f32[2, 24, 32] = aten.layer_norm.default(add_2, [32], p_norms_0_weight, p_norms_0_bias, 1e-05, False)  # norms.0
    unflatten: f32[2, 24, 4, 8] = aten.unflatten.int(layer_norm, -1, [4, 8])
    einsum: f32[2, 24, 4, 16] = aten.einsum.default("blnk,nok->blno", [unflatten, p_gate])
    flatten: f32[2, 24, 64] = aten.flatten.using_ints(einsum, -2)
    gelu: f32[2, 24, 64] = aten.gelu.default(flatten)
    unflatten_1: f32[2, 24, 4, 8] = aten.unflatten.int(layer_norm, -1, [4, 8])
    einsum_1: f32[2, 24, 4, 16] = aten.einsum.default("blnk,nok->blno", [unflatten_1, p_up])
    flatten_1: f32[2, 24, 64] = aten.flatten.using_ints(einsum_1, -2)
    mul_4: f32[2, 24, 64] = aten.mul.Tensor(gelu, flatten_1)
    unflatten_2: f32[2, 24, 4, 16] = aten.unflatten.int(mul_4, -1, [4, 16])
    einsum_2: f32[2, 24, 4, 8] = aten.einsum.default("blnk,nok->blno", [unflatten_2, p_down])
    flatten_2: f32[2, 24, 32] = aten.flatten.using_ints(einsum_2, -2)
    add_3: f32[2, 24, 32] = aten.add.Tensor(layer_norm, flatten_2)
    layer_norm_1: f32[2, 24, 32] = aten.layer_norm.default(add_3, [32], p_norms_1_weight, p_norms_1_bias, 1e-05, False)  # norms.1
    return (layer_norm_1,)
