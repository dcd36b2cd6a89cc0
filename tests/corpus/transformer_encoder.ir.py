program(door="export")
call = ((...,), {})
returns = ...


def graph(
    *,
    p_layers_0_self_attn_in_proj_weight: f32[96, 32] = parameter("layers.0.self_attn.in_proj_weight"),
    p_layers_0_self_attn_in_proj_bias: f32[96] = parameter("layers.0.self_attn.in_proj_bias"),
    p_layers_0_self_attn_out_proj_weight: f32[32, 32] = parameter("layers.0.self_attn.out_proj.weight"),
    p_layers_0_self_attn_out_proj_bias: f32[32] = parameter("layers.0.self_attn.out_proj.bias"),
    p_layers_0_linear1_weight: f32[64, 32] = parameter("layers.0.linear1.weight"),
    p_layers_0_linear1_bias: f32[64] = parameter("layers.0.linear1.bias"),
    p_layers_0_linear2_weight: f32[32, 64] = parameter("layers.0.linear2.weight"),
    p_layers_0_linear2_bias: f32[32] = parameter("layers.0.linear2.bias"),
    p_layers_0_norm1_weight: f32[32] = parameter("layers.0.norm1.weight"),
    p_layers_0_norm1_bias: f32[32] = parameter("layers.0.norm1.bias"),
    p_layers_0_norm2_weight: f32[32] = parameter("layers.0.norm2.weight"),
    p_layers_0_norm2_bias: f32[32] = parameter("layers.0.norm2.bias"),
    src: f32[2, 9, 32],
):
    layer_norm: f32[2, 9, 32] = aten.layer_norm.default(src, [32], p_layers_0_norm1_weight, p_layers_0_norm1_bias, 1e-05, False)  # layers.0.norm1
    transpose: f32[9, 2, 32] = aten.transpose.int(layer_norm, 1, 0)  # layers.0.self_attn
    linear: f32[9, 2, 96] = aten.linear.default(transpose, p_layers_0_self_attn_in_proj_weight, p_layers_0_self_attn_in_proj_bias)  # layers.0.self_attn
    unflatten: f32[9, 2, 3, 32] = aten.unflatten.int(linear, -1, [3, 32])  # layers.0.self_attn
    unsqueeze: f32[1, 9, 2, 3, 32] = aten.unsqueeze.default(unflatten, 0)  # layers.0.self_attn
    transpose_1: f32[3, 9, 2, 1, 32] = aten.transpose.int(unsqueeze, 0, -2)  # layers.0.self_attn
    squeeze: f32[3, 9, 2, 32] = aten.squeeze.dim(transpose_1, -2)  # layers.0.self_attn
    contiguous: f32[3, 9, 2, 32] = aten.contiguous.default(squeeze)  # layers.0.self_attn
    select: f32[9, 2, 32] = aten.select.int(contiguous, 0, 0)  # layers.0.self_attn
    select_1: f32[9, 2, 32] = aten.select.int(contiguous, 0, 1)  # layers.0.self_attn
    select_2: f32[9, 2, 32] = aten.select.int(contiguous, 0, 2)  # layers.0.self_attn
    view: f32[9, 8, 8] = aten.view.default(select, [9, 8, 8])  # layers.0.self_attn
    transpose_2: f32[8, 9, 8] = aten.transpose.int(view, 0, 1)  # layers.0.self_attn
    view_1: f32[9, 8, 8] = aten.view.default(select_1, [9, 8, 8])  # layers.0.self_attn
    transpose_3: f32[8, 9, 8] = aten.transpose.int(view_1, 0, 1)  # layers.0.self_attn
    view_2: f32[9, 8, 8] = aten.view.default(select_2, [9, 8, 8])  # layers.0.self_attn
    transpose_4: f32[8, 9, 8] = aten.transpose.int(view_2, 0, 1)  # layers.0.self_attn
    view_3: f32[2, 4, 9, 8] = aten.view.default(transpose_2, [2, 4, 9, 8])  # layers.0.self_attn
    view_4: f32[2, 4, 9, 8] = aten.view.default(transpose_3, [2, 4, 9, 8])  # layers.0.self_attn
    view_5: f32[2, 4, 9, 8] = aten.view.default(transpose_4, [2, 4, 9, 8])  # layers.0.self_attn
    scaled_dot_product_attention: f32[2, 4, 9, 8] = aten.scaled_dot_product_attention.default(view_3, view_4, view_5)  # layers.0.self_attn
    permute: f32[9, 2, 4, 8] = aten.permute.default(scaled_dot_product_attention, [2, 0, 1, 3])  # layers.0.self_attn
    reshape: f32[18, 32] = aten.reshape.default(permute, [18, 32])  # layers.0.self_attn
    linear_1: f32[18, 32] = aten.linear.default(reshape, p_layers_0_self_attn_out_proj_weight, p_layers_0_self_attn_out_proj_bias)  # layers.0.self_attn
    view_6: f32[9, 2, 32] = aten.view.default(linear_1, [9, 2, 32])  # layers.0.self_attn
    transpose_5: f32[2, 9, 32] = aten.transpose.int(view_6, 1, 0)  # layers.0.self_attn
    dropout: f32[2, 9, 32] = aten.dropout.default(transpose_5, 0.1, False)  # layers.0.dropout1
    add: f32[2, 9, 32] = aten.add.Tensor(src, dropout)  # layers.0
    layer_norm_1: f32[2, 9, 32] = aten.layer_norm.default(add, [32], p_layers_0_norm2_weight, p_layers_0_norm2_bias, 1e-05, False)  # layers.0.norm2
    linear_2: f32[2, 9, 64] = aten.linear.default(layer_norm_1, p_layers_0_linear1_weight, p_layers_0_linear1_bias)  # layers.0.linear1
    relu: f32[2, 9, 64] = aten.relu.default(linear_2)  # layers.0
    dropout_1: f32[2, 9, 64] = aten.dropout.default(relu, 0.1, False)  # layers.0.dropout
    linear_3: f32[2, 9, 32] = aten.linear.default(dropout_1, p_layers_0_linear2_weight, p_layers_0_linear2_bias)  # layers.0.linear2
    dropout_2: f32[2, 9, 32] = aten.dropout.default(linear_3, 0.1, False)  # layers.0.dropout2
    add_1: f32[2, 9, 32] = aten.add.Tensor(add, dropout_2)  # layers.0
    return (add_1,)
