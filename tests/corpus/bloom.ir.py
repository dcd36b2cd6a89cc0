program(door="export")
call = ((), {"input_ids": ..., "use_cache": ...})


def graph(
    *,
    p_transformer_word_embeddings_weight: f32[96, 32] = parameter("transformer.word_embeddings.weight", requires_grad=False),
    p_transformer_word_embeddings_layernorm_weight: f32[32] = parameter("transformer.word_embeddings_layernorm.weight", requires_grad=False),
    p_transformer_word_embeddings_layernorm_bias: f32[32] = parameter("transformer.word_embeddings_layernorm.bias", requires_grad=False),
    p_transformer_h_0_input_layernorm_weight: f32[32] = parameter("transformer.h.0.input_layernorm.weight", requires_grad=False),
    p_transformer_h_0_input_layernorm_bias: f32[32] = parameter("transformer.h.0.input_layernorm.bias", requires_grad=False),
    p_transformer_h_0_self_attention_query_key_value_weight: f32[96, 32] = parameter("transformer.h.0.self_attention.query_key_value.weight", requires_grad=False),
    p_transformer_h_0_self_attention_query_key_value_bias: f32[96] = parameter("transformer.h.0.self_attention.query_key_value.bias", requires_grad=False),
    p_transformer_h_0_self_attention_dense_weight: f32[32, 32] = parameter("transformer.h.0.self_attention.dense.weight", requires_grad=False),
    p_transformer_h_0_self_attention_dense_bias: f32[32] = parameter("transformer.h.0.self_attention.dense.bias", requires_grad=False),
    p_transformer_h_0_post_attention_layernorm_weight: f32[32] = parameter("transformer.h.0.post_attention_layernorm.weight", requires_grad=False),
    p_transformer_h_0_post_attention_layernorm_bias: f32[32] = parameter("transformer.h.0.post_attention_layernorm.bias", requires_grad=False),
    p_transformer_h_0_mlp_dense_h_to_4h_weight: f32[128, 32] = parameter("transformer.h.0.mlp.dense_h_to_4h.weight", requires_grad=False),
    p_transformer_h_0_mlp_dense_h_to_4h_bias: f32[128] = parameter("transformer.h.0.mlp.dense_h_to_4h.bias", requires_grad=False),
    p_transformer_h_0_mlp_dense_4h_to_h_weight: f32[32, 128] = parameter("transformer.h.0.mlp.dense_4h_to_h.weight", requires_grad=False),
    p_transformer_h_0_mlp_dense_4h_to_h_bias: f32[32] = parameter("transformer.h.0.mlp.dense_4h_to_h.bias", requires_grad=False),
    p_transformer_ln_f_weight: f32[32] = parameter("transformer.ln_f.weight", requires_grad=False),
    p_transformer_ln_f_bias: f32[32] = parameter("transformer.ln_f.bias", requires_grad=False),
    p_lm_head_weight: f32[96, 32] = parameter("lm_head.weight", tied="transformer.word_embeddings.weight", requires_grad=False),
    input_ids: i64[2, 12],
    use_cache: bool = False,
):
    embedding: f32[2, 12, 32] = aten.embedding.default(p_lm_head_weight, input_ids)  # transformer.word_embeddings
    layer_norm: f32[2, 12, 32] = aten.layer_norm.default(embedding, [32], p_transformer_word_embeddings_layernorm_weight, p_transformer_word_embeddings_layernorm_bias, 1e-05, False)  # transformer.word_embeddings_layernorm
    full: f32[()] = aten.full.default([], 0.25, dtype=torch.float32, device=torch.device("cpu"), pin_memory=False)  # transformer
    arange: i32[4] = aten.arange.start(1, 5, dtype=torch.int32, device=torch.device("cpu"), pin_memory=False)  # transformer
    pow_1: f32[4] = aten.pow.Tensor_Tensor(full, arange)  # transformer
    unsqueeze: f32[4, 1] = aten.unsqueeze.default(pow_1, 1)  # transformer
    unsqueeze_1: f32[4, 1, 1] = aten.unsqueeze.default(unsqueeze, 2)  # transformer
    arange_1: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # transformer
    mul: f32[4, 1, 12] = aten.mul.Tensor(unsqueeze_1, arange_1)  # transformer
    repeat: f32[8, 1, 12] = aten.repeat.default(mul, [2, 1, 1])  # transformer
    to: f32[8, 1, 12] = aten.to.dtype(repeat, torch.float32)  # transformer
    arange_2: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)  # transformer
    arange_3: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # transformer
    arange_4: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # transformer
    add: i64[12] = aten.add.Tensor(arange_4, 0)  # transformer
    arange_5: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # transformer
    add_1: i64[12] = aten.add.Tensor(arange_5, 0)  # transformer
    unsqueeze_2: i64[2, 1] = aten.unsqueeze.default(arange_2, 1)  # transformer
    unsqueeze_3: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze_2, 2)  # transformer
    unsqueeze_4: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_3, 3)  # transformer
    unsqueeze_5: i64[1, 1] = aten.unsqueeze.default(arange_3, 0)  # transformer
    unsqueeze_6: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_5, 2)  # transformer
    unsqueeze_7: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_6, 3)  # transformer
    unsqueeze_8: i64[1, 12] = aten.unsqueeze.default(add, 0)  # transformer
    unsqueeze_9: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_8, 1)  # transformer
    unsqueeze_10: i64[1, 1, 12, 1] = aten.unsqueeze.default(unsqueeze_9, 3)  # transformer
    unsqueeze_11: i64[1, 12] = aten.unsqueeze.default(add_1, 0)  # transformer
    unsqueeze_12: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_11, 1)  # transformer
    unsqueeze_13: i64[1, 1, 1, 12] = aten.unsqueeze.default(unsqueeze_12, 2)  # transformer
    le: b1[1, 1, 12, 12] = aten.le.Tensor(unsqueeze_13, unsqueeze_10)  # transformer
    expand: b1[2, 1, 12, 12] = aten.expand.default(le, [2, -1, 12, 12])  # transformer
    zeros: f32[()] = aten.zeros.default([], dtype=torch.float32, device=torch.device("cpu"), pin_memory=False)  # transformer
    where: f32[2, 1, 12, 12] = aten.where.ScalarOther(expand, zeros, -3.4028234663852886e+38)  # transformer
    layer_norm_1: f32[2, 12, 32] = aten.layer_norm.default(layer_norm, [32], p_transformer_h_0_input_layernorm_weight, p_transformer_h_0_input_layernorm_bias, 1e-05, False)  # transformer.h.0.input_layernorm
    linear: f32[2, 12, 96] = aten.linear.default(layer_norm_1, p_transformer_h_0_self_attention_query_key_value_weight, p_transformer_h_0_self_attention_query_key_value_bias)  # transformer.h.0.self_attention.query_key_value
    view: f32[2, 12, 4, 3, 8] = aten.view.default(linear, [2, 12, 4, 3, 8])  # transformer.h.0.self_attention
    select: f32[2, 12, 4, 8] = aten.select.int(view, 3, 0)  # transformer.h.0.self_attention
    transpose: f32[2, 4, 12, 8] = aten.transpose.int(select, 1, 2)  # transformer.h.0.self_attention
    select_1: f32[2, 12, 4, 8] = aten.select.int(view, 3, 1)  # transformer.h.0.self_attention
    transpose_1: f32[2, 4, 12, 8] = aten.transpose.int(select_1, 1, 2)  # transformer.h.0.self_attention
    select_2: f32[2, 12, 4, 8] = aten.select.int(view, 3, 2)  # transformer.h.0.self_attention
    transpose_2: f32[2, 4, 12, 8] = aten.transpose.int(select_2, 1, 2)  # transformer.h.0.self_attention
    reshape: f32[8, 12, 8] = aten.reshape.default(transpose, [8, -1, 8])  # transformer.h.0.self_attention
    reshape_1: f32[8, 12, 8] = aten.reshape.default(transpose_1, [8, -1, 8])  # transformer.h.0.self_attention
    transpose_3: f32[8, 8, 12] = aten.transpose.int(reshape_1, -1, -2)  # transformer.h.0.self_attention
    reshape_2: f32[8, 12, 8] = aten.reshape.default(transpose_2, [8, -1, 8])  # transformer.h.0.self_attention
    baddbmm: f32[8, 12, 12] = aten.baddbmm.default(to, reshape, transpose_3, beta=1.0, alpha=0.35355339059327373)  # transformer.h.0.self_attention
    view_1: f32[2, 4, 12, 12] = aten.view.default(baddbmm, [2, 4, 12, -1])  # transformer.h.0.self_attention
    add_2: f32[2, 4, 12, 12] = aten.add.Tensor(view_1, where)  # transformer.h.0.self_attention
    softmax: f32[2, 4, 12, 12] = aten.softmax.int(add_2, -1, torch.float32)  # transformer.h.0.self_attention
    to_1: f32[2, 4, 12, 12] = aten.to.dtype(softmax, torch.float32)  # transformer.h.0.self_attention
    dropout: f32[2, 4, 12, 12] = aten.dropout.default(to_1, 0.0, False)  # transformer.h.0.self_attention.attention_dropout
    view_2: f32[8, 12, 12] = aten.view.default(dropout, [8, 12, -1])  # transformer.h.0.self_attention
    bmm: f32[8, 12, 8] = aten.bmm.default(view_2, reshape_2)  # transformer.h.0.self_attention
    view_3: f32[2, 4, 12, 8] = aten.view.default(bmm, [2, 4, 12, 8])  # transformer.h.0.self_attention
    permute: f32[2, 12, 4, 8] = aten.permute.default(view_3, [0, 2, 1, 3])  # transformer.h.0.self_attention
    reshape_3: f32[2, 12, 32] = aten.reshape.default(permute, [2, 12, 32])  # transformer.h.0.self_attention
    linear_1: f32[2, 12, 32] = aten.linear.default(reshape_3, p_transformer_h_0_self_attention_dense_weight, p_transformer_h_0_self_attention_dense_bias)  # transformer.h.0.self_attention.dense
    dropout_1: f32[2, 12, 32] = aten.dropout.default(linear_1, 0.0, False)  # transformer.h.0.self_attention
    add_3: f32[2, 12, 32] = aten.add.Tensor(layer_norm, dropout_1)  # transformer.h.0.self_attention
    layer_norm_2: f32[2, 12, 32] = aten.layer_norm.default(add_3, [32], p_transformer_h_0_post_attention_layernorm_weight, p_transformer_h_0_post_attention_layernorm_bias, 1e-05, False)  # transformer.h.0.post_attention_layernorm
    linear_2: f32[2, 12, 128] = aten.linear.default(layer_norm_2, p_transformer_h_0_mlp_dense_h_to_4h_weight, p_transformer_h_0_mlp_dense_h_to_4h_bias)  # transformer.h.0.mlp.dense_h_to_4h
    mul_1: f32[2, 12, 128] = aten.mul.Tensor(linear_2, 0.5)  # transformer.h.0.mlp.gelu_impl
    mul_2: f32[2, 12, 128] = aten.mul.Tensor(linear_2, 0.79788456)  # transformer.h.0.mlp.gelu_impl
    mul_3: f32[2, 12, 128] = aten.mul.Tensor(linear_2, 0.044715)  # transformer.h.0.mlp.gelu_impl
    mul_4: f32[2, 12, 128] = aten.mul.Tensor(mul_3, linear_2)  # transformer.h.0.mlp.gelu_impl
    add_4: f32[2, 12, 128] = aten.add.Tensor(mul_4, 1)  # transformer.h.0.mlp.gelu_impl
    mul_5: f32[2, 12, 128] = aten.mul.Tensor(mul_2, add_4)  # transformer.h.0.mlp.gelu_impl
    tanh: f32[2, 12, 128] = aten.tanh.default(mul_5)  # transformer.h.0.mlp.gelu_impl
    add_5: f32[2, 12, 128] = aten.add.Tensor(tanh, 1.0)  # transformer.h.0.mlp.gelu_impl
    mul_6: f32[2, 12, 128] = aten.mul.Tensor(mul_1, add_5)  # transformer.h.0.mlp.gelu_impl
    linear_3: f32[2, 12, 32] = aten.linear.default(mul_6, p_transformer_h_0_mlp_dense_4h_to_h_weight, p_transformer_h_0_mlp_dense_4h_to_h_bias)  # transformer.h.0.mlp.dense_4h_to_h
    dropout_2: f32[2, 12, 32] = aten.dropout.default(linear_3, 0.0, False)  # transformer.h.0.mlp
    add_6: f32[2, 12, 32] = aten.add.Tensor(add_3, dropout_2)  # transformer.h.0.mlp
    layer_norm_3: f32[2, 12, 32] = aten.layer_norm.default(add_6, [32], p_transformer_ln_f_weight, p_transformer_ln_f_bias, 1e-05, False)  # transformer.ln_f
    alias: f32[2, 12, 32] = aten.alias.default(layer_norm_3)
    linear_4: f32[2, 12, 96] = aten.linear.default(alias, p_lm_head_weight)  # lm_head
    return (linear_4,)
