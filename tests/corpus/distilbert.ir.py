program(door="export")
call = ((), {"input_ids": ..., "attention_mask": ...})


def graph(
    *,
    p_embeddings_word_embeddings_weight: f32[96, 32] = parameter("embeddings.word_embeddings.weight"),
    p_embeddings_position_embeddings_weight: f32[512, 32] = parameter("embeddings.position_embeddings.weight"),
    p_embeddings_layernorm_weight: f32[32] = parameter("embeddings.LayerNorm.weight"),
    p_embeddings_layernorm_bias: f32[32] = parameter("embeddings.LayerNorm.bias"),
    p_transformer_layer_0_attention_q_lin_weight: f32[32, 32] = parameter("transformer.layer.0.attention.q_lin.weight"),
    p_transformer_layer_0_attention_q_lin_bias: f32[32] = parameter("transformer.layer.0.attention.q_lin.bias"),
    p_transformer_layer_0_attention_k_lin_weight: f32[32, 32] = parameter("transformer.layer.0.attention.k_lin.weight"),
    p_transformer_layer_0_attention_k_lin_bias: f32[32] = parameter("transformer.layer.0.attention.k_lin.bias"),
    p_transformer_layer_0_attention_v_lin_weight: f32[32, 32] = parameter("transformer.layer.0.attention.v_lin.weight"),
    p_transformer_layer_0_attention_v_lin_bias: f32[32] = parameter("transformer.layer.0.attention.v_lin.bias"),
    p_transformer_layer_0_attention_out_lin_weight: f32[32, 32] = parameter("transformer.layer.0.attention.out_lin.weight"),
    p_transformer_layer_0_attention_out_lin_bias: f32[32] = parameter("transformer.layer.0.attention.out_lin.bias"),
    p_transformer_layer_0_sa_layer_norm_weight: f32[32] = parameter("transformer.layer.0.sa_layer_norm.weight"),
    p_transformer_layer_0_sa_layer_norm_bias: f32[32] = parameter("transformer.layer.0.sa_layer_norm.bias"),
    p_transformer_layer_0_ffn_lin1_weight: f32[64, 32] = parameter("transformer.layer.0.ffn.lin1.weight"),
    p_transformer_layer_0_ffn_lin1_bias: f32[64] = parameter("transformer.layer.0.ffn.lin1.bias"),
    p_transformer_layer_0_ffn_lin2_weight: f32[32, 64] = parameter("transformer.layer.0.ffn.lin2.weight"),
    p_transformer_layer_0_ffn_lin2_bias: f32[32] = parameter("transformer.layer.0.ffn.lin2.bias"),
    p_transformer_layer_0_output_layer_norm_weight: f32[32] = parameter("transformer.layer.0.output_layer_norm.weight"),
    p_transformer_layer_0_output_layer_norm_bias: f32[32] = parameter("transformer.layer.0.output_layer_norm.bias"),
    b_embeddings_position_ids: i64[1, 512] = buffer("embeddings.position_ids"),
    input_ids: i64[2, 12],
    attention_mask: i64[2, 12],
):
    embedding: f32[2, 12, 32] = aten.embedding.default(p_embeddings_word_embeddings_weight, input_ids, 0)  # embeddings.word_embeddings
    slice_1: i64[1, 12] = aten.slice.Tensor(b_embeddings_position_ids, 1, 0, 12)  # embeddings
    embedding_1: f32[1, 12, 32] = aten.embedding.default(p_embeddings_position_embeddings_weight, slice_1)  # embeddings.position_embeddings
    add: f32[2, 12, 32] = aten.add.Tensor(embedding, embedding_1)  # embeddings
    layer_norm: f32[2, 12, 32] = aten.layer_norm.default(add, [32], p_embeddings_layernorm_weight, p_embeddings_layernorm_bias, 1e-12, False)  # embeddings.LayerNorm
    dropout: f32[2, 12, 32] = aten.dropout.default(layer_norm, 0.1, False)  # embeddings.dropout
    to: b1[2, 12] = aten.to.device(attention_mask, torch.device("cpu"), torch.bool)
    arange: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)
    arange_1: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)
    arange_2: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)
    add_1: i64[12] = aten.add.Tensor(arange_2, 0)
    arange_3: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)
    add_2: i64[12] = aten.add.Tensor(arange_3, 0)
    unsqueeze: i64[2, 1] = aten.unsqueeze.default(arange, 1)
    unsqueeze_1: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze, 2)
    unsqueeze_2: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_1, 3)
    unsqueeze_3: i64[1, 1] = aten.unsqueeze.default(arange_1, 0)
    unsqueeze_4: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_3, 2)
    unsqueeze_5: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_4, 3)
    unsqueeze_6: i64[1, 12] = aten.unsqueeze.default(add_1, 0)
    unsqueeze_7: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_6, 1)
    unsqueeze_8: i64[1, 1, 12, 1] = aten.unsqueeze.default(unsqueeze_7, 3)
    unsqueeze_9: i64[1, 12] = aten.unsqueeze.default(add_2, 0)
    unsqueeze_10: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_9, 1)
    unsqueeze_11: i64[1, 1, 1, 12] = aten.unsqueeze.default(unsqueeze_10, 2)
    new_ones: b1[()] = aten.new_ones.default(unsqueeze_8, [], dtype=torch.bool, pin_memory=False)
    ge: b1[1, 1, 12, 1] = aten.ge.Scalar(unsqueeze_8, 0)
    to_1: b1[1, 1, 12, 1] = aten.to.dtype_layout(ge, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))
    and_1: b1[1, 1, 12, 1] = aten.__and__.Tensor(new_ones, to_1)
    index: b1[2, 1, 1, 12] = aten.index.Tensor(to, [unsqueeze_2, unsqueeze_11])
    to_2: b1[2, 1, 1, 12] = aten.to.dtype_layout(index, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))
    and_2: b1[2, 1, 12, 12] = aten.__and__.Tensor(and_1, to_2)
    expand: b1[2, 1, 12, 12] = aten.expand.default(and_2, [2, -1, 12, 12])
    linear: f32[2, 12, 32] = aten.linear.default(dropout, p_transformer_layer_0_attention_q_lin_weight, p_transformer_layer_0_attention_q_lin_bias)  # transformer.layer.0.attention.q_lin
    view: f32[2, 12, 4, 8] = aten.view.default(linear, [2, 12, -1, 8])  # transformer.layer.0.attention
    transpose: f32[2, 4, 12, 8] = aten.transpose.int(view, 1, 2)  # transformer.layer.0.attention
    linear_1: f32[2, 12, 32] = aten.linear.default(dropout, p_transformer_layer_0_attention_k_lin_weight, p_transformer_layer_0_attention_k_lin_bias)  # transformer.layer.0.attention.k_lin
    view_1: f32[2, 12, 4, 8] = aten.view.default(linear_1, [2, 12, -1, 8])  # transformer.layer.0.attention
    transpose_1: f32[2, 4, 12, 8] = aten.transpose.int(view_1, 1, 2)  # transformer.layer.0.attention
    linear_2: f32[2, 12, 32] = aten.linear.default(dropout, p_transformer_layer_0_attention_v_lin_weight, p_transformer_layer_0_attention_v_lin_bias)  # transformer.layer.0.attention.v_lin
    view_2: f32[2, 12, 4, 8] = aten.view.default(linear_2, [2, 12, -1, 8])  # transformer.layer.0.attention
    transpose_2: f32[2, 4, 12, 8] = aten.transpose.int(view_2, 1, 2)  # transformer.layer.0.attention
    scaled_dot_product_attention: f32[2, 4, 12, 8] = aten.scaled_dot_product_attention.default(transpose, transpose_1, transpose_2, expand, scale=0.3535533905932738)  # transformer.layer.0.attention
    reshape: f32[2, 4, 12, 8] = aten.reshape.default(scaled_dot_product_attention, [2, -1, 12, 8])  # transformer.layer.0.attention
    transpose_3: f32[2, 12, 4, 8] = aten.transpose.int(reshape, 1, 2)  # transformer.layer.0.attention
    reshape_1: f32[2, 12, 32] = aten.reshape.default(transpose_3, [2, 12, -1])  # transformer.layer.0.attention
    linear_3: f32[2, 12, 32] = aten.linear.default(reshape_1, p_transformer_layer_0_attention_out_lin_weight, p_transformer_layer_0_attention_out_lin_bias)  # transformer.layer.0.attention.out_lin
    add_3: f32[2, 12, 32] = aten.add.Tensor(linear_3, dropout)  # transformer.layer.0
    layer_norm_1: f32[2, 12, 32] = aten.layer_norm.default(add_3, [32], p_transformer_layer_0_sa_layer_norm_weight, p_transformer_layer_0_sa_layer_norm_bias, 1e-12, False)  # transformer.layer.0.sa_layer_norm
    linear_4: f32[2, 12, 64] = aten.linear.default(layer_norm_1, p_transformer_layer_0_ffn_lin1_weight, p_transformer_layer_0_ffn_lin1_bias)  # transformer.layer.0.ffn.lin1
    gelu: f32[2, 12, 64] = aten.gelu.default(linear_4)  # transformer.layer.0.ffn.activation
    linear_5: f32[2, 12, 32] = aten.linear.default(gelu, p_transformer_layer_0_ffn_lin2_weight, p_transformer_layer_0_ffn_lin2_bias)  # transformer.layer.0.ffn.lin2
    dropout_1: f32[2, 12, 32] = aten.dropout.default(linear_5, 0.1, False)  # transformer.layer.0.ffn.dropout
    add_4: f32[2, 12, 32] = aten.add.Tensor(dropout_1, layer_norm_1)  # transformer.layer.0
    layer_norm_2: f32[2, 12, 32] = aten.layer_norm.default(add_4, [32], p_transformer_layer_0_output_layer_norm_weight, p_transformer_layer_0_output_layer_norm_bias, 1e-12, False)  # transformer.layer.0.output_layer_norm
    return (layer_norm_2,)
