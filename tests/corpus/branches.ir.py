program(door="export")
s0 = dim(2, None, hint=3)
call = ((...,), {})
returns = ...


def graph(
    *,
    p_wide_weight: f32[16, 8] = parameter("wide.weight"),
    p_wide_bias: f32[16] = parameter("wide.bias"),
    p_narrow_weight: f32[8, 16] = parameter("narrow.weight"),
    p_narrow_bias: f32[8] = parameter("narrow.bias"),
    x: f32[s0, 8],
):

    def submod_1(arg4_1: f32[s0, 8], arg0_1: f32[16, 8], arg1_1: f32[16]):
        linear: bf16[s0, 16] = aten.linear.default(arg4_1, arg0_1, arg1_1)  # wide
        gelu: bf16[s0, 16] = aten.gelu.default(linear)
        return (gelu,)

    submod_3 = attr("submod_1", body=submod_1)
    gelu: (bf16[s0, 16],) = hop.wrap_with_autocast("cpu", torch.bfloat16, True, False, submod_3, x, p_wide_weight, p_wide_bias)
    getitem: bf16[s0, 16] = operator.getitem(gelu, 0)

    def submod_3(getitem: bf16[s0, 16]):
        to: f32[s0, 16] = aten.to.dtype(getitem, torch.float32)
        abs_1: f32[s0, 16] = aten.abs.default(to)
        amax: f32[s0, 1] = aten.amax.default(abs_1, [-1], True)
        return (amax,)

    submod_4 = attr("submod_3", body=submod_3)

    def true_graph_0(linear_1: f32[s0, 8]):
        sin: f32[s0, 8] = aten.sin.default(linear_1)
        add: f32[s0, 8] = aten.add.Tensor(sin, 1)
        return (add,)

    true_graph_0 = attr("true_graph_0", body=true_graph_0)

    def false_graph_0(linear_1: f32[s0, 8]):
        cos: f32[s0, 8] = aten.cos.default(linear_1)
        sub: f32[s0, 8] = aten.sub.Tensor(cos, 1)
        return (sub,)

    false_graph_0 = attr("false_graph_0", body=false_graph_0)
    amax: (f32[s0, 1],) = hop.wrap_with_set_grad_enabled(False, submod_4, getitem)
    getitem_1: f32[s0, 1] = operator.getitem(amax, 0)
    to_1: f32[s0, 16] = aten.to.dtype(getitem, torch.float32)
    div: f32[s0, 16] = aten.div.Tensor(to_1, getitem_1)
    linear_1: f32[s0, 8] = aten.linear.default(div, p_narrow_weight, p_narrow_bias)  # narrow
    sum_1: f32[()] = aten.sum.default(linear_1)
    gt: b1[()] = aten.gt.Scalar(sum_1, 0)
    cond: (f32[s0, 8],) = hop.cond(gt, true_graph_0, false_graph_0, (linear_1,))
    getitem_2: f32[s0, 8] = operator.getitem(cond, 0)
    return (getitem_2,)
