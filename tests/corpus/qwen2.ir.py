program(door="export")
call = ((), {"input_ids": ..., "use_cache": ...})


def graph(
    *,
    p_model_embed_tokens_weight: f32[96, 32] = parameter("model.embed_tokens.weight"),
    p_model_layers_0_self_attn_q_proj_weight: f32[32, 32] = parameter("model.layers.0.self_attn.q_proj.weight"),
    p_model_layers_0_self_attn_q_proj_bias: f32[32] = parameter("model.layers.0.self_attn.q_proj.bias"),
    p_model_layers_0_self_attn_k_proj_weight: f32[16, 32] = parameter("model.layers.0.self_attn.k_proj.weight"),
    p_model_layers_0_self_attn_k_proj_bias: f32[16] = parameter("model.layers.0.self_attn.k_proj.bias"),
    p_model_layers_0_self_attn_v_proj_weight: f32[16, 32] = parameter("model.layers.0.self_attn.v_proj.weight"),
    p_model_layers_0_self_attn_v_proj_bias: f32[16] = parameter("model.layers.0.self_attn.v_proj.bias"),
    p_model_layers_0_self_attn_o_proj_weight: f32[32, 32] = parameter("model.layers.0.self_attn.o_proj.weight"),
    p_model_layers_0_mlp_gate_proj_weight: f32[64, 32] = parameter("model.layers.0.mlp.gate_proj.weight"),
    p_model_layers_0_mlp_up_proj_weight: f32[64, 32] = parameter("model.layers.0.mlp.up_proj.weight"),
    p_model_layers_0_mlp_down_proj_weight: f32[32, 64] = parameter("model.layers.0.mlp.down_proj.weight"),
    p_model_layers_0_input_layernorm_weight: f32[32] = parameter("model.layers.0.input_layernorm.weight"),
    p_model_layers_0_post_attention_layernorm_weight: f32[32] = parameter("model.layers.0.post_attention_layernorm.weight"),
    p_model_layers_1_self_attn_q_proj_weight: f32[32, 32] = parameter("model.layers.1.self_attn.q_proj.weight"),
    p_model_layers_1_self_attn_q_proj_bias: f32[32] = parameter("model.layers.1.self_attn.q_proj.bias"),
    p_model_layers_1_self_attn_k_proj_weight: f32[16, 32] = parameter("model.layers.1.self_attn.k_proj.weight"),
    p_model_layers_1_self_attn_k_proj_bias: f32[16] = parameter("model.layers.1.self_attn.k_proj.bias"),
    p_model_layers_1_self_attn_v_proj_weight: f32[16, 32] = parameter("model.layers.1.self_attn.v_proj.weight"),
    p_model_layers_1_self_attn_v_proj_bias: f32[16] = parameter("model.layers.1.self_attn.v_proj.bias"),
    p_model_layers_1_self_attn_o_proj_weight: f32[32, 32] = parameter("model.layers.1.self_attn.o_proj.weight"),
    p_model_layers_1_mlp_gate_proj_weight: f32[64, 32] = parameter("model.layers.1.mlp.gate_proj.weight"),
    p_model_layers_1_mlp_up_proj_weight: f32[64, 32] = parameter("model.layers.1.mlp.up_proj.weight"),
    p_model_layers_1_mlp_down_proj_weight: f32[32, 64] = parameter("model.layers.1.mlp.down_proj.weight"),
    p_model_layers_1_input_layernorm_weight: f32[32] = parameter("model.layers.1.input_layernorm.weight"),
    p_model_layers_1_post_attention_layernorm_weight: f32[32] = parameter("model.layers.1.post_attention_layernorm.weight"),
    p_model_norm_weight: f32[32] = parameter("model.norm.weight"),
    p_lm_head_weight: f32[96, 32] = parameter("lm_head.weight"),
    b_model_rotary_emb_inv_freq: f32[4] = buffer("model.rotary_emb.inv_freq", value=[1.0, 0.1, 0.01, 0.001]),
    b_model_rotary_emb_original_inv_freq: f32[4] = buffer("model.rotary_emb.original_inv_freq", value=[1.0, 0.1, 0.01, 0.001]),
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

    def submod_1(unsqueeze: i64[1, 12], b_model_rotary_emb_inv_freq: f32[4]):
        unsqueeze_13: i64[1, 12, 1] = aten.unsqueeze.default(unsqueeze, 2)  # model.rotary_emb
        to_2: f32[1, 12, 1] = aten.to.dtype(unsqueeze_13, torch.float32)  # model.rotary_emb
        to_3: f32[4] = aten.to.device(b_model_rotary_emb_inv_freq, torch.device("cpu"), torch.float32)  # model.rotary_emb
        mul: f32[1, 12, 4] = aten.mul.Tensor(to_2, to_3)  # model.rotary_emb
        cat: f32[1, 12, 8] = aten.cat.default([mul, mul], -1)  # model.rotary_emb
        cos: f32[1, 12, 8] = aten.cos.default(cat)  # model.rotary_emb
        mul_1: f32[1, 12, 8] = aten.mul.Tensor(cos, 1.0)  # model.rotary_emb
        sin: f32[1, 12, 8] = aten.sin.default(cat)  # model.rotary_emb
        mul_2: f32[1, 12, 8] = aten.mul.Tensor(sin, 1.0)  # model.rotary_emb
        to_4: f32[1, 12, 8] = aten.to.dtype(mul_1, torch.float32)  # model.rotary_emb
        to_5: f32[1, 12, 8] = aten.to.dtype(mul_2, torch.float32)  # model.rotary_emb
        return (to_4, to_5)

    submod_3 = attr("submod_1", body=submod_1)  # model.rotary_emb
    wrap_with_set_grad_enabled: (f32[1, 12, 8], f32[1, 12, 8]) = hop.wrap_with_set_grad_enabled(False, submod_3, unsqueeze, b_model_rotary_emb_inv_freq)  # model.rotary_emb
    to_4: f32[1, 12, 8] = operator.getitem(wrap_with_set_grad_enabled, 0)  # model.rotary_emb
    to_5: f32[1, 12, 8] = operator.getitem(wrap_with_set_grad_enabled, 1)  # model.rotary_emb
    to_6: f32[2, 12, 32] = aten.to.dtype(embedding, torch.float32)  # model.layers.0.input_layernorm
    pow_1: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_6, 2)  # model.layers.0.input_layernorm
    mean: f32[2, 12, 1] = aten.mean.dim(pow_1, [-1], True)  # model.layers.0.input_layernorm
    add_3: f32[2, 12, 1] = aten.add.Tensor(mean, 1e-06)  # model.layers.0.input_layernorm
    rsqrt: f32[2, 12, 1] = aten.rsqrt.default(add_3)  # model.layers.0.input_layernorm
    mul_3: f32[2, 12, 32] = aten.mul.Tensor(to_6, rsqrt)  # model.layers.0.input_layernorm
    to_7: f32[2, 12, 32] = aten.to.dtype(mul_3, torch.float32)  # model.layers.0.input_layernorm
    mul_4: f32[2, 12, 32] = aten.mul.Tensor(p_model_layers_0_input_layernorm_weight, to_7)  # model.layers.0.input_layernorm
    linear: f32[2, 12, 32] = aten.linear.default(mul_4, p_model_layers_0_self_attn_q_proj_weight, p_model_layers_0_self_attn_q_proj_bias)  # model.layers.0.self_attn.q_proj
    view: f32[2, 12, 4, 8] = aten.view.default(linear, [2, 12, -1, 8])  # model.layers.0.self_attn
    transpose: f32[2, 4, 12, 8] = aten.transpose.int(view, 1, 2)  # model.layers.0.self_attn
    linear_1: f32[2, 12, 16] = aten.linear.default(mul_4, p_model_layers_0_self_attn_k_proj_weight, p_model_layers_0_self_attn_k_proj_bias)  # model.layers.0.self_attn.k_proj
    view_1: f32[2, 12, 2, 8] = aten.view.default(linear_1, [2, 12, -1, 8])  # model.layers.0.self_attn
    transpose_1: f32[2, 2, 12, 8] = aten.transpose.int(view_1, 1, 2)  # model.layers.0.self_attn
    linear_2: f32[2, 12, 16] = aten.linear.default(mul_4, p_model_layers_0_self_attn_v_proj_weight, p_model_layers_0_self_attn_v_proj_bias)  # model.layers.0.self_attn.v_proj
    view_2: f32[2, 12, 2, 8] = aten.view.default(linear_2, [2, 12, -1, 8])  # model.layers.0.self_attn
    transpose_2: f32[2, 2, 12, 8] = aten.transpose.int(view_2, 1, 2)  # model.layers.0.self_attn
    unsqueeze_14: f32[1, 1, 12, 8] = aten.unsqueeze.default(to_4, 1)  # model.layers.0.self_attn
    unsqueeze_15: f32[1, 1, 12, 8] = aten.unsqueeze.default(to_5, 1)  # model.layers.0.self_attn
    mul_5: f32[2, 4, 12, 8] = aten.mul.Tensor(transpose, unsqueeze_14)  # model.layers.0.self_attn
    slice_2: f32[2, 4, 12, 4] = aten.slice.Tensor(transpose, 3, 0, 4)  # model.layers.0.self_attn
    slice_3: f32[2, 4, 12, 4] = aten.slice.Tensor(transpose, 3, 4, 9223372036854775807)  # model.layers.0.self_attn
    neg: f32[2, 4, 12, 4] = aten.neg.default(slice_3)  # model.layers.0.self_attn
    cat_1: f32[2, 4, 12, 8] = aten.cat.default([neg, slice_2], -1)  # model.layers.0.self_attn
    mul_6: f32[2, 4, 12, 8] = aten.mul.Tensor(cat_1, unsqueeze_15)  # model.layers.0.self_attn
    add_4: f32[2, 4, 12, 8] = aten.add.Tensor(mul_5, mul_6)  # model.layers.0.self_attn
    mul_7: f32[2, 2, 12, 8] = aten.mul.Tensor(transpose_1, unsqueeze_14)  # model.layers.0.self_attn
    slice_4: f32[2, 2, 12, 4] = aten.slice.Tensor(transpose_1, 3, 0, 4)  # model.layers.0.self_attn
    slice_5: f32[2, 2, 12, 4] = aten.slice.Tensor(transpose_1, 3, 4, 9223372036854775807)  # model.layers.0.self_attn
    neg_1: f32[2, 2, 12, 4] = aten.neg.default(slice_5)  # model.layers.0.self_attn
    cat_2: f32[2, 2, 12, 8] = aten.cat.default([neg_1, slice_4], -1)  # model.layers.0.self_attn
    mul_8: f32[2, 2, 12, 8] = aten.mul.Tensor(cat_2, unsqueeze_15)  # model.layers.0.self_attn
    add_5: f32[2, 2, 12, 8] = aten.add.Tensor(mul_7, mul_8)  # model.layers.0.self_attn
    unsqueeze_16: f32[2, 2, 1, 12, 8] = aten.unsqueeze.default(add_5, 2)  # model.layers.0.self_attn
    expand_3: f32[2, 2, 2, 12, 8] = aten.expand.default(unsqueeze_16, [2, 2, 2, 12, 8])  # model.layers.0.self_attn
    reshape: f32[2, 4, 12, 8] = aten.reshape.default(expand_3, [2, 4, 12, 8])  # model.layers.0.self_attn
    unsqueeze_17: f32[2, 2, 1, 12, 8] = aten.unsqueeze.default(transpose_2, 2)  # model.layers.0.self_attn
    expand_4: f32[2, 2, 2, 12, 8] = aten.expand.default(unsqueeze_17, [2, 2, 2, 12, 8])  # model.layers.0.self_attn
    reshape_1: f32[2, 4, 12, 8] = aten.reshape.default(expand_4, [2, 4, 12, 8])  # model.layers.0.self_attn
    scaled_dot_product_attention: f32[2, 4, 12, 8] = aten.scaled_dot_product_attention.default(add_4, reshape, reshape_1, expand_2, scale=0.3535533905932738)  # model.layers.0.self_attn
    reshape_2: f32[2, 4, 12, 8] = aten.reshape.default(scaled_dot_product_attention, [2, -1, 12, 8])  # model.layers.0.self_attn
    transpose_3: f32[2, 12, 4, 8] = aten.transpose.int(reshape_2, 1, 2)  # model.layers.0.self_attn
    reshape_3: f32[2, 12, 32] = aten.reshape.default(transpose_3, [2, 12, -1])  # model.layers.0.self_attn
    linear_3: f32[2, 12, 32] = aten.linear.default(reshape_3, p_model_layers_0_self_attn_o_proj_weight)  # model.layers.0.self_attn.o_proj
    add_6: f32[2, 12, 32] = aten.add.Tensor(to_6, linear_3)  # model.layers.0
    to_8: f32[2, 12, 32] = aten.to.dtype(add_6, torch.float32)  # model.layers.0.post_attention_layernorm
    pow_2: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_8, 2)  # model.layers.0.post_attention_layernorm
    mean_1: f32[2, 12, 1] = aten.mean.dim(pow_2, [-1], True)  # model.layers.0.post_attention_layernorm
    add_7: f32[2, 12, 1] = aten.add.Tensor(mean_1, 1e-06)  # model.layers.0.post_attention_layernorm
    rsqrt_1: f32[2, 12, 1] = aten.rsqrt.default(add_7)  # model.layers.0.post_attention_layernorm
    mul_9: f32[2, 12, 32] = aten.mul.Tensor(to_8, rsqrt_1)  # model.layers.0.post_attention_layernorm
    to_9: f32[2, 12, 32] = aten.to.dtype(mul_9, torch.float32)  # model.layers.0.post_attention_layernorm
    mul_10: f32[2, 12, 32] = aten.mul.Tensor(p_model_layers_0_post_attention_layernorm_weight, to_9)  # model.layers.0.post_attention_layernorm
    linear_4: f32[2, 12, 64] = aten.linear.default(mul_10, p_model_layers_0_mlp_gate_proj_weight)  # model.layers.0.mlp.gate_proj
    silu: f32[2, 12, 64] = aten.silu.default(linear_4)  # model.layers.0.mlp.act_fn
    linear_5: f32[2, 12, 64] = aten.linear.default(mul_10, p_model_layers_0_mlp_up_proj_weight)  # model.layers.0.mlp.up_proj
    mul_11: f32[2, 12, 64] = aten.mul.Tensor(silu, linear_5)  # model.layers.0.mlp
    linear_6: f32[2, 12, 32] = aten.linear.default(mul_11, p_model_layers_0_mlp_down_proj_weight)  # model.layers.0.mlp.down_proj
    add_8: f32[2, 12, 32] = aten.add.Tensor(to_8, linear_6)  # model.layers.0
    to_10: f32[2, 12, 32] = aten.to.dtype(add_8, torch.float32)  # model.layers.1.input_layernorm
    pow_3: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_10, 2)  # model.layers.1.input_layernorm
    mean_2: f32[2, 12, 1] = aten.mean.dim(pow_3, [-1], True)  # model.layers.1.input_layernorm
    add_9: f32[2, 12, 1] = aten.add.Tensor(mean_2, 1e-06)  # model.layers.1.input_layernorm
    rsqrt_2: f32[2, 12, 1] = aten.rsqrt.default(add_9)  # model.layers.1.input_layernorm
    mul_12: f32[2, 12, 32] = aten.mul.Tensor(to_10, rsqrt_2)  # model.layers.1.input_layernorm
    to_11: f32[2, 12, 32] = aten.to.dtype(mul_12, torch.float32)  # model.layers.1.input_layernorm
    mul_13: f32[2, 12, 32] = aten.mul.Tensor(p_model_layers_1_input_layernorm_weight, to_11)  # model.layers.1.input_layernorm
    linear_7: f32[2, 12, 32] = aten.linear.default(mul_13, p_model_layers_1_self_attn_q_proj_weight, p_model_layers_1_self_attn_q_proj_bias)  # model.layers.1.self_attn.q_proj
    view_3: f32[2, 12, 4, 8] = aten.view.default(linear_7, [2, 12, -1, 8])  # model.layers.1.self_attn
    transpose_4: f32[2, 4, 12, 8] = aten.transpose.int(view_3, 1, 2)  # model.layers.1.self_attn
    linear_8: f32[2, 12, 16] = aten.linear.default(mul_13, p_model_layers_1_self_attn_k_proj_weight, p_model_layers_1_self_attn_k_proj_bias)  # model.layers.1.self_attn.k_proj
    view_4: f32[2, 12, 2, 8] = aten.view.default(linear_8, [2, 12, -1, 8])  # model.layers.1.self_attn
    transpose_5: f32[2, 2, 12, 8] = aten.transpose.int(view_4, 1, 2)  # model.layers.1.self_attn
    linear_9: f32[2, 12, 16] = aten.linear.default(mul_13, p_model_layers_1_self_attn_v_proj_weight, p_model_layers_1_self_attn_v_proj_bias)  # model.layers.1.self_attn.v_proj
    view_5: f32[2, 12, 2, 8] = aten.view.default(linear_9, [2, 12, -1, 8])  # model.layers.1.self_attn
    transpose_6: f32[2, 2, 12, 8] = aten.transpose.int(view_5, 1, 2)  # model.layers.1.self_attn
    unsqueeze_18: f32[1, 1, 12, 8] = aten.unsqueeze.default(to_4, 1)  # model.layers.1.self_attn
    unsqueeze_19: f32[1, 1, 12, 8] = aten.unsqueeze.default(to_5, 1)  # model.layers.1.self_attn
    mul_14: f32[2, 4, 12, 8] = aten.mul.Tensor(transpose_4, unsqueeze_18)  # model.layers.1.self_attn
    slice_6: f32[2, 4, 12, 4] = aten.slice.Tensor(transpose_4, 3, 0, 4)  # model.layers.1.self_attn
    slice_7: f32[2, 4, 12, 4] = aten.slice.Tensor(transpose_4, 3, 4, 9223372036854775807)  # model.layers.1.self_attn
    neg_2: f32[2, 4, 12, 4] = aten.neg.default(slice_7)  # model.layers.1.self_attn
    cat_3: f32[2, 4, 12, 8] = aten.cat.default([neg_2, slice_6], -1)  # model.layers.1.self_attn
    mul_15: f32[2, 4, 12, 8] = aten.mul.Tensor(cat_3, unsqueeze_19)  # model.layers.1.self_attn
    add_10: f32[2, 4, 12, 8] = aten.add.Tensor(mul_14, mul_15)  # model.layers.1.self_attn
    mul_16: f32[2, 2, 12, 8] = aten.mul.Tensor(transpose_5, unsqueeze_18)  # model.layers.1.self_attn
    slice_8: f32[2, 2, 12, 4] = aten.slice.Tensor(transpose_5, 3, 0, 4)  # model.layers.1.self_attn
    slice_9: f32[2, 2, 12, 4] = aten.slice.Tensor(transpose_5, 3, 4, 9223372036854775807)  # model.layers.1.self_attn
    neg_3: f32[2, 2, 12, 4] = aten.neg.default(slice_9)  # model.layers.1.self_attn
    cat_4: f32[2, 2, 12, 8] = aten.cat.default([neg_3, slice_8], -1)  # model.layers.1.self_attn
    mul_17: f32[2, 2, 12, 8] = aten.mul.Tensor(cat_4, unsqueeze_19)  # model.layers.1.self_attn
    add_11: f32[2, 2, 12, 8] = aten.add.Tensor(mul_16, mul_17)  # model.layers.1.self_attn
    unsqueeze_20: f32[2, 2, 1, 12, 8] = aten.unsqueeze.default(add_11, 2)  # model.layers.1.self_attn
    expand_5: f32[2, 2, 2, 12, 8] = aten.expand.default(unsqueeze_20, [2, 2, 2, 12, 8])  # model.layers.1.self_attn
    reshape_4: f32[2, 4, 12, 8] = aten.reshape.default(expand_5, [2, 4, 12, 8])  # model.layers.1.self_attn
    unsqueeze_21: f32[2, 2, 1, 12, 8] = aten.unsqueeze.default(transpose_6, 2)  # model.layers.1.self_attn
    expand_6: f32[2, 2, 2, 12, 8] = aten.expand.default(unsqueeze_21, [2, 2, 2, 12, 8])  # model.layers.1.self_attn
    reshape_5: f32[2, 4, 12, 8] = aten.reshape.default(expand_6, [2, 4, 12, 8])  # model.layers.1.self_attn
    scaled_dot_product_attention_1: f32[2, 4, 12, 8] = aten.scaled_dot_product_attention.default(add_10, reshape_4, reshape_5, expand_2, scale=0.3535533905932738)  # model.layers.1.self_attn
    reshape_6: f32[2, 4, 12, 8] = aten.reshape.default(scaled_dot_product_attention_1, [2, -1, 12, 8])  # model.layers.1.self_attn
    transpose_7: f32[2, 12, 4, 8] = aten.transpose.int(reshape_6, 1, 2)  # model.layers.1.self_attn
    reshape_7: f32[2, 12, 32] = aten.reshape.default(transpose_7, [2, 12, -1])  # model.layers.1.self_attn
    linear_10: f32[2, 12, 32] = aten.linear.default(reshape_7, p_model_layers_1_self_attn_o_proj_weight)  # model.layers.1.self_attn.o_proj
    add_12: f32[2, 12, 32] = aten.add.Tensor(to_10, linear_10)  # model.layers.1
    to_12: f32[2, 12, 32] = aten.to.dtype(add_12, torch.float32)  # model.layers.1.post_attention_layernorm
    pow_4: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_12, 2)  # model.layers.1.post_attention_layernorm
    mean_3: f32[2, 12, 1] = aten.mean.dim(pow_4, [-1], True)  # model.layers.1.post_attention_layernorm
    add_13: f32[2, 12, 1] = aten.add.Tensor(mean_3, 1e-06)  # model.layers.1.post_attention_layernorm
    rsqrt_3: f32[2, 12, 1] = aten.rsqrt.default(add_13)  # model.layers.1.post_attention_layernorm
    mul_18: f32[2, 12, 32] = aten.mul.Tensor(to_12, rsqrt_3)  # model.layers.1.post_attention_layernorm
    to_13: f32[2, 12, 32] = aten.to.dtype(mul_18, torch.float32)  # model.layers.1.post_attention_layernorm
    mul_19: f32[2, 12, 32] = aten.mul.Tensor(p_model_layers_1_post_attention_layernorm_weight, to_13)  # model.layers.1.post_attention_layernorm
    linear_11: f32[2, 12, 64] = aten.linear.default(mul_19, p_model_layers_1_mlp_gate_proj_weight)  # model.layers.1.mlp.gate_proj
    silu_1: f32[2, 12, 64] = aten.silu.default(linear_11)  # model.layers.1.mlp.act_fn
    linear_12: f32[2, 12, 64] = aten.linear.default(mul_19, p_model_layers_1_mlp_up_proj_weight)  # model.layers.1.mlp.up_proj
    mul_20: f32[2, 12, 64] = aten.mul.Tensor(silu_1, linear_12)  # model.layers.1.mlp
    linear_13: f32[2, 12, 32] = aten.linear.default(mul_20, p_model_layers_1_mlp_down_proj_weight)  # model.layers.1.mlp.down_proj
    add_14: f32[2, 12, 32] = aten.add.Tensor(to_12, linear_13)  # model.layers.1
    to_14: f32[2, 12, 32] = aten.to.dtype(add_14, torch.float32)  # model.norm
    pow_5: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_14, 2)  # model.norm
    mean_4: f32[2, 12, 1] = aten.mean.dim(pow_5, [-1], True)  # model.norm
    add_15: f32[2, 12, 1] = aten.add.Tensor(mean_4, 1e-06)  # model.norm
    rsqrt_4: f32[2, 12, 1] = aten.rsqrt.default(add_15)  # model.norm
    mul_21: f32[2, 12, 32] = aten.mul.Tensor(to_14, rsqrt_4)  # model.norm
    to_15: f32[2, 12, 32] = aten.to.dtype(mul_21, torch.float32)  # model.norm
    mul_22: f32[2, 12, 32] = aten.mul.Tensor(p_model_norm_weight, to_15)  # model.norm
    alias: f32[2, 12, 32] = aten.alias.default(mul_22)
    linear_14: f32[2, 12, 96] = aten.linear.default(alias, p_lm_head_weight)  # lm_head
    return (linear_14,)
