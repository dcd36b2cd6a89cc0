program(door="export")
call = ((), {"pixel_values": ...})


def graph(
    *,
    p_embeddings_cls_token: f32[1, 1, 32] = parameter("embeddings.cls_token"),
    p_embeddings_position_embeddings: f32[1, 17, 32] = parameter("embeddings.position_embeddings"),
    p_embeddings_patch_embeddings_projection_weight: f32[32, 3, 8, 8] = parameter("embeddings.patch_embeddings.projection.weight"),
    p_embeddings_patch_embeddings_projection_bias: f32[32] = parameter("embeddings.patch_embeddings.projection.bias"),
    p_layers_0_attention_q_proj_weight: f32[32, 32] = parameter("layers.0.attention.q_proj.weight"),
    p_layers_0_attention_q_proj_bias: f32[32] = parameter("layers.0.attention.q_proj.bias"),
    p_layers_0_attention_k_proj_weight: f32[32, 32] = parameter("layers.0.attention.k_proj.weight"),
    p_layers_0_attention_k_proj_bias: f32[32] = parameter("layers.0.attention.k_proj.bias"),
    p_layers_0_attention_v_proj_weight: f32[32, 32] = parameter("layers.0.attention.v_proj.weight"),
    p_layers_0_attention_v_proj_bias: f32[32] = parameter("layers.0.attention.v_proj.bias"),
    p_layers_0_attention_o_proj_weight: f32[32, 32] = parameter("layers.0.attention.o_proj.weight"),
    p_layers_0_attention_o_proj_bias: f32[32] = parameter("layers.0.attention.o_proj.bias"),
    p_layers_0_layernorm_before_weight: f32[32] = parameter("layers.0.layernorm_before.weight"),
    p_layers_0_layernorm_before_bias: f32[32] = parameter("layers.0.layernorm_before.bias"),
    p_layers_0_layernorm_after_weight: f32[32] = parameter("layers.0.layernorm_after.weight"),
    p_layers_0_layernorm_after_bias: f32[32] = parameter("layers.0.layernorm_after.bias"),
    p_layers_0_mlp_fc1_weight: f32[64, 32] = parameter("layers.0.mlp.fc1.weight"),
    p_layers_0_mlp_fc1_bias: f32[64] = parameter("layers.0.mlp.fc1.bias"),
    p_layers_0_mlp_fc2_weight: f32[32, 64] = parameter("layers.0.mlp.fc2.weight"),
    p_layers_0_mlp_fc2_bias: f32[32] = parameter("layers.0.mlp.fc2.bias"),
    p_layernorm_weight: f32[32] = parameter("layernorm.weight"),
    p_layernorm_bias: f32[32] = parameter("layernorm.bias"),
    p_pooler_dense_weight: f32[32, 32] = parameter("pooler.dense.weight"),
    p_pooler_dense_bias: f32[32] = parameter("pooler.dense.bias"),
    pixel_values: f32[2, 3, 32, 32],
):
    conv2d: f32[2, 32, 4, 4] = aten.conv2d.default(pixel_values, p_embeddings_patch_embeddings_projection_weight, p_embeddings_patch_embeddings_projection_bias, [8, 8])  # embeddings.patch_embeddings.projection
    flatten: f32[2, 32, 16] = aten.flatten.using_ints(conv2d, 2)  # embeddings.patch_embeddings
    transpose: f32[2, 16, 32] = aten.transpose.int(flatten, 1, 2)  # embeddings.patch_embeddings
    expand: f32[2, 1, 32] = aten.expand.default(p_embeddings_cls_token, [2, -1, -1])  # embeddings
    cat: f32[2, 17, 32] = aten.cat.default([expand, transpose], 1)  # embeddings
    add: f32[2, 17, 32] = aten.add.Tensor(cat, p_embeddings_position_embeddings)  # embeddings
    dropout: f32[2, 17, 32] = aten.dropout.default(add, 0.0, False)  # embeddings.dropout
    arange: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)
    arange_1: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)
    arange_2: i64[17] = aten.arange.default(17, device=torch.device("cpu"), pin_memory=False)
    add_1: i64[17] = aten.add.Tensor(arange_2, 0)
    arange_3: i64[17] = aten.arange.default(17, device=torch.device("cpu"), pin_memory=False)
    add_2: i64[17] = aten.add.Tensor(arange_3, 0)
    unsqueeze: i64[2, 1] = aten.unsqueeze.default(arange, 1)
    unsqueeze_1: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze, 2)
    unsqueeze_2: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_1, 3)
    unsqueeze_3: i64[1, 1] = aten.unsqueeze.default(arange_1, 0)
    unsqueeze_4: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_3, 2)
    unsqueeze_5: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_4, 3)
    unsqueeze_6: i64[1, 17] = aten.unsqueeze.default(add_1, 0)
    unsqueeze_7: i64[1, 1, 17] = aten.unsqueeze.default(unsqueeze_6, 1)
    unsqueeze_8: i64[1, 1, 17, 1] = aten.unsqueeze.default(unsqueeze_7, 3)
    unsqueeze_9: i64[1, 17] = aten.unsqueeze.default(add_2, 0)
    unsqueeze_10: i64[1, 1, 17] = aten.unsqueeze.default(unsqueeze_9, 1)
    unsqueeze_11: i64[1, 1, 1, 17] = aten.unsqueeze.default(unsqueeze_10, 2)
    ge: b1[1, 1, 17, 1] = aten.ge.Scalar(unsqueeze_8, 0)
    expand_1: b1[2, 1, 17, 17] = aten.expand.default(ge, [2, -1, 17, 17])
    layer_norm: f32[2, 17, 32] = aten.layer_norm.default(dropout, [32], p_layers_0_layernorm_before_weight, p_layers_0_layernorm_before_bias, 1e-12, False)  # layers.0.layernorm_before
    linear: f32[2, 17, 32] = aten.linear.default(layer_norm, p_layers_0_attention_q_proj_weight, p_layers_0_attention_q_proj_bias)  # layers.0.attention.q_proj
    view: f32[2, 17, 4, 8] = aten.view.default(linear, [2, 17, -1, 8])  # layers.0.attention
    transpose_1: f32[2, 4, 17, 8] = aten.transpose.int(view, 1, 2)  # layers.0.attention
    linear_1: f32[2, 17, 32] = aten.linear.default(layer_norm, p_layers_0_attention_k_proj_weight, p_layers_0_attention_k_proj_bias)  # layers.0.attention.k_proj
    view_1: f32[2, 17, 4, 8] = aten.view.default(linear_1, [2, 17, -1, 8])  # layers.0.attention
    transpose_2: f32[2, 4, 17, 8] = aten.transpose.int(view_1, 1, 2)  # layers.0.attention
    linear_2: f32[2, 17, 32] = aten.linear.default(layer_norm, p_layers_0_attention_v_proj_weight, p_layers_0_attention_v_proj_bias)  # layers.0.attention.v_proj
    view_2: f32[2, 17, 4, 8] = aten.view.default(linear_2, [2, 17, -1, 8])  # layers.0.attention
    transpose_3: f32[2, 4, 17, 8] = aten.transpose.int(view_2, 1, 2)  # layers.0.attention
    scaled_dot_product_attention: f32[2, 4, 17, 8] = aten.scaled_dot_product_attention.default(transpose_1, transpose_2, transpose_3, expand_1, scale=0.3535533905932738)  # layers.0.attention
    reshape: f32[2, 4, 17, 8] = aten.reshape.default(scaled_dot_product_attention, [2, -1, 17, 8])  # layers.0.attention
    transpose_4: f32[2, 17, 4, 8] = aten.transpose.int(reshape, 1, 2)  # layers.0.attention
    reshape_1: f32[2, 17, 32] = aten.reshape.default(transpose_4, [2, 17, -1])  # layers.0.attention
    linear_3: f32[2, 17, 32] = aten.linear.default(reshape_1, p_layers_0_attention_o_proj_weight, p_layers_0_attention_o_proj_bias)  # layers.0.attention.o_proj
    dropout_1: f32[2, 17, 32] = aten.dropout.default(linear_3, 0.0, False)  # layers.0.dropout
    add_3: f32[2, 17, 32] = aten.add.Tensor(dropout_1, dropout)  # layers.0
    layer_norm_1: f32[2, 17, 32] = aten.layer_norm.default(add_3, [32], p_layers_0_layernorm_after_weight, p_layers_0_layernorm_after_bias, 1e-12, False)  # layers.0.layernorm_after
    linear_4: f32[2, 17, 64] = aten.linear.default(layer_norm_1, p_layers_0_mlp_fc1_weight, p_layers_0_mlp_fc1_bias)  # layers.0.mlp.fc1
    gelu: f32[2, 17, 64] = aten.gelu.default(linear_4)  # layers.0.mlp.activation_fn
    linear_5: f32[2, 17, 32] = aten.linear.default(gelu, p_layers_0_mlp_fc2_weight, p_layers_0_mlp_fc2_bias)  # layers.0.mlp.fc2
    dropout_2: f32[2, 17, 32] = aten.dropout.default(linear_5, 0.0, False)  # layers.0.dropout
    add_4: f32[2, 17, 32] = aten.add.Tensor(dropout_2, add_3)  # layers.0
    layer_norm_2: f32[2, 17, 32] = aten.layer_norm.default(add_4, [32], p_layernorm_weight, p_layernorm_bias, 1e-12, False)  # layernorm
    select: f32[2, 32] = aten.select.int(layer_norm_2, 1, 0)  # pooler
    linear_6: f32[2, 32] = aten.linear.default(select, p_pooler_dense_weight, p_pooler_dense_bias)  # pooler.dense
    tanh: f32[2, 32] = aten.tanh.default(linear_6)  # pooler.activation
    return (layer_norm_2, tanh)
