program(door="export")
call = ((..., ...), {})
returns = (..., ...)


def graph(
    *,
    p_cell_weight_ih: f32[48, 8] = parameter("cell.weight_ih"),
    p_cell_weight_hh: f32[48, 16] = parameter("cell.weight_hh"),
    p_cell_bias_ih: f32[48] = parameter("cell.bias_ih"),
    p_cell_bias_hh: f32[48] = parameter("cell.bias_hh"),
    p_head_weight: f32[8, 16] = parameter("head.weight"),
    p_head_bias: f32[8] = parameter("head.bias"),
    x: f32[2, 4, 8],
    state: f32[2, 16],
):
    unbind: [f32[2, 8], f32[2, 8], f32[2, 8], f32[2, 8]] = aten.unbind.int(x, 1)
    getitem: f32[2, 8] = operator.getitem(unbind, 0)
    getitem_1: f32[2, 8] = operator.getitem(unbind, 1)
    getitem_2: f32[2, 8] = operator.getitem(unbind, 2)
    getitem_3: f32[2, 8] = operator.getitem(unbind, 3)
    gru_cell: f32[2, 16] = aten.gru_cell.default(getitem, state, p_cell_weight_ih, p_cell_weight_hh, p_cell_bias_ih, p_cell_bias_hh)  # cell
    linear: f32[2, 8] = aten.linear.default(gru_cell, p_head_weight, p_head_bias)  # head
    gru_cell_1: f32[2, 16] = aten.gru_cell.default(getitem_1, gru_cell, p_cell_weight_ih, p_cell_weight_hh, p_cell_bias_ih, p_cell_bias_hh)  # cell
    linear_1: f32[2, 8] = aten.linear.default(gru_cell_1, p_head_weight, p_head_bias)  # head
    gru_cell_2: f32[2, 16] = aten.gru_cell.default(getitem_2, gru_cell_1, p_cell_weight_ih, p_cell_weight_hh, p_cell_bias_ih, p_cell_bias_hh)  # cell
    linear_2: f32[2, 8] = aten.linear.default(gru_cell_2, p_head_weight, p_head_bias)  # head
    gru_cell_3: f32[2, 16] = aten.gru_cell.default(getitem_3, gru_cell_2, p_cell_weight_ih, p_cell_weight_hh, p_cell_bias_ih, p_cell_bias_hh)  # cell
    linear_3: f32[2, 8] = aten.linear.default(gru_cell_3, p_head_weight, p_head_bias)  # head
    stack: f32[2, 4, 8] = aten.stack.default([linear, linear_1, linear_2, linear_3], 1)
    return (stack, gru_cell_3)
