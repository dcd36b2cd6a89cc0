program(door="export")
call = ((...,), {})
returns = ...


def graph(
    *,
    p_embedding_weight: f32[96, 16] = parameter("embedding.weight"),
    p_layers_0_norm1_weight: f32[16] = parameter("layers.0.norm1.weight"),
    p_layers_0_norm1_bias: f32[16] = parameter("layers.0.norm1.bias"),
    p_layers_0_mixer_in_proj_weight: f32[48, 16] = parameter("layers.0.mixer.in_proj.weight"),
    p_layers_0_mixer_in_proj_bias: f32[48] = parameter("layers.0.mixer.in_proj.bias"),
    p_layers_0_mixer_short_filter_weight: f32[48, 1, 3] = parameter("layers.0.mixer.short_filter.weight"),
    p_layers_0_mixer_short_filter_bias: f32[48] = parameter("layers.0.mixer.short_filter.bias"),
    p_layers_0_mixer_out_proj_weight: f32[16, 16] = parameter("layers.0.mixer.out_proj.weight"),
    p_layers_0_mixer_out_proj_bias: f32[16] = parameter("layers.0.mixer.out_proj.bias"),
    p_layers_0_mixer_filter_fn_bias: f32[16] = parameter("layers.0.mixer.filter_fn.bias"),
    p_layers_0_mixer_filter_fn_pos_emb_z: f32[1, 24, 5] = parameter("layers.0.mixer.filter_fn.pos_emb.z"),
    p_layers_0_mixer_filter_fn_implicit_filter_0_weight: f32[8, 5] = parameter("layers.0.mixer.filter_fn.implicit_filter.0.weight"),
    p_layers_0_mixer_filter_fn_implicit_filter_0_bias: f32[8] = parameter("layers.0.mixer.filter_fn.implicit_filter.0.bias"),
    p_layers_0_mixer_filter_fn_implicit_filter_1_freq: f32[1, 8] = parameter("layers.0.mixer.filter_fn.implicit_filter.1.freq"),
    p_layers_0_mixer_filter_fn_implicit_filter_2_weight: f32[8, 8] = parameter("layers.0.mixer.filter_fn.implicit_filter.2.weight"),
    p_layers_0_mixer_filter_fn_implicit_filter_2_bias: f32[8] = parameter("layers.0.mixer.filter_fn.implicit_filter.2.bias"),
    p_layers_0_mixer_filter_fn_implicit_filter_3_freq: f32[1, 8] = parameter("layers.0.mixer.filter_fn.implicit_filter.3.freq", tied="layers.0.mixer.filter_fn.implicit_filter.1.freq"),
    p_layers_0_mixer_filter_fn_implicit_filter_4_weight: f32[8, 8] = parameter("layers.0.mixer.filter_fn.implicit_filter.4.weight"),
    p_layers_0_mixer_filter_fn_implicit_filter_4_bias: f32[8] = parameter("layers.0.mixer.filter_fn.implicit_filter.4.bias"),
    p_layers_0_mixer_filter_fn_implicit_filter_5_freq: f32[1, 8] = parameter("layers.0.mixer.filter_fn.implicit_filter.5.freq", tied="layers.0.mixer.filter_fn.implicit_filter.1.freq"),
    p_layers_0_mixer_filter_fn_implicit_filter_6_weight: f32[16, 8] = parameter("layers.0.mixer.filter_fn.implicit_filter.6.weight"),
    p_layers_0_norm2_weight: f32[16] = parameter("layers.0.norm2.weight"),
    p_layers_0_norm2_bias: f32[16] = parameter("layers.0.norm2.bias"),
    p_layers_0_mlp_0_weight: f32[64, 16] = parameter("layers.0.mlp.0.weight"),
    p_layers_0_mlp_0_bias: f32[64] = parameter("layers.0.mlp.0.bias"),
    p_layers_0_mlp_2_weight: f32[16, 64] = parameter("layers.0.mlp.2.weight"),
    p_layers_0_mlp_2_bias: f32[16] = parameter("layers.0.mlp.2.bias"),
    p_norm_weight: f32[16] = parameter("norm.weight"),
    p_norm_bias: f32[16] = parameter("norm.bias"),
    p_head_weight: f32[96, 16] = parameter("head.weight", tied="embedding.weight"),
    b_layers_0_mixer_filter_fn_pos_emb_t: f32[1, 24, 1] = buffer("layers.0.mixer.filter_fn.pos_emb.t", value=[[[0.0], [0.04347826], [0.08695652], [0.13043478], [0.17391305], [0.21739131], [0.26086956], [0.30434784], [0.3478261], [0.39130434], [0.43478262], [0.47826087], [0.5217391], [0.5652174], [0.6086956], [0.6521739], [0.6956522], [0.73913044], [0.7826087], [0.82608694], [0.8695652], [0.9130435], [0.95652175], [1.0]]]),
    b_layers_0_mixer_filter_fn_modulation_deltas: f32[1, 1, 16] = buffer("layers.0.mixer.filter_fn.modulation.deltas", value=[[[-3.0701134, -3.8888104, -4.707507, -5.526204, -6.344901, -7.163598, -7.982295, -8.800992, -9.619688, -10.438385, -11.257082, -12.075779, -12.894476, -13.713173, -14.53187, -15.350567]]]),
    ids: i64[2, 24],
):
    embedding: f32[2, 24, 16] = aten.embedding.default(p_head_weight, ids)  # embedding
    layer_norm: f32[2, 24, 16] = aten.layer_norm.default(embedding, [16], p_layers_0_norm1_weight, p_layers_0_norm1_bias, 1e-05, False)  # layers.0.norm1
    linear: f32[2, 24, 48] = aten.linear.default(layer_norm, p_layers_0_mixer_in_proj_weight, p_layers_0_mixer_in_proj_bias)  # layers.0.mixer.in_proj
    transpose: f32[2, 48, 24] = aten.transpose.int(linear, 1, 2)  # layers.0.mixer
    conv1d: f32[2, 48, 26] = aten.conv1d.default(transpose, p_layers_0_mixer_short_filter_weight, p_layers_0_mixer_short_filter_bias, [1], [2], [1], 48)  # layers.0.mixer.short_filter
    slice_1: f32[2, 48, 24] = aten.slice.Tensor(conv1d, 2, 0, 24)  # layers.0.mixer
    split: [f32[2, 16, 24], f32[2, 16, 24], f32[2, 16, 24]] = aten.split.Tensor(slice_1, 16, 1)  # layers.0.mixer
    getitem: f32[2, 16, 24] = operator.getitem(split, 0)  # layers.0.mixer
    getitem_1: f32[2, 16, 24] = operator.getitem(split, 1)  # layers.0.mixer
    getitem_2: f32[2, 16, 24] = operator.getitem(split, 2)  # layers.0.mixer
    alias: f32[1, 24, 5] = aten.alias.default(p_layers_0_mixer_filter_fn_pos_emb_z)  # layers.0.mixer
    linear_1: f32[1, 24, 8] = aten.linear.default(alias, p_layers_0_mixer_filter_fn_implicit_filter_0_weight, p_layers_0_mixer_filter_fn_implicit_filter_0_bias)  # layers.0.mixer.filter_fn.implicit_filter.0
    mul: f32[1, 24, 8] = aten.mul.Tensor(p_layers_0_mixer_filter_fn_implicit_filter_5_freq, linear_1)  # layers.0.mixer.filter_fn.implicit_filter.1
    sin: f32[1, 24, 8] = aten.sin.default(mul)  # layers.0.mixer.filter_fn.implicit_filter.1
    linear_2: f32[1, 24, 8] = aten.linear.default(sin, p_layers_0_mixer_filter_fn_implicit_filter_2_weight, p_layers_0_mixer_filter_fn_implicit_filter_2_bias)  # layers.0.mixer.filter_fn.implicit_filter.2
    mul_1: f32[1, 24, 8] = aten.mul.Tensor(p_layers_0_mixer_filter_fn_implicit_filter_5_freq, linear_2)  # layers.0.mixer.filter_fn.implicit_filter.3
    sin_1: f32[1, 24, 8] = aten.sin.default(mul_1)  # layers.0.mixer.filter_fn.implicit_filter.3
    linear_3: f32[1, 24, 8] = aten.linear.default(sin_1, p_layers_0_mixer_filter_fn_implicit_filter_4_weight, p_layers_0_mixer_filter_fn_implicit_filter_4_bias)  # layers.0.mixer.filter_fn.implicit_filter.4
    mul_2: f32[1, 24, 8] = aten.mul.Tensor(p_layers_0_mixer_filter_fn_implicit_filter_5_freq, linear_3)  # layers.0.mixer.filter_fn.implicit_filter.5
    sin_2: f32[1, 24, 8] = aten.sin.default(mul_2)  # layers.0.mixer.filter_fn.implicit_filter.5
    linear_4: f32[1, 24, 16] = aten.linear.default(sin_2, p_layers_0_mixer_filter_fn_implicit_filter_6_weight)  # layers.0.mixer.filter_fn.implicit_filter.6
    alias_1: f32[1, 24, 1] = aten.alias.default(b_layers_0_mixer_filter_fn_pos_emb_t)  # layers.0.mixer
    neg: f32[1, 24, 1] = aten.neg.default(alias_1)  # layers.0.mixer.filter_fn.modulation
    abs_1: f32[1, 1, 16] = aten.abs.default(b_layers_0_mixer_filter_fn_modulation_deltas)  # layers.0.mixer.filter_fn.modulation
    mul_3: f32[1, 24, 16] = aten.mul.Tensor(neg, abs_1)  # layers.0.mixer.filter_fn.modulation
    exp: f32[1, 24, 16] = aten.exp.default(mul_3)  # layers.0.mixer.filter_fn.modulation
    mul_4: f32[1, 24, 16] = aten.mul.Tensor(linear_4, exp)  # layers.0.mixer.filter_fn.modulation
    transpose_1: f32[1, 16, 24] = aten.transpose.int(mul_4, 1, 2)  # layers.0.mixer
    unflatten: f32[1, 16, 1, 24] = aten.unflatten.int(transpose_1, 1, [16, 1])  # layers.0.mixer
    select: f32[16, 1, 24] = aten.select.int(unflatten, 0, 0)  # layers.0.mixer
    unflatten_1: f32[16, 1] = aten.unflatten.int(p_layers_0_mixer_filter_fn_bias, 0, [16, 1])  # layers.0.mixer
    mul_5: f32[2, 16, 24] = aten.mul.Tensor(getitem_2, getitem_1)  # layers.0.mixer
    select_1: f32[16, 24] = aten.select.int(select, 1, 0)  # layers.0.mixer
    select_2: f32[16] = aten.select.int(unflatten_1, 1, 0)  # layers.0.mixer
    fft_rfft: c64[16, 25] = aten.fft_rfft.default(select_1, 48)  # layers.0.mixer
    div: c64[16, 25] = aten.div.Tensor(fft_rfft, 48)  # layers.0.mixer
    to: f32[2, 16, 24] = aten.to.dtype(mul_5, torch.float32)  # layers.0.mixer
    fft_rfft_1: c64[2, 16, 25] = aten.fft_rfft.default(to, 48)  # layers.0.mixer
    mul_6: c64[2, 16, 25] = aten.mul.Tensor(fft_rfft_1, div)  # layers.0.mixer
    fft_irfft: f32[2, 16, 48] = aten.fft_irfft.default(mul_6, 48, -1, "forward")  # layers.0.mixer
    slice_2: f32[2, 16, 24] = aten.slice.Tensor(fft_irfft, 2, 0, 24)  # layers.0.mixer
    unsqueeze: f32[16, 1] = aten.unsqueeze.default(select_2, 1)  # layers.0.mixer
    mul_7: f32[2, 16, 24] = aten.mul.Tensor(to, unsqueeze)  # layers.0.mixer
    add: f32[2, 16, 24] = aten.add.Tensor(slice_2, mul_7)  # layers.0.mixer
    to_1: f32[2, 16, 24] = aten.to.dtype(add, torch.float32)  # layers.0.mixer
    mul_8: f32[2, 16, 24] = aten.mul.Tensor(to_1, getitem)  # layers.0.mixer
    transpose_2: f32[2, 24, 16] = aten.transpose.int(mul_8, 1, 2)  # layers.0.mixer
    linear_5: f32[2, 24, 16] = aten.linear.default(transpose_2, p_layers_0_mixer_out_proj_weight, p_layers_0_mixer_out_proj_bias)  # layers.0.mixer.out_proj
    add_1: f32[2, 24, 16] = aten.add.Tensor(embedding, linear_5)  # layers.0
    layer_norm_1: f32[2, 24, 16] = aten.layer_norm.default(add_1, [16], p_layers_0_norm2_weight, p_layers_0_norm2_bias, 1e-05, False)  # layers.0.norm2
    linear_6: f32[2, 24, 64] = aten.linear.default(layer_norm_1, p_layers_0_mlp_0_weight, p_layers_0_mlp_0_bias)  # layers.0.mlp.0
    gelu: f32[2, 24, 64] = aten.gelu.default(linear_6, approximate="tanh")  # layers.0.mlp.1
    linear_7: f32[2, 24, 16] = aten.linear.default(gelu, p_layers_0_mlp_2_weight, p_layers_0_mlp_2_bias)  # layers.0.mlp.2
    add_2: f32[2, 24, 16] = aten.add.Tensor(add_1, linear_7)  # layers.0
    layer_norm_2: f32[2, 24, 16] = aten.layer_norm.default(add_2, [16], p_norm_weight, p_norm_bias, 1e-05, False)  # norm
    linear_8: f32[2, 24, 96] = aten.linear.default(layer_norm_2, p_head_weight)  # head
    return (linear_8,)
