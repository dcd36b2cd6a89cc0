program(door="export")
call = ((), {"input_ids": ..., "use_cache": ...})


def graph(
    *,
    p_transformer_wte_weight: f32[96, 32] = parameter("transformer.wte.weight"),
    p_transformer_wpe_weight: f32[64, 32] = parameter("transformer.wpe.weight"),
    p_transformer_h_0_ln_1_weight: f32[32] = parameter("transformer.h.0.ln_1.weight"),
    p_transformer_h_0_ln_1_bias: f32[32] = parameter("transformer.h.0.ln_1.bias"),
    p_transformer_h_0_attn_c_attn_weight: f32[32, 96] = parameter("transformer.h.0.attn.c_attn.weight"),
    p_transformer_h_0_attn_c_attn_bias: f32[96] = parameter("transformer.h.0.attn.c_attn.bias"),
    p_transformer_h_0_attn_c_proj_weight: f32[32, 32] = parameter("transformer.h.0.attn.c_proj.weight"),
    p_transformer_h_0_attn_c_proj_bias: f32[32] = parameter("transformer.h.0.attn.c_proj.bias"),
    p_transformer_h_0_ln_2_weight: f32[32] = parameter("transformer.h.0.ln_2.weight"),
    p_transformer_h_0_ln_2_bias: f32[32] = parameter("transformer.h.0.ln_2.bias"),
    p_transformer_h_0_mlp_c_fc_weight: f32[32, 128] = parameter("transformer.h.0.mlp.c_fc.weight"),
    p_transformer_h_0_mlp_c_fc_bias: f32[128] = parameter("transformer.h.0.mlp.c_fc.bias"),
    p_transformer_h_0_mlp_c_proj_weight: f32[128, 32] = parameter("transformer.h.0.mlp.c_proj.weight"),
    p_transformer_h_0_mlp_c_proj_bias: f32[32] = parameter("transformer.h.0.mlp.c_proj.bias"),
    p_transformer_ln_f_weight: f32[32] = parameter("transformer.ln_f.weight"),
    p_transformer_ln_f_bias: f32[32] = parameter("transformer.ln_f.bias"),
    p_lm_head_weight: f32[96, 32] = parameter("lm_head.weight", tied="transformer.wte.weight"),
    input_ids: i64[2, 12],
    use_cache: bool = False,
):
    view: i64[2, 12] = aten.view.default(input_ids, [-1, 12])  # transformer
    embedding: f32[2, 12, 32] = aten.embedding.default(p_lm_head_weight, view)  # transformer.wte
    arange: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # transformer
    add: i64[12] = aten.add.Tensor(arange, 0)  # transformer
    unsqueeze: i64[1, 12] = aten.unsqueeze.default(add, 0)  # transformer
    embedding_1: f32[1, 12, 32] = aten.embedding.default(p_transformer_wpe_weight, unsqueeze)  # transformer.wpe
    to: f32[1, 12, 32] = aten.to.dtype_layout(embedding_1, dtype=torch.float32, layout=torch.strided, device=torch.device("cpu"))  # transformer
    add_1: f32[2, 12, 32] = aten.add.Tensor(embedding, to)  # transformer
    expand: i64[2, 12] = aten.expand.default(unsqueeze, [2, -1])  # transformer
    slice_1: i64[2, 1] = aten.slice.Tensor(expand, 1, 0, 1)  # transformer
    sub: i64[2, 1] = aten.sub.Tensor(slice_1, 1)  # transformer
    diff: i64[2, 12] = aten.diff.default(expand, 1, -1, sub)  # transformer
    ne: b1[2, 12] = aten.ne.Scalar(diff, 1)  # transformer
    cumsum: i64[2, 12] = aten.cumsum.default(ne, -1)  # transformer
    expand_1: i64[2, 12] = aten.expand.default(unsqueeze, [2, -1])  # transformer
    arange_1: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)  # transformer
    arange_2: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # transformer
    arange_3: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # transformer
    add_2: i64[12] = aten.add.Tensor(arange_3, 0)  # transformer
    arange_4: i64[12] = aten.arange.default(12, device=torch.device("cpu"), pin_memory=False)  # transformer
    add_3: i64[12] = aten.add.Tensor(arange_4, 0)  # transformer
    unsqueeze_1: i64[2, 1] = aten.unsqueeze.default(arange_1, 1)  # transformer
    unsqueeze_2: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze_1, 2)  # transformer
    unsqueeze_3: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_2, 3)  # transformer
    unsqueeze_4: i64[1, 1] = aten.unsqueeze.default(arange_2, 0)  # transformer
    unsqueeze_5: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_4, 2)  # transformer
    unsqueeze_6: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_5, 3)  # transformer
    unsqueeze_7: i64[1, 12] = aten.unsqueeze.default(add_2, 0)  # transformer
    unsqueeze_8: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_7, 1)  # transformer
    unsqueeze_9: i64[1, 1, 12, 1] = aten.unsqueeze.default(unsqueeze_8, 3)  # transformer
    unsqueeze_10: i64[1, 12] = aten.unsqueeze.default(add_3, 0)  # transformer
    unsqueeze_11: i64[1, 1, 12] = aten.unsqueeze.default(unsqueeze_10, 1)  # transformer
    unsqueeze_12: i64[1, 1, 1, 12] = aten.unsqueeze.default(unsqueeze_11, 2)  # transformer
    new_ones: b1[()] = aten.new_ones.default(unsqueeze_9, [], dtype=torch.bool, pin_memory=False)  # transformer
    index: i64[2, 1, 12, 1] = aten.index.Tensor(cumsum, [unsqueeze_3, unsqueeze_9])  # transformer
    index_1: i64[2, 1, 1, 12] = aten.index.Tensor(cumsum, [unsqueeze_3, unsqueeze_12])  # transformer
    eq: b1[2, 1, 12, 12] = aten.eq.Tensor(index, index_1)  # transformer
    to_1: b1[2, 1, 12, 12] = aten.to.dtype_layout(eq, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # transformer
    and_1: b1[2, 1, 12, 12] = aten.__and__.Tensor(new_ones, to_1)  # transformer
    index_2: i64[2, 1, 12, 1] = aten.index.Tensor(expand_1, [unsqueeze_3, unsqueeze_9])  # transformer
    index_3: i64[2, 1, 1, 12] = aten.index.Tensor(expand_1, [unsqueeze_3, unsqueeze_12])  # transformer
    le: b1[2, 1, 12, 12] = aten.le.Tensor(index_3, index_2)  # transformer
    to_2: b1[2, 1, 12, 12] = aten.to.dtype_layout(le, dtype=torch.bool, layout=torch.strided, device=torch.device("cpu"))  # transformer
    and_2: b1[2, 1, 12, 12] = aten.__and__.Tensor(and_1, to_2)  # transformer
    expand_2: b1[2, 1, 12, 12] = aten.expand.default(and_2, [2, -1, 12, 12])  # transformer
    dropout: f32[2, 12, 32] = aten.dropout.default(add_1, 0.1, False)  # transformer.drop
    layer_norm: f32[2, 12, 32] = aten.layer_norm.default(dropout, [32], p_transformer_h_0_ln_1_weight, p_transformer_h_0_ln_1_bias, 1e-05, False)  # transformer.h.0.ln_1
    view_1: f32[24, 32] = aten.view.default(layer_norm, [-1, 32])  # transformer.h.0.attn.c_attn
    addmm: f32[24, 96] = aten.addmm.default(p_transformer_h_0_attn_c_attn_bias, view_1, p_transformer_h_0_attn_c_attn_weight)  # transformer.h.0.attn.c_attn
    view_2: f32[2, 12, 96] = aten.view.default(addmm, [2, 12, 96])  # transformer.h.0.attn.c_attn
    split: [f32[2, 12, 32], f32[2, 12, 32], f32[2, 12, 32]] = aten.split.Tensor(view_2, 32, 2)  # transformer.h.0.attn
    getitem: f32[2, 12, 32] = operator.getitem(split, 0)  # transformer.h.0.attn
    getitem_1: f32[2, 12, 32] = operator.getitem(split, 1)  # transformer.h.0.attn
    getitem_2: f32[2, 12, 32] = operator.getitem(split, 2)  # transformer.h.0.attn
    view_3: f32[2, 12, 4, 8] = aten.view.default(getitem_1, [2, 12, -1, 8])  # transformer.h.0.attn
    transpose: f32[2, 4, 12, 8] = aten.transpose.int(view_3, 1, 2)  # transformer.h.0.attn
    view_4: f32[2, 12, 4, 8] = aten.view.default(getitem_2, [2, 12, -1, 8])  # transformer.h.0.attn
    transpose_1: f32[2, 4, 12, 8] = aten.transpose.int(view_4, 1, 2)  # transformer.h.0.attn
    view_5: f32[2, 12, 4, 8] = aten.view.default(getitem, [2, 12, -1, 8])  # transformer.h.0.attn
    transpose_2: f32[2, 4, 12, 8] = aten.transpose.int(view_5, 1, 2)  # transformer.h.0.attn
    scaled_dot_product_attention: f32[2, 4, 12, 8] = aten.scaled_dot_product_attention.default(transpose_2, transpose, transpose_1, expand_2, scale=0.3535533905932738)  # transformer.h.0.attn
    reshape: f32[2, 4, 12, 8] = aten.reshape.default(scaled_dot_product_attention, [2, -1, 12, 8])  # transformer.h.0.attn
    transpose_3: f32[2, 12, 4, 8] = aten.transpose.int(reshape, 1, 2)  # transformer.h.0.attn
    reshape_1: f32[2, 12, 32] = aten.reshape.default(transpose_3, [2, 12, -1])  # transformer.h.0.attn
    view_6: f32[24, 32] = aten.view.default(reshape_1, [-1, 32])  # transformer.h.0.attn.c_proj
    addmm_1: f32[24, 32] = aten.addmm.default(p_transformer_h_0_attn_c_proj_bias, view_6, p_transformer_h_0_attn_c_proj_weight)  # transformer.h.0.attn.c_proj
    view_7: f32[2, 12, 32] = aten.view.default(addmm_1, [2, 12, 32])  # transformer.h.0.attn.c_proj
    dropout_1: f32[2, 12, 32] = aten.dropout.default(view_7, 0.1, False)  # transformer.h.0.attn.resid_dropout
    add_4: f32[2, 12, 32] = aten.add.Tensor(dropout_1, dropout)  # transformer.h.0
    layer_norm_1: f32[2, 12, 32] = aten.layer_norm.default(add_4, [32], p_transformer_h_0_ln_2_weight, p_transformer_h_0_ln_2_bias, 1e-05, False)  # transformer.h.0.ln_2
    view_8: f32[24, 32] = aten.view.default(layer_norm_1, [-1, 32])  # transformer.h.0.mlp.c_fc
    addmm_2: f32[24, 128] = aten.addmm.default(p_transformer_h_0_mlp_c_fc_bias, view_8, p_transformer_h_0_mlp_c_fc_weight)  # transformer.h.0.mlp.c_fc
    view_9: f32[2, 12, 128] = aten.view.default(addmm_2, [2, 12, 128])  # transformer.h.0.mlp.c_fc
    mul: f32[2, 12, 128] = aten.mul.Tensor(view_9, 0.5)  # transformer.h.0.mlp.act
    pow_1: f32[2, 12, 128] = aten.pow.Tensor_Scalar(view_9, 3.0)  # transformer.h.0.mlp.act
    mul_1: f32[2, 12, 128] = aten.mul.Tensor(pow_1, 0.044715)  # transformer.h.0.mlp.act
    add_5: f32[2, 12, 128] = aten.add.Tensor(view_9, mul_1)  # transformer.h.0.mlp.act
    mul_2: f32[2, 12, 128] = aten.mul.Tensor(add_5, 0.7978845608028654)  # transformer.h.0.mlp.act
    tanh: f32[2, 12, 128] = aten.tanh.default(mul_2)  # transformer.h.0.mlp.act
    add_6: f32[2, 12, 128] = aten.add.Tensor(tanh, 1.0)  # transformer.h.0.mlp.act
    mul_3: f32[2, 12, 128] = aten.mul.Tensor(mul, add_6)  # transformer.h.0.mlp.act
    view_10: f32[24, 128] = aten.view.default(mul_3, [-1, 128])  # transformer.h.0.mlp.c_proj
    addmm_3: f32[24, 32] = aten.addmm.default(p_transformer_h_0_mlp_c_proj_bias, view_10, p_transformer_h_0_mlp_c_proj_weight)  # transformer.h.0.mlp.c_proj
    view_11: f32[2, 12, 32] = aten.view.default(addmm_3, [2, 12, 32])  # transformer.h.0.mlp.c_proj
    dropout_2: f32[2, 12, 32] = aten.dropout.default(view_11, 0.1, False)  # transformer.h.0.mlp.dropout
    add_7: f32[2, 12, 32] = aten.add.Tensor(add_4, dropout_2)  # transformer.h.0
    layer_norm_2: f32[2, 12, 32] = aten.layer_norm.default(add_7, [32], p_transformer_ln_f_weight, p_transformer_ln_f_bias, 1e-05, False)  # transformer.ln_f
    view_12: f32[2, 12, 32] = aten.view.default(layer_norm_2, [-1, 12, 32])  # transformer
    alias: f32[2, 12, 32] = aten.alias.default(view_12)
    linear: f32[2, 12, 96] = aten.linear.default(alias, p_lm_head_weight)  # lm_head
    return (linear,)
