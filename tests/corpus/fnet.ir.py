program(door="export")
call = ((...,), {})
returns = ...


def graph(
    *,
    p_norms_0_weight: f32[32] = parameter("norms.0.weight"),
    p_norms_0_bias: f32[32] = parameter("norms.0.bias"),
    p_norms_1_weight: f32[32] = parameter("norms.1.weight"),
    p_norms_1_bias: f32[32] = parameter("norms.1.bias"),
    p_mlp_0_weight: f32[64, 32] = parameter("mlp.0.weight"),
    p_mlp_0_bias: f32[64] = parameter("mlp.0.bias"),
    p_mlp_2_weight: f32[32, 64] = parameter("mlp.2.weight"),
    p_mlp_2_bias: f32[32] = parameter("mlp.2.bias"),
    x: f32[2, 12, 32],
):
    fft_fft: c64[2, 12, 32] = aten.fft_fft.default(x)
    fft_fft_1: c64[2, 12, 32] = aten.fft_fft.default(fft_fft, None, -2)
    real: f32[2, 12, 32] = aten.real.default(fft_fft_1)
    add: f32[2, 12, 32] = aten.add.Tensor(x, real)
    layer_norm: f32[2, 12, 32] = aten.layer_norm.default(add, [32], p_norms_0_weight, p_norms_0_bias, 1e-05, False)  # norms.0
    linear: f32[2, 12, 64] = aten.linear.default(layer_norm, p_mlp_0_weight, p_mlp_0_bias)  # mlp.0
    gelu: f32[2, 12, 64] = aten.gelu.default(linear)  # mlp.1
    linear_1: f32[2, 12, 32] = aten.linear.default(gelu, p_mlp_2_weight, p_mlp_2_bias)  # mlp.2
    add_1: f32[2, 12, 32] = aten.add.Tensor(layer_norm, linear_1)
    layer_norm_1: f32[2, 12, 32] = aten.layer_norm.default(add_1, [32], p_norms_1_weight, p_norms_1_bias, 1e-05, False)  # norms.1
    return (layer_norm_1,)
