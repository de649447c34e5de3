"""ATen operators that compute on every element."""

from .torch_handlers import HANDLERS, Unknown, aten, handles

_UNARY = {
    "Abs": aten.abs.default, "Ceil": aten.ceil.default, "Cos": aten.cos.default, "Erf": aten.erf.default, "Exp": aten.exp.default,
    "Floor": aten.floor.default, "HardSwish": aten.hardswish.default, "Log": aten.log.default, "Mish": aten.mish.default,
    "Neg": aten.neg.default, "Not": aten.logical_not.default, "Reciprocal": aten.reciprocal.default, "Relu": aten.relu.default,
    "Round": aten.round.default, "Selu": aten.selu.default, "Sigmoid": aten.sigmoid.default, "Sign": aten.sign.default,
    "Sin": aten.sin.default, "Sqrt": aten.sqrt.default, "Tanh": aten.tanh.default,
}  # fmt: skip
_BINARY = {
    "Mul": (aten.mul.Tensor, aten.mul.Scalar),
    "Div": (aten.div.Tensor, aten.div.Scalar),
    "Pow": (aten.pow.Tensor_Scalar, aten.pow.Tensor_Tensor),
    "Max": (aten.maximum.default, aten.max.other),
    "Min": (aten.minimum.default, aten.min.other),
    "Equal": (aten.eq.Tensor, aten.eq.Scalar),
    "Greater": (aten.gt.Tensor, aten.gt.Scalar),
    "GreaterOrEqual": (aten.ge.Tensor, aten.ge.Scalar),
    "Less": (aten.lt.Tensor, aten.lt.Scalar),
    "LessOrEqual": (aten.le.Tensor, aten.le.Scalar),
    "And": (aten.logical_and.default,),
    "Or": (aten.logical_or.default,),
}

for _name, _target in _UNARY.items():
    HANDLERS[_target] = lambda g, x, kind=_name: g.same(kind, x)
for _name, _targets in _BINARY.items():
    for _target in _targets:
        HANDLERS[_target] = lambda g, a, b, kind=_name: g.binary(kind, a, b)


@handles(aten.add.Tensor, aten.add.Scalar)
def _add(g, a, b, alpha=1):
    return g.binary("Add", a, b if alpha == 1 else g.binary("Mul", b, alpha))


@handles(aten.sub.Tensor, aten.sub.Scalar)
def _sub(g, a, b, alpha=1):
    return g.binary("Sub", a, b if alpha == 1 else g.binary("Mul", b, alpha))


@handles(aten.rsub.Scalar, aten.rsub.Tensor)
def _rsub(g, a, b, alpha=1):
    return _sub(g, b, a, alpha)


@handles(aten.silu.default)
def _silu(g, x):
    return g.binary("Mul", x, g.same("Sigmoid", x))


@handles(aten.gelu.default)
def _gelu(g, x, approximate="none"):
    return g.same("Gelu", x, approximate=approximate)


@handles(aten.rsqrt.default)
def _rsqrt(g, x):
    return g.same("Reciprocal", g.same("Sqrt", x))


@handles(aten.hardsigmoid.default)
def _hardsigmoid(g, x):
    return g.same("HardSigmoid", x, alpha=1 / 6, beta=0.5)


@handles(aten.leaky_relu.default)
def _leaky_relu(g, x, slope=0.01):
    return g.same("LeakyRelu", x, alpha=float(slope))


@handles(aten.elu.default)
def _elu(g, x, alpha=1.0, scale=1.0, input_scale=1.0):
    if scale != 1 or input_scale != 1:
        raise Unknown("scales of elu other than 1")
    return g.same("Elu", x, alpha=float(alpha))


@handles(aten.softplus.default)
def _softplus(g, x, beta=1.0, threshold=20.0):
    if beta != 1:
        raise Unknown("a beta of softplus other than 1")
    return g.same("Softplus", x)


@handles(aten.hardtanh.default)
def _hardtanh(g, x, low=-1.0, high=1.0):
    return _clamp(g, x, low, high)


@handles(aten.relu6.default)
def _relu6(g, x):
    return _clamp(g, x, 0.0, 6.0)


@handles(aten.clamp.default, aten.clamp_min.default)
def _clamp(g, x, low=None, high=None):
    bounds = [None if bound is None else g.scalar(bound, x) for bound in (low, high)]
    while bounds and bounds[-1] is None:
        bounds.pop()
    return g.same("Clip", x, *bounds)


@handles(aten.clamp_max.default)
def _clamp_max(g, x, high):
    return _clamp(g, x, None, high)


@handles(aten.where.self)
def _where(g, condition, a, b):
    return g.float("Where", condition, g.like(a, g.node), g.like(b, g.node))


@handles(aten.masked_fill.Scalar, aten.masked_fill.Tensor)
def _masked_fill(g, x, mask, value):
    return g.float("Where", mask, g.like(value, g.node), x)


@handles(aten._to_copy.default, aten.to.dtype, aten.type_as.default)
def _to(g, x, *_, **__):
    return g.cast(x)
