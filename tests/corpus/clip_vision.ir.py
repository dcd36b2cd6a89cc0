program(door="export")
call = ((), {"pixel_values": ...})


def graph(
    *,
    p_embeddings_class_embedding: f32[32] = parameter("embeddings.class_embedding"),
    p_embeddings_patch_embedding_weight: f32[32, 3, 8, 8] = parameter("embeddings.patch_embedding.weight"),
    p_embeddings_position_embedding_weight: f32[17, 32] = parameter("embeddings.position_embedding.weight"),
    p_pre_layrnorm_weight: f32[32] = parameter("pre_layrnorm.weight"),
    p_pre_layrnorm_bias: f32[32] = parameter("pre_layrnorm.bias"),
    p_encoder_layers_0_self_attn_k_proj_weight: f32[32, 32] = parameter("encoder.layers.0.self_attn.k_proj.weight"),
    p_encoder_layers_0_self_attn_k_proj_bias: f32[32] = parameter("encoder.layers.0.self_attn.k_proj.bias"),
    p_encoder_layers_0_self_attn_v_proj_weight: f32[32, 32] = parameter("encoder.layers.0.self_attn.v_proj.weight"),
    p_encoder_layers_0_self_attn_v_proj_bias: f32[32] = parameter("encoder.layers.0.self_attn.v_proj.bias"),
    p_encoder_layers_0_self_attn_q_proj_weight: f32[32, 32] = parameter("encoder.layers.0.self_attn.q_proj.weight"),
    p_encoder_layers_0_self_attn_q_proj_bias: f32[32] = parameter("encoder.layers.0.self_attn.q_proj.bias"),
    p_encoder_layers_0_self_attn_out_proj_weight: f32[32, 32] = parameter("encoder.layers.0.self_attn.out_proj.weight"),
    p_encoder_layers_0_self_attn_out_proj_bias: f32[32] = parameter("encoder.layers.0.self_attn.out_proj.bias"),
    p_encoder_layers_0_layer_norm1_weight: f32[32] = parameter("encoder.layers.0.layer_norm1.weight"),
    p_encoder_layers_0_layer_norm1_bias: f32[32] = parameter("encoder.layers.0.layer_norm1.bias"),
    p_encoder_layers_0_mlp_fc1_weight: f32[64, 32] = parameter("encoder.layers.0.mlp.fc1.weight"),
    p_encoder_layers_0_mlp_fc1_bias: f32[64] = parameter("encoder.layers.0.mlp.fc1.bias"),
    p_encoder_layers_0_mlp_fc2_weight: f32[32, 64] = parameter("encoder.layers.0.mlp.fc2.weight"),
    p_encoder_layers_0_mlp_fc2_bias: f32[32] = parameter("encoder.layers.0.mlp.fc2.bias"),
    p_encoder_layers_0_layer_norm2_weight: f32[32] = parameter("encoder.layers.0.layer_norm2.weight"),
    p_encoder_layers_0_layer_norm2_bias: f32[32] = parameter("encoder.layers.0.layer_norm2.bias"),
    p_post_layernorm_weight: f32[32] = parameter("post_layernorm.weight"),
    p_post_layernorm_bias: f32[32] = parameter("post_layernorm.bias"),
    b_embeddings_position_ids: i64[1, 17] = buffer("embeddings.position_ids", value=[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]]),
    pixel_values: f32[2, 3, 32, 32],
):
    to: f32[2, 3, 32, 32] = aten.to.dtype(pixel_values, torch.float32)  # embeddings
    conv2d: f32[2, 32, 4, 4] = aten.conv2d.default(to, p_embeddings_patch_embedding_weight, None, [8, 8])  # embeddings.patch_embedding
    flatten: f32[2, 32, 16] = aten.flatten.using_ints(conv2d, 2)  # embeddings
    transpose: f32[2, 16, 32] = aten.transpose.int(flatten, 1, 2)  # embeddings
    expand: f32[2, 1, 32] = aten.expand.default(p_embeddings_class_embedding, [2, 1, -1])  # embeddings
    cat: f32[2, 17, 32] = aten.cat.default([expand, transpose], 1)  # embeddings
    embedding: f32[1, 17, 32] = aten.embedding.default(p_embeddings_position_embedding_weight, b_embeddings_position_ids)  # embeddings.position_embedding
    add: f32[2, 17, 32] = aten.add.Tensor(cat, embedding)  # embeddings
    layer_norm: f32[2, 17, 32] = aten.layer_norm.default(add, [32], p_pre_layrnorm_weight, p_pre_layrnorm_bias, 1e-05, False)  # pre_layrnorm
    layer_norm_1: f32[2, 17, 32] = aten.layer_norm.default(layer_norm, [32], p_encoder_layers_0_layer_norm1_weight, p_encoder_layers_0_layer_norm1_bias, 1e-05, False)  # encoder.layers.0.layer_norm1
    linear: f32[2, 17, 32] = aten.linear.default(layer_norm_1, p_encoder_layers_0_self_attn_q_proj_weight, p_encoder_layers_0_self_attn_q_proj_bias)  # encoder.layers.0.self_attn.q_proj
    linear_1: f32[2, 17, 32] = aten.linear.default(layer_norm_1, p_encoder_layers_0_self_attn_k_proj_weight, p_encoder_layers_0_self_attn_k_proj_bias)  # encoder.layers.0.self_attn.k_proj
    linear_2: f32[2, 17, 32] = aten.linear.default(layer_norm_1, p_encoder_layers_0_self_attn_v_proj_weight, p_encoder_layers_0_self_attn_v_proj_bias)  # encoder.layers.0.self_attn.v_proj
    view: f32[2, 17, 4, 8] = aten.view.default(linear, [2, 17, -1, 8])  # encoder.layers.0.self_attn
    transpose_1: f32[2, 4, 17, 8] = aten.transpose.int(view, 1, 2)  # encoder.layers.0.self_attn
    view_1: f32[2, 17, 4, 8] = aten.view.default(linear_1, [2, 17, -1, 8])  # encoder.layers.0.self_attn
    transpose_2: f32[2, 4, 17, 8] = aten.transpose.int(view_1, 1, 2)  # encoder.layers.0.self_attn
    view_2: f32[2, 17, 4, 8] = aten.view.default(linear_2, [2, 17, -1, 8])  # encoder.layers.0.self_attn
    transpose_3: f32[2, 4, 17, 8] = aten.transpose.int(view_2, 1, 2)  # encoder.layers.0.self_attn
    scaled_dot_product_attention: f32[2, 4, 17, 8] = aten.scaled_dot_product_attention.default(transpose_1, transpose_2, transpose_3, scale=0.3535533905932738)  # encoder.layers.0.self_attn
    reshape: f32[2, 4, 17, 8] = aten.reshape.default(scaled_dot_product_attention, [2, -1, 17, 8])  # encoder.layers.0.self_attn
    transpose_4: f32[2, 17, 4, 8] = aten.transpose.int(reshape, 1, 2)  # encoder.layers.0.self_attn
    reshape_1: f32[2, 17, 32] = aten.reshape.default(transpose_4, [2, 17, -1])  # encoder.layers.0.self_attn
    linear_3: f32[2, 17, 32] = aten.linear.default(reshape_1, p_encoder_layers_0_self_attn_out_proj_weight, p_encoder_layers_0_self_attn_out_proj_bias)  # encoder.layers.0.self_attn.out_proj
    add_1: f32[2, 17, 32] = aten.add.Tensor(layer_norm, linear_3)  # encoder.layers.0
    layer_norm_2: f32[2, 17, 32] = aten.layer_norm.default(add_1, [32], p_encoder_layers_0_layer_norm2_weight, p_encoder_layers_0_layer_norm2_bias, 1e-05, False)  # encoder.layers.0.layer_norm2
    linear_4: f32[2, 17, 64] = aten.linear.default(layer_norm_2, p_encoder_layers_0_mlp_fc1_weight, p_encoder_layers_0_mlp_fc1_bias)  # encoder.layers.0.mlp.fc1
    mul: f32[2, 17, 64] = aten.mul.Tensor(linear_4, 1.702)  # encoder.layers.0.mlp.activation_fn
    sigmoid: f32[2, 17, 64] = aten.sigmoid.default(mul)  # encoder.layers.0.mlp.activation_fn
    mul_1: f32[2, 17, 64] = aten.mul.Tensor(linear_4, sigmoid)  # encoder.layers.0.mlp.activation_fn
    linear_5: f32[2, 17, 32] = aten.linear.default(mul_1, p_encoder_layers_0_mlp_fc2_weight, p_encoder_layers_0_mlp_fc2_bias)  # encoder.layers.0.mlp.fc2
    add_2: f32[2, 17, 32] = aten.add.Tensor(add_1, linear_5)  # encoder.layers.0
    select: f32[2, 32] = aten.select.int(add_2, 1, 0)
    layer_norm_3: f32[2, 32] = aten.layer_norm.default(select, [32], p_post_layernorm_weight, p_post_layernorm_bias, 1e-05, False)  # post_layernorm
    return (add_2, layer_norm_3)
