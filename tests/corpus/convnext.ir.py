program(door="export")
call = ((), {"pixel_values": ...})


def graph(
    *,
    p_embeddings_patch_embeddings_weight: f32[16, 3, 4, 4] = parameter("embeddings.patch_embeddings.weight"),
    p_embeddings_patch_embeddings_bias: f32[16] = parameter("embeddings.patch_embeddings.bias"),
    p_embeddings_layernorm_weight: f32[16] = parameter("embeddings.layernorm.weight"),
    p_embeddings_layernorm_bias: f32[16] = parameter("embeddings.layernorm.bias"),
    p_encoder_stages_0_layers_0_layer_scale_parameter: f32[16] = parameter("encoder.stages.0.layers.0.layer_scale_parameter"),
    p_encoder_stages_0_layers_0_dwconv_weight: f32[16, 1, 7, 7] = parameter("encoder.stages.0.layers.0.dwconv.weight"),
    p_encoder_stages_0_layers_0_dwconv_bias: f32[16] = parameter("encoder.stages.0.layers.0.dwconv.bias"),
    p_encoder_stages_0_layers_0_layernorm_weight: f32[16] = parameter("encoder.stages.0.layers.0.layernorm.weight"),
    p_encoder_stages_0_layers_0_layernorm_bias: f32[16] = parameter("encoder.stages.0.layers.0.layernorm.bias"),
    p_encoder_stages_0_layers_0_pwconv1_weight: f32[64, 16] = parameter("encoder.stages.0.layers.0.pwconv1.weight"),
    p_encoder_stages_0_layers_0_pwconv1_bias: f32[64] = parameter("encoder.stages.0.layers.0.pwconv1.bias"),
    p_encoder_stages_0_layers_0_pwconv2_weight: f32[16, 64] = parameter("encoder.stages.0.layers.0.pwconv2.weight"),
    p_encoder_stages_0_layers_0_pwconv2_bias: f32[16] = parameter("encoder.stages.0.layers.0.pwconv2.bias"),
    p_encoder_stages_1_downsampling_layer_0_weight: f32[16] = parameter("encoder.stages.1.downsampling_layer.0.weight"),
    p_encoder_stages_1_downsampling_layer_0_bias: f32[16] = parameter("encoder.stages.1.downsampling_layer.0.bias"),
    p_encoder_stages_1_downsampling_layer_1_weight: f32[32, 16, 2, 2] = parameter("encoder.stages.1.downsampling_layer.1.weight"),
    p_encoder_stages_1_downsampling_layer_1_bias: f32[32] = parameter("encoder.stages.1.downsampling_layer.1.bias"),
    p_encoder_stages_1_layers_0_layer_scale_parameter: f32[32] = parameter("encoder.stages.1.layers.0.layer_scale_parameter"),
    p_encoder_stages_1_layers_0_dwconv_weight: f32[32, 1, 7, 7] = parameter("encoder.stages.1.layers.0.dwconv.weight"),
    p_encoder_stages_1_layers_0_dwconv_bias: f32[32] = parameter("encoder.stages.1.layers.0.dwconv.bias"),
    p_encoder_stages_1_layers_0_layernorm_weight: f32[32] = parameter("encoder.stages.1.layers.0.layernorm.weight"),
    p_encoder_stages_1_layers_0_layernorm_bias: f32[32] = parameter("encoder.stages.1.layers.0.layernorm.bias"),
    p_encoder_stages_1_layers_0_pwconv1_weight: f32[128, 32] = parameter("encoder.stages.1.layers.0.pwconv1.weight"),
    p_encoder_stages_1_layers_0_pwconv1_bias: f32[128] = parameter("encoder.stages.1.layers.0.pwconv1.bias"),
    p_encoder_stages_1_layers_0_pwconv2_weight: f32[32, 128] = parameter("encoder.stages.1.layers.0.pwconv2.weight"),
    p_encoder_stages_1_layers_0_pwconv2_bias: f32[32] = parameter("encoder.stages.1.layers.0.pwconv2.bias"),
    p_layernorm_weight: f32[32] = parameter("layernorm.weight"),
    p_layernorm_bias: f32[32] = parameter("layernorm.bias"),
    pixel_values: f32[2, 3, 32, 32],
):
    conv2d: f32[2, 16, 8, 8] = aten.conv2d.default(pixel_values, p_embeddings_patch_embeddings_weight, p_embeddings_patch_embeddings_bias, [4, 4])  # embeddings.patch_embeddings
    permute: f32[2, 8, 8, 16] = aten.permute.default(conv2d, [0, 2, 3, 1])  # embeddings.layernorm
    layer_norm: f32[2, 8, 8, 16] = aten.layer_norm.default(permute, [16], p_embeddings_layernorm_weight, p_embeddings_layernorm_bias, 1e-06, False)  # embeddings.layernorm
    permute_1: f32[2, 16, 8, 8] = aten.permute.default(layer_norm, [0, 3, 1, 2])  # embeddings.layernorm
    conv2d_1: f32[2, 16, 8, 8] = aten.conv2d.default(permute_1, p_encoder_stages_0_layers_0_dwconv_weight, p_encoder_stages_0_layers_0_dwconv_bias, [1, 1], [3, 3], [1, 1], 16)  # encoder.stages.0.layers.0.dwconv
    permute_2: f32[2, 8, 8, 16] = aten.permute.default(conv2d_1, [0, 2, 3, 1])  # encoder.stages.0.layers.0
    layer_norm_1: f32[2, 8, 8, 16] = aten.layer_norm.default(permute_2, [16], p_encoder_stages_0_layers_0_layernorm_weight, p_encoder_stages_0_layers_0_layernorm_bias, 1e-06, False)  # encoder.stages.0.layers.0.layernorm
    linear: f32[2, 8, 8, 64] = aten.linear.default(layer_norm_1, p_encoder_stages_0_layers_0_pwconv1_weight, p_encoder_stages_0_layers_0_pwconv1_bias)  # encoder.stages.0.layers.0.pwconv1
    gelu: f32[2, 8, 8, 64] = aten.gelu.default(linear)  # encoder.stages.0.layers.0.act
    linear_1: f32[2, 8, 8, 16] = aten.linear.default(gelu, p_encoder_stages_0_layers_0_pwconv2_weight, p_encoder_stages_0_layers_0_pwconv2_bias)  # encoder.stages.0.layers.0.pwconv2
    mul: f32[2, 8, 8, 16] = aten.mul.Tensor(p_encoder_stages_0_layers_0_layer_scale_parameter, linear_1)  # encoder.stages.0.layers.0
    permute_3: f32[2, 16, 8, 8] = aten.permute.default(mul, [0, 3, 1, 2])  # encoder.stages.0.layers.0
    add: f32[2, 16, 8, 8] = aten.add.Tensor(permute_1, permute_3)  # encoder.stages.0.layers.0
    permute_4: f32[2, 8, 8, 16] = aten.permute.default(add, [0, 2, 3, 1])  # encoder.stages.1.downsampling_layer.0
    layer_norm_2: f32[2, 8, 8, 16] = aten.layer_norm.default(permute_4, [16], p_encoder_stages_1_downsampling_layer_0_weight, p_encoder_stages_1_downsampling_layer_0_bias, 1e-06, False)  # encoder.stages.1.downsampling_layer.0
    permute_5: f32[2, 16, 8, 8] = aten.permute.default(layer_norm_2, [0, 3, 1, 2])  # encoder.stages.1.downsampling_layer.0
    conv2d_2: f32[2, 32, 4, 4] = aten.conv2d.default(permute_5, p_encoder_stages_1_downsampling_layer_1_weight, p_encoder_stages_1_downsampling_layer_1_bias, [2, 2])  # encoder.stages.1.downsampling_layer.1
    conv2d_3: f32[2, 32, 4, 4] = aten.conv2d.default(conv2d_2, p_encoder_stages_1_layers_0_dwconv_weight, p_encoder_stages_1_layers_0_dwconv_bias, [1, 1], [3, 3], [1, 1], 32)  # encoder.stages.1.layers.0.dwconv
    permute_6: f32[2, 4, 4, 32] = aten.permute.default(conv2d_3, [0, 2, 3, 1])  # encoder.stages.1.layers.0
    layer_norm_3: f32[2, 4, 4, 32] = aten.layer_norm.default(permute_6, [32], p_encoder_stages_1_layers_0_layernorm_weight, p_encoder_stages_1_layers_0_layernorm_bias, 1e-06, False)  # encoder.stages.1.layers.0.layernorm
    linear_2: f32[2, 4, 4, 128] = aten.linear.default(layer_norm_3, p_encoder_stages_1_layers_0_pwconv1_weight, p_encoder_stages_1_layers_0_pwconv1_bias)  # encoder.stages.1.layers.0.pwconv1
    gelu_1: f32[2, 4, 4, 128] = aten.gelu.default(linear_2)  # encoder.stages.1.layers.0.act
    linear_3: f32[2, 4, 4, 32] = aten.linear.default(gelu_1, p_encoder_stages_1_layers_0_pwconv2_weight, p_encoder_stages_1_layers_0_pwconv2_bias)  # encoder.stages.1.layers.0.pwconv2
    mul_1: f32[2, 4, 4, 32] = aten.mul.Tensor(p_encoder_stages_1_layers_0_layer_scale_parameter, linear_3)  # encoder.stages.1.layers.0
    permute_7: f32[2, 32, 4, 4] = aten.permute.default(mul_1, [0, 3, 1, 2])  # encoder.stages.1.layers.0
    add_1: f32[2, 32, 4, 4] = aten.add.Tensor(conv2d_2, permute_7)  # encoder.stages.1.layers.0
    mean: f32[2, 32] = aten.mean.dim(add_1, [-2, -1])
    layer_norm_4: f32[2, 32] = aten.layer_norm.default(mean, [32], p_layernorm_weight, p_layernorm_bias, 1e-12, False)  # layernorm
    return (add_1, layer_norm_4)
