program(door="export")
call = ((), {"input_ids": ..., "attention_mask": ...})


def graph(
    *,
    p_embeddings_word_embeddings_weight: f32[96, 32] = parameter("embeddings.word_embeddings.weight"),
    p_embeddings_token_type_embeddings_weight: f32[2, 32] = parameter("embeddings.token_type_embeddings.weight"),
    p_embeddings_layernorm_weight: f32[32] = parameter("embeddings.LayerNorm.weight"),
    p_embeddings_layernorm_bias: f32[32] = parameter("embeddings.LayerNorm.bias"),
    p_embeddings_position_embeddings_weight: f32[64, 32] = parameter("embeddings.position_embeddings.weight"),
    p_encoder_layer_0_attention_self_query_weight: f32[32, 32] = parameter("encoder.layer.0.attention.self.query.weight"),
    p_encoder_layer_0_attention_self_query_bias: f32[32] = parameter("encoder.layer.0.attention.self.query.bias"),
    p_encoder_layer_0_attention_self_key_weight: f32[32, 32] = parameter("encoder.layer.0.attention.self.key.weight"),
    p_encoder_layer_0_attention_self_key_bias: f32[32] = parameter("encoder.layer.0.attention.self.key.bias"),
    p_encoder_layer_0_attention_self_value_weight: f32[32, 32] = parameter("encoder.layer.0.attention.self.value.weight"),
    p_encoder_layer_0_attention_self_value_bias: f32[32] = parameter("encoder.layer.0.attention.self.value.bias"),
    p_encoder_layer_0_attention_output_dense_weight: f32[32, 32] = parameter("encoder.layer.0.attention.output.dense.weight"),
    p_encoder_layer_0_attention_output_dense_bias: f32[32] = parameter("encoder.layer.0.attention.output.dense.bias"),
    p_encoder_layer_0_attention_output_layernorm_weight: f32[32] = parameter("encoder.layer.0.attention.output.LayerNorm.weight"),
    p_encoder_layer_0_attention_output_layernorm_bias: f32[32] = parameter("encoder.layer.0.attention.output.LayerNorm.bias"),
    p_encoder_layer_0_intermediate_dense_weight: f32[64, 32] = parameter("encoder.layer.0.intermediate.dense.weight"),
    p_encoder_layer_0_intermediate_dense_bias: f32[64] = parameter("encoder.layer.0.intermediate.dense.bias"),
    p_encoder_layer_0_output_dense_weight: f32[32, 64] = parameter("encoder.layer.0.output.dense.weight"),
    p_encoder_layer_0_output_dense_bias: f32[32] = parameter("encoder.layer.0.output.dense.bias"),
    p_encoder_layer_0_output_layernorm_weight: f32[32] = parameter("encoder.layer.0.output.LayerNorm.weight"),
    p_encoder_layer_0_output_layernorm_bias: f32[32] = parameter("encoder.layer.0.output.LayerNorm.bias"),
    p_pooler_dense_weight: f32[32, 32] = parameter("pooler.dense.weight"),
    p_pooler_dense_bias: f32[32] = parameter("pooler.dense.bias"),
    b_embeddings_position_ids: i64[1, 64] = buffer("embeddings.position_ids", value=[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63]]),
    b_embeddings_token_type_ids: i64[1, 64] = buffer("embeddings.token_type_ids", value=[[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]),
    input_ids: i64[2, 12],
    attention_mask: i64[2, 12],
):
    ne: b1[2, 12] = aten.ne.Scalar(input_ids, 1)  # embeddings
    to: i32[2, 12] = aten.to.dtype(ne, torch.int32)  # embeddings
    cumsum: i64[2, 12] = aten.cumsum.default(to, 1)  # embeddings
    type_as: i32[2, 12] = aten.type_as.default(cumsum, to)  # embeddings
    add: i32[2, 12] = aten.add.Tensor(type_as, 0)  # embeddings
    mul: i32[2, 12] = aten.mul.Tensor(add, to)  # embeddings
    to_1: i64[2, 12] = aten.to.dtype(mul, torch.int64)  # embeddings
    add_1: i64[2, 12] = aten.add.Tensor(to_1, 1)  # embeddings
    to_2: i64[1, 64] = aten.to.dtype_layout(b_embeddings_token_type_ids, dtype=torch.int64, layout=torch.strided, device=torch.device("cpu"))  # embeddings
    expand: i64[2, 64] = aten.expand.default(to_2, [2, -1])  # embeddings
    gather: i64[2, 12] = aten.gather.default(expand, 1, add_1)  # embeddings
    expand_1: i64[2, 12] = aten.expand.default(gather, [2, 12])  # embeddings
    embedding: f32[2, 12, 32] = aten.embedding.default(p_embeddings_word_embeddings_weight, input_ids, 1)  # embeddings.word_embeddings
    embedding_1: f32[2, 12, 32] = aten.embedding.default(p_embeddings_token_type_embeddings_weight, expand_1)  # embeddings.token_type_embeddings
    add_2: f32[2, 12, 32] = aten.add.Tensor(embedding, embedding_1)  # embeddings
    embedding_2: f32[2, 12, 32] = aten.embedding.default(p_embeddings_position_embeddings_weight, add_1, 1)  # embeddings.position_embeddings
    add_3: f32[2, 12, 32] = aten.add.Tensor(add_2, embedding_2)  # embeddings
    layer_norm: f32[2, 12, 32] = aten.layer_norm.default(add_3, [32], p_embeddings_layernorm_weight, p_embeddings_layernorm_bias, 1e-12, False)  # embeddings.LayerNorm
    dropout: f32[2, 12, 32] = aten.dropout.default(layer_norm, 0.1, False)  # embeddings.dropout
    to_3: b1[2, 12] = aten.to.device(attention_mask, torch.device("cpu"), torch.bool)
    arange: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)
    arange_1: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)
    arange_2: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)
    add_4: i64[12] = aten.add.Tensor(arange_2, 0)
    arange_3: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)
    add_5: i64[12] = aten.add.Tensor(arange_3, 0)
    unsqueeze: i64[2, 1] = aten.unsqueeze.default(arange, 1)
    unsqueeze_1: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze, 2)
    unsqueeze_2: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_1, 3)
    unsqueeze_3: i64[1, 1] = aten.unsqueeze.default(arange_1, 0)
    unsqueeze_4: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_3, 2)
    unsqueeze_5: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_4, 3)
    unsqueeze_6: i64[1, 12] = aten.unsqueeze.default(add_4, 0)
    unsqueeze_7: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_6, 1)
    unsqueeze_8: i64[1, 1, 12, 1] = aten.unsqueeze.default(unsqueeze_7, 3)
    unsqueeze_9: i64[1, 12] = aten.unsqueeze.default(add_5, 0)
    unsqueeze_10: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_9, 1)
    unsqueeze_11: i64[1, 1, 1, 12] = aten.unsqueeze.default(unsqueeze_10, 2)
    new_ones: b1[()] = aten.new_ones.default(unsqueeze_8, [], dtype=torch.bool, pin_memory=False)
    ge: b1[1, 1, 12, 1] = aten.ge.Scalar(unsqueeze_8, 0)
    to_4: b1[1, 1, 12, 1] = aten.to.dtype_layout(ge, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))
    and_1: b1[1, 1, 12, 1] = aten.__and__.Tensor(new_ones, to_4)
    index: b1[2, 1, 1, 12] = aten.index.Tensor(to_3, [unsqueeze_2, unsqueeze_11])
    to_5: b1[2, 1, 1, 12] = aten.to.dtype_layout(index, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))
    and_2: b1[2, 1, 12, 12] = aten.__and__.Tensor(and_1, to_5)
    expand_2: b1[2, 1, 12, 12] = aten.expand.default(and_2, [2, -1, 12, 12])
    linear: f32[2, 12, 32] = aten.linear.default(dropout, p_encoder_layer_0_attention_self_query_weight, p_encoder_layer_0_attention_self_query_bias)  # encoder.layer.0.attention.self.query
    view: f32[2, 12, 4, 8] = aten.view.default(linear, [2, 12, -1, 8])  # encoder.layer.0.attention.self
    transpose: f32[2, 4, 12, 8] = aten.transpose.int(view, 1, 2)  # encoder.layer.0.attention.self
    linear_1: f32[2, 12, 32] = aten.linear.default(dropout, p_encoder_layer_0_attention_self_key_weight, p_encoder_layer_0_attention_self_key_bias)  # encoder.layer.0.attention.self.key
    view_1: f32[2, 12, 4, 8] = aten.view.default(linear_1, [2, 12, -1, 8])  # encoder.layer.0.attention.self
    transpose_1: f32[2, 4, 12, 8] = aten.transpose.int(view_1, 1, 2)  # encoder.layer.0.attention.self
    linear_2: f32[2, 12, 32] = aten.linear.default(dropout, p_encoder_layer_0_attention_self_value_weight, p_encoder_layer_0_attention_self_value_bias)  # encoder.layer.0.attention.self.value
    view_2: f32[2, 12, 4, 8] = aten.view.default(linear_2, [2, 12, -1, 8])  # encoder.layer.0.attention.self
    transpose_2: f32[2, 4, 12, 8] = aten.transpose.int(view_2, 1, 2)  # encoder.layer.0.attention.self
    scaled_dot_product_attention: f32[2, 4, 12, 8] = aten.scaled_dot_product_attention.default(transpose, transpose_1, transpose_2, expand_2, scale=0.3535533905932738)  # encoder.layer.0.attention.self
    reshape: f32[2, 4, 12, 8] = aten.reshape.default(scaled_dot_product_attention, [2, -1, 12, 8])  # encoder.layer.0.attention.self
    transpose_3: f32[2, 12, 4, 8] = aten.transpose.int(reshape, 1, 2)  # encoder.layer.0.attention.self
    reshape_1: f32[2, 12, 32] = aten.reshape.default(transpose_3, [2, 12, -1])  # encoder.layer.0.attention.self
    linear_3: f32[2, 12, 32] = aten.linear.default(reshape_1, p_encoder_layer_0_attention_output_dense_weight, p_encoder_layer_0_attention_output_dense_bias)  # encoder.layer.0.attention.output.dense
    dropout_1: f32[2, 12, 32] = aten.dropout.default(linear_3, 0.1, False)  # encoder.layer.0.attention.output.dropout
    add_6: f32[2, 12, 32] = aten.add.Tensor(dropout_1, dropout)  # encoder.layer.0.attention.output
    layer_norm_1: f32[2, 12, 32] = aten.layer_norm.default(add_6, [32], p_encoder_layer_0_attention_output_layernorm_weight, p_encoder_layer_0_attention_output_layernorm_bias, 1e-12, False)  # encoder.layer.0.attention.output.LayerNorm
    linear_4: f32[2, 12, 64] = aten.linear.default(layer_norm_1, p_encoder_layer_0_intermediate_dense_weight, p_encoder_layer_0_intermediate_dense_bias)  # encoder.layer.0.intermediate.dense
    gelu: f32[2, 12, 64] = aten.gelu.default(linear_4)  # encoder.layer.0.intermediate.intermediate_act_fn
    linear_5: f32[2, 12, 32] = aten.linear.default(gelu, p_encoder_layer_0_output_dense_weight, p_encoder_layer_0_output_dense_bias)  # encoder.layer.0.output.dense
    dropout_2: f32[2, 12, 32] = aten.dropout.default(linear_5, 0.1, False)  # encoder.layer.0.output.dropout
    add_7: f32[2, 12, 32] = aten.add.Tensor(dropout_2, layer_norm_1)  # encoder.layer.0.output
    layer_norm_2: f32[2, 12, 32] = aten.layer_norm.default(add_7, [32], p_encoder_layer_0_output_layernorm_weight, p_encoder_layer_0_output_layernorm_bias, 1e-12, False)  # encoder.layer.0.output.LayerNorm
    select: f32[2, 32] = aten.select.int(layer_norm_2, 1, 0)  # pooler
    linear_6: f32[2, 32] = aten.linear.default(select, p_pooler_dense_weight, p_pooler_dense_bias)  # pooler.dense
    tanh: f32[2, 32] = aten.tanh.default(linear_6)  # pooler.activation
    return (layer_norm_2, tanh)
