program(door="export")
call = ((), {"input_ids": ..., "use_cache": ...})


def graph(
    *,
    p_gpt_neox_embed_in_weight: f32[96, 32] = parameter("gpt_neox.embed_in.weight"),
    p_gpt_neox_layers_0_input_layernorm_weight: f32[32] = parameter("gpt_neox.layers.0.input_layernorm.weight"),
    p_gpt_neox_layers_0_input_layernorm_bias: f32[32] = parameter("gpt_neox.layers.0.input_layernorm.bias"),
    p_gpt_neox_layers_0_post_attention_layernorm_weight: f32[32] = parameter("gpt_neox.layers.0.post_attention_layernorm.weight"),
    p_gpt_neox_layers_0_post_attention_layernorm_bias: f32[32] = parameter("gpt_neox.layers.0.post_attention_layernorm.bias"),
    p_gpt_neox_layers_0_attention_query_key_value_weight: f32[96, 32] = parameter("gpt_neox.layers.0.attention.query_key_value.weight"),
    p_gpt_neox_layers_0_attention_query_key_value_bias: f32[96] = parameter("gpt_neox.layers.0.attention.query_key_value.bias"),
    p_gpt_neox_layers_0_attention_dense_weight: f32[32, 32] = parameter("gpt_neox.layers.0.attention.dense.weight"),
    p_gpt_neox_layers_0_attention_dense_bias: f32[32] = parameter("gpt_neox.layers.0.attention.dense.bias"),
    p_gpt_neox_layers_0_mlp_dense_h_to_4h_weight: f32[64, 32] = parameter("gpt_neox.layers.0.mlp.dense_h_to_4h.weight"),
    p_gpt_neox_layers_0_mlp_dense_h_to_4h_bias: f32[64] = parameter("gpt_neox.layers.0.mlp.dense_h_to_4h.bias"),
    p_gpt_neox_layers_0_mlp_dense_4h_to_h_weight: f32[32, 64] = parameter("gpt_neox.layers.0.mlp.dense_4h_to_h.weight"),
    p_gpt_neox_layers_0_mlp_dense_4h_to_h_bias: f32[32] = parameter("gpt_neox.layers.0.mlp.dense_4h_to_h.bias"),
    p_gpt_neox_final_layer_norm_weight: f32[32] = parameter("gpt_neox.final_layer_norm.weight"),
    p_gpt_neox_final_layer_norm_bias: f32[32] = parameter("gpt_neox.final_layer_norm.bias"),
    p_lm_head_weight: f32[96, 32] = parameter("lm_head.weight"),
    b_gpt_neox_rotary_emb_inv_freq: f32[1] = buffer("gpt_neox.rotary_emb.inv_freq", value=[1.0]),
    b_gpt_neox_rotary_emb_original_inv_freq: f32[1] = buffer("gpt_neox.rotary_emb.original_inv_freq", value=[1.0]),
    input_ids: i64[2, 12],
    use_cache: bool = False,
):
    embedding: f32[2, 12, 32] = aten.embedding.default(p_gpt_neox_embed_in_weight, input_ids)  # gpt_neox.embed_in
    arange: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # gpt_neox
    add: i64[12] = aten.add.Tensor(arange, 0)  # gpt_neox
    unsqueeze: i64[1, 12] = aten.unsqueeze.default(add, 0)  # gpt_neox
    expand: i64[2, 12] = aten.expand.default(unsqueeze, [2, -1])  # gpt_neox
    slice_1: i64[2, 1] = aten.slice.Tensor(expand, 1, 0, 1)  # gpt_neox
    sub: i64[2, 1] = aten.sub.Tensor(slice_1, 1)  # gpt_neox
    diff: i64[2, 12] = aten.diff.default(expand, 1, -1, sub)  # gpt_neox
    ne: b1[2, 12] = aten.ne.Scalar(diff, 1)  # gpt_neox
    cumsum: i64[2, 12] = aten.cumsum.default(ne, -1)  # gpt_neox
    expand_1: i64[2, 12] = aten.expand.default(unsqueeze, [2, -1])  # gpt_neox
    arange_1: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)  # gpt_neox
    arange_2: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # gpt_neox
    arange_3: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # gpt_neox
    add_1: i64[12] = aten.add.Tensor(arange_3, 0)  # gpt_neox
    arange_4: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # gpt_neox
    add_2: i64[12] = aten.add.Tensor(arange_4, 0)  # gpt_neox
    unsqueeze_1: i64[2, 1] = aten.unsqueeze.default(arange_1, 1)  # gpt_neox
    unsqueeze_2: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze_1, 2)  # gpt_neox
    unsqueeze_3: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_2, 3)  # gpt_neox
    unsqueeze_4: i64[1, 1] = aten.unsqueeze.default(arange_2, 0)  # gpt_neox
    unsqueeze_5: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_4, 2)  # gpt_neox
    unsqueeze_6: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_5, 3)  # gpt_neox
    unsqueeze_7: i64[1, 12] = aten.unsqueeze.default(add_1, 0)  # gpt_neox
    unsqueeze_8: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_7, 1)  # gpt_neox
    unsqueeze_9: i64[1, 1, 12, 1] = aten.unsqueeze.default(unsqueeze_8, 3)  # gpt_neox
    unsqueeze_10: i64[1, 12] = aten.unsqueeze.default(add_2, 0)  # gpt_neox
    unsqueeze_11: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_10, 1)  # gpt_neox
    unsqueeze_12: i64[1, 1, 1, 12] = aten.unsqueeze.default(unsqueeze_11, 2)  # gpt_neox
    new_ones: b1[()] = aten.new_ones.default(unsqueeze_9, [], dtype=torch.bool, pin_memory=False)  # gpt_neox
    index: i64[2, 1, 12, 1] = aten.index.Tensor(cumsum, [unsqueeze_3, unsqueeze_9])  # gpt_neox
    index_1: i64[2, 1, 1, 12] = aten.index.Tensor(cumsum, [unsqueeze_3, unsqueeze_12])  # gpt_neox
    eq: b1[2, 1, 12, 12] = aten.eq.Tensor(index, index_1)  # gpt_neox
    to: b1[2, 1, 12, 12] = aten.to.dtype_layout(eq, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # gpt_neox
    and_1: b1[2, 1, 12, 12] = aten.__and__.Tensor(new_ones, to)  # gpt_neox
    index_2: i64[2, 1, 12, 1] = aten.index.Tensor(expand_1, [unsqueeze_3, unsqueeze_9])  # gpt_neox
    index_3: i64[2, 1, 1, 12] = aten.index.Tensor(expand_1, [unsqueeze_3, unsqueeze_12])  # gpt_neox
    le: b1[2, 1, 12, 12] = aten.le.Tensor(index_3, index_2)  # gpt_neox
    to_1: b1[2, 1, 12, 12] = aten.to.dtype_layout(le, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # gpt_neox
    and_2: b1[2, 1, 12, 12] = aten.__and__.Tensor(and_1, to_1)  # gpt_neox
    expand_2: b1[2, 1, 12, 12] = aten.expand.default(and_2, [2, -1, 12, 12])  # gpt_neox
    dropout: f32[2, 12, 32] = aten.dropout.default(embedding, 0.0, False)  # gpt_neox.emb_dropout

    def submod_1(unsqueeze: i64[1, 12], b_gpt_neox_rotary_emb_inv_freq: f32[1]):
        unsqueeze_13: i64[1, 12, 1] = aten.unsqueeze.default(unsqueeze, 2)  # gpt_neox.rotary_emb
        to_2: f32[1, 12, 1] = aten.to.dtype(unsqueeze_13, torch.float32)  # gpt_neox.rotary_emb
        to_3: f32[1] = aten.to.device(b_gpt_neox_rotary_emb_inv_freq, torch.device("cpu"), torch.float32)  # gpt_neox.rotary_emb
        mul: f32[1, 12, 1] = aten.mul.Tensor(to_2, to_3)  # gpt_neox.rotary_emb
        cat: f32[1, 12, 2] = aten.cat.default([mul, mul], -1)  # gpt_neox.rotary_emb
        cos: f32[1, 12, 2] = aten.cos.default(cat)  # gpt_neox.rotary_emb
        mul_1: f32[1, 12, 2] = aten.mul.Tensor(cos, 1.0)  # gpt_neox.rotary_emb
        sin: f32[1, 12, 2] = aten.sin.default(cat)  # gpt_neox.rotary_emb
        mul_2: f32[1, 12, 2] = aten.mul.Tensor(sin, 1.0)  # gpt_neox.rotary_emb
        to_4: f32[1, 12, 2] = aten.to.dtype(mul_1, torch.float32)  # gpt_neox.rotary_emb
        to_5: f32[1, 12, 2] = aten.to.dtype(mul_2, torch.float32)  # gpt_neox.rotary_emb
        return (to_4, to_5)

    submod_3 = attr("submod_1", body=submod_1)  # gpt_neox.rotary_emb
    wrap_with_set_grad_enabled: (f32[1, 12, 2], f32[1, 12, 2]) = hop.wrap_with_set_grad_enabled(False, submod_3, unsqueeze, b_gpt_neox_rotary_emb_inv_freq)  # gpt_neox.rotary_emb
    to_4: f32[1, 12, 2] = operator.getitem(wrap_with_set_grad_enabled, 0)  # gpt_neox.rotary_emb
    to_5: f32[1, 12, 2] = operator.getitem(wrap_with_set_grad_enabled, 1)  # gpt_neox.rotary_emb
    layer_norm: f32[2, 12, 32] = aten.layer_norm.default(dropout, [32], p_gpt_neox_layers_0_input_layernorm_weight, p_gpt_neox_layers_0_input_layernorm_bias, 1e-05, False)  # gpt_neox.layers.0.input_layernorm
    linear: f32[2, 12, 96] = aten.linear.default(layer_norm, p_gpt_neox_layers_0_attention_query_key_value_weight, p_gpt_neox_layers_0_attention_query_key_value_bias)  # gpt_neox.layers.0.attention.query_key_value
    view: f32[2, 12, 4, 24] = aten.view.default(linear, [2, 12, -1, 24])  # gpt_neox.layers.0.attention
    transpose: f32[2, 4, 12, 24] = aten.transpose.int(view, 1, 2)  # gpt_neox.layers.0.attention
    chunk: [f32[2, 4, 12, 8], f32[2, 4, 12, 8], f32[2, 4, 12, 8]] = aten.chunk.default(transpose, 3, -1)  # gpt_neox.layers.0.attention
    getitem_5: f32[2, 4, 12, 8] = operator.getitem(chunk, 0)  # gpt_neox.layers.0.attention
    getitem_6: f32[2, 4, 12, 8] = operator.getitem(chunk, 1)  # gpt_neox.layers.0.attention
    getitem_7: f32[2, 4, 12, 8] = operator.getitem(chunk, 2)  # gpt_neox.layers.0.attention
    unsqueeze_14: f32[1, 1, 12, 2] = aten.unsqueeze.default(to_4, 1)  # gpt_neox.layers.0.attention
    unsqueeze_15: f32[1, 1, 12, 2] = aten.unsqueeze.default(to_5, 1)  # gpt_neox.layers.0.attention
    slice_2: f32[2, 4, 12, 2] = aten.slice.Tensor(getitem_5, 3, 0, 2)  # gpt_neox.layers.0.attention
    slice_3: f32[2, 4, 12, 6] = aten.slice.Tensor(getitem_5, 3, 2, 9223372036854775807)  # gpt_neox.layers.0.attention
    slice_4: f32[2, 4, 12, 2] = aten.slice.Tensor(getitem_6, 3, 0, 2)  # gpt_neox.layers.0.attention
    slice_5: f32[2, 4, 12, 6] = aten.slice.Tensor(getitem_6, 3, 2, 9223372036854775807)  # gpt_neox.layers.0.attention
    mul_3: f32[2, 4, 12, 2] = aten.mul.Tensor(slice_2, unsqueeze_14)  # gpt_neox.layers.0.attention
    slice_6: f32[2, 4, 12, 1] = aten.slice.Tensor(slice_2, 3, 0, 1)  # gpt_neox.layers.0.attention
    slice_7: f32[2, 4, 12, 1] = aten.slice.Tensor(slice_2, 3, 1, 9223372036854775807)  # gpt_neox.layers.0.attention
    neg: f32[2, 4, 12, 1] = aten.neg.default(slice_7)  # gpt_neox.layers.0.attention
    cat_1: f32[2, 4, 12, 2] = aten.cat.default([neg, slice_6], -1)  # gpt_neox.layers.0.attention
    mul_4: f32[2, 4, 12, 2] = aten.mul.Tensor(cat_1, unsqueeze_15)  # gpt_neox.layers.0.attention
    add_3: f32[2, 4, 12, 2] = aten.add.Tensor(mul_3, mul_4)  # gpt_neox.layers.0.attention
    mul_5: f32[2, 4, 12, 2] = aten.mul.Tensor(slice_4, unsqueeze_14)  # gpt_neox.layers.0.attention
    slice_8: f32[2, 4, 12, 1] = aten.slice.Tensor(slice_4, 3, 0, 1)  # gpt_neox.layers.0.attention
    slice_9: f32[2, 4, 12, 1] = aten.slice.Tensor(slice_4, 3, 1, 9223372036854775807)  # gpt_neox.layers.0.attention
    neg_1: f32[2, 4, 12, 1] = aten.neg.default(slice_9)  # gpt_neox.layers.0.attention
    cat_2: f32[2, 4, 12, 2] = aten.cat.default([neg_1, slice_8], -1)  # gpt_neox.layers.0.attention
    mul_6: f32[2, 4, 12, 2] = aten.mul.Tensor(cat_2, unsqueeze_15)  # gpt_neox.layers.0.attention
    add_4: f32[2, 4, 12, 2] = aten.add.Tensor(mul_5, mul_6)  # gpt_neox.layers.0.attention
    cat_3: f32[2, 4, 12, 8] = aten.cat.default([add_3, slice_3], -1)  # gpt_neox.layers.0.attention
    cat_4: f32[2, 4, 12, 8] = aten.cat.default([add_4, slice_5], -1)  # gpt_neox.layers.0.attention
    scaled_dot_product_attention: f32[2, 4, 12, 8] = aten.scaled_dot_product_attention.default(cat_3, cat_4, getitem_7, expand_2, scale=0.3535533905932738)  # gpt_neox.layers.0.attention
    reshape: f32[2, 4, 12, 8] = aten.reshape.default(scaled_dot_product_attention, [2, -1, 12, 8])  # gpt_neox.layers.0.attention
    transpose_1: f32[2, 12, 4, 8] = aten.transpose.int(reshape, 1, 2)  # gpt_neox.layers.0.attention
    contiguous: f32[2, 12, 4, 8] = aten.contiguous.default(transpose_1)  # gpt_neox.layers.0.attention
    reshape_1: f32[2, 12, 32] = aten.reshape.default(contiguous, [2, 12, -1])  # gpt_neox.layers.0.attention
    linear_1: f32[2, 12, 32] = aten.linear.default(reshape_1, p_gpt_neox_layers_0_attention_dense_weight, p_gpt_neox_layers_0_attention_dense_bias)  # gpt_neox.layers.0.attention.dense
    dropout_1: f32[2, 12, 32] = aten.dropout.default(linear_1, 0.0, False)  # gpt_neox.layers.0.post_attention_dropout
    layer_norm_1: f32[2, 12, 32] = aten.layer_norm.default(dropout, [32], p_gpt_neox_layers_0_post_attention_layernorm_weight, p_gpt_neox_layers_0_post_attention_layernorm_bias, 1e-05, False)  # gpt_neox.layers.0.post_attention_layernorm
    linear_2: f32[2, 12, 64] = aten.linear.default(layer_norm_1, p_gpt_neox_layers_0_mlp_dense_h_to_4h_weight, p_gpt_neox_layers_0_mlp_dense_h_to_4h_bias)  # gpt_neox.layers.0.mlp.dense_h_to_4h
    gelu: f32[2, 12, 64] = aten.gelu.default(linear_2)  # gpt_neox.layers.0.mlp.act
    linear_3: f32[2, 12, 32] = aten.linear.default(gelu, p_gpt_neox_layers_0_mlp_dense_4h_to_h_weight, p_gpt_neox_layers_0_mlp_dense_4h_to_h_bias)  # gpt_neox.layers.0.mlp.dense_4h_to_h
    dropout_2: f32[2, 12, 32] = aten.dropout.default(linear_3, 0.0, False)  # gpt_neox.layers.0.post_mlp_dropout
    add_5: f32[2, 12, 32] = aten.add.Tensor(dropout_2, dropout_1)  # gpt_neox.layers.0
    add_6: f32[2, 12, 32] = aten.add.Tensor(add_5, dropout)  # gpt_neox.layers.0
    layer_norm_2: f32[2, 12, 32] = aten.layer_norm.default(add_6, [32], p_gpt_neox_final_layer_norm_weight, p_gpt_neox_final_layer_norm_bias, 1e-05, False)  # gpt_neox.final_layer_norm
    alias: f32[2, 12, 32] = aten.alias.default(layer_norm_2)
    linear_4: f32[2, 12, 96] = aten.linear.default(alias, p_lm_head_weight)  # lm_head
    return (linear_4,)
