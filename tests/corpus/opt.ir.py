program(door="export")
call = ((), {"input_ids": ..., "use_cache": ...})


def graph(
    *,
    p_model_decoder_embed_tokens_weight: f32[96, 32] = parameter("model.decoder.embed_tokens.weight"),
    p_model_decoder_embed_positions_weight: f32[66, 32] = parameter("model.decoder.embed_positions.weight"),
    p_model_decoder_final_layer_norm_weight: f32[32] = parameter("model.decoder.final_layer_norm.weight"),
    p_model_decoder_final_layer_norm_bias: f32[32] = parameter("model.decoder.final_layer_norm.bias"),
    p_model_decoder_layers_0_self_attn_k_proj_weight: f32[32, 32] = parameter("model.decoder.layers.0.self_attn.k_proj.weight"),
    p_model_decoder_layers_0_self_attn_k_proj_bias: f32[32] = parameter("model.decoder.layers.0.self_attn.k_proj.bias"),
    p_model_decoder_layers_0_self_attn_v_proj_weight: f32[32, 32] = parameter("model.decoder.layers.0.self_attn.v_proj.weight"),
    p_model_decoder_layers_0_self_attn_v_proj_bias: f32[32] = parameter("model.decoder.layers.0.self_attn.v_proj.bias"),
    p_model_decoder_layers_0_self_attn_q_proj_weight: f32[32, 32] = parameter("model.decoder.layers.0.self_attn.q_proj.weight"),
    p_model_decoder_layers_0_self_attn_q_proj_bias: f32[32] = parameter("model.decoder.layers.0.self_attn.q_proj.bias"),
    p_model_decoder_layers_0_self_attn_out_proj_weight: f32[32, 32] = parameter("model.decoder.layers.0.self_attn.out_proj.weight"),
    p_model_decoder_layers_0_self_attn_out_proj_bias: f32[32] = parameter("model.decoder.layers.0.self_attn.out_proj.bias"),
    p_model_decoder_layers_0_self_attn_layer_norm_weight: f32[32] = parameter("model.decoder.layers.0.self_attn_layer_norm.weight"),
    p_model_decoder_layers_0_self_attn_layer_norm_bias: f32[32] = parameter("model.decoder.layers.0.self_attn_layer_norm.bias"),
    p_model_decoder_layers_0_fc1_weight: f32[64, 32] = parameter("model.decoder.layers.0.fc1.weight"),
    p_model_decoder_layers_0_fc1_bias: f32[64] = parameter("model.decoder.layers.0.fc1.bias"),
    p_model_decoder_layers_0_fc2_weight: f32[32, 64] = parameter("model.decoder.layers.0.fc2.weight"),
    p_model_decoder_layers_0_fc2_bias: f32[32] = parameter("model.decoder.layers.0.fc2.bias"),
    p_model_decoder_layers_0_final_layer_norm_weight: f32[32] = parameter("model.decoder.layers.0.final_layer_norm.weight"),
    p_model_decoder_layers_0_final_layer_norm_bias: f32[32] = parameter("model.decoder.layers.0.final_layer_norm.bias"),
    p_lm_head_weight: f32[96, 32] = parameter("lm_head.weight", tied="model.decoder.embed_tokens.weight"),
    input_ids: i64[2, 12],
    use_cache: bool = False,
):
    view: i64[2, 12] = aten.view.default(input_ids, [-1, 12])  # model.decoder
    embedding: f32[2, 12, 32] = aten.embedding.default(p_lm_head_weight, view, 1)  # model.decoder.embed_tokens
    ones: f32[2, 12] = aten.ones.default([2, 12], device=torch.device("cpu"), pin_memory=False)  # model.decoder
    cumsum: f32[2, 12] = aten.cumsum.default(ones, 1)  # model.decoder
    mul: f32[2, 12] = aten.mul.Tensor(cumsum, ones)  # model.decoder
    sub: f32[2, 12] = aten.sub.Tensor(mul, 1)  # model.decoder
    to: i64[2, 12] = aten.to.dtype(sub, torch.int64)  # model.decoder
    alias: i64[2, 12] = aten.alias.default(to)  # model.decoder
    arange: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)  # model.decoder
    arange_1: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # model.decoder
    arange_2: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # model.decoder
    add: i64[12] = aten.add.Tensor(arange_2, 0)  # model.decoder
    arange_3: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # model.decoder
    add_1: i64[12] = aten.add.Tensor(arange_3, 0)  # model.decoder
    unsqueeze: i64[2, 1] = aten.unsqueeze.default(arange, 1)  # model.decoder
    unsqueeze_1: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze, 2)  # model.decoder
    unsqueeze_2: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_1, 3)  # model.decoder
    unsqueeze_3: i64[1, 1] = aten.unsqueeze.default(arange_1, 0)  # model.decoder
    unsqueeze_4: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_3, 2)  # model.decoder
    unsqueeze_5: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_4, 3)  # model.decoder
    unsqueeze_6: i64[1, 12] = aten.unsqueeze.default(add, 0)  # model.decoder
    unsqueeze_7: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_6, 1)  # model.decoder
    unsqueeze_8: i64[1, 1, 12, 1] = aten.unsqueeze.default(unsqueeze_7, 3)  # model.decoder
    unsqueeze_9: i64[1, 12] = aten.unsqueeze.default(add_1, 0)  # model.decoder
    unsqueeze_10: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_9, 1)  # model.decoder
    unsqueeze_11: i64[1, 1, 1, 12] = aten.unsqueeze.default(unsqueeze_10, 2)  # model.decoder
    le: b1[1, 1, 12, 12] = aten.le.Tensor(unsqueeze_11, unsqueeze_8)  # model.decoder
    expand: b1[2, 1, 12, 12] = aten.expand.default(le, [2, -1, 12, 12])  # model.decoder
    add_2: i64[2, 12] = aten.add.Tensor(alias, 2)  # model.decoder.embed_positions
    embedding_1: f32[2, 12, 32] = aten.embedding.default(p_model_decoder_embed_positions_weight, add_2)  # model.decoder.embed_positions
    to_1: f32[2, 12, 32] = aten.to.dtype_layout(embedding_1, dtype=torch.float32, layout=torch.strided, device=torch.device("cpu"))  # model.decoder
    add_3: f32[2, 12, 32] = aten.add.Tensor(embedding, to_1)  # model.decoder
    layer_norm: f32[2, 12, 32] = aten.layer_norm.default(add_3, [32], p_model_decoder_layers_0_self_attn_layer_norm_weight, p_model_decoder_layers_0_self_attn_layer_norm_bias, 1e-05, False)  # model.decoder.layers.0.self_attn_layer_norm
    linear: f32[2, 12, 32] = aten.linear.default(layer_norm, p_model_decoder_layers_0_self_attn_q_proj_weight, p_model_decoder_layers_0_self_attn_q_proj_bias)  # model.decoder.layers.0.self_attn.q_proj
    mul_1: f32[2, 12, 32] = aten.mul.Tensor(linear, 0.3535533905932738)  # model.decoder.layers.0.self_attn
    view_1: f32[2, 12, 4, 8] = aten.view.default(mul_1, [2, -1, 4, 8])  # model.decoder.layers.0.self_attn
    transpose: f32[2, 4, 12, 8] = aten.transpose.int(view_1, 1, 2)  # model.decoder.layers.0.self_attn
    linear_1: f32[2, 12, 32] = aten.linear.default(layer_norm, p_model_decoder_layers_0_self_attn_k_proj_weight, p_model_decoder_layers_0_self_attn_k_proj_bias)  # model.decoder.layers.0.self_attn.k_proj
    linear_2: f32[2, 12, 32] = aten.linear.default(layer_norm, p_model_decoder_layers_0_self_attn_v_proj_weight, p_model_decoder_layers_0_self_attn_v_proj_bias)  # model.decoder.layers.0.self_attn.v_proj
    view_2: f32[2, 12, 4, 8] = aten.view.default(linear_1, [2, -1, 4, 8])  # model.decoder.layers.0.self_attn
    transpose_1: f32[2, 4, 12, 8] = aten.transpose.int(view_2, 1, 2)  # model.decoder.layers.0.self_attn
    view_3: f32[2, 12, 4, 8] = aten.view.default(linear_2, [2, -1, 4, 8])  # model.decoder.layers.0.self_attn
    transpose_2: f32[2, 4, 12, 8] = aten.transpose.int(view_3, 1, 2)  # model.decoder.layers.0.self_attn
    scaled_dot_product_attention: f32[2, 4, 12, 8] = aten.scaled_dot_product_attention.default(transpose, transpose_1, transpose_2, expand, scale=1.0)  # model.decoder.layers.0.self_attn
    reshape: f32[2, 4, 12, 8] = aten.reshape.default(scaled_dot_product_attention, [2, -1, 12, 8])  # model.decoder.layers.0.self_attn
    transpose_3: f32[2, 12, 4, 8] = aten.transpose.int(reshape, 1, 2)  # model.decoder.layers.0.self_attn
    reshape_1: f32[2, 12, 32] = aten.reshape.default(transpose_3, [2, 12, -1])  # model.decoder.layers.0.self_attn
    linear_3: f32[2, 12, 32] = aten.linear.default(reshape_1, p_model_decoder_layers_0_self_attn_out_proj_weight, p_model_decoder_layers_0_self_attn_out_proj_bias)  # model.decoder.layers.0.self_attn.out_proj
    dropout: f32[2, 12, 32] = aten.dropout.default(linear_3, 0.1, False)  # model.decoder.layers.0
    add_4: f32[2, 12, 32] = aten.add.Tensor(add_3, dropout)  # model.decoder.layers.0
    reshape_2: f32[24, 32] = aten.reshape.default(add_4, [-1, 32])  # model.decoder.layers.0
    layer_norm_1: f32[24, 32] = aten.layer_norm.default(reshape_2, [32], p_model_decoder_layers_0_final_layer_norm_weight, p_model_decoder_layers_0_final_layer_norm_bias, 1e-05, False)  # model.decoder.layers.0.final_layer_norm
    linear_4: f32[24, 64] = aten.linear.default(layer_norm_1, p_model_decoder_layers_0_fc1_weight, p_model_decoder_layers_0_fc1_bias)  # model.decoder.layers.0.fc1
    relu: f32[24, 64] = aten.relu.default(linear_4)  # model.decoder.layers.0.activation_fn
    linear_5: f32[24, 32] = aten.linear.default(relu, p_model_decoder_layers_0_fc2_weight, p_model_decoder_layers_0_fc2_bias)  # model.decoder.layers.0.fc2
    dropout_1: f32[24, 32] = aten.dropout.default(linear_5, 0.1, False)  # model.decoder.layers.0
    add_5: f32[24, 32] = aten.add.Tensor(reshape_2, dropout_1)  # model.decoder.layers.0
    view_4: f32[2, 12, 32] = aten.view.default(add_5, [2, 12, 32])  # model.decoder.layers.0
    layer_norm_2: f32[2, 12, 32] = aten.layer_norm.default(view_4, [32], p_model_decoder_final_layer_norm_weight, p_model_decoder_final_layer_norm_bias, 1e-05, False)  # model.decoder.final_layer_norm
    alias_1: f32[2, 12, 32] = aten.alias.default(layer_norm_2)
    linear_6: f32[2, 12, 96] = aten.linear.default(alias_1, p_lm_head_weight)  # lm_head
    return (linear_6,)
