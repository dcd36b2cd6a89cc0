program(door="export")
call = ((..., ...), {})
returns = ...


def graph(
    *,
    p_time_0_weight: f32[16, 16] = parameter("time.0.weight"),
    p_time_0_bias: f32[16] = parameter("time.0.bias"),
    p_time_2_weight: f32[16, 16] = parameter("time.2.weight"),
    p_time_2_bias: f32[16] = parameter("time.2.bias"),
    p_enter_weight: f32[16, 3, 3, 3] = parameter("enter.weight"),
    p_enter_bias: f32[16] = parameter("enter.bias"),
    p_down_weight: f32[16, 16, 3, 3] = parameter("down.weight"),
    p_down_bias: f32[16] = parameter("down.bias"),
    p_norms_0_weight: f32[16] = parameter("norms.0.weight"),
    p_norms_0_bias: f32[16] = parameter("norms.0.bias"),
    p_norms_1_weight: f32[16] = parameter("norms.1.weight"),
    p_norms_1_bias: f32[16] = parameter("norms.1.bias"),
    p_norms_2_weight: f32[16] = parameter("norms.2.weight"),
    p_norms_2_bias: f32[16] = parameter("norms.2.bias"),
    p_qkv_weight: f32[48, 16, 1, 1] = parameter("qkv.weight"),
    p_qkv_bias: f32[48] = parameter("qkv.bias"),
    p_project_weight: f32[16, 16, 1, 1] = parameter("project.weight"),
    p_project_bias: f32[16] = parameter("project.bias"),
    p_up_weight: f32[16, 16, 4, 4] = parameter("up.weight"),
    p_up_bias: f32[16] = parameter("up.bias"),
    p_leave_weight: f32[3, 32, 3, 3] = parameter("leave.weight"),
    p_leave_bias: f32[3] = parameter("leave.bias"),
    b_frequencies: f32[8] = buffer("frequencies", value=[1.0, 0.31622776, 0.099999994, 0.031622775, 0.01, 0.0031622767, 0.0009999999, 0.00031622782]),
    image: f32[2, 3, 8, 8],
    step: f32[2],
):
    unsqueeze: f32[2, 1] = aten.unsqueeze.default(step, 1)
    mul: f32[2, 8] = aten.mul.Tensor(unsqueeze, b_frequencies)
    cos: f32[2, 8] = aten.cos.default(mul)
    sin: f32[2, 8] = aten.sin.default(mul)
    cat: f32[2, 16] = aten.cat.default([cos, sin], -1)
    linear: f32[2, 16] = aten.linear.default(cat, p_time_0_weight, p_time_0_bias)  # time.0
    silu: f32[2, 16] = aten.silu.default(linear)  # time.1
    linear_1: f32[2, 16] = aten.linear.default(silu, p_time_2_weight, p_time_2_bias)  # time.2
    unsqueeze_1: f32[2, 16, 1] = aten.unsqueeze.default(linear_1, 2)
    unsqueeze_2: f32[2, 16, 1, 1] = aten.unsqueeze.default(unsqueeze_1, 3)
    conv2d: f32[2, 16, 8, 8] = aten.conv2d.default(image, p_enter_weight, p_enter_bias, [1, 1], [1, 1])  # enter
    group_norm: f32[2, 16, 8, 8] = aten.group_norm.default(conv2d, 4, p_norms_0_weight, p_norms_0_bias, 1e-05, False)  # norms.0
    add: f32[2, 16, 8, 8] = aten.add.Tensor(group_norm, unsqueeze_2)
    silu_1: f32[2, 16, 8, 8] = aten.silu.default(add)
    conv2d_1: f32[2, 16, 4, 4] = aten.conv2d.default(silu_1, p_down_weight, p_down_bias, [2, 2], [1, 1])  # down
    group_norm_1: f32[2, 16, 4, 4] = aten.group_norm.default(conv2d_1, 4, p_norms_1_weight, p_norms_1_bias, 1e-05, False)  # norms.1
    silu_2: f32[2, 16, 4, 4] = aten.silu.default(group_norm_1)
    group_norm_2: f32[2, 16, 4, 4] = aten.group_norm.default(silu_2, 4, p_norms_2_weight, p_norms_2_bias, 1e-05, False)  # norms.2
    conv2d_2: f32[2, 48, 4, 4] = aten.conv2d.default(group_norm_2, p_qkv_weight, p_qkv_bias)  # qkv
    reshape: f32[2, 3, 2, 8, 16] = aten.reshape.default(conv2d_2, [2, 3, 2, 8, -1])
    unbind: [f32[2, 2, 8, 16], f32[2, 2, 8, 16], f32[2, 2, 8, 16]] = aten.unbind.int(reshape, 1)
    getitem: f32[2, 2, 8, 16] = operator.getitem(unbind, 0)
    getitem_1: f32[2, 2, 8, 16] = operator.getitem(unbind, 1)
    getitem_2: f32[2, 2, 8, 16] = operator.getitem(unbind, 2)
    einsum: f32[2, 2, 16, 16] = aten.einsum.default("bhcq,bhck->bhqk", [getitem, getitem_1])
    mul_1: f32[2, 2, 16, 16] = aten.mul.Tensor(einsum, 0.3535533905932738)
    softmax: f32[2, 2, 16, 16] = aten.softmax.int(mul_1, -1)
    einsum_1: f32[2, 2, 8, 16] = aten.einsum.default("bhqk,bhck->bhcq", [softmax, getitem_2])
    reshape_1: f32[2, 16, 4, 4] = aten.reshape.default(einsum_1, [2, 16, 4, 4])
    conv2d_3: f32[2, 16, 4, 4] = aten.conv2d.default(reshape_1, p_project_weight, p_project_bias)  # project
    add_1: f32[2, 16, 4, 4] = aten.add.Tensor(conv2d_3, conv2d_1)
    conv_transpose2d: f32[2, 16, 8, 8] = aten.conv_transpose2d.input(add_1, p_up_weight, p_up_bias, [2, 2], [1, 1])  # up
    cat_1: f32[2, 32, 8, 8] = aten.cat.default([conv_transpose2d, conv2d], 1)
    conv2d_4: f32[2, 3, 8, 8] = aten.conv2d.default(cat_1, p_leave_weight, p_leave_bias, [1, 1], [1, 1])  # leave
    return (conv2d_4,)
