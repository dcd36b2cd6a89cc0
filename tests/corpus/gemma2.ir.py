program(door="export")
call = ((), {"input_ids": ..., "use_cache": ...})


def graph(
    *,
    p_model_embed_tokens_weight: f32[96, 32] = parameter("model.embed_tokens.weight"),
    p_model_layers_0_self_attn_q_proj_weight: f32[32, 32] = parameter("model.layers.0.self_attn.q_proj.weight"),
    p_model_layers_0_self_attn_k_proj_weight: f32[16, 32] = parameter("model.layers.0.self_attn.k_proj.weight"),
    p_model_layers_0_self_attn_v_proj_weight: f32[16, 32] = parameter("model.layers.0.self_attn.v_proj.weight"),
    p_model_layers_0_self_attn_o_proj_weight: f32[32, 32] = parameter("model.layers.0.self_attn.o_proj.weight"),
    p_model_layers_0_mlp_gate_proj_weight: f32[64, 32] = parameter("model.layers.0.mlp.gate_proj.weight"),
    p_model_layers_0_mlp_up_proj_weight: f32[64, 32] = parameter("model.layers.0.mlp.up_proj.weight"),
    p_model_layers_0_mlp_down_proj_weight: f32[32, 64] = parameter("model.layers.0.mlp.down_proj.weight"),
    p_model_layers_0_input_layernorm_weight: f32[32] = parameter("model.layers.0.input_layernorm.weight"),
    p_model_layers_0_post_attention_layernorm_weight: f32[32] = parameter("model.layers.0.post_attention_layernorm.weight"),
    p_model_layers_0_pre_feedforward_layernorm_weight: f32[32] = parameter("model.layers.0.pre_feedforward_layernorm.weight"),
    p_model_layers_0_post_feedforward_layernorm_weight: f32[32] = parameter("model.layers.0.post_feedforward_layernorm.weight"),
    p_model_layers_1_self_attn_q_proj_weight: f32[32, 32] = parameter("model.layers.1.self_attn.q_proj.weight"),
    p_model_layers_1_self_attn_k_proj_weight: f32[16, 32] = parameter("model.layers.1.self_attn.k_proj.weight"),
    p_model_layers_1_self_attn_v_proj_weight: f32[16, 32] = parameter("model.layers.1.self_attn.v_proj.weight"),
    p_model_layers_1_self_attn_o_proj_weight: f32[32, 32] = parameter("model.layers.1.self_attn.o_proj.weight"),
    p_model_layers_1_mlp_gate_proj_weight: f32[64, 32] = parameter("model.layers.1.mlp.gate_proj.weight"),
    p_model_layers_1_mlp_up_proj_weight: f32[64, 32] = parameter("model.layers.1.mlp.up_proj.weight"),
    p_model_layers_1_mlp_down_proj_weight: f32[32, 64] = parameter("model.layers.1.mlp.down_proj.weight"),
    p_model_layers_1_input_layernorm_weight: f32[32] = parameter("model.layers.1.input_layernorm.weight"),
    p_model_layers_1_post_attention_layernorm_weight: f32[32] = parameter("model.layers.1.post_attention_layernorm.weight"),
    p_model_layers_1_pre_feedforward_layernorm_weight: f32[32] = parameter("model.layers.1.pre_feedforward_layernorm.weight"),
    p_model_layers_1_post_feedforward_layernorm_weight: f32[32] = parameter("model.layers.1.post_feedforward_layernorm.weight"),
    p_model_norm_weight: f32[32] = parameter("model.norm.weight"),
    p_lm_head_weight: f32[96, 32] = parameter("lm_head.weight", tied="model.embed_tokens.weight"),
    b_model_embed_tokens_embed_scale: f32[()] = buffer("model.embed_tokens.embed_scale", value=5.656854),
    b_model_rotary_emb_inv_freq: f32[4] = buffer("model.rotary_emb.inv_freq", value=[1.0, 0.1, 0.01, 0.001]),
    b_model_rotary_emb_original_inv_freq: f32[4] = buffer("model.rotary_emb.original_inv_freq", value=[1.0, 0.1, 0.01, 0.001]),
    input_ids: i64[2, 12],
    use_cache: bool = False,
):
    embedding: f32[2, 12, 32] = aten.embedding.default(p_lm_head_weight, input_ids, 0)  # model.embed_tokens
    to: f32[()] = aten.to.dtype(b_model_embed_tokens_embed_scale, torch.float32)  # model.embed_tokens
    mul: f32[2, 12, 32] = aten.mul.Tensor(embedding, to)  # model.embed_tokens
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
    to_1: b1[2, 1, 12, 12] = aten.to.dtype_layout(eq, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # model
    and_1: b1[2, 1, 12, 12] = aten.__and__.Tensor(new_ones, to_1)  # model
    index_2: i64[2, 1, 12, 1] = aten.index.Tensor(expand_1, [unsqueeze_3, unsqueeze_9])  # model
    index_3: i64[2, 1, 1, 12] = aten.index.Tensor(expand_1, [unsqueeze_3, unsqueeze_12])  # model
    le: b1[2, 1, 12, 12] = aten.le.Tensor(index_3, index_2)  # model
    to_2: b1[2, 1, 12, 12] = aten.to.dtype_layout(le, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # model
    and_2: b1[2, 1, 12, 12] = aten.__and__.Tensor(and_1, to_2)  # model
    expand_2: b1[2, 1, 12, 12] = aten.expand.default(and_2, [2, -1, 12, 12])  # model
    zeros: f32[()] = aten.zeros.default([], dtype=torch.float32, device=torch.device("cpu"), pin_memory=False)  # model
    where: f32[2, 1, 12, 12] = aten.where.ScalarOther(expand_2, zeros, -3.4028234663852886e+38)  # model
    expand_3: i64[2, 12] = aten.expand.default(unsqueeze, [2, -1])  # model
    slice_2: i64[2, 1] = aten.slice.Tensor(expand_3, 1, 0, 1)  # model
    sub_1: i64[2, 1] = aten.sub.Tensor(slice_2, 1)  # model
    diff_1: i64[2, 12] = aten.diff.default(expand_3, 1, -1, sub_1)  # model
    ne_1: b1[2, 12] = aten.ne.Scalar(diff_1, 1)  # model
    cumsum_1: i64[2, 12] = aten.cumsum.default(ne_1, -1)  # model
    expand_4: i64[2, 12] = aten.expand.default(unsqueeze, [2, -1])  # model
    arange_5: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)  # model
    arange_6: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # model
    arange_7: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # model
    add_3: i64[12] = aten.add.Tensor(arange_7, 0)  # model
    arange_8: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # model
    add_4: i64[12] = aten.add.Tensor(arange_8, 0)  # model
    unsqueeze_13: i64[2, 1] = aten.unsqueeze.default(arange_5, 1)  # model
    unsqueeze_14: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze_13, 2)  # model
    unsqueeze_15: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_14, 3)  # model
    unsqueeze_16: i64[1, 1] = aten.unsqueeze.default(arange_6, 0)  # model
    unsqueeze_17: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_16, 2)  # model
    unsqueeze_18: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_17, 3)  # model
    unsqueeze_19: i64[1, 12] = aten.unsqueeze.default(add_3, 0)  # model
    unsqueeze_20: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_19, 1)  # model
    unsqueeze_21: i64[1, 1, 12, 1] = aten.unsqueeze.default(unsqueeze_20, 3)  # model
    unsqueeze_22: i64[1, 12] = aten.unsqueeze.default(add_4, 0)  # model
    unsqueeze_23: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_22, 1)  # model
    unsqueeze_24: i64[1, 1, 1, 12] = aten.unsqueeze.default(unsqueeze_23, 2)  # model
    new_ones_1: b1[()] = aten.new_ones.default(unsqueeze_21, [], dtype=torch.bool, pin_memory=False)  # model
    index_4: i64[2, 1, 12, 1] = aten.index.Tensor(cumsum_1, [unsqueeze_15, unsqueeze_21])  # model
    index_5: i64[2, 1, 1, 12] = aten.index.Tensor(cumsum_1, [unsqueeze_15, unsqueeze_24])  # model
    eq_1: b1[2, 1, 12, 12] = aten.eq.Tensor(index_4, index_5)  # model
    to_3: b1[2, 1, 12, 12] = aten.to.dtype_layout(eq_1, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # model
    and_3: b1[2, 1, 12, 12] = aten.__and__.Tensor(new_ones_1, to_3)  # model
    index_6: i64[2, 1, 12, 1] = aten.index.Tensor(expand_4, [unsqueeze_15, unsqueeze_21])  # model
    index_7: i64[2, 1, 1, 12] = aten.index.Tensor(expand_4, [unsqueeze_15, unsqueeze_24])  # model
    new_ones_2: b1[()] = aten.new_ones.default(index_6, [], dtype=torch.bool, pin_memory=False)  # model
    sub_2: i64[2, 1, 12, 1] = aten.sub.Tensor(index_6, 5)  # model
    gt: b1[2, 1, 12, 12] = aten.gt.Tensor(index_7, sub_2)  # model
    to_4: b1[2, 1, 12, 12] = aten.to.dtype_layout(gt, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # model
    and_4: b1[2, 1, 12, 12] = aten.__and__.Tensor(new_ones_2, to_4)  # model
    le_1: b1[2, 1, 12, 12] = aten.le.Tensor(index_7, index_6)  # model
    to_5: b1[2, 1, 12, 12] = aten.to.dtype_layout(le_1, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # model
    and_5: b1[2, 1, 12, 12] = aten.__and__.Tensor(and_4, to_5)  # model
    to_6: b1[2, 1, 12, 12] = aten.to.dtype_layout(and_5, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # model
    and_6: b1[2, 1, 12, 12] = aten.__and__.Tensor(and_3, to_6)  # model
    expand_5: b1[2, 1, 12, 12] = aten.expand.default(and_6, [2, -1, 12, 12])  # model
    zeros_1: f32[()] = aten.zeros.default([], dtype=torch.float32, device=torch.device("cpu"), pin_memory=False)  # model
    where_1: f32[2, 1, 12, 12] = aten.where.ScalarOther(expand_5, zeros_1, -3.4028234663852886e+38)  # model

    def submod_1(unsqueeze: i64[1, 12], b_model_rotary_emb_inv_freq: f32[4]):
        unsqueeze_25: i64[1, 12, 1] = aten.unsqueeze.default(unsqueeze, 2)  # model.rotary_emb
        to_7: f32[1, 12, 1] = aten.to.dtype(unsqueeze_25, torch.float32)  # model.rotary_emb
        to_8: f32[4] = aten.to.device(b_model_rotary_emb_inv_freq, torch.device("cpu"), torch.float32)  # model.rotary_emb
        mul_1: f32[1, 12, 4] = aten.mul.Tensor(to_7, to_8)  # model.rotary_emb
        cat: f32[1, 12, 8] = aten.cat.default([mul_1, mul_1], -1)  # model.rotary_emb
        cos: f32[1, 12, 8] = aten.cos.default(cat)  # model.rotary_emb
        mul_2: f32[1, 12, 8] = aten.mul.Tensor(cos, 1.0)  # model.rotary_emb
        sin: f32[1, 12, 8] = aten.sin.default(cat)  # model.rotary_emb
        mul_3: f32[1, 12, 8] = aten.mul.Tensor(sin, 1.0)  # model.rotary_emb
        to_9: f32[1, 12, 8] = aten.to.dtype(mul_2, torch.float32)  # model.rotary_emb
        to_10: f32[1, 12, 8] = aten.to.dtype(mul_3, torch.float32)  # model.rotary_emb
        return (to_9, to_10)

    submod_3 = attr("submod_1", body=submod_1)  # model.rotary_emb
    wrap_with_set_grad_enabled: (f32[1, 12, 8], f32[1, 12, 8]) = hop.wrap_with_set_grad_enabled(False, submod_3, unsqueeze, b_model_rotary_emb_inv_freq)  # model.rotary_emb
    to_9: f32[1, 12, 8] = operator.getitem(wrap_with_set_grad_enabled, 0)  # model.rotary_emb
    to_10: f32[1, 12, 8] = operator.getitem(wrap_with_set_grad_enabled, 1)  # model.rotary_emb
    to_11: f32[2, 12, 32] = aten.to.dtype(mul, torch.float32)  # model.layers.0.input_layernorm
    pow_1: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_11, 2)  # model.layers.0.input_layernorm
    mean: f32[2, 12, 1] = aten.mean.dim(pow_1, [-1], True)  # model.layers.0.input_layernorm
    add_5: f32[2, 12, 1] = aten.add.Tensor(mean, 1e-06)  # model.layers.0.input_layernorm
    rsqrt: f32[2, 12, 1] = aten.rsqrt.default(add_5)  # model.layers.0.input_layernorm
    mul_4: f32[2, 12, 32] = aten.mul.Tensor(to_11, rsqrt)  # model.layers.0.input_layernorm
    to_12: f32[32] = aten.to.dtype(p_model_layers_0_input_layernorm_weight, torch.float32)  # model.layers.0.input_layernorm
    add_6: f32[32] = aten.add.Tensor(to_12, 1.0)  # model.layers.0.input_layernorm
    mul_5: f32[2, 12, 32] = aten.mul.Tensor(mul_4, add_6)  # model.layers.0.input_layernorm
    type_as: f32[2, 12, 32] = aten.type_as.default(mul_5, to_11)  # model.layers.0.input_layernorm
    linear: f32[2, 12, 32] = aten.linear.default(type_as, p_model_layers_0_self_attn_q_proj_weight)  # model.layers.0.self_attn.q_proj
    view: f32[2, 12, 4, 8] = aten.view.default(linear, [2, 12, -1, 8])  # model.layers.0.self_attn
    transpose: f32[2, 4, 12, 8] = aten.transpose.int(view, 1, 2)  # model.layers.0.self_attn
    linear_1: f32[2, 12, 16] = aten.linear.default(type_as, p_model_layers_0_self_attn_k_proj_weight)  # model.layers.0.self_attn.k_proj
    view_1: f32[2, 12, 2, 8] = aten.view.default(linear_1, [2, 12, -1, 8])  # model.layers.0.self_attn
    transpose_1: f32[2, 2, 12, 8] = aten.transpose.int(view_1, 1, 2)  # model.layers.0.self_attn
    linear_2: f32[2, 12, 16] = aten.linear.default(type_as, p_model_layers_0_self_attn_v_proj_weight)  # model.layers.0.self_attn.v_proj
    view_2: f32[2, 12, 2, 8] = aten.view.default(linear_2, [2, 12, -1, 8])  # model.layers.0.self_attn
    transpose_2: f32[2, 2, 12, 8] = aten.transpose.int(view_2, 1, 2)  # model.layers.0.self_attn
    unsqueeze_26: f32[1, 1, 12, 8] = aten.unsqueeze.default(to_9, 1)  # model.layers.0.self_attn
    unsqueeze_27: f32[1, 1, 12, 8] = aten.unsqueeze.default(to_10, 1)  # model.layers.0.self_attn
    mul_6: f32[2, 4, 12, 8] = aten.mul.Tensor(transpose, unsqueeze_26)  # model.layers.0.self_attn
    slice_3: f32[2, 4, 12, 4] = aten.slice.Tensor(transpose, 3, 0, 4)  # model.layers.0.self_attn
    slice_4: f32[2, 4, 12, 4] = aten.slice.Tensor(transpose, 3, 4, 9223372036854775807)  # model.layers.0.self_attn
    neg: f32[2, 4, 12, 4] = aten.neg.default(slice_4)  # model.layers.0.self_attn
    cat_1: f32[2, 4, 12, 8] = aten.cat.default([neg, slice_3], -1)  # model.layers.0.self_attn
    mul_7: f32[2, 4, 12, 8] = aten.mul.Tensor(cat_1, unsqueeze_27)  # model.layers.0.self_attn
    add_7: f32[2, 4, 12, 8] = aten.add.Tensor(mul_6, mul_7)  # model.layers.0.self_attn
    mul_8: f32[2, 2, 12, 8] = aten.mul.Tensor(transpose_1, unsqueeze_26)  # model.layers.0.self_attn
    slice_5: f32[2, 2, 12, 4] = aten.slice.Tensor(transpose_1, 3, 0, 4)  # model.layers.0.self_attn
    slice_6: f32[2, 2, 12, 4] = aten.slice.Tensor(transpose_1, 3, 4, 9223372036854775807)  # model.layers.0.self_attn
    neg_1: f32[2, 2, 12, 4] = aten.neg.default(slice_6)  # model.layers.0.self_attn
    cat_2: f32[2, 2, 12, 8] = aten.cat.default([neg_1, slice_5], -1)  # model.layers.0.self_attn
    mul_9: f32[2, 2, 12, 8] = aten.mul.Tensor(cat_2, unsqueeze_27)  # model.layers.0.self_attn
    add_8: f32[2, 2, 12, 8] = aten.add.Tensor(mul_8, mul_9)  # model.layers.0.self_attn
    unsqueeze_28: f32[2, 2, 1, 12, 8] = aten.unsqueeze.default(add_8, 2)  # model.layers.0.self_attn
    expand_6: f32[2, 2, 2, 12, 8] = aten.expand.default(unsqueeze_28, [2, 2, 2, 12, 8])  # model.layers.0.self_attn
    reshape: f32[2, 4, 12, 8] = aten.reshape.default(expand_6, [2, 4, 12, 8])  # model.layers.0.self_attn
    unsqueeze_29: f32[2, 2, 1, 12, 8] = aten.unsqueeze.default(transpose_2, 2)  # model.layers.0.self_attn
    expand_7: f32[2, 2, 2, 12, 8] = aten.expand.default(unsqueeze_29, [2, 2, 2, 12, 8])  # model.layers.0.self_attn
    reshape_1: f32[2, 4, 12, 8] = aten.reshape.default(expand_7, [2, 4, 12, 8])  # model.layers.0.self_attn
    transpose_3: f32[2, 4, 8, 12] = aten.transpose.int(reshape, 2, 3)  # model.layers.0.self_attn
    matmul: f32[2, 4, 12, 12] = aten.matmul.default(add_7, transpose_3)  # model.layers.0.self_attn
    mul_10: f32[2, 4, 12, 12] = aten.mul.Tensor(matmul, 0.0625)  # model.layers.0.self_attn
    div: f32[2, 4, 12, 12] = aten.div.Tensor(mul_10, 50.0)  # model.layers.0.self_attn
    tanh: f32[2, 4, 12, 12] = aten.tanh.default(div)  # model.layers.0.self_attn
    mul_11: f32[2, 4, 12, 12] = aten.mul.Tensor(tanh, 50.0)  # model.layers.0.self_attn
    add_9: f32[2, 4, 12, 12] = aten.add.Tensor(mul_11, where_1)  # model.layers.0.self_attn
    softmax: f32[2, 4, 12, 12] = aten.softmax.int(add_9, -1, torch.float32)  # model.layers.0.self_attn
    to_13: f32[2, 4, 12, 12] = aten.to.dtype(softmax, torch.float32)  # model.layers.0.self_attn
    dropout: f32[2, 4, 12, 12] = aten.dropout.default(to_13, 0.0, False)  # model.layers.0.self_attn
    matmul_1: f32[2, 4, 12, 8] = aten.matmul.default(dropout, reshape_1)  # model.layers.0.self_attn
    transpose_4: f32[2, 12, 4, 8] = aten.transpose.int(matmul_1, 1, 2)  # model.layers.0.self_attn
    contiguous: f32[2, 12, 4, 8] = aten.contiguous.default(transpose_4)  # model.layers.0.self_attn
    reshape_2: f32[2, 12, 32] = aten.reshape.default(contiguous, [2, 12, -1])  # model.layers.0.self_attn
    linear_3: f32[2, 12, 32] = aten.linear.default(reshape_2, p_model_layers_0_self_attn_o_proj_weight)  # model.layers.0.self_attn.o_proj
    to_14: f32[2, 12, 32] = aten.to.dtype(linear_3, torch.float32)  # model.layers.0.post_attention_layernorm
    pow_2: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_14, 2)  # model.layers.0.post_attention_layernorm
    mean_1: f32[2, 12, 1] = aten.mean.dim(pow_2, [-1], True)  # model.layers.0.post_attention_layernorm
    add_10: f32[2, 12, 1] = aten.add.Tensor(mean_1, 1e-06)  # model.layers.0.post_attention_layernorm
    rsqrt_1: f32[2, 12, 1] = aten.rsqrt.default(add_10)  # model.layers.0.post_attention_layernorm
    mul_12: f32[2, 12, 32] = aten.mul.Tensor(to_14, rsqrt_1)  # model.layers.0.post_attention_layernorm
    to_15: f32[32] = aten.to.dtype(p_model_layers_0_post_attention_layernorm_weight, torch.float32)  # model.layers.0.post_attention_layernorm
    add_11: f32[32] = aten.add.Tensor(to_15, 1.0)  # model.layers.0.post_attention_layernorm
    mul_13: f32[2, 12, 32] = aten.mul.Tensor(mul_12, add_11)  # model.layers.0.post_attention_layernorm
    type_as_1: f32[2, 12, 32] = aten.type_as.default(mul_13, to_14)  # model.layers.0.post_attention_layernorm
    add_12: f32[2, 12, 32] = aten.add.Tensor(to_11, type_as_1)  # model.layers.0
    to_16: f32[2, 12, 32] = aten.to.dtype(add_12, torch.float32)  # model.layers.0.pre_feedforward_layernorm
    pow_3: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_16, 2)  # model.layers.0.pre_feedforward_layernorm
    mean_2: f32[2, 12, 1] = aten.mean.dim(pow_3, [-1], True)  # model.layers.0.pre_feedforward_layernorm
    add_13: f32[2, 12, 1] = aten.add.Tensor(mean_2, 1e-06)  # model.layers.0.pre_feedforward_layernorm
    rsqrt_2: f32[2, 12, 1] = aten.rsqrt.default(add_13)  # model.layers.0.pre_feedforward_layernorm
    mul_14: f32[2, 12, 32] = aten.mul.Tensor(to_16, rsqrt_2)  # model.layers.0.pre_feedforward_layernorm
    to_17: f32[32] = aten.to.dtype(p_model_layers_0_pre_feedforward_layernorm_weight, torch.float32)  # model.layers.0.pre_feedforward_layernorm
    add_14: f32[32] = aten.add.Tensor(to_17, 1.0)  # model.layers.0.pre_feedforward_layernorm
    mul_15: f32[2, 12, 32] = aten.mul.Tensor(mul_14, add_14)  # model.layers.0.pre_feedforward_layernorm
    type_as_2: f32[2, 12, 32] = aten.type_as.default(mul_15, to_16)  # model.layers.0.pre_feedforward_layernorm
    linear_4: f32[2, 12, 64] = aten.linear.default(type_as_2, p_model_layers_0_mlp_gate_proj_weight)  # model.layers.0.mlp.gate_proj
    gelu: f32[2, 12, 64] = aten.gelu.default(linear_4, approximate="tanh")  # model.layers.0.mlp.act_fn
    linear_5: f32[2, 12, 64] = aten.linear.default(type_as_2, p_model_layers_0_mlp_up_proj_weight)  # model.layers.0.mlp.up_proj
    mul_16: f32[2, 12, 64] = aten.mul.Tensor(gelu, linear_5)  # model.layers.0.mlp
    linear_6: f32[2, 12, 32] = aten.linear.default(mul_16, p_model_layers_0_mlp_down_proj_weight)  # model.layers.0.mlp.down_proj
    to_18: f32[2, 12, 32] = aten.to.dtype(linear_6, torch.float32)  # model.layers.0.post_feedforward_layernorm
    pow_4: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_18, 2)  # model.layers.0.post_feedforward_layernorm
    mean_3: f32[2, 12, 1] = aten.mean.dim(pow_4, [-1], True)  # model.layers.0.post_feedforward_layernorm
    add_15: f32[2, 12, 1] = aten.add.Tensor(mean_3, 1e-06)  # model.layers.0.post_feedforward_layernorm
    rsqrt_3: f32[2, 12, 1] = aten.rsqrt.default(add_15)  # model.layers.0.post_feedforward_layernorm
    mul_17: f32[2, 12, 32] = aten.mul.Tensor(to_18, rsqrt_3)  # model.layers.0.post_feedforward_layernorm
    to_19: f32[32] = aten.to.dtype(p_model_layers_0_post_feedforward_layernorm_weight, torch.float32)  # model.layers.0.post_feedforward_layernorm
    add_16: f32[32] = aten.add.Tensor(to_19, 1.0)  # model.layers.0.post_feedforward_layernorm
    mul_18: f32[2, 12, 32] = aten.mul.Tensor(mul_17, add_16)  # model.layers.0.post_feedforward_layernorm
    type_as_3: f32[2, 12, 32] = aten.type_as.default(mul_18, to_18)  # model.layers.0.post_feedforward_layernorm
    add_17: f32[2, 12, 32] = aten.add.Tensor(to_16, type_as_3)  # model.layers.0
    to_20: f32[2, 12, 32] = aten.to.dtype(add_17, torch.float32)  # model.layers.1.input_layernorm
    pow_5: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_20, 2)  # model.layers.1.input_layernorm
    mean_4: f32[2, 12, 1] = aten.mean.dim(pow_5, [-1], True)  # model.layers.1.input_layernorm
    add_18: f32[2, 12, 1] = aten.add.Tensor(mean_4, 1e-06)  # model.layers.1.input_layernorm
    rsqrt_4: f32[2, 12, 1] = aten.rsqrt.default(add_18)  # model.layers.1.input_layernorm
    mul_19: f32[2, 12, 32] = aten.mul.Tensor(to_20, rsqrt_4)  # model.layers.1.input_layernorm
    to_21: f32[32] = aten.to.dtype(p_model_layers_1_input_layernorm_weight, torch.float32)  # model.layers.1.input_layernorm
    add_19: f32[32] = aten.add.Tensor(to_21, 1.0)  # model.layers.1.input_layernorm
    mul_20: f32[2, 12, 32] = aten.mul.Tensor(mul_19, add_19)  # model.layers.1.input_layernorm
    type_as_4: f32[2, 12, 32] = aten.type_as.default(mul_20, to_20)  # model.layers.1.input_layernorm
    linear_7: f32[2, 12, 32] = aten.linear.default(type_as_4, p_model_layers_1_self_attn_q_proj_weight)  # model.layers.1.self_attn.q_proj
    view_3: f32[2, 12, 4, 8] = aten.view.default(linear_7, [2, 12, -1, 8])  # model.layers.1.self_attn
    transpose_5: f32[2, 4, 12, 8] = aten.transpose.int(view_3, 1, 2)  # model.layers.1.self_attn
    linear_8: f32[2, 12, 16] = aten.linear.default(type_as_4, p_model_layers_1_self_attn_k_proj_weight)  # model.layers.1.self_attn.k_proj
    view_4: f32[2, 12, 2, 8] = aten.view.default(linear_8, [2, 12, -1, 8])  # model.layers.1.self_attn
    transpose_6: f32[2, 2, 12, 8] = aten.transpose.int(view_4, 1, 2)  # model.layers.1.self_attn
    linear_9: f32[2, 12, 16] = aten.linear.default(type_as_4, p_model_layers_1_self_attn_v_proj_weight)  # model.layers.1.self_attn.v_proj
    view_5: f32[2, 12, 2, 8] = aten.view.default(linear_9, [2, 12, -1, 8])  # model.layers.1.self_attn
    transpose_7: f32[2, 2, 12, 8] = aten.transpose.int(view_5, 1, 2)  # model.layers.1.self_attn
    unsqueeze_30: f32[1, 1, 12, 8] = aten.unsqueeze.default(to_9, 1)  # model.layers.1.self_attn
    unsqueeze_31: f32[1, 1, 12, 8] = aten.unsqueeze.default(to_10, 1)  # model.layers.1.self_attn
    mul_21: f32[2, 4, 12, 8] = aten.mul.Tensor(transpose_5, unsqueeze_30)  # model.layers.1.self_attn
    slice_7: f32[2, 4, 12, 4] = aten.slice.Tensor(transpose_5, 3, 0, 4)  # model.layers.1.self_attn
    slice_8: f32[2, 4, 12, 4] = aten.slice.Tensor(transpose_5, 3, 4, 9223372036854775807)  # model.layers.1.self_attn
    neg_2: f32[2, 4, 12, 4] = aten.neg.default(slice_8)  # model.layers.1.self_attn
    cat_3: f32[2, 4, 12, 8] = aten.cat.default([neg_2, slice_7], -1)  # model.layers.1.self_attn
    mul_22: f32[2, 4, 12, 8] = aten.mul.Tensor(cat_3, unsqueeze_31)  # model.layers.1.self_attn
    add_20: f32[2, 4, 12, 8] = aten.add.Tensor(mul_21, mul_22)  # model.layers.1.self_attn
    mul_23: f32[2, 2, 12, 8] = aten.mul.Tensor(transpose_6, unsqueeze_30)  # model.layers.1.self_attn
    slice_9: f32[2, 2, 12, 4] = aten.slice.Tensor(transpose_6, 3, 0, 4)  # model.layers.1.self_attn
    slice_10: f32[2, 2, 12, 4] = aten.slice.Tensor(transpose_6, 3, 4, 9223372036854775807)  # model.layers.1.self_attn
    neg_3: f32[2, 2, 12, 4] = aten.neg.default(slice_10)  # model.layers.1.self_attn
    cat_4: f32[2, 2, 12, 8] = aten.cat.default([neg_3, slice_9], -1)  # model.layers.1.self_attn
    mul_24: f32[2, 2, 12, 8] = aten.mul.Tensor(cat_4, unsqueeze_31)  # model.layers.1.self_attn
    add_21: f32[2, 2, 12, 8] = aten.add.Tensor(mul_23, mul_24)  # model.layers.1.self_attn
    unsqueeze_32: f32[2, 2, 1, 12, 8] = aten.unsqueeze.default(add_21, 2)  # model.layers.1.self_attn
    expand_8: f32[2, 2, 2, 12, 8] = aten.expand.default(unsqueeze_32, [2, 2, 2, 12, 8])  # model.layers.1.self_attn
    reshape_3: f32[2, 4, 12, 8] = aten.reshape.default(expand_8, [2, 4, 12, 8])  # model.layers.1.self_attn
    unsqueeze_33: f32[2, 2, 1, 12, 8] = aten.unsqueeze.default(transpose_7, 2)  # model.layers.1.self_attn
    expand_9: f32[2, 2, 2, 12, 8] = aten.expand.default(unsqueeze_33, [2, 2, 2, 12, 8])  # model.layers.1.self_attn
    reshape_4: f32[2, 4, 12, 8] = aten.reshape.default(expand_9, [2, 4, 12, 8])  # model.layers.1.self_attn
    transpose_8: f32[2, 4, 8, 12] = aten.transpose.int(reshape_3, 2, 3)  # model.layers.1.self_attn
    matmul_2: f32[2, 4, 12, 12] = aten.matmul.default(add_20, transpose_8)  # model.layers.1.self_attn
    mul_25: f32[2, 4, 12, 12] = aten.mul.Tensor(matmul_2, 0.0625)  # model.layers.1.self_attn
    div_1: f32[2, 4, 12, 12] = aten.div.Tensor(mul_25, 50.0)  # model.layers.1.self_attn
    tanh_1: f32[2, 4, 12, 12] = aten.tanh.default(div_1)  # model.layers.1.self_attn
    mul_26: f32[2, 4, 12, 12] = aten.mul.Tensor(tanh_1, 50.0)  # model.layers.1.self_attn
    add_22: f32[2, 4, 12, 12] = aten.add.Tensor(mul_26, where)  # model.layers.1.self_attn
    softmax_1: f32[2, 4, 12, 12] = aten.softmax.int(add_22, -1, torch.float32)  # model.layers.1.self_attn
    to_22: f32[2, 4, 12, 12] = aten.to.dtype(softmax_1, torch.float32)  # model.layers.1.self_attn
    dropout_1: f32[2, 4, 12, 12] = aten.dropout.default(to_22, 0.0, False)  # model.layers.1.self_attn
    matmul_3: f32[2, 4, 12, 8] = aten.matmul.default(dropout_1, reshape_4)  # model.layers.1.self_attn
    transpose_9: f32[2, 12, 4, 8] = aten.transpose.int(matmul_3, 1, 2)  # model.layers.1.self_attn
    contiguous_1: f32[2, 12, 4, 8] = aten.contiguous.default(transpose_9)  # model.layers.1.self_attn
    reshape_5: f32[2, 12, 32] = aten.reshape.default(contiguous_1, [2, 12, -1])  # model.layers.1.self_attn
    linear_10: f32[2, 12, 32] = aten.linear.default(reshape_5, p_model_layers_1_self_attn_o_proj_weight)  # model.layers.1.self_attn.o_proj
    to_23: f32[2, 12, 32] = aten.to.dtype(linear_10, torch.float32)  # model.layers.1.post_attention_layernorm
    pow_6: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_23, 2)  # model.layers.1.post_attention_layernorm
    mean_5: f32[2, 12, 1] = aten.mean.dim(pow_6, [-1], True)  # model.layers.1.post_attention_layernorm
    add_23: f32[2, 12, 1] = aten.add.Tensor(mean_5, 1e-06)  # model.layers.1.post_attention_layernorm
    rsqrt_5: f32[2, 12, 1] = aten.rsqrt.default(add_23)  # model.layers.1.post_attention_layernorm
    mul_27: f32[2, 12, 32] = aten.mul.Tensor(to_23, rsqrt_5)  # model.layers.1.post_attention_layernorm
    to_24: f32[32] = aten.to.dtype(p_model_layers_1_post_attention_layernorm_weight, torch.float32)  # model.layers.1.post_attention_layernorm
    add_24: f32[32] = aten.add.Tensor(to_24, 1.0)  # model.layers.1.post_attention_layernorm
    mul_28: f32[2, 12, 32] = aten.mul.Tensor(mul_27, add_24)  # model.layers.1.post_attention_layernorm
    type_as_5: f32[2, 12, 32] = aten.type_as.default(mul_28, to_23)  # model.layers.1.post_attention_layernorm
    add_25: f32[2, 12, 32] = aten.add.Tensor(to_20, type_as_5)  # model.layers.1
    to_25: f32[2, 12, 32] = aten.to.dtype(add_25, torch.float32)  # model.layers.1.pre_feedforward_layernorm
    pow_7: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_25, 2)  # model.layers.1.pre_feedforward_layernorm
    mean_6: f32[2, 12, 1] = aten.mean.dim(pow_7, [-1], True)  # model.layers.1.pre_feedforward_layernorm
    add_26: f32[2, 12, 1] = aten.add.Tensor(mean_6, 1e-06)  # model.layers.1.pre_feedforward_layernorm
    rsqrt_6: f32[2, 12, 1] = aten.rsqrt.default(add_26)  # model.layers.1.pre_feedforward_layernorm
    mul_29: f32[2, 12, 32] = aten.mul.Tensor(to_25, rsqrt_6)  # model.layers.1.pre_feedforward_layernorm
    to_26: f32[32] = aten.to.dtype(p_model_layers_1_pre_feedforward_layernorm_weight, torch.float32)  # model.layers.1.pre_feedforward_layernorm
    add_27: f32[32] = aten.add.Tensor(to_26, 1.0)  # model.layers.1.pre_feedforward_layernorm
    mul_30: f32[2, 12, 32] = aten.mul.Tensor(mul_29, add_27)  # model.layers.1.pre_feedforward_layernorm
    type_as_6: f32[2, 12, 32] = aten.type_as.default(mul_30, to_25)  # model.layers.1.pre_feedforward_layernorm
    linear_11: f32[2, 12, 64] = aten.linear.default(type_as_6, p_model_layers_1_mlp_gate_proj_weight)  # model.layers.1.mlp.gate_proj
    gelu_1: f32[2, 12, 64] = aten.gelu.default(linear_11, approximate="tanh")  # model.layers.1.mlp.act_fn
    linear_12: f32[2, 12, 64] = aten.linear.default(type_as_6, p_model_layers_1_mlp_up_proj_weight)  # model.layers.1.mlp.up_proj
    mul_31: f32[2, 12, 64] = aten.mul.Tensor(gelu_1, linear_12)  # model.layers.1.mlp
    linear_13: f32[2, 12, 32] = aten.linear.default(mul_31, p_model_layers_1_mlp_down_proj_weight)  # model.layers.1.mlp.down_proj
    to_27: f32[2, 12, 32] = aten.to.dtype(linear_13, torch.float32)  # model.layers.1.post_feedforward_layernorm
    pow_8: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_27, 2)  # model.layers.1.post_feedforward_layernorm
    mean_7: f32[2, 12, 1] = aten.mean.dim(pow_8, [-1], True)  # model.layers.1.post_feedforward_layernorm
    add_28: f32[2, 12, 1] = aten.add.Tensor(mean_7, 1e-06)  # model.layers.1.post_feedforward_layernorm
    rsqrt_7: f32[2, 12, 1] = aten.rsqrt.default(add_28)  # model.layers.1.post_feedforward_layernorm
    mul_32: f32[2, 12, 32] = aten.mul.Tensor(to_27, rsqrt_7)  # model.layers.1.post_feedforward_layernorm
    to_28: f32[32] = aten.to.dtype(p_model_layers_1_post_feedforward_layernorm_weight, torch.float32)  # model.layers.1.post_feedforward_layernorm
    add_29: f32[32] = aten.add.Tensor(to_28, 1.0)  # model.layers.1.post_feedforward_layernorm
    mul_33: f32[2, 12, 32] = aten.mul.Tensor(mul_32, add_29)  # model.layers.1.post_feedforward_layernorm
    type_as_7: f32[2, 12, 32] = aten.type_as.default(mul_33, to_27)  # model.layers.1.post_feedforward_layernorm
    add_30: f32[2, 12, 32] = aten.add.Tensor(to_25, type_as_7)  # model.layers.1
    to_29: f32[2, 12, 32] = aten.to.dtype(add_30, torch.float32)  # model.norm
    pow_9: f32[2, 12, 32] = aten.pow.Tensor_Scalar(to_29, 2)  # model.norm
    mean_8: f32[2, 12, 1] = aten.mean.dim(pow_9, [-1], True)  # model.norm
    add_31: f32[2, 12, 1] = aten.add.Tensor(mean_8, 1e-06)  # model.norm
    rsqrt_8: f32[2, 12, 1] = aten.rsqrt.default(add_31)  # model.norm
    mul_34: f32[2, 12, 32] = aten.mul.Tensor(to_29, rsqrt_8)  # model.norm
    to_30: f32[32] = aten.to.dtype(p_model_norm_weight, torch.float32)  # model.norm
    add_32: f32[32] = aten.add.Tensor(to_30, 1.0)  # model.norm
    mul_35: f32[2, 12, 32] = aten.mul.Tensor(mul_34, add_32)  # model.norm
    type_as_8: f32[2, 12, 32] = aten.type_as.default(mul_35, to_29)  # model.norm
    alias: f32[2, 12, 32] = aten.alias.default(type_as_8)
    linear_14: f32[2, 12, 96] = aten.linear.default(alias, p_lm_head_weight)  # lm_head
    div_2: f32[2, 12, 96] = aten.div.Tensor(linear_14, 30.0)
    tanh_2: f32[2, 12, 96] = aten.tanh.default(div_2)
    mul_36: f32[2, 12, 96] = aten.mul.Tensor(tanh_2, 30.0)
    return (mul_36,)
