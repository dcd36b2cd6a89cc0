program(door="export")
call = ((), {"input_ids": ..., "decoder_input_ids": ..., "use_cache": ...})


def graph(
    *,
    p_shared_weight: f32[96, 32] = parameter("shared.weight"),
    p_encoder_embed_tokens_weight: f32[96, 32] = parameter("encoder.embed_tokens.weight", tied="shared.weight"),
    p_encoder_embed_positions_weight: f32[66, 32] = parameter("encoder.embed_positions.weight"),
    p_encoder_layers_0_self_attn_k_proj_weight: f32[32, 32] = parameter("encoder.layers.0.self_attn.k_proj.weight"),
    p_encoder_layers_0_self_attn_k_proj_bias: f32[32] = parameter("encoder.layers.0.self_attn.k_proj.bias"),
    p_encoder_layers_0_self_attn_v_proj_weight: f32[32, 32] = parameter("encoder.layers.0.self_attn.v_proj.weight"),
    p_encoder_layers_0_self_attn_v_proj_bias: f32[32] = parameter("encoder.layers.0.self_attn.v_proj.bias"),
    p_encoder_layers_0_self_attn_q_proj_weight: f32[32, 32] = parameter("encoder.layers.0.self_attn.q_proj.weight"),
    p_encoder_layers_0_self_attn_q_proj_bias: f32[32] = parameter("encoder.layers.0.self_attn.q_proj.bias"),
    p_encoder_layers_0_self_attn_out_proj_weight: f32[32, 32] = parameter("encoder.layers.0.self_attn.out_proj.weight"),
    p_encoder_layers_0_self_attn_out_proj_bias: f32[32] = parameter("encoder.layers.0.self_attn.out_proj.bias"),
    p_encoder_layers_0_self_attn_layer_norm_weight: f32[32] = parameter("encoder.layers.0.self_attn_layer_norm.weight"),
    p_encoder_layers_0_self_attn_layer_norm_bias: f32[32] = parameter("encoder.layers.0.self_attn_layer_norm.bias"),
    p_encoder_layers_0_fc1_weight: f32[64, 32] = parameter("encoder.layers.0.fc1.weight"),
    p_encoder_layers_0_fc1_bias: f32[64] = parameter("encoder.layers.0.fc1.bias"),
    p_encoder_layers_0_fc2_weight: f32[32, 64] = parameter("encoder.layers.0.fc2.weight"),
    p_encoder_layers_0_fc2_bias: f32[32] = parameter("encoder.layers.0.fc2.bias"),
    p_encoder_layers_0_final_layer_norm_weight: f32[32] = parameter("encoder.layers.0.final_layer_norm.weight"),
    p_encoder_layers_0_final_layer_norm_bias: f32[32] = parameter("encoder.layers.0.final_layer_norm.bias"),
    p_encoder_layernorm_embedding_weight: f32[32] = parameter("encoder.layernorm_embedding.weight"),
    p_encoder_layernorm_embedding_bias: f32[32] = parameter("encoder.layernorm_embedding.bias"),
    p_decoder_embed_tokens_weight: f32[96, 32] = parameter("decoder.embed_tokens.weight", tied="shared.weight"),
    p_decoder_embed_positions_weight: f32[66, 32] = parameter("decoder.embed_positions.weight"),
    p_decoder_layers_0_self_attn_k_proj_weight: f32[32, 32] = parameter("decoder.layers.0.self_attn.k_proj.weight"),
    p_decoder_layers_0_self_attn_k_proj_bias: f32[32] = parameter("decoder.layers.0.self_attn.k_proj.bias"),
    p_decoder_layers_0_self_attn_v_proj_weight: f32[32, 32] = parameter("decoder.layers.0.self_attn.v_proj.weight"),
    p_decoder_layers_0_self_attn_v_proj_bias: f32[32] = parameter("decoder.layers.0.self_attn.v_proj.bias"),
    p_decoder_layers_0_self_attn_q_proj_weight: f32[32, 32] = parameter("decoder.layers.0.self_attn.q_proj.weight"),
    p_decoder_layers_0_self_attn_q_proj_bias: f32[32] = parameter("decoder.layers.0.self_attn.q_proj.bias"),
    p_decoder_layers_0_self_attn_out_proj_weight: f32[32, 32] = parameter("decoder.layers.0.self_attn.out_proj.weight"),
    p_decoder_layers_0_self_attn_out_proj_bias: f32[32] = parameter("decoder.layers.0.self_attn.out_proj.bias"),
    p_decoder_layers_0_self_attn_layer_norm_weight: f32[32] = parameter("decoder.layers.0.self_attn_layer_norm.weight"),
    p_decoder_layers_0_self_attn_layer_norm_bias: f32[32] = parameter("decoder.layers.0.self_attn_layer_norm.bias"),
    p_decoder_layers_0_encoder_attn_k_proj_weight: f32[32, 32] = parameter("decoder.layers.0.encoder_attn.k_proj.weight"),
    p_decoder_layers_0_encoder_attn_k_proj_bias: f32[32] = parameter("decoder.layers.0.encoder_attn.k_proj.bias"),
    p_decoder_layers_0_encoder_attn_v_proj_weight: f32[32, 32] = parameter("decoder.layers.0.encoder_attn.v_proj.weight"),
    p_decoder_layers_0_encoder_attn_v_proj_bias: f32[32] = parameter("decoder.layers.0.encoder_attn.v_proj.bias"),
    p_decoder_layers_0_encoder_attn_q_proj_weight: f32[32, 32] = parameter("decoder.layers.0.encoder_attn.q_proj.weight"),
    p_decoder_layers_0_encoder_attn_q_proj_bias: f32[32] = parameter("decoder.layers.0.encoder_attn.q_proj.bias"),
    p_decoder_layers_0_encoder_attn_out_proj_weight: f32[32, 32] = parameter("decoder.layers.0.encoder_attn.out_proj.weight"),
    p_decoder_layers_0_encoder_attn_out_proj_bias: f32[32] = parameter("decoder.layers.0.encoder_attn.out_proj.bias"),
    p_decoder_layers_0_encoder_attn_layer_norm_weight: f32[32] = parameter("decoder.layers.0.encoder_attn_layer_norm.weight"),
    p_decoder_layers_0_encoder_attn_layer_norm_bias: f32[32] = parameter("decoder.layers.0.encoder_attn_layer_norm.bias"),
    p_decoder_layers_0_fc1_weight: f32[64, 32] = parameter("decoder.layers.0.fc1.weight"),
    p_decoder_layers_0_fc1_bias: f32[64] = parameter("decoder.layers.0.fc1.bias"),
    p_decoder_layers_0_fc2_weight: f32[32, 64] = parameter("decoder.layers.0.fc2.weight"),
    p_decoder_layers_0_fc2_bias: f32[32] = parameter("decoder.layers.0.fc2.bias"),
    p_decoder_layers_0_final_layer_norm_weight: f32[32] = parameter("decoder.layers.0.final_layer_norm.weight"),
    p_decoder_layers_0_final_layer_norm_bias: f32[32] = parameter("decoder.layers.0.final_layer_norm.bias"),
    p_decoder_layernorm_embedding_weight: f32[32] = parameter("decoder.layernorm_embedding.weight"),
    p_decoder_layernorm_embedding_bias: f32[32] = parameter("decoder.layernorm_embedding.bias"),
    input_ids: i64[2, 10],
    decoder_input_ids: i64[2, 6],
    use_cache: bool = False,
):
    embedding: f32[2, 10, 32] = aten.embedding.default(p_decoder_embed_tokens_weight, input_ids, 1)  # encoder.embed_tokens
    mul: f32[2, 10, 32] = aten.mul.Tensor(embedding, 1.0)  # encoder.embed_tokens
    select: f32[2, 10] = aten.select.int(mul, 2, -1)  # encoder
    arange: i64[10] = aten.arange.start(0, 10, dtype=torch.int64, device=torch.device("cpu"), pin_memory=False)  # encoder.embed_positions
    expand: i64[2, 10] = aten.expand.default(arange, [2, -1])  # encoder.embed_positions
    add: i64[2, 10] = aten.add.Tensor(expand, 2)  # encoder.embed_positions
    embedding_1: f32[2, 10, 32] = aten.embedding.default(p_encoder_embed_positions_weight, add)  # encoder.embed_positions
    to: f32[2, 10, 32] = aten.to.dtype_layout(embedding_1, dtype=torch.float32, layout=torch.strided, device=torch.device("cpu"))  # encoder
    add_1: f32[2, 10, 32] = aten.add.Tensor(mul, to)  # encoder
    layer_norm: f32[2, 10, 32] = aten.layer_norm.default(add_1, [32], p_encoder_layernorm_embedding_weight, p_encoder_layernorm_embedding_bias, 1e-05, False)  # encoder.layernorm_embedding
    dropout: f32[2, 10, 32] = aten.dropout.default(layer_norm, 0.1, False)  # encoder
    arange_1: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)  # encoder
    arange_2: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # encoder
    arange_3: i64[10] = aten.arange.default(10, device=torch.device("cpu"), pin_memory=False)  # encoder
    add_2: i64[10] = aten.add.Tensor(arange_3, 0)  # encoder
    arange_4: i64[10] = aten.arange.default(10, device=torch.device("cpu"), pin_memory=False)  # encoder
    add_3: i64[10] = aten.add.Tensor(arange_4, 0)  # encoder
    unsqueeze: i64[2, 1] = aten.unsqueeze.default(arange_1, 1)  # encoder
    unsqueeze_1: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze, 2)  # encoder
    unsqueeze_2: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_1, 3)  # encoder
    unsqueeze_3: i64[1, 1] = aten.unsqueeze.default(arange_2, 0)  # encoder
    unsqueeze_4: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_3, 2)  # encoder
    unsqueeze_5: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_4, 3)  # encoder
    unsqueeze_6: i64[1, 10] = aten.unsqueeze.default(add_2, 0)  # encoder
    unsqueeze_7: i64[1, 1, 10] = aten.unsqueeze.default(unsqueeze_6, 1)  # encoder
    unsqueeze_8: i64[1, 1, 10, 1] = aten.unsqueeze.default(unsqueeze_7, 3)  # encoder
    unsqueeze_9: i64[1, 10] = aten.unsqueeze.default(add_3, 0)  # encoder
    unsqueeze_10: i64[1, 1, 10] = aten.unsqueeze.default(unsqueeze_9, 1)  # encoder
    unsqueeze_11: i64[1, 1, 1, 10] = aten.unsqueeze.default(unsqueeze_10, 2)  # encoder
    ge: b1[1, 1, 10, 1] = aten.ge.Scalar(unsqueeze_8, 0)  # encoder
    expand_1: b1[2, 1, 10, 10] = aten.expand.default(ge, [2, -1, 10, 10])  # encoder
    linear: f32[2, 10, 32] = aten.linear.default(dropout, p_encoder_layers_0_self_attn_q_proj_weight, p_encoder_layers_0_self_attn_q_proj_bias)  # encoder.layers.0.self_attn.q_proj
    view: f32[2, 10, 4, 8] = aten.view.default(linear, [2, 10, -1, 8])  # encoder.layers.0.self_attn
    transpose: f32[2, 4, 10, 8] = aten.transpose.int(view, 1, 2)  # encoder.layers.0.self_attn
    linear_1: f32[2, 10, 32] = aten.linear.default(dropout, p_encoder_layers_0_self_attn_k_proj_weight, p_encoder_layers_0_self_attn_k_proj_bias)  # encoder.layers.0.self_attn.k_proj
    linear_2: f32[2, 10, 32] = aten.linear.default(dropout, p_encoder_layers_0_self_attn_v_proj_weight, p_encoder_layers_0_self_attn_v_proj_bias)  # encoder.layers.0.self_attn.v_proj
    view_1: f32[2, 10, 4, 8] = aten.view.default(linear_1, [2, 10, -1, 8])  # encoder.layers.0.self_attn
    transpose_1: f32[2, 4, 10, 8] = aten.transpose.int(view_1, 1, 2)  # encoder.layers.0.self_attn
    view_2: f32[2, 10, 4, 8] = aten.view.default(linear_2, [2, 10, -1, 8])  # encoder.layers.0.self_attn
    transpose_2: f32[2, 4, 10, 8] = aten.transpose.int(view_2, 1, 2)  # encoder.layers.0.self_attn
    scaled_dot_product_attention: f32[2, 4, 10, 8] = aten.scaled_dot_product_attention.default(transpose, transpose_1, transpose_2, expand_1, scale=0.3535533905932738)  # encoder.layers.0.self_attn
    reshape: f32[2, 4, 10, 8] = aten.reshape.default(scaled_dot_product_attention, [2, -1, 10, 8])  # encoder.layers.0.self_attn
    transpose_3: f32[2, 10, 4, 8] = aten.transpose.int(reshape, 1, 2)  # encoder.layers.0.self_attn
    reshape_1: f32[2, 10, 32] = aten.reshape.default(transpose_3, [2, 10, -1])  # encoder.layers.0.self_attn
    linear_3: f32[2, 10, 32] = aten.linear.default(reshape_1, p_encoder_layers_0_self_attn_out_proj_weight, p_encoder_layers_0_self_attn_out_proj_bias)  # encoder.layers.0.self_attn.out_proj
    dropout_1: f32[2, 10, 32] = aten.dropout.default(linear_3, 0.1, False)  # encoder.layers.0
    add_4: f32[2, 10, 32] = aten.add.Tensor(dropout, dropout_1)  # encoder.layers.0
    layer_norm_1: f32[2, 10, 32] = aten.layer_norm.default(add_4, [32], p_encoder_layers_0_self_attn_layer_norm_weight, p_encoder_layers_0_self_attn_layer_norm_bias, 1e-05, False)  # encoder.layers.0.self_attn_layer_norm
    linear_4: f32[2, 10, 64] = aten.linear.default(layer_norm_1, p_encoder_layers_0_fc1_weight, p_encoder_layers_0_fc1_bias)  # encoder.layers.0.fc1
    gelu: f32[2, 10, 64] = aten.gelu.default(linear_4)  # encoder.layers.0.activation_fn
    dropout_2: f32[2, 10, 64] = aten.dropout.default(gelu, 0.0, False)  # encoder.layers.0
    linear_5: f32[2, 10, 32] = aten.linear.default(dropout_2, p_encoder_layers_0_fc2_weight, p_encoder_layers_0_fc2_bias)  # encoder.layers.0.fc2
    dropout_3: f32[2, 10, 32] = aten.dropout.default(linear_5, 0.1, False)  # encoder.layers.0
    add_5: f32[2, 10, 32] = aten.add.Tensor(layer_norm_1, dropout_3)  # encoder.layers.0
    layer_norm_2: f32[2, 10, 32] = aten.layer_norm.default(add_5, [32], p_encoder_layers_0_final_layer_norm_weight, p_encoder_layers_0_final_layer_norm_bias, 1e-05, False)  # encoder.layers.0.final_layer_norm
    embedding_2: f32[2, 6, 32] = aten.embedding.default(p_decoder_embed_tokens_weight, decoder_input_ids, 1)  # decoder.embed_tokens
    mul_1: f32[2, 6, 32] = aten.mul.Tensor(embedding_2, 1.0)  # decoder.embed_tokens
    arange_5: i64[6] = aten.arange.default(6, device=torch.device("cpu"), pin_memory=False)  # decoder
    add_6: i64[6] = aten.add.Tensor(arange_5, 0)  # decoder
    arange_6: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)  # decoder
    arange_7: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # decoder
    arange_8: i64[6] = aten.arange.default(6, device=torch.device("cpu"), pin_memory=False)  # decoder
    add_7: i64[6] = aten.add.Tensor(arange_8, 0)  # decoder
    arange_9: i64[6] = aten.arange.default(6, device=torch.device("cpu"), pin_memory=False)  # decoder
    add_8: i64[6] = aten.add.Tensor(arange_9, 0)  # decoder
    unsqueeze_12: i64[2, 1] = aten.unsqueeze.default(arange_6, 1)  # decoder
    unsqueeze_13: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze_12, 2)  # decoder
    unsqueeze_14: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_13, 3)  # decoder
    unsqueeze_15: i64[1, 1] = aten.unsqueeze.default(arange_7, 0)  # decoder
    unsqueeze_16: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_15, 2)  # decoder
    unsqueeze_17: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_16, 3)  # decoder
    unsqueeze_18: i64[1, 6] = aten.unsqueeze.default(add_7, 0)  # decoder
    unsqueeze_19: i64[1, 1, 6] = aten.unsqueeze.default(unsqueeze_18, 1)  # decoder
    unsqueeze_20: i64[1, 1, 6, 1] = aten.unsqueeze.default(unsqueeze_19, 3)  # decoder
    unsqueeze_21: i64[1, 6] = aten.unsqueeze.default(add_8, 0)  # decoder
    unsqueeze_22: i64[1, 1, 6] = aten.unsqueeze.default(unsqueeze_21, 1)  # decoder
    unsqueeze_23: i64[1, 1, 1, 6] = aten.unsqueeze.default(unsqueeze_22, 2)  # decoder
    le: b1[1, 1, 6, 6] = aten.le.Tensor(unsqueeze_23, unsqueeze_20)  # decoder
    expand_2: b1[2, 1, 6, 6] = aten.expand.default(le, [2, -1, 6, 6])  # decoder
    arange_10: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)  # decoder
    arange_11: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # decoder
    arange_12: i64[6] = aten.arange.default(6, device=torch.device("cpu"), pin_memory=False)  # decoder
    add_9: i64[6] = aten.add.Tensor(arange_12, 0)  # decoder
    arange_13: i64[10] = aten.arange.default(10, device=torch.device("cpu"), pin_memory=False)  # decoder
    add_10: i64[10] = aten.add.Tensor(arange_13, 0)  # decoder
    unsqueeze_24: i64[2, 1] = aten.unsqueeze.default(arange_10, 1)  # decoder
    unsqueeze_25: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze_24, 2)  # decoder
    unsqueeze_26: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_25, 3)  # decoder
    unsqueeze_27: i64[1, 1] = aten.unsqueeze.default(arange_11, 0)  # decoder
    unsqueeze_28: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_27, 2)  # decoder
    unsqueeze_29: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_28, 3)  # decoder
    unsqueeze_30: i64[1, 6] = aten.unsqueeze.default(add_9, 0)  # decoder
    unsqueeze_31: i64[1, 1, 6] = aten.unsqueeze.default(unsqueeze_30, 1)  # decoder
    unsqueeze_32: i64[1, 1, 6, 1] = aten.unsqueeze.default(unsqueeze_31, 3)  # decoder
    unsqueeze_33: i64[1, 10] = aten.unsqueeze.default(add_10, 0)  # decoder
    unsqueeze_34: i64[1, 1, 10] = aten.unsqueeze.default(unsqueeze_33, 1)  # decoder
    unsqueeze_35: i64[1, 1, 1, 10] = aten.unsqueeze.default(unsqueeze_34, 2)  # decoder
    ge_1: b1[1, 1, 6, 1] = aten.ge.Scalar(unsqueeze_32, 0)  # decoder
    expand_3: b1[2, 1, 6, 10] = aten.expand.default(ge_1, [2, -1, 6, 10])  # decoder
    unsqueeze_36: i64[1, 6] = aten.unsqueeze.default(add_6, 0)  # decoder.embed_positions
    add_11: i64[1, 6] = aten.add.Tensor(unsqueeze_36, 2)  # decoder.embed_positions
    embedding_3: f32[1, 6, 32] = aten.embedding.default(p_decoder_embed_positions_weight, add_11)  # decoder.embed_positions
    to_1: f32[1, 6, 32] = aten.to.dtype_layout(embedding_3, dtype=torch.float32, layout=torch.strided, device=torch.device("cpu"))  # decoder
    add_12: f32[2, 6, 32] = aten.add.Tensor(mul_1, to_1)  # decoder
    layer_norm_3: f32[2, 6, 32] = aten.layer_norm.default(add_12, [32], p_decoder_layernorm_embedding_weight, p_decoder_layernorm_embedding_bias, 1e-05, False)  # decoder.layernorm_embedding
    dropout_4: f32[2, 6, 32] = aten.dropout.default(layer_norm_3, 0.1, False)  # decoder
    linear_6: f32[2, 6, 32] = aten.linear.default(dropout_4, p_decoder_layers_0_self_attn_q_proj_weight, p_decoder_layers_0_self_attn_q_proj_bias)  # decoder.layers.0.self_attn.q_proj
    view_3: f32[2, 6, 4, 8] = aten.view.default(linear_6, [2, 6, -1, 8])  # decoder.layers.0.self_attn
    transpose_4: f32[2, 4, 6, 8] = aten.transpose.int(view_3, 1, 2)  # decoder.layers.0.self_attn
    linear_7: f32[2, 6, 32] = aten.linear.default(dropout_4, p_decoder_layers_0_self_attn_k_proj_weight, p_decoder_layers_0_self_attn_k_proj_bias)  # decoder.layers.0.self_attn.k_proj
    linear_8: f32[2, 6, 32] = aten.linear.default(dropout_4, p_decoder_layers_0_self_attn_v_proj_weight, p_decoder_layers_0_self_attn_v_proj_bias)  # decoder.layers.0.self_attn.v_proj
    view_4: f32[2, 6, 4, 8] = aten.view.default(linear_7, [2, 6, -1, 8])  # decoder.layers.0.self_attn
    transpose_5: f32[2, 4, 6, 8] = aten.transpose.int(view_4, 1, 2)  # decoder.layers.0.self_attn
    view_5: f32[2, 6, 4, 8] = aten.view.default(linear_8, [2, 6, -1, 8])  # decoder.layers.0.self_attn
    transpose_6: f32[2, 4, 6, 8] = aten.transpose.int(view_5, 1, 2)  # decoder.layers.0.self_attn
    scaled_dot_product_attention_1: f32[2, 4, 6, 8] = aten.scaled_dot_product_attention.default(transpose_4, transpose_5, transpose_6, expand_2, scale=0.3535533905932738)  # decoder.layers.0.self_attn
    reshape_2: f32[2, 4, 6, 8] = aten.reshape.default(scaled_dot_product_attention_1, [2, -1, 6, 8])  # decoder.layers.0.self_attn
    transpose_7: f32[2, 6, 4, 8] = aten.transpose.int(reshape_2, 1, 2)  # decoder.layers.0.self_attn
    reshape_3: f32[2, 6, 32] = aten.reshape.default(transpose_7, [2, 6, -1])  # decoder.layers.0.self_attn
    linear_9: f32[2, 6, 32] = aten.linear.default(reshape_3, p_decoder_layers_0_self_attn_out_proj_weight, p_decoder_layers_0_self_attn_out_proj_bias)  # decoder.layers.0.self_attn.out_proj
    dropout_5: f32[2, 6, 32] = aten.dropout.default(linear_9, 0.1, False)  # decoder.layers.0
    add_13: f32[2, 6, 32] = aten.add.Tensor(dropout_4, dropout_5)  # decoder.layers.0
    layer_norm_4: f32[2, 6, 32] = aten.layer_norm.default(add_13, [32], p_decoder_layers_0_self_attn_layer_norm_weight, p_decoder_layers_0_self_attn_layer_norm_bias, 1e-05, False)  # decoder.layers.0.self_attn_layer_norm
    linear_10: f32[2, 6, 32] = aten.linear.default(layer_norm_4, p_decoder_layers_0_encoder_attn_q_proj_weight, p_decoder_layers_0_encoder_attn_q_proj_bias)  # decoder.layers.0.encoder_attn.q_proj
    view_6: f32[2, 6, 4, 8] = aten.view.default(linear_10, [2, 6, -1, 8])  # decoder.layers.0.encoder_attn
    transpose_8: f32[2, 4, 6, 8] = aten.transpose.int(view_6, 1, 2)  # decoder.layers.0.encoder_attn
    linear_11: f32[2, 10, 32] = aten.linear.default(layer_norm_2, p_decoder_layers_0_encoder_attn_k_proj_weight, p_decoder_layers_0_encoder_attn_k_proj_bias)  # decoder.layers.0.encoder_attn.k_proj
    linear_12: f32[2, 10, 32] = aten.linear.default(layer_norm_2, p_decoder_layers_0_encoder_attn_v_proj_weight, p_decoder_layers_0_encoder_attn_v_proj_bias)  # decoder.layers.0.encoder_attn.v_proj
    view_7: f32[2, 10, 4, 8] = aten.view.default(linear_11, [2, 10, -1, 8])  # decoder.layers.0.encoder_attn
    transpose_9: f32[2, 4, 10, 8] = aten.transpose.int(view_7, 1, 2)  # decoder.layers.0.encoder_attn
    view_8: f32[2, 10, 4, 8] = aten.view.default(linear_12, [2, 10, -1, 8])  # decoder.layers.0.encoder_attn
    transpose_10: f32[2, 4, 10, 8] = aten.transpose.int(view_8, 1, 2)  # decoder.layers.0.encoder_attn
    scaled_dot_product_attention_2: f32[2, 4, 6, 8] = aten.scaled_dot_product_attention.default(transpose_8, transpose_9, transpose_10, expand_3, scale=0.3535533905932738)  # decoder.layers.0.encoder_attn
    reshape_4: f32[2, 4, 6, 8] = aten.reshape.default(scaled_dot_product_attention_2, [2, -1, 6, 8])  # decoder.layers.0.encoder_attn
    transpose_11: f32[2, 6, 4, 8] = aten.transpose.int(reshape_4, 1, 2)  # decoder.layers.0.encoder_attn
    reshape_5: f32[2, 6, 32] = aten.reshape.default(transpose_11, [2, 6, -1])  # decoder.layers.0.encoder_attn
    linear_13: f32[2, 6, 32] = aten.linear.default(reshape_5, p_decoder_layers_0_encoder_attn_out_proj_weight, p_decoder_layers_0_encoder_attn_out_proj_bias)  # decoder.layers.0.encoder_attn.out_proj
    dropout_6: f32[2, 6, 32] = aten.dropout.default(linear_13, 0.1, False)  # decoder.layers.0
    add_14: f32[2, 6, 32] = aten.add.Tensor(layer_norm_4, dropout_6)  # decoder.layers.0
    layer_norm_5: f32[2, 6, 32] = aten.layer_norm.default(add_14, [32], p_decoder_layers_0_encoder_attn_layer_norm_weight, p_decoder_layers_0_encoder_attn_layer_norm_bias, 1e-05, False)  # decoder.layers.0.encoder_attn_layer_norm
    linear_14: f32[2, 6, 64] = aten.linear.default(layer_norm_5, p_decoder_layers_0_fc1_weight, p_decoder_layers_0_fc1_bias)  # decoder.layers.0.fc1
    gelu_1: f32[2, 6, 64] = aten.gelu.default(linear_14)  # decoder.layers.0.activation_fn
    dropout_7: f32[2, 6, 64] = aten.dropout.default(gelu_1, 0.0, False)  # decoder.layers.0
    linear_15: f32[2, 6, 32] = aten.linear.default(dropout_7, p_decoder_layers_0_fc2_weight, p_decoder_layers_0_fc2_bias)  # decoder.layers.0.fc2
    dropout_8: f32[2, 6, 32] = aten.dropout.default(linear_15, 0.1, False)  # decoder.layers.0
    add_15: f32[2, 6, 32] = aten.add.Tensor(layer_norm_5, dropout_8)  # decoder.layers.0
    layer_norm_6: f32[2, 6, 32] = aten.layer_norm.default(add_15, [32], p_decoder_layers_0_final_layer_norm_weight, p_decoder_layers_0_final_layer_norm_bias, 1e-05, False)  # decoder.layers.0.final_layer_norm
    return (layer_norm_6, layer_norm_2)
