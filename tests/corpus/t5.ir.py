program(door="export")
call = ((), {"input_ids": ..., "decoder_input_ids": ..., "use_cache": ...})


def graph(
    *,
    p_shared_weight: f32[96, 32] = parameter("shared.weight"),
    p_encoder_embed_tokens_weight: f32[96, 32] = parameter("encoder.embed_tokens.weight", tied="shared.weight"),
    p_encoder_block_0_layer_0_selfattention_q_weight: f32[32, 32] = parameter("encoder.block.0.layer.0.SelfAttention.q.weight"),
    p_encoder_block_0_layer_0_selfattention_k_weight: f32[32, 32] = parameter("encoder.block.0.layer.0.SelfAttention.k.weight"),
    p_encoder_block_0_layer_0_selfattention_v_weight: f32[32, 32] = parameter("encoder.block.0.layer.0.SelfAttention.v.weight"),
    p_encoder_block_0_layer_0_selfattention_o_weight: f32[32, 32] = parameter("encoder.block.0.layer.0.SelfAttention.o.weight"),
    p_encoder_block_0_layer_0_selfattention_relative_attention_bias_weight: f32[32, 4] = parameter("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
    p_encoder_block_0_layer_0_layer_norm_weight: f32[32] = parameter("encoder.block.0.layer.0.layer_norm.weight"),
    p_encoder_block_0_layer_1_densereludense_wi_weight: f32[64, 32] = parameter("encoder.block.0.layer.1.DenseReluDense.wi.weight"),
    p_encoder_block_0_layer_1_densereludense_wo_weight: f32[32, 64] = parameter("encoder.block.0.layer.1.DenseReluDense.wo.weight"),
    p_encoder_block_0_layer_1_layer_norm_weight: f32[32] = parameter("encoder.block.0.layer.1.layer_norm.weight"),
    p_encoder_final_layer_norm_weight: f32[32] = parameter("encoder.final_layer_norm.weight"),
    p_decoder_embed_tokens_weight: f32[96, 32] = parameter("decoder.embed_tokens.weight", tied="shared.weight"),
    p_decoder_block_0_layer_0_selfattention_q_weight: f32[32, 32] = parameter("decoder.block.0.layer.0.SelfAttention.q.weight"),
    p_decoder_block_0_layer_0_selfattention_k_weight: f32[32, 32] = parameter("decoder.block.0.layer.0.SelfAttention.k.weight"),
    p_decoder_block_0_layer_0_selfattention_v_weight: f32[32, 32] = parameter("decoder.block.0.layer.0.SelfAttention.v.weight"),
    p_decoder_block_0_layer_0_selfattention_o_weight: f32[32, 32] = parameter("decoder.block.0.layer.0.SelfAttention.o.weight"),
    p_decoder_block_0_layer_0_selfattention_relative_attention_bias_weight: f32[32, 4] = parameter("decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
    p_decoder_block_0_layer_0_layer_norm_weight: f32[32] = parameter("decoder.block.0.layer.0.layer_norm.weight"),
    p_decoder_block_0_layer_1_encdecattention_q_weight: f32[32, 32] = parameter("decoder.block.0.layer.1.EncDecAttention.q.weight"),
    p_decoder_block_0_layer_1_encdecattention_k_weight: f32[32, 32] = parameter("decoder.block.0.layer.1.EncDecAttention.k.weight"),
    p_decoder_block_0_layer_1_encdecattention_v_weight: f32[32, 32] = parameter("decoder.block.0.layer.1.EncDecAttention.v.weight"),
    p_decoder_block_0_layer_1_encdecattention_o_weight: f32[32, 32] = parameter("decoder.block.0.layer.1.EncDecAttention.o.weight"),
    p_decoder_block_0_layer_1_layer_norm_weight: f32[32] = parameter("decoder.block.0.layer.1.layer_norm.weight"),
    p_decoder_block_0_layer_2_densereludense_wi_weight: f32[64, 32] = parameter("decoder.block.0.layer.2.DenseReluDense.wi.weight"),
    p_decoder_block_0_layer_2_densereludense_wo_weight: f32[32, 64] = parameter("decoder.block.0.layer.2.DenseReluDense.wo.weight"),
    p_decoder_block_0_layer_2_layer_norm_weight: f32[32] = parameter("decoder.block.0.layer.2.layer_norm.weight"),
    p_decoder_final_layer_norm_weight: f32[32] = parameter("decoder.final_layer_norm.weight"),
    p_lm_head_weight: f32[96, 32] = parameter("lm_head.weight", tied="shared.weight"),
    input_ids: i64[2, 10],
    decoder_input_ids: i64[2, 6],
    use_cache: bool = False,
):
    embedding: f32[2, 10, 32] = aten.embedding.default(p_lm_head_weight, input_ids)  # encoder.embed_tokens
    arange: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)  # encoder
    arange_1: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # encoder
    arange_2: i64[10] = aten.arange.default(10, device=torch.device("cpu"), pin_memory=False)  # encoder
    add: i64[10] = aten.add.Tensor(arange_2, 0)  # encoder
    arange_3: i64[10] = aten.arange.default(10, device=torch.device("cpu"), pin_memory=False)  # encoder
    add_1: i64[10] = aten.add.Tensor(arange_3, 0)  # encoder
    unsqueeze: i64[2, 1] = aten.unsqueeze.default(arange, 1)  # encoder
    unsqueeze_1: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze, 2)  # encoder
    unsqueeze_2: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_1, 3)  # encoder
    unsqueeze_3: i64[1, 1] = aten.unsqueeze.default(arange_1, 0)  # encoder
    unsqueeze_4: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_3, 2)  # encoder
    unsqueeze_5: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_4, 3)  # encoder
    unsqueeze_6: i64[1, 10] = aten.unsqueeze.default(add, 0)  # encoder
    unsqueeze_7: i64[1, 1, 10] = aten.unsqueeze.default(unsqueeze_6, 1)  # encoder
    unsqueeze_8: i64[1, 1, 10, 1] = aten.unsqueeze.default(unsqueeze_7, 3)  # encoder
    unsqueeze_9: i64[1, 10] = aten.unsqueeze.default(add_1, 0)  # encoder
    unsqueeze_10: i64[1, 1, 10] = aten.unsqueeze.default(unsqueeze_9, 1)  # encoder
    unsqueeze_11: i64[1, 1, 1, 10] = aten.unsqueeze.default(unsqueeze_10, 2)  # encoder
    ge: b1[1, 1, 10, 1] = aten.ge.Scalar(unsqueeze_8, 0)  # encoder
    expand: b1[2, 1, 10, 10] = aten.expand.default(ge, [2, -1, 10, 10])  # encoder
    dropout: f32[2, 10, 32] = aten.dropout.default(embedding, 0.1, False)  # encoder.dropout
    to: f32[2, 10, 32] = aten.to.dtype(dropout, torch.float32)  # encoder.block.0.layer.0.layer_norm
    pow_1: f32[2, 10, 32] = aten.pow.Tensor_Scalar(to, 2)  # encoder.block.0.layer.0.layer_norm
    mean: f32[2, 10, 1] = aten.mean.dim(pow_1, [-1], True)  # encoder.block.0.layer.0.layer_norm
    add_2: f32[2, 10, 1] = aten.add.Tensor(mean, 1e-06)  # encoder.block.0.layer.0.layer_norm
    rsqrt: f32[2, 10, 1] = aten.rsqrt.default(add_2)  # encoder.block.0.layer.0.layer_norm
    mul: f32[2, 10, 32] = aten.mul.Tensor(to, rsqrt)  # encoder.block.0.layer.0.layer_norm
    mul_1: f32[2, 10, 32] = aten.mul.Tensor(p_encoder_block_0_layer_0_layer_norm_weight, mul)  # encoder.block.0.layer.0.layer_norm
    linear: f32[2, 10, 32] = aten.linear.default(mul_1, p_encoder_block_0_layer_0_selfattention_q_weight)  # encoder.block.0.layer.0.SelfAttention.q
    view: f32[2, 10, 4, 8] = aten.view.default(linear, [2, 10, -1, 8])  # encoder.block.0.layer.0.SelfAttention
    transpose: f32[2, 4, 10, 8] = aten.transpose.int(view, 1, 2)  # encoder.block.0.layer.0.SelfAttention
    linear_1: f32[2, 10, 32] = aten.linear.default(mul_1, p_encoder_block_0_layer_0_selfattention_k_weight)  # encoder.block.0.layer.0.SelfAttention.k
    view_1: f32[2, 10, 4, 8] = aten.view.default(linear_1, [2, 10, -1, 8])  # encoder.block.0.layer.0.SelfAttention
    transpose_1: f32[2, 4, 10, 8] = aten.transpose.int(view_1, 1, 2)  # encoder.block.0.layer.0.SelfAttention
    linear_2: f32[2, 10, 32] = aten.linear.default(mul_1, p_encoder_block_0_layer_0_selfattention_v_weight)  # encoder.block.0.layer.0.SelfAttention.v
    view_2: f32[2, 10, 4, 8] = aten.view.default(linear_2, [2, 10, -1, 8])  # encoder.block.0.layer.0.SelfAttention
    transpose_2: f32[2, 4, 10, 8] = aten.transpose.int(view_2, 1, 2)  # encoder.block.0.layer.0.SelfAttention
    arange_4: i64[10] = aten.arange.default(10, dtype=torch.int64, device=torch.device("cpu"), pin_memory=False)  # encoder.block.0.layer.0.SelfAttention
    unsqueeze_12: i64[10, 1] = aten.unsqueeze.default(arange_4, 1)  # encoder.block.0.layer.0.SelfAttention
    add_3: i64[10, 1] = aten.add.Tensor(unsqueeze_12, 0)  # encoder.block.0.layer.0.SelfAttention
    arange_5: i64[10] = aten.arange.default(10, dtype=torch.int64, device=torch.device("cpu"), pin_memory=False)  # encoder.block.0.layer.0.SelfAttention
    unsqueeze_13: i64[1, 10] = aten.unsqueeze.default(arange_5, 0)  # encoder.block.0.layer.0.SelfAttention
    sub: i64[10, 10] = aten.sub.Tensor(unsqueeze_13, add_3)  # encoder.block.0.layer.0.SelfAttention
    gt: b1[10, 10] = aten.gt.Scalar(sub, 0)  # encoder.block.0.layer.0.SelfAttention
    to_1: i64[10, 10] = aten.to.dtype(gt, torch.int64)  # encoder.block.0.layer.0.SelfAttention
    mul_2: i64[10, 10] = aten.mul.Tensor(to_1, 16)  # encoder.block.0.layer.0.SelfAttention
    add_4: i64[10, 10] = aten.add.Tensor(mul_2, 0)  # encoder.block.0.layer.0.SelfAttention
    abs_1: i64[10, 10] = aten.abs.default(sub)  # encoder.block.0.layer.0.SelfAttention
    lt: b1[10, 10] = aten.lt.Scalar(abs_1, 8)  # encoder.block.0.layer.0.SelfAttention
    to_2: f32[10, 10] = aten.to.dtype(abs_1, torch.float32)  # encoder.block.0.layer.0.SelfAttention
    div: f32[10, 10] = aten.div.Tensor(to_2, 8)  # encoder.block.0.layer.0.SelfAttention
    log: f32[10, 10] = aten.log.default(div)  # encoder.block.0.layer.0.SelfAttention
    div_1: f32[10, 10] = aten.div.Tensor(log, 2.772588722239781)  # encoder.block.0.layer.0.SelfAttention
    mul_3: f32[10, 10] = aten.mul.Tensor(div_1, 8)  # encoder.block.0.layer.0.SelfAttention
    to_3: i64[10, 10] = aten.to.dtype(mul_3, torch.int64)  # encoder.block.0.layer.0.SelfAttention
    add_5: i64[10, 10] = aten.add.Tensor(to_3, 8)  # encoder.block.0.layer.0.SelfAttention
    full_like: i64[10, 10] = aten.full_like.default(add_5, 15, pin_memory=False)  # encoder.block.0.layer.0.SelfAttention
    min_1: i64[10, 10] = aten.min.other(add_5, full_like)  # encoder.block.0.layer.0.SelfAttention
    where: i64[10, 10] = aten.where.self(lt, abs_1, min_1)  # encoder.block.0.layer.0.SelfAttention
    add_: i64[10, 10] = aten.add_.Tensor(add_4, where)  # encoder.block.0.layer.0.SelfAttention
    embedding_1: f32[10, 10, 4] = aten.embedding.default(p_encoder_block_0_layer_0_selfattention_relative_attention_bias_weight, add_)  # encoder.block.0.layer.0.SelfAttention.relative_attention_bias
    permute: f32[4, 10, 10] = aten.permute.default(embedding_1, [2, 0, 1])  # encoder.block.0.layer.0.SelfAttention
    unsqueeze_14: f32[1, 4, 10, 10] = aten.unsqueeze.default(permute, 0)  # encoder.block.0.layer.0.SelfAttention
    where_1: f32[2, 4, 10, 10] = aten.where.ScalarOther(expand, unsqueeze_14, -3.4028234663852886e+38)  # encoder.block.0.layer.0.SelfAttention
    contiguous: f32[2, 4, 10, 10] = aten.contiguous.default(where_1)  # encoder.block.0.layer.0.SelfAttention
    scaled_dot_product_attention: f32[2, 4, 10, 8] = aten.scaled_dot_product_attention.default(transpose, transpose_1, transpose_2, contiguous, scale=1.0)  # encoder.block.0.layer.0.SelfAttention
    reshape: f32[2, 4, 10, 8] = aten.reshape.default(scaled_dot_product_attention, [2, -1, 10, 8])  # encoder.block.0.layer.0.SelfAttention
    transpose_3: f32[2, 10, 4, 8] = aten.transpose.int(reshape, 1, 2)  # encoder.block.0.layer.0.SelfAttention
    contiguous_1: f32[2, 10, 4, 8] = aten.contiguous.default(transpose_3)  # encoder.block.0.layer.0.SelfAttention
    reshape_1: f32[2, 10, 32] = aten.reshape.default(contiguous_1, [2, 10, -1])  # encoder.block.0.layer.0.SelfAttention
    linear_3: f32[2, 10, 32] = aten.linear.default(reshape_1, p_encoder_block_0_layer_0_selfattention_o_weight)  # encoder.block.0.layer.0.SelfAttention.o
    dropout_1: f32[2, 10, 32] = aten.dropout.default(linear_3, 0.1, False)  # encoder.block.0.layer.0.dropout
    add_6: f32[2, 10, 32] = aten.add.Tensor(to, dropout_1)  # encoder.block.0.layer.0
    to_4: f32[2, 10, 32] = aten.to.dtype(add_6, torch.float32)  # encoder.block.0.layer.1.layer_norm
    pow_2: f32[2, 10, 32] = aten.pow.Tensor_Scalar(to_4, 2)  # encoder.block.0.layer.1.layer_norm
    mean_1: f32[2, 10, 1] = aten.mean.dim(pow_2, [-1], True)  # encoder.block.0.layer.1.layer_norm
    add_7: f32[2, 10, 1] = aten.add.Tensor(mean_1, 1e-06)  # encoder.block.0.layer.1.layer_norm
    rsqrt_1: f32[2, 10, 1] = aten.rsqrt.default(add_7)  # encoder.block.0.layer.1.layer_norm
    mul_4: f32[2, 10, 32] = aten.mul.Tensor(to_4, rsqrt_1)  # encoder.block.0.layer.1.layer_norm
    mul_5: f32[2, 10, 32] = aten.mul.Tensor(p_encoder_block_0_layer_1_layer_norm_weight, mul_4)  # encoder.block.0.layer.1.layer_norm
    linear_4: f32[2, 10, 64] = aten.linear.default(mul_5, p_encoder_block_0_layer_1_densereludense_wi_weight)  # encoder.block.0.layer.1.DenseReluDense.wi
    relu: f32[2, 10, 64] = aten.relu.default(linear_4)  # encoder.block.0.layer.1.DenseReluDense.act
    dropout_2: f32[2, 10, 64] = aten.dropout.default(relu, 0.1, False)  # encoder.block.0.layer.1.DenseReluDense.dropout
    linear_5: f32[2, 10, 32] = aten.linear.default(dropout_2, p_encoder_block_0_layer_1_densereludense_wo_weight)  # encoder.block.0.layer.1.DenseReluDense.wo
    dropout_3: f32[2, 10, 32] = aten.dropout.default(linear_5, 0.1, False)  # encoder.block.0.layer.1.dropout
    add_8: f32[2, 10, 32] = aten.add.Tensor(to_4, dropout_3)  # encoder.block.0.layer.1
    to_5: f32[2, 10, 32] = aten.to.dtype(add_8, torch.float32)  # encoder.final_layer_norm
    pow_3: f32[2, 10, 32] = aten.pow.Tensor_Scalar(to_5, 2)  # encoder.final_layer_norm
    mean_2: f32[2, 10, 1] = aten.mean.dim(pow_3, [-1], True)  # encoder.final_layer_norm
    add_9: f32[2, 10, 1] = aten.add.Tensor(mean_2, 1e-06)  # encoder.final_layer_norm
    rsqrt_2: f32[2, 10, 1] = aten.rsqrt.default(add_9)  # encoder.final_layer_norm
    mul_6: f32[2, 10, 32] = aten.mul.Tensor(to_5, rsqrt_2)  # encoder.final_layer_norm
    mul_7: f32[2, 10, 32] = aten.mul.Tensor(p_encoder_final_layer_norm_weight, mul_6)  # encoder.final_layer_norm
    dropout_4: f32[2, 10, 32] = aten.dropout.default(mul_7, 0.1, False)  # encoder.dropout
    embedding_2: f32[2, 6, 32] = aten.embedding.default(p_lm_head_weight, decoder_input_ids)  # decoder.embed_tokens
    arange_6: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)  # decoder
    arange_7: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # decoder
    arange_8: i64[6] = aten.arange.default(6, device=torch.device("cpu"), pin_memory=False)  # decoder
    add_10: i64[6] = aten.add.Tensor(arange_8, 0)  # decoder
    arange_9: i64[6] = aten.arange.default(6, device=torch.device("cpu"), pin_memory=False)  # decoder
    add_11: i64[6] = aten.add.Tensor(arange_9, 0)  # decoder
    unsqueeze_15: i64[2, 1] = aten.unsqueeze.default(arange_6, 1)  # decoder
    unsqueeze_16: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze_15, 2)  # decoder
    unsqueeze_17: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_16, 3)  # decoder
    unsqueeze_18: i64[1, 1] = aten.unsqueeze.default(arange_7, 0)  # decoder
    unsqueeze_19: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_18, 2)  # decoder
    unsqueeze_20: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_19, 3)  # decoder
    unsqueeze_21: i64[1, 6] = aten.unsqueeze.default(add_10, 0)  # decoder
    unsqueeze_22: i64[1, 1, 6] = aten.unsqueeze.default(unsqueeze_21, 1)  # decoder
    unsqueeze_23: i64[1, 1, 6, 1] = aten.unsqueeze.default(unsqueeze_22, 3)  # decoder
    unsqueeze_24: i64[1, 6] = aten.unsqueeze.default(add_11, 0)  # decoder
    unsqueeze_25: i64[1, 1, 6] = aten.unsqueeze.default(unsqueeze_24, 1)  # decoder
    unsqueeze_26: i64[1, 1, 1, 6] = aten.unsqueeze.default(unsqueeze_25, 2)  # decoder
    le: b1[1, 1, 6, 6] = aten.le.Tensor(unsqueeze_26, unsqueeze_23)  # decoder
    expand_1: b1[2, 1, 6, 6] = aten.expand.default(le, [2, -1, 6, 6])  # decoder
    arange_10: i64[2] = aten.arange.default(2, device=torch.device("cpu"), pin_memory=False)  # decoder
    arange_11: i64[1] = aten.arange.default(1, device=torch.device("cpu"), pin_memory=False)  # decoder
    arange_12: i64[6] = aten.arange.default(6, device=torch.device("cpu"), pin_memory=False)  # decoder
    add_12: i64[6] = aten.add.Tensor(arange_12, 0)  # decoder
    arange_13: i64[10] = aten.arange.default(10, device=torch.device("cpu"), pin_memory=False)  # decoder
    add_13: i64[10] = aten.add.Tensor(arange_13, 0)  # decoder
    unsqueeze_27: i64[2, 1] = aten.unsqueeze.default(arange_10, 1)  # decoder
    unsqueeze_28: i64[2, 1, 1] = aten.unsqueeze.default(unsqueeze_27, 2)  # decoder
    unsqueeze_29: i64[2, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_28, 3)  # decoder
    unsqueeze_30: i64[1, 1] = aten.unsqueeze.default(arange_11, 0)  # decoder
    unsqueeze_31: i64[1, 1, 1] = aten.unsqueeze.default(unsqueeze_30, 2)  # decoder
    unsqueeze_32: i64[1, 1, 1, 1] = aten.unsqueeze.default(unsqueeze_31, 3)  # decoder
    unsqueeze_33: i64[1, 6] = aten.unsqueeze.default(add_12, 0)  # decoder
    unsqueeze_34: i64[1, 1, 6] = aten.unsqueeze.default(unsqueeze_33, 1)  # decoder
    unsqueeze_35: i64[1, 1, 6, 1] = aten.unsqueeze.default(unsqueeze_34, 3)  # decoder
    unsqueeze_36: i64[1, 10] = aten.unsqueeze.default(add_13, 0)  # decoder
    unsqueeze_37: i64[1, 1, 10] = aten.unsqueeze.default(unsqueeze_36, 1)  # decoder
    unsqueeze_38: i64[1, 1, 1, 10] = aten.unsqueeze.default(unsqueeze_37, 2)  # decoder
    ge_1: b1[1, 1, 6, 1] = aten.ge.Scalar(unsqueeze_35, 0)  # decoder
    expand_2: b1[2, 1, 6, 10] = aten.expand.default(ge_1, [2, -1, 6, 10])  # decoder
    dropout_5: f32[2, 6, 32] = aten.dropout.default(embedding_2, 0.1, False)  # decoder.dropout
    to_6: f32[2, 6, 32] = aten.to.dtype(dropout_5, torch.float32)  # decoder.block.0.layer.0.layer_norm
    pow_4: f32[2, 6, 32] = aten.pow.Tensor_Scalar(to_6, 2)  # decoder.block.0.layer.0.layer_norm
    mean_3: f32[2, 6, 1] = aten.mean.dim(pow_4, [-1], True)  # decoder.block.0.layer.0.layer_norm
    add_14: f32[2, 6, 1] = aten.add.Tensor(mean_3, 1e-06)  # decoder.block.0.layer.0.layer_norm
    rsqrt_3: f32[2, 6, 1] = aten.rsqrt.default(add_14)  # decoder.block.0.layer.0.layer_norm
    mul_8: f32[2, 6, 32] = aten.mul.Tensor(to_6, rsqrt_3)  # decoder.block.0.layer.0.layer_norm
    mul_9: f32[2, 6, 32] = aten.mul.Tensor(p_decoder_block_0_layer_0_layer_norm_weight, mul_8)  # decoder.block.0.layer.0.layer_norm
    linear_6: f32[2, 6, 32] = aten.linear.default(mul_9, p_decoder_block_0_layer_0_selfattention_q_weight)  # decoder.block.0.layer.0.SelfAttention.q
    view_3: f32[2, 6, 4, 8] = aten.view.default(linear_6, [2, 6, -1, 8])  # decoder.block.0.layer.0.SelfAttention
    transpose_4: f32[2, 4, 6, 8] = aten.transpose.int(view_3, 1, 2)  # decoder.block.0.layer.0.SelfAttention
    linear_7: f32[2, 6, 32] = aten.linear.default(mul_9, p_decoder_block_0_layer_0_selfattention_k_weight)  # decoder.block.0.layer.0.SelfAttention.k
    view_4: f32[2, 6, 4, 8] = aten.view.default(linear_7, [2, 6, -1, 8])  # decoder.block.0.layer.0.SelfAttention
    transpose_5: f32[2, 4, 6, 8] = aten.transpose.int(view_4, 1, 2)  # decoder.block.0.layer.0.SelfAttention
    linear_8: f32[2, 6, 32] = aten.linear.default(mul_9, p_decoder_block_0_layer_0_selfattention_v_weight)  # decoder.block.0.layer.0.SelfAttention.v
    view_5: f32[2, 6, 4, 8] = aten.view.default(linear_8, [2, 6, -1, 8])  # decoder.block.0.layer.0.SelfAttention
    transpose_6: f32[2, 4, 6, 8] = aten.transpose.int(view_5, 1, 2)  # decoder.block.0.layer.0.SelfAttention
    arange_14: i64[6] = aten.arange.default(6, dtype=torch.int64, device=torch.device("cpu"), pin_memory=False)  # decoder.block.0.layer.0.SelfAttention
    unsqueeze_39: i64[6, 1] = aten.unsqueeze.default(arange_14, 1)  # decoder.block.0.layer.0.SelfAttention
    add_15: i64[6, 1] = aten.add.Tensor(unsqueeze_39, 0)  # decoder.block.0.layer.0.SelfAttention
    arange_15: i64[6] = aten.arange.default(6, dtype=torch.int64, device=torch.device("cpu"), pin_memory=False)  # decoder.block.0.layer.0.SelfAttention
    unsqueeze_40: i64[1, 6] = aten.unsqueeze.default(arange_15, 0)  # decoder.block.0.layer.0.SelfAttention
    sub_1: i64[6, 6] = aten.sub.Tensor(unsqueeze_40, add_15)  # decoder.block.0.layer.0.SelfAttention
    zeros_like: i64[6, 6] = aten.zeros_like.default(sub_1, pin_memory=False)  # decoder.block.0.layer.0.SelfAttention
    min_2: i64[6, 6] = aten.min.other(sub_1, zeros_like)  # decoder.block.0.layer.0.SelfAttention
    neg: i64[6, 6] = aten.neg.default(min_2)  # decoder.block.0.layer.0.SelfAttention
    lt_1: b1[6, 6] = aten.lt.Scalar(neg, 16)  # decoder.block.0.layer.0.SelfAttention
    to_7: f32[6, 6] = aten.to.dtype(neg, torch.float32)  # decoder.block.0.layer.0.SelfAttention
    div_2: f32[6, 6] = aten.div.Tensor(to_7, 16)  # decoder.block.0.layer.0.SelfAttention
    log_1: f32[6, 6] = aten.log.default(div_2)  # decoder.block.0.layer.0.SelfAttention
    div_3: f32[6, 6] = aten.div.Tensor(log_1, 2.0794415416798357)  # decoder.block.0.layer.0.SelfAttention
    mul_10: f32[6, 6] = aten.mul.Tensor(div_3, 16)  # decoder.block.0.layer.0.SelfAttention
    to_8: i64[6, 6] = aten.to.dtype(mul_10, torch.int64)  # decoder.block.0.layer.0.SelfAttention
    add_16: i64[6, 6] = aten.add.Tensor(to_8, 16)  # decoder.block.0.layer.0.SelfAttention
    full_like_1: i64[6, 6] = aten.full_like.default(add_16, 31, pin_memory=False)  # decoder.block.0.layer.0.SelfAttention
    min_3: i64[6, 6] = aten.min.other(add_16, full_like_1)  # decoder.block.0.layer.0.SelfAttention
    where_2: i64[6, 6] = aten.where.self(lt_1, neg, min_3)  # decoder.block.0.layer.0.SelfAttention
    add_17: i64[6, 6] = aten.add.Tensor(where_2, 0)  # decoder.block.0.layer.0.SelfAttention
    embedding_3: f32[6, 6, 4] = aten.embedding.default(p_decoder_block_0_layer_0_selfattention_relative_attention_bias_weight, add_17)  # decoder.block.0.layer.0.SelfAttention.relative_attention_bias
    permute_1: f32[4, 6, 6] = aten.permute.default(embedding_3, [2, 0, 1])  # decoder.block.0.layer.0.SelfAttention
    unsqueeze_41: f32[1, 4, 6, 6] = aten.unsqueeze.default(permute_1, 0)  # decoder.block.0.layer.0.SelfAttention
    where_3: f32[2, 4, 6, 6] = aten.where.ScalarOther(expand_1, unsqueeze_41, -3.4028234663852886e+38)  # decoder.block.0.layer.0.SelfAttention
    contiguous_2: f32[2, 4, 6, 6] = aten.contiguous.default(where_3)  # decoder.block.0.layer.0.SelfAttention
    scaled_dot_product_attention_1: f32[2, 4, 6, 8] = aten.scaled_dot_product_attention.default(transpose_4, transpose_5, transpose_6, contiguous_2, scale=1.0)  # decoder.block.0.layer.0.SelfAttention
    reshape_2: f32[2, 4, 6, 8] = aten.reshape.default(scaled_dot_product_attention_1, [2, -1, 6, 8])  # decoder.block.0.layer.0.SelfAttention
    transpose_7: f32[2, 6, 4, 8] = aten.transpose.int(reshape_2, 1, 2)  # decoder.block.0.layer.0.SelfAttention
    contiguous_3: f32[2, 6, 4, 8] = aten.contiguous.default(transpose_7)  # decoder.block.0.layer.0.SelfAttention
    reshape_3: f32[2, 6, 32] = aten.reshape.default(contiguous_3, [2, 6, -1])  # decoder.block.0.layer.0.SelfAttention
    linear_9: f32[2, 6, 32] = aten.linear.default(reshape_3, p_decoder_block_0_layer_0_selfattention_o_weight)  # decoder.block.0.layer.0.SelfAttention.o
    dropout_6: f32[2, 6, 32] = aten.dropout.default(linear_9, 0.1, False)  # decoder.block.0.layer.0.dropout
    add_18: f32[2, 6, 32] = aten.add.Tensor(to_6, dropout_6)  # decoder.block.0.layer.0
    to_9: f32[2, 6, 32] = aten.to.dtype(add_18, torch.float32)  # decoder.block.0.layer.1.layer_norm
    pow_5: f32[2, 6, 32] = aten.pow.Tensor_Scalar(to_9, 2)  # decoder.block.0.layer.1.layer_norm
    mean_4: f32[2, 6, 1] = aten.mean.dim(pow_5, [-1], True)  # decoder.block.0.layer.1.layer_norm
    add_19: f32[2, 6, 1] = aten.add.Tensor(mean_4, 1e-06)  # decoder.block.0.layer.1.layer_norm
    rsqrt_4: f32[2, 6, 1] = aten.rsqrt.default(add_19)  # decoder.block.0.layer.1.layer_norm
    mul_11: f32[2, 6, 32] = aten.mul.Tensor(to_9, rsqrt_4)  # decoder.block.0.layer.1.layer_norm
    mul_12: f32[2, 6, 32] = aten.mul.Tensor(p_decoder_block_0_layer_1_layer_norm_weight, mul_11)  # decoder.block.0.layer.1.layer_norm
    linear_10: f32[2, 6, 32] = aten.linear.default(mul_12, p_decoder_block_0_layer_1_encdecattention_q_weight)  # decoder.block.0.layer.1.EncDecAttention.q
    view_6: f32[2, 6, 4, 8] = aten.view.default(linear_10, [2, 6, -1, 8])  # decoder.block.0.layer.1.EncDecAttention
    transpose_8: f32[2, 4, 6, 8] = aten.transpose.int(view_6, 1, 2)  # decoder.block.0.layer.1.EncDecAttention
    linear_11: f32[2, 10, 32] = aten.linear.default(dropout_4, p_decoder_block_0_layer_1_encdecattention_k_weight)  # decoder.block.0.layer.1.EncDecAttention.k
    view_7: f32[2, 10, 4, 8] = aten.view.default(linear_11, [2, 10, -1, 8])  # decoder.block.0.layer.1.EncDecAttention
    transpose_9: f32[2, 4, 10, 8] = aten.transpose.int(view_7, 1, 2)  # decoder.block.0.layer.1.EncDecAttention
    linear_12: f32[2, 10, 32] = aten.linear.default(dropout_4, p_decoder_block_0_layer_1_encdecattention_v_weight)  # decoder.block.0.layer.1.EncDecAttention.v
    view_8: f32[2, 10, 4, 8] = aten.view.default(linear_12, [2, 10, -1, 8])  # decoder.block.0.layer.1.EncDecAttention
    transpose_10: f32[2, 4, 10, 8] = aten.transpose.int(view_8, 1, 2)  # decoder.block.0.layer.1.EncDecAttention
    zeros: f32[1, 4, 6, 10] = aten.zeros.default([1, 4, 6, 10], dtype=torch.float32, device=torch.device("cpu"), pin_memory=False)  # decoder.block.0.layer.1.EncDecAttention
    where_4: f32[2, 4, 6, 10] = aten.where.ScalarOther(expand_2, zeros, -3.4028234663852886e+38)  # decoder.block.0.layer.1.EncDecAttention
    scaled_dot_product_attention_2: f32[2, 4, 6, 8] = aten.scaled_dot_product_attention.default(transpose_8, transpose_9, transpose_10, where_4, scale=1.0)  # decoder.block.0.layer.1.EncDecAttention
    reshape_4: f32[2, 4, 6, 8] = aten.reshape.default(scaled_dot_product_attention_2, [2, -1, 6, 8])  # decoder.block.0.layer.1.EncDecAttention
    transpose_11: f32[2, 6, 4, 8] = aten.transpose.int(reshape_4, 1, 2)  # decoder.block.0.layer.1.EncDecAttention
    reshape_5: f32[2, 6, 32] = aten.reshape.default(transpose_11, [2, 6, -1])  # decoder.block.0.layer.1.EncDecAttention
    linear_13: f32[2, 6, 32] = aten.linear.default(reshape_5, p_decoder_block_0_layer_1_encdecattention_o_weight)  # decoder.block.0.layer.1.EncDecAttention.o
    dropout_7: f32[2, 6, 32] = aten.dropout.default(linear_13, 0.1, False)  # decoder.block.0.layer.1.dropout
    add_20: f32[2, 6, 32] = aten.add.Tensor(to_9, dropout_7)  # decoder.block.0.layer.1
    to_10: f32[2, 6, 32] = aten.to.dtype(add_20, torch.float32)  # decoder.block.0.layer.2.layer_norm
    pow_6: f32[2, 6, 32] = aten.pow.Tensor_Scalar(to_10, 2)  # decoder.block.0.layer.2.layer_norm
    mean_5: f32[2, 6, 1] = aten.mean.dim(pow_6, [-1], True)  # decoder.block.0.layer.2.layer_norm
    add_21: f32[2, 6, 1] = aten.add.Tensor(mean_5, 1e-06)  # decoder.block.0.layer.2.layer_norm
    rsqrt_5: f32[2, 6, 1] = aten.rsqrt.default(add_21)  # decoder.block.0.layer.2.layer_norm
    mul_13: f32[2, 6, 32] = aten.mul.Tensor(to_10, rsqrt_5)  # decoder.block.0.layer.2.layer_norm
    mul_14: f32[2, 6, 32] = aten.mul.Tensor(p_decoder_block_0_layer_2_layer_norm_weight, mul_13)  # decoder.block.0.layer.2.layer_norm
    linear_14: f32[2, 6, 64] = aten.linear.default(mul_14, p_decoder_block_0_layer_2_densereludense_wi_weight)  # decoder.block.0.layer.2.DenseReluDense.wi
    relu_1: f32[2, 6, 64] = aten.relu.default(linear_14)  # decoder.block.0.layer.2.DenseReluDense.act
    dropout_8: f32[2, 6, 64] = aten.dropout.default(relu_1, 0.1, False)  # decoder.block.0.layer.2.DenseReluDense.dropout
    linear_15: f32[2, 6, 32] = aten.linear.default(dropout_8, p_decoder_block_0_layer_2_densereludense_wo_weight)  # decoder.block.0.layer.2.DenseReluDense.wo
    dropout_9: f32[2, 6, 32] = aten.dropout.default(linear_15, 0.1, False)  # decoder.block.0.layer.2.dropout
    add_22: f32[2, 6, 32] = aten.add.Tensor(to_10, dropout_9)  # decoder.block.0.layer.2
    to_11: f32[2, 6, 32] = aten.to.dtype(add_22, torch.float32)  # decoder.final_layer_norm
    pow_7: f32[2, 6, 32] = aten.pow.Tensor_Scalar(to_11, 2)  # decoder.final_layer_norm
    mean_6: f32[2, 6, 1] = aten.mean.dim(pow_7, [-1], True)  # decoder.final_layer_norm
    add_23: f32[2, 6, 1] = aten.add.Tensor(mean_6, 1e-06)  # decoder.final_layer_norm
    rsqrt_6: f32[2, 6, 1] = aten.rsqrt.default(add_23)  # decoder.final_layer_norm
    mul_15: f32[2, 6, 32] = aten.mul.Tensor(to_11, rsqrt_6)  # decoder.final_layer_norm
    mul_16: f32[2, 6, 32] = aten.mul.Tensor(p_decoder_final_layer_norm_weight, mul_15)  # decoder.final_layer_norm
    dropout_10: f32[2, 6, 32] = aten.dropout.default(mul_16, 0.1, False)  # decoder.dropout
    mul_17: f32[2, 6, 32] = aten.mul.Tensor(dropout_10, 0.1767766952966369)
    linear_16: f32[2, 6, 96] = aten.linear.default(mul_17, p_lm_head_weight)  # lm_head
    return (linear_16, dropout_4)
