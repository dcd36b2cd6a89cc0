program(door="export", training=True)
call = ((..., ...), {})
returns = ...


def graph(
    *,
    p_body_0_weight: f32[8, 3, 3, 3] = parameter("body.0.weight"),
    p_body_1_weight: f32[8] = parameter("body.1.weight"),
    p_body_1_bias: f32[8] = parameter("body.1.bias"),
    p_head_weight: f32[5, 8] = parameter("head.weight"),
    p_head_bias: f32[5] = parameter("head.bias"),
    b_body_1_running_mean: f32[8] = buffer("body.1.running_mean", value=[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
    b_body_1_running_var: f32[8] = buffer("body.1.running_var", value=[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    b_body_1_num_batches_tracked: i64[()] = buffer("body.1.num_batches_tracked", value=0),
    image: f32[4, 3, 6, 6],
    label: i64[4],
):
    conv2d: f32[4, 8, 6, 6] = aten.conv2d.default(image, p_body_0_weight, None, [1, 1], [1, 1])  # body.0
    add_: i64[()] = aten.add_.Tensor(b_body_1_num_batches_tracked, 1)  # body.1
    batch_norm: f32[4, 8, 6, 6] = aten.batch_norm.default(conv2d, p_body_1_weight, p_body_1_bias, b_body_1_running_mean, b_body_1_running_var, True, 0.1, 1e-05, False)  # body.1
    relu_: f32[4, 8, 6, 6] = aten.relu_.default(batch_norm)  # body.2
    dropout: f32[4, 8, 6, 6] = aten.dropout.default(relu_, 0.1, True)  # body.3
    mean: f32[4, 8] = aten.mean.dim(dropout, [2, 3])
    linear: f32[4, 5] = aten.linear.default(mean, p_head_weight, p_head_bias)  # head
    cross_entropy_loss: f32[()] = aten.cross_entropy_loss.default(linear, label)
    return (cross_entropy_loss,)
