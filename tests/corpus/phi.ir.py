program(door="export")
call = ((), {"input_ids": ..., "use_cache": ...})


def graph(
    *,
    p_model_embed_tokens_weight: f32[96, 32] = parameter("model.embed_tokens.weight"),
    p_model_layers_0_self_attn_q_proj_weight: f32[32, 32] = parameter("model.layers.0.self_attn.q_proj.weight"),
    p_model_layers_0_self_attn_q_proj_bias: f32[32] = parameter("model.layers.0.self_attn.q_proj.bias"),
    p_model_layers_0_self_attn_k_proj_weight: f32[32, 32] = parameter("model.layers.0.self_attn.k_proj.weight"),
    p_model_layers_0_self_attn_k_proj_bias: f32[32] = parameter("model.layers.0.self_attn.k_proj.bias"),
    p_model_layers_0_self_attn_v_proj_weight: f32[32, 32] = parameter("model.layers.0.self_attn.v_proj.weight"),
    p_model_layers_0_self_attn_v_proj_bias: f32[32] = parameter("model.layers.0.self_attn.v_proj.bias"),
    p_model_layers_0_self_attn_dense_weight: f32[32, 32] = parameter("model.layers.0.self_attn.dense.weight"),
    p_model_layers_0_self_attn_dense_bias: f32[32] = parameter("model.layers.0.self_attn.dense.bias"),
    p_model_layers_0_mlp_fc1_weight: f32[64, 32] = parameter("model.layers.0.mlp.fc1.weight"),
    p_model_layers_0_mlp_fc1_bias: f32[64] = parameter("model.layers.0.mlp.fc1.bias"),
    p_model_layers_0_mlp_fc2_weight: f32[32, 64] = parameter("model.layers.0.mlp.fc2.weight"),
    p_model_layers_0_mlp_fc2_bias: f32[32] = parameter("model.layers.0.mlp.fc2.bias"),
    p_model_layers_0_input_layernorm_weight: f32[32] = parameter("model.layers.0.input_layernorm.weight"),
    p_model_layers_0_input_layernorm_bias: f32[32] = parameter("model.layers.0.input_layernorm.bias"),
    p_model_final_layernorm_weight: f32[32] = parameter("model.final_layernorm.weight"),
    p_model_final_layernorm_bias: f32[32] = parameter("model.final_layernorm.bias"),
    p_lm_head_weight: f32[96, 32] = parameter("lm_head.weight"),
    p_lm_head_bias: f32[96] = parameter("lm_head.bias"),
    b_model_rotary_emb_inv_freq: f32[2] = buffer("model.rotary_emb.inv_freq", value=[1.0, 0.01]),
    b_model_rotary_emb_original_inv_freq: f32[2] = buffer("model.rotary_emb.original_inv_freq", value=[1.0, 0.01]),
    input_ids: i64[2, 12],
    use_cache: bool = False,
):
    embedding: f32[2, 12, 32] = aten.embedding.default(p_model_embed_tokens_weight, input_ids)  # model.embed_tokens
    arange: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # model
    add: i64[12] = aten.add.Tensor(arange, 0)  # model
    unsqueeze: i64[1, 12] = aten.unsqueeze.default(add, 0)  # model
    expand: i64[2, 12] = aten.expand.default(unsqueeze, [2, -1])  # model
    slice_1: i64[2, 1] = aten.slice.Tensor(expand, 1, 0, 1)  # model
    sub: i64[2, 1] = aten.sub.Tensor(slice_1, 1)  # model
    diff: i64[2, 12] = aten.diff.default(expand, 1, -1, sub)  # model
    ne: b1[2, 12] = aten.ne.Scalar(diff, 1)  # model
    cumsum: i64[2, 12] = aten.cumsum.default(ne, -1)  # model
    expand_1: i64[2, 12] = aten.expand.default(unsqueeze, [2, -1])  # model
    arange_1: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)  # model
    arange_2: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # model
    arange_3: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # model
    add_1: i64[12] = aten.add.Tensor(arange_3, 0)  # model
    arange_4: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # model
    add_2: i64[12] = aten.add.Tensor(arange_4, 0)  # model
    unsqueeze_1: i64[2, 1] = aten.unsqueeze.default(arange_1, 1)  # model
    unsqueeze_2: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze_1, 2)  # model
    unsqueeze_3: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_2, 3)  # model
    unsqueeze_4: i64[1, 1] = aten.unsqueeze.default(arange_2, 0)  # model
    unsqueeze_5: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_4, 2)  # model
    unsqueeze_6: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_5, 3)  # model
    unsqueeze_7: i64[1, 12] = aten.unsqueeze.default(add_1, 0)  # model
    unsqueeze_8: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_7, 1)  # model
    unsqueeze_9: i64[1, 1, 12, 1] = aten.unsqueeze.default(unsqueeze_8, 3)  # model
    unsqueeze_10: i64[1, 12] = aten.unsqueeze.default(add_2, 0)  # model
    unsqueeze_11: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_10, 1)  # model
    unsqueeze_12: i64[1, 1, 1, 12] = aten.unsqueeze.default(unsqueeze_11, 2)  # model
    new_ones: b1[()] = aten.new_ones.default(unsqueeze_9, [], dtype=torch.bool, pin_memory=False)  # model
    index: i64[2, 1, 12, 1] = aten.index.Tensor(cumsum, [unsqueeze_3, unsqueeze_9])  # model
    index_1: i64[2, 1, 1, 12] = aten.index.Tensor(cumsum, [unsqueeze_3, unsqueeze_12])  # model
    eq: b1[2, 1, 12, 12] = aten.eq.Tensor(index, index_1)  # model
    to: b1[2, 1, 12, 12] = aten.to.dtype_layout(eq, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # model
    and_1: b1[2, 1, 12, 12] = aten.__and__.Tensor(new_ones, to)  # model
    index_2: i64[2, 1, 12, 1] = aten.index.Tensor(expand_1, [unsqueeze_3, unsqueeze_9])  # model
    index_3: i64[2, 1, 1, 12] = aten.index.Tensor(expand_1, [unsqueeze_3, unsqueeze_12])  # model
    le: b1[2, 1, 12, 12] = aten.le.Tensor(index_3, index_2)  # model
    to_1: b1[2, 1, 12, 12] = aten.to.dtype_layout(le, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # model
    and_2: b1[2, 1, 12, 12] = aten.__and__.Tensor(and_1, to_1)  # model
    expand_2: b1[2, 1, 12, 12] = aten.expand.default(and_2, [2, -1, 12, 12])  # model
    dropout: f32[2, 12, 32] = aten.dropout.default(embedding, 0.0, False)  # model.embed_dropout

    def submod_1(unsqueeze: i64[1, 12], b_model_rotary_emb_inv_freq: f32[2]):
        unsqueeze_13: i64[1, 12, 1] = aten.unsqueeze.default(unsqueeze, 2)  # model.rotary_emb
        to_2: f32[1, 12, 1] = aten.to.dtype(unsqueeze_13, torch.float32)  # model.rotary_emb
        to_3: f32[2] = aten.to.device(b_model_rotary_emb_inv_freq, torch.device("cpu"), torch.float32)  # model.rotary_emb
        mul: f32[1, 12, 2] = aten.mul.Tensor(to_2, to_3)  # model.rotary_emb
        cat: f32[1, 12, 4] = aten.cat.default([mul, mul], -1)  # model.rotary_emb
        cos: f32[1, 12, 4] = aten.cos.default(cat)  # model.rotary_emb
        mul_1: f32[1, 12, 4] = aten.mul.Tensor(cos, 1.0)  # model.rotary_emb
        sin: f32[1, 12, 4] = aten.sin.default(cat)  # model.rotary_emb
        mul_2: f32[1, 12, 4] = aten.mul.Tensor(sin, 1.0)  # model.rotary_emb
        to_4: f32[1, 12, 4] = aten.to.dtype(mul_1, torch.float32)  # model.rotary_emb
        to_5: f32[1, 12, 4] = aten.to.dtype(mul_2, torch.float32)  # model.rotary_emb
        return (to_4, to_5)

    submod_3 = attr("submod_1", body=submod_1)  # model.rotary_emb
    wrap_with_set_grad_enabled: (f32[1, 12, 4], f32[1, 12, 4]) = hop.wrap_with_set_grad_enabled(False, submod_3, unsqueeze, b_model_rotary_emb_inv_freq)  # model.rotary_emb
    to_4: f32[1, 12, 4] = operator.getitem(wrap_with_set_grad_enabled, 0)  # model.rotary_emb
    to_5: f32[1, 12, 4] = operator.getitem(wrap_with_set_grad_enabled, 1)  # model.rotary_emb
    layer_norm: f32[2, 12, 32] = aten.layer_norm.default(dropout, [32], p_model_layers_0_input_layernorm_weight, p_model_layers_0_input_layernorm_bias, 1e-05, False)  # model.layers.0.input_layernorm
    linear: f32[2, 12, 32] = aten.linear.default(layer_norm, p_model_layers_0_self_attn_q_proj_weight, p_model_layers_0_self_attn_q_proj_bias)  # model.layers.0.self_attn.q_proj
    view: f32[2, 12, 4, 8] = aten.view.default(linear, [2, 12, -1, 8])  # model.layers.0.self_attn
    transpose: f32[2, 4, 12, 8] = aten.transpose.int(view, 1, 2)  # model.layers.0.self_attn
    linear_1: f32[2, 12, 32] = aten.linear.default(layer_norm, p_model_layers_0_self_attn_k_proj_weight, p_model_layers_0_self_attn_k_proj_bias)  # model.layers.0.self_attn.k_proj
    view_1: f32[2, 12, 4, 8] = aten.view.default(linear_1, [2, 12, -1, 8])  # model.layers.0.self_attn
    transpose_1: f32[2, 4, 12, 8] = aten.transpose.int(view_1, 1, 2)  # model.layers.0.self_attn
    linear_2: f32[2, 12, 32] = aten.linear.default(layer_norm, p_model_layers_0_self_attn_v_proj_weight, p_model_layers_0_self_attn_v_proj_bias)  # model.layers.0.self_attn.v_proj
    view_2: f32[2, 12, 4, 8] = aten.view.default(linear_2, [2, 12, -1, 8])  # model.layers.0.self_attn
    transpose_2: f32[2, 4, 12, 8] = aten.transpose.int(view_2, 1, 2)  # model.layers.0.self_attn
    slice_2: f32[2, 4, 12, 4] = aten.slice.Tensor(transpose, 3, 0, 4)  # model.layers.0.self_attn
    slice_3: f32[2, 4, 12, 4] = aten.slice.Tensor(transpose, 3, 4, 9223372036854775807)  # model.layers.0.self_attn
    slice_4: f32[2, 4, 12, 4] = aten.slice.Tensor(transpose_1, 3, 0, 4)  # model.layers.0.self_attn
    slice_5: f32[2, 4, 12, 4] = aten.slice.Tensor(transpose_1, 3, 4, 9223372036854775807)  # model.layers.0.self_attn
    unsqueeze_14: f32[1, 1, 12, 4] = aten.unsqueeze.default(to_4, 1)  # model.layers.0.self_attn
    unsqueeze_15: f32[1, 1, 12, 4] = aten.unsqueeze.default(to_5, 1)  # model.layers.0.self_attn
    mul_3: f32[2, 4, 12, 4] = aten.mul.Tensor(slice_2, unsqueeze_14)  # model.layers.0.self_attn
    slice_6: f32[2, 4, 12, 2] = aten.slice.Tensor(slice_2, 3, 0, 2)  # model.layers.0.self_attn
    slice_7: f32[2, 4, 12, 2] = aten.slice.Tensor(slice_2, 3, 2, 9223372036854775807)  # model.layers.0.self_attn
    neg: f32[2, 4, 12, 2] = aten.neg.default(slice_7)  # model.layers.0.self_attn
    cat_1: f32[2, 4, 12, 4] = aten.cat.default([neg, slice_6], -1)  # model.layers.0.self_attn
    mul_4: f32[2, 4, 12, 4] = aten.mul.Tensor(cat_1, unsqueeze_15)  # model.layers.0.self_attn
    add_3: f32[2, 4, 12, 4] = aten.add.Tensor(mul_3, mul_4)  # model.layers.0.self_attn
    mul_5: f32[2, 4, 12, 4] = aten.mul.Tensor(slice_4, unsqueeze_14)  # model.layers.0.self_attn
    slice_8: f32[2, 4, 12, 2] = aten.slice.Tensor(slice_4, 3, 0, 2)  # model.layers.0.self_attn
    slice_9: f32[2, 4, 12, 2] = aten.slice.Tensor(slice_4, 3, 2, 9223372036854775807)  # model.layers.0.self_attn
    neg_1: f32[2, 4, 12, 2] = aten.neg.default(slice_9)  # model.layers.0.self_attn
    cat_2: f32[2, 4, 12, 4] = aten.cat.default([neg_1, slice_8], -1)  # model.layers.0.self_attn
    mul_6: f32[2, 4, 12, 4] = aten.mul.Tensor(cat_2, unsqueeze_15)  # model.layers.0.self_attn
    add_4: f32[2, 4, 12, 4] = aten.add.Tensor(mul_5, mul_6)  # model.layers.0.self_attn
    cat_3: f32[2, 4, 12, 8] = aten.cat.default([add_3, slice_3], -1)  # model.layers.0.self_attn
    cat_4: f32[2, 4, 12, 8] = aten.cat.default([add_4, slice_5], -1)  # model.layers.0.self_attn
    scaled_dot_product_attention: f32[2, 4, 12, 8] = aten.scaled_dot_product_attention.default(cat_3, cat_4, transpose_2, expand_2, scale=0.3535533905932738)  # model.layers.0.self_attn
    reshape: f32[2, 4, 12, 8] = aten.reshape.default(scaled_dot_product_attention, [2, -1, 12, 8])  # model.layers.0.self_attn
    transpose_3: f32[2, 12, 4, 8] = aten.transpose.int(reshape, 1, 2)  # model.layers.0.self_attn
    contiguous: f32[2, 12, 4, 8] = aten.contiguous.default(transpose_3)  # model.layers.0.self_attn
    reshape_1: f32[2, 12, 32] = aten.reshape.default(contiguous, [2, 12, -1])  # model.layers.0.self_attn
    linear_3: f32[2, 12, 32] = aten.linear.default(reshape_1, p_model_layers_0_self_attn_dense_weight, p_model_layers_0_self_attn_dense_bias)  # model.layers.0.self_attn.dense
    dropout_1: f32[2, 12, 32] = aten.dropout.default(linear_3, 0.0, False)  # model.layers.0.resid_dropout
    linear_4: f32[2, 12, 64] = aten.linear.default(layer_norm, p_model_layers_0_mlp_fc1_weight, p_model_layers_0_mlp_fc1_bias)  # model.layers.0.mlp.fc1
    mul_7: f32[2, 12, 64] = aten.mul.Tensor(linear_4, 0.5)  # model.layers.0.mlp.activation_fn
    pow_1: f32[2, 12, 64] = aten.pow.Tensor_Scalar(linear_4, 3.0)  # model.layers.0.mlp.activation_fn
    mul_8: f32[2, 12, 64] = aten.mul.Tensor(pow_1, 0.044715)  # model.layers.0.mlp.activation_fn
    add_5: f32[2, 12, 64] = aten.add.Tensor(linear_4, mul_8)  # model.layers.0.mlp.activation_fn
    mul_9: f32[2, 12, 64] = aten.mul.Tensor(add_5, 0.7978845608028654)  # model.layers.0.mlp.activation_fn
    tanh: f32[2, 12, 64] = aten.tanh.default(mul_9)  # model.layers.0.mlp.activation_fn
    add_6: f32[2, 12, 64] = aten.add.Tensor(tanh, 1.0)  # model.layers.0.mlp.activation_fn
    mul_10: f32[2, 12, 64] = aten.mul.Tensor(mul_7, add_6)  # model.layers.0.mlp.activation_fn
    linear_5: f32[2, 12, 32] = aten.linear.default(mul_10, p_model_layers_0_mlp_fc2_weight, p_model_layers_0_mlp_fc2_bias)  # model.layers.0.mlp.fc2
    dropout_2: f32[2, 12, 32] = aten.dropout.default(linear_5, 0.0, False)  # model.layers.0.resid_dropout
    add_7: f32[2, 12, 32] = aten.add.Tensor(dropout_1, dropout_2)  # model.layers.0
    add_8: f32[2, 12, 32] = aten.add.Tensor(add_7, dropout)  # model.layers.0
    layer_norm_1: f32[2, 12, 32] = aten.layer_norm.default(add_8, [32], p_model_final_layernorm_weight, p_model_final_layernorm_bias, 1e-05, False)  # model.final_layernorm
    alias: f32[2, 12, 32] = aten.alias.default(layer_norm_1)
    linear_6: f32[2, 12, 96] = aten.linear.default(alias, p_lm_head_weight, p_lm_head_bias)  # lm_head
    return (linear_6,)
