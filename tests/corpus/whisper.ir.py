program(door="export")
call = ((), {"input_features": ..., "decoder_input_ids": ..., "use_cache": ...})


def graph(
    *,
    p_encoder_conv1_weight: f32[32, 8, 3] = parameter("encoder.conv1.weight"),
    p_encoder_conv1_bias: f32[32] = parameter("encoder.conv1.bias"),
    p_encoder_conv2_weight: f32[32, 32, 3] = parameter("encoder.conv2.weight"),
    p_encoder_conv2_bias: f32[32] = parameter("encoder.conv2.bias"),
    p_encoder_embed_positions_weight: f32[20, 32] = parameter("encoder.embed_positions.weight", requires_grad=False),
    p_encoder_layers_0_self_attn_k_proj_weight: f32[32, 32] = parameter("encoder.layers.0.self_attn.k_proj.weight"),
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
    p_encoder_layer_norm_weight: f32[32] = parameter("encoder.layer_norm.weight"),
    p_encoder_layer_norm_bias: f32[32] = parameter("encoder.layer_norm.bias"),
    p_decoder_embed_tokens_weight: f32[96, 32] = parameter("decoder.embed_tokens.weight"),
    p_decoder_embed_positions_weight: f32[16, 32] = parameter("decoder.embed_positions.weight"),
    p_decoder_layers_0_self_attn_k_proj_weight: f32[32, 32] = parameter("decoder.layers.0.self_attn.k_proj.weight"),
    p_decoder_layers_0_self_attn_v_proj_weight: f32[32, 32] = parameter("decoder.layers.0.self_attn.v_proj.weight"),
    p_decoder_layers_0_self_attn_v_proj_bias: f32[32] = parameter("decoder.layers.0.self_attn.v_proj.bias"),
    p_decoder_layers_0_self_attn_q_proj_weight: f32[32, 32] = parameter("decoder.layers.0.self_attn.q_proj.weight"),
    p_decoder_layers_0_self_attn_q_proj_bias: f32[32] = parameter("decoder.layers.0.self_attn.q_proj.bias"),
    p_decoder_layers_0_self_attn_out_proj_weight: f32[32, 32] = parameter("decoder.layers.0.self_attn.out_proj.weight"),
    p_decoder_layers_0_self_attn_out_proj_bias: f32[32] = parameter("decoder.layers.0.self_attn.out_proj.bias"),
    p_decoder_layers_0_self_attn_layer_norm_weight: f32[32] = parameter("decoder.layers.0.self_attn_layer_norm.weight"),
    p_decoder_layers_0_self_attn_layer_norm_bias: f32[32] = parameter("decoder.layers.0.self_attn_layer_norm.bias"),
    p_decoder_layers_0_encoder_attn_k_proj_weight: f32[32, 32] = parameter("decoder.layers.0.encoder_attn.k_proj.weight"),
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
    p_decoder_layer_norm_weight: f32[32] = parameter("decoder.layer_norm.weight"),
    p_decoder_layer_norm_bias: f32[32] = parameter("decoder.layer_norm.bias"),
    input_features: f32[1, 8, 40],
    decoder_input_ids: i64[1, 6],
    use_cache: bool = False,
):
    conv1d: f32[1, 32, 40] = aten.conv1d.default(input_features, p_encoder_conv1_weight, p_encoder_conv1_bias, [1], [1])  # encoder.conv1
    gelu: f32[1, 32, 40] = aten.gelu.default(conv1d)  # encoder
    conv1d_1: f32[1, 32, 20] = aten.conv1d.default(gelu, p_encoder_conv2_weight, p_encoder_conv2_bias, [2], [1])  # encoder.conv2
    gelu_1: f32[1, 32, 20] = aten.gelu.default(conv1d_1)  # encoder
    permute: f32[1, 20, 32] = aten.permute.default(gelu_1, [0, 2, 1])  # encoder
    arange: i64[20] = aten.arange.default(20, device=torch.device("cpu"), pin_memory=False)  # encoder
    embedding: f32[20, 32] = aten.embedding.default(p_encoder_embed_positions_weight, arange)  # encoder.embed_positions
    add: f32[1, 20, 32] = aten.add.Tensor(permute, embedding)  # encoder
    dropout: f32[1, 20, 32] = aten.dropout.default(add, 0.0, False)  # encoder
    layer_norm: f32[1, 20, 32] = aten.layer_norm.default(dropout, [32], p_encoder_layers_0_self_attn_layer_norm_weight, p_encoder_layers_0_self_attn_layer_norm_bias, 1e-05, False)  # encoder.layers.0.self_attn_layer_norm
    linear: f32[1, 20, 32] = aten.linear.default(layer_norm, p_encoder_layers_0_self_attn_q_proj_weight, p_encoder_layers_0_self_attn_q_proj_bias)  # encoder.layers.0.self_attn.q_proj
    mul: f32[1, 20, 32] = aten.mul.Tensor(linear, 0.3535533905932738)  # encoder.layers.0.self_attn
    view: f32[1, 20, 4, 8] = aten.view.default(mul, [1, 20, -1, 8])  # encoder.layers.0.self_attn
    transpose: f32[1, 4, 20, 8] = aten.transpose.int(view, 1, 2)  # encoder.layers.0.self_attn
    contiguous: f32[1, 4, 20, 8] = aten.contiguous.default(transpose)  # encoder.layers.0.self_attn
    linear_1: f32[1, 20, 32] = aten.linear.default(layer_norm, p_encoder_layers_0_self_attn_k_proj_weight)  # encoder.layers.0.self_attn.k_proj
    view_1: f32[1, 20, 4, 8] = aten.view.default(linear_1, [1, -1, 4, 8])  # encoder.layers.0.self_attn
    transpose_1: f32[1, 4, 20, 8] = aten.transpose.int(view_1, 1, 2)  # encoder.layers.0.self_attn
    contiguous_1: f32[1, 4, 20, 8] = aten.contiguous.default(transpose_1)  # encoder.layers.0.self_attn
    linear_2: f32[1, 20, 32] = aten.linear.default(layer_norm, p_encoder_layers_0_self_attn_v_proj_weight, p_encoder_layers_0_self_attn_v_proj_bias)  # encoder.layers.0.self_attn.v_proj
    view_2: f32[1, 20, 4, 8] = aten.view.default(linear_2, [1, -1, 4, 8])  # encoder.layers.0.self_attn
    transpose_2: f32[1, 4, 20, 8] = aten.transpose.int(view_2, 1, 2)  # encoder.layers.0.self_attn
    contiguous_2: f32[1, 4, 20, 8] = aten.contiguous.default(transpose_2)  # encoder.layers.0.self_attn
    scaled_dot_product_attention: f32[1, 4, 20, 8] = aten.scaled_dot_product_attention.default(contiguous, contiguous_1, contiguous_2, scale=1.0)  # encoder.layers.0.self_attn
    reshape: f32[1, 4, 20, 8] = aten.reshape.default(scaled_dot_product_attention, [1, -1, 20, 8])  # encoder.layers.0.self_attn
    transpose_3: f32[1, 20, 4, 8] = aten.transpose.int(reshape, 1, 2)  # encoder.layers.0.self_attn
    contiguous_3: f32[1, 20, 4, 8] = aten.contiguous.default(transpose_3)  # encoder.layers.0.self_attn
    reshape_1: f32[1, 20, 32] = aten.reshape.default(contiguous_3, [1, 20, -1])  # encoder.layers.0.self_attn
    linear_3: f32[1, 20, 32] = aten.linear.default(reshape_1, p_encoder_layers_0_self_attn_out_proj_weight, p_encoder_layers_0_self_attn_out_proj_bias)  # encoder.layers.0.self_attn.out_proj
    dropout_1: f32[1, 20, 32] = aten.dropout.default(linear_3, 0.0, False)  # encoder.layers.0
    add_1: f32[1, 20, 32] = aten.add.Tensor(dropout, dropout_1)  # encoder.layers.0
    layer_norm_1: f32[1, 20, 32] = aten.layer_norm.default(add_1, [32], p_encoder_layers_0_final_layer_norm_weight, p_encoder_layers_0_final_layer_norm_bias, 1e-05, False)  # encoder.layers.0.final_layer_norm
    linear_4: f32[1, 20, 64] = aten.linear.default(layer_norm_1, p_encoder_layers_0_fc1_weight, p_encoder_layers_0_fc1_bias)  # encoder.layers.0.fc1
    gelu_2: f32[1, 20, 64] = aten.gelu.default(linear_4)  # encoder.layers.0.activation_fn
    dropout_2: f32[1, 20, 64] = aten.dropout.default(gelu_2, 0.0, False)  # encoder.layers.0
    linear_5: f32[1, 20, 32] = aten.linear.default(dropout_2, p_encoder_layers_0_fc2_weight, p_encoder_layers_0_fc2_bias)  # encoder.layers.0.fc2
    dropout_3: f32[1, 20, 32] = aten.dropout.default(linear_5, 0.0, False)  # encoder.layers.0
    add_2: f32[1, 20, 32] = aten.add.Tensor(add_1, dropout_3)  # encoder.layers.0
    layer_norm_2: f32[1, 20, 32] = aten.layer_norm.default(add_2, [32], p_encoder_layer_norm_weight, p_encoder_layer_norm_bias, 1e-05, False)  # encoder.layer_norm
    embedding_1: f32[1, 6, 32] = aten.embedding.default(p_decoder_embed_tokens_weight, decoder_input_ids, 0)  # decoder.embed_tokens
    arange_1: i64[6] = aten.arange.default(6, device=torch.device("cpu"), pin_memory=False)  # decoder
    add_3: i64[6] = aten.add.Tensor(arange_1, 0)  # decoder
    unsqueeze: i64[1, 6] = aten.unsqueeze.default(add_3, 0)  # decoder
    repeat: i64[1, 6] = aten.repeat.default(unsqueeze, [1, 1])  # decoder
    index: f32[1, 6, 32] = aten.index.Tensor(p_decoder_embed_positions_weight, [repeat])  # decoder.embed_positions
    to: f32[1, 6, 32] = aten.to.dtype_layout(index, dtype=torch.float32, layout=torch.strided, device=torch.device("cpu"))  # decoder
    add_4: f32[1, 6, 32] = aten.add.Tensor(embedding_1, to)  # decoder
    dropout_4: f32[1, 6, 32] = aten.dropout.default(add_4, 0.0, False)  # decoder
    slice_1: i64[1, 1] = aten.slice.Tensor(repeat, 1, 0, 1)  # decoder
    sub: i64[1, 1] = aten.sub.Tensor(slice_1, 1)  # decoder
    diff: i64[1, 6] = aten.diff.default(repeat, 1, -1, sub)  # decoder
    ne: b1[1, 6] = aten.ne.Scalar(diff, 1)  # decoder
    cumsum: i64[1, 6] = aten.cumsum.default(ne, -1)  # decoder
    expand: i64[1, 6] = aten.expand.default(repeat, [1, -1])  # decoder
    arange_2: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # decoder
    arange_3: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # decoder
    arange_4: i64[6] = aten.arange.default(6, device=torch.device("cpu"), pin_memory=False)  # decoder
    add_5: i64[6] = aten.add.Tensor(arange_4, 0)  # decoder
    arange_5: i64[6] = aten.arange.default(6, device=torch.device("cpu"), pin_memory=False)  # decoder
    add_6: i64[6] = aten.add.Tensor(arange_5, 0)  # decoder
    unsqueeze_1: i64[1, 1] = aten.unsqueeze.default(arange_2, 1)  # decoder
    unsqueeze_2: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_1, 2)  # decoder
    unsqueeze_3: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_2, 3)  # decoder
    unsqueeze_4: i64[1, 1] = aten.unsqueeze.default(arange_3, 0)  # decoder
    unsqueeze_5: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_4, 2)  # decoder
    unsqueeze_6: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_5, 3)  # decoder
    unsqueeze_7: i64[1, 6] = aten.unsqueeze.default(add_5, 0)  # decoder
    unsqueeze_8: i64[1, 1, 6] = aten.unsqueeze.default(unsqueeze_7, 1)  # decoder
    unsqueeze_9: i64[1, 1, 6, 1] = aten.unsqueeze.default(unsqueeze_8, 3)  # decoder
    unsqueeze_10: i64[1, 6] = aten.unsqueeze.default(add_6, 0)  # decoder
    unsqueeze_11: i64[1, 1, 6] = aten.unsqueeze.default(unsqueeze_10, 1)  # decoder
    unsqueeze_12: i64[1, 1, 1, 6] = aten.unsqueeze.default(unsqueeze_11, 2)  # decoder
    new_ones: b1[()] = aten.new_ones.default(unsqueeze_9, [], dtype=torch.bool, pin_memory=False)  # decoder
    index_1: i64[1, 1, 6, 1] = aten.index.Tensor(cumsum, [unsqueeze_3, unsqueeze_9])  # decoder
    index_2: i64[1, 1, 1, 6] = aten.index.Tensor(cumsum, [unsqueeze_3, unsqueeze_12])  # decoder
    eq: b1[1, 1, 6, 6] = aten.eq.Tensor(index_1, index_2)  # decoder
    to_1: b1[1, 1, 6, 6] = aten.to.dtype_layout(eq, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # decoder
    and_1: b1[1, 1, 6, 6] = aten.__and__.Tensor(new_ones, to_1)  # decoder
    index_3: i64[1, 1, 6, 1] = aten.index.Tensor(expand, [unsqueeze_3, unsqueeze_9])  # decoder
    index_4: i64[1, 1, 1, 6] = aten.index.Tensor(expand, [unsqueeze_3, unsqueeze_12])  # decoder
    le: b1[1, 1, 6, 6] = aten.le.Tensor(index_4, index_3)  # decoder
    to_2: b1[1, 1, 6, 6] = aten.to.dtype_layout(le, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # decoder
    and_2: b1[1, 1, 6, 6] = aten.__and__.Tensor(and_1, to_2)  # decoder
    expand_1: b1[1, 1, 6, 6] = aten.expand.default(and_2, [1, -1, 6, 6])  # decoder
    layer_norm_3: f32[1, 6, 32] = aten.layer_norm.default(dropout_4, [32], p_decoder_layers_0_self_attn_layer_norm_weight, p_decoder_layers_0_self_attn_layer_norm_bias, 1e-05, False)  # decoder.layers.0.self_attn_layer_norm
    linear_6: f32[1, 6, 32] = aten.linear.default(layer_norm_3, p_decoder_layers_0_self_attn_q_proj_weight, p_decoder_layers_0_self_attn_q_proj_bias)  # decoder.layers.0.self_attn.q_proj
    mul_1: f32[1, 6, 32] = aten.mul.Tensor(linear_6, 0.3535533905932738)  # decoder.layers.0.self_attn
    view_3: f32[1, 6, 4, 8] = aten.view.default(mul_1, [1, 6, -1, 8])  # decoder.layers.0.self_attn
    transpose_4: f32[1, 4, 6, 8] = aten.transpose.int(view_3, 1, 2)  # decoder.layers.0.self_attn
    contiguous_4: f32[1, 4, 6, 8] = aten.contiguous.default(transpose_4)  # decoder.layers.0.self_attn
    linear_7: f32[1, 6, 32] = aten.linear.default(layer_norm_3, p_decoder_layers_0_self_attn_k_proj_weight)  # decoder.layers.0.self_attn.k_proj
    view_4: f32[1, 6, 4, 8] = aten.view.default(linear_7, [1, -1, 4, 8])  # decoder.layers.0.self_attn
    transpose_5: f32[1, 4, 6, 8] = aten.transpose.int(view_4, 1, 2)  # decoder.layers.0.self_attn
    contiguous_5: f32[1, 4, 6, 8] = aten.contiguous.default(transpose_5)  # decoder.layers.0.self_attn
    linear_8: f32[1, 6, 32] = aten.linear.default(layer_norm_3, p_decoder_layers_0_self_attn_v_proj_weight, p_decoder_layers_0_self_attn_v_proj_bias)  # decoder.layers.0.self_attn.v_proj
    view_5: f32[1, 6, 4, 8] = aten.view.default(linear_8, [1, -1, 4, 8])  # decoder.layers.0.self_attn
    transpose_6: f32[1, 4, 6, 8] = aten.transpose.int(view_5, 1, 2)  # decoder.layers.0.self_attn
    contiguous_6: f32[1, 4, 6, 8] = aten.contiguous.default(transpose_6)  # decoder.layers.0.self_attn
    scaled_dot_product_attention_1: f32[1, 4, 6, 8] = aten.scaled_dot_product_attention.default(contiguous_4, contiguous_5, contiguous_6, expand_1, scale=1.0)  # decoder.layers.0.self_attn
    reshape_2: f32[1, 4, 6, 8] = aten.reshape.default(scaled_dot_product_attention_1, [1, -1, 6, 8])  # decoder.layers.0.self_attn
    transpose_7: f32[1, 6, 4, 8] = aten.transpose.int(reshape_2, 1, 2)  # decoder.layers.0.self_attn
    contiguous_7: f32[1, 6, 4, 8] = aten.contiguous.default(transpose_7)  # decoder.layers.0.self_attn
    reshape_3: f32[1, 6, 32] = aten.reshape.default(contiguous_7, [1, 6, -1])  # decoder.layers.0.self_attn
    linear_9: f32[1, 6, 32] = aten.linear.default(reshape_3, p_decoder_layers_0_self_attn_out_proj_weight, p_decoder_layers_0_self_attn_out_proj_bias)  # decoder.layers.0.self_attn.out_proj
    dropout_5: f32[1, 6, 32] = aten.dropout.default(linear_9, 0.0, False)  # decoder.layers.0
    add_7: f32[1, 6, 32] = aten.add.Tensor(dropout_4, dropout_5)  # decoder.layers.0
    layer_norm_4: f32[1, 6, 32] = aten.layer_norm.default(add_7, [32], p_decoder_layers_0_encoder_attn_layer_norm_weight, p_decoder_layers_0_encoder_attn_layer_norm_bias, 1e-05, False)  # decoder.layers.0.encoder_attn_layer_norm
    linear_10: f32[1, 6, 32] = aten.linear.default(layer_norm_4, p_decoder_layers_0_encoder_attn_q_proj_weight, p_decoder_layers_0_encoder_attn_q_proj_bias)  # decoder.layers.0.encoder_attn.q_proj
    mul_2: f32[1, 6, 32] = aten.mul.Tensor(linear_10, 0.3535533905932738)  # decoder.layers.0.encoder_attn
    view_6: f32[1, 6, 4, 8] = aten.view.default(mul_2, [1, 6, -1, 8])  # decoder.layers.0.encoder_attn
    transpose_8: f32[1, 4, 6, 8] = aten.transpose.int(view_6, 1, 2)  # decoder.layers.0.encoder_attn
    contiguous_8: f32[1, 4, 6, 8] = aten.contiguous.default(transpose_8)  # decoder.layers.0.encoder_attn
    linear_11: f32[1, 20, 32] = aten.linear.default(layer_norm_2, p_decoder_layers_0_encoder_attn_k_proj_weight)  # decoder.layers.0.encoder_attn.k_proj
    view_7: f32[1, 20, 4, 8] = aten.view.default(linear_11, [1, -1, 4, 8])  # decoder.layers.0.encoder_attn
    transpose_9: f32[1, 4, 20, 8] = aten.transpose.int(view_7, 1, 2)  # decoder.layers.0.encoder_attn
    contiguous_9: f32[1, 4, 20, 8] = aten.contiguous.default(transpose_9)  # decoder.layers.0.encoder_attn
    linear_12: f32[1, 20, 32] = aten.linear.default(layer_norm_2, p_decoder_layers_0_encoder_attn_v_proj_weight, p_decoder_layers_0_encoder_attn_v_proj_bias)  # decoder.layers.0.encoder_attn.v_proj
    view_8: f32[1, 20, 4, 8] = aten.view.default(linear_12, [1, -1, 4, 8])  # decoder.layers.0.encoder_attn
    transpose_10: f32[1, 4, 20, 8] = aten.transpose.int(view_8, 1, 2)  # decoder.layers.0.encoder_attn
    contiguous_10: f32[1, 4, 20, 8] = aten.contiguous.default(transpose_10)  # decoder.layers.0.encoder_attn
    scaled_dot_product_attention_2: f32[1, 4, 6, 8] = aten.scaled_dot_product_attention.default(contiguous_8, contiguous_9, contiguous_10, scale=1.0)  # decoder.layers.0.encoder_attn
    reshape_4: f32[1, 4, 6, 8] = aten.reshape.default(scaled_dot_product_attention_2, [1, -1, 6, 8])  # decoder.layers.0.encoder_attn
    transpose_11: f32[1, 6, 4, 8] = aten.transpose.int(reshape_4, 1, 2)  # decoder.layers.0.encoder_attn
    contiguous_11: f32[1, 6, 4, 8] = aten.contiguous.default(transpose_11)  # decoder.layers.0.encoder_attn
    reshape_5: f32[1, 6, 32] = aten.reshape.default(contiguous_11, [1, 6, -1])  # decoder.layers.0.encoder_attn
    linear_13: f32[1, 6, 32] = aten.linear.default(reshape_5, p_decoder_layers_0_encoder_attn_out_proj_weight, p_decoder_layers_0_encoder_attn_out_proj_bias)  # decoder.layers.0.encoder_attn.out_proj
    dropout_6: f32[1, 6, 32] = aten.dropout.default(linear_13, 0.0, False)  # decoder.layers.0
    add_8: f32[1, 6, 32] = aten.add.Tensor(add_7, dropout_6)  # decoder.layers.0
    layer_norm_5: f32[1, 6, 32] = aten.layer_norm.default(add_8, [32], p_decoder_layers_0_final_layer_norm_weight, p_decoder_layers_0_final_layer_norm_bias, 1e-05, False)  # decoder.layers.0.final_layer_norm
    linear_14: f32[1, 6, 64] = aten.linear.default(layer_norm_5, p_decoder_layers_0_fc1_weight, p_decoder_layers_0_fc1_bias)  # decoder.layers.0.fc1
    gelu_3: f32[1, 6, 64] = aten.gelu.default(linear_14)  # decoder.layers.0.activation_fn
    dropout_7: f32[1, 6, 64] = aten.dropout.default(gelu_3, 0.0, False)  # decoder.layers.0
    linear_15: f32[1, 6, 32] = aten.linear.default(dropout_7, p_decoder_layers_0_fc2_weight, p_decoder_layers_0_fc2_bias)  # decoder.layers.0.fc2
    dropout_8: f32[1, 6, 32] = aten.dropout.default(linear_15, 0.0, False)  # decoder.layers.0
    add_9: f32[1, 6, 32] = aten.add.Tensor(add_8, dropout_8)  # decoder.layers.0
    layer_norm_6: f32[1, 6, 32] = aten.layer_norm.default(add_9, [32], p_decoder_layer_norm_weight, p_decoder_layer_norm_bias, 1e-05, False)  # decoder.layer_norm
    return (layer_norm_6, layer_norm_2)
