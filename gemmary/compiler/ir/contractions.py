"""Convolution and matrix product: sums of products, requantized on their way out of the accumulator.

Both leave int32 sums where their result is ``i32``. With a result of ``!graph.q`` they go through steps 3 to 9 of
docs/numerics.md: bias, ``scale`` (float32, one or one for each output channel: input scale · weight scale / output scale),
``residual`` times ``residual_scale``, the one rounding (half to even), the result's zero point, ``low`` … ``high``, ``table``.
Before a table the zero point may be another one: ``zero_point``. Behind all that a convolution may have a max pool.

The zero points of operands are those of their types; what padding reads is the input's zero point. Constant weights are plain
``i8`` (zero point 0); the bias is the plain one, without the term of the input's zero point.
"""

from xdsl.dialects.builtin import DenseArrayBase, FloatAttr, IntegerAttr, TensorType, UnitAttr, i8, i32
from xdsl.irdl import (
    AttrSizedOperandSegments,
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
)

from .base import HIGH, LOW, NO_PADDING, ONES, GraphOperation, integer, ints, positions
from .types import element_of, f32, quantization, shape_of

_OPTIONAL = "".join(f"(`{name}` ${name}^ `:` type(${name}))? " for name in ("bias", "scale", "residual", "table"))


class Contraction(GraphOperation):
    """The part that convolution and matrix product share: everything behind the sum."""

    @property
    def drain_zero_point(self) -> int:
        """What is added after rounding."""
        return quantization(self.result).zero_point.data if self.zero_point is None else self.zero_point.value.data

    def check_drain(self, channels: int) -> None:
        result, wide = self.result, element_of(self.result) == i32
        self.check(wide or quantization(result) is not None, "the result must be of i32 or !graph.q")
        if self.bias is not None:
            self.check(element_of(self.bias) == i32, "bias must be of i32")
            self.check_shape("bias", (channels,))
        self.check(wide == (self.scale is None), "a scale belongs to a result of !graph.q, and to no other")
        if self.scale is not None:
            self.check(element_of(self.scale) == f32, "scale must be of f32")
            self.check(shape_of(self.scale) in ((1,), (channels,)), f"scale must have the shape [1] or [{channels}]")
        self.check_clip()
        self.check(
            (self.residual is None) == (self.residual_scale is None), "residual and residual_scale belong together"
        )
        if self.residual is not None:
            self.check(not wide, "an i32 result takes no residual")
            self.check_quantized("residual")
            self.check_shape("residual", shape_of(result))
        if self.zero_point is not None:
            self.check(self.table is not None, "zero_point belongs to a table: without one it is the result's")
            self.check(-128 <= self.zero_point.value.data <= 127, "zero_point must be −128 to 127")
        if self.table is not None:
            self.check(not wide, "an i32 result takes no table")
            self.check(element_of(self.table) == i8 and shape_of(self.table) == (256,), "table must be tensor<256xi8>")


@irdl_op_definition
class Conv2D(Contraction):
    """Convolution of ``[n, h, w, cin]`` with constant weights ``[kh, kw, cin / groups, cout]``; padding top, bottom, left,
    right. Depthwise: ``groups`` = cin.

    ``pool``: the int8 numbers of its drain go through the max pool with this window, ``pool_strides`` and ``pool_padding``."""

    name = "graph.conv2d"
    input = operand_def(TensorType)
    weight = operand_def(TensorType)
    bias = opt_operand_def(TensorType)
    scale = opt_operand_def(TensorType)
    residual = opt_operand_def(TensorType)
    table = opt_operand_def(TensorType)
    result = result_def(TensorType)
    strides = prop_def(DenseArrayBase, default_value=ONES)
    dilations = prop_def(DenseArrayBase, default_value=ONES)
    padding = prop_def(DenseArrayBase, default_value=NO_PADDING)
    groups = prop_def(IntegerAttr, default_value=integer(1))
    pool = opt_prop_def(DenseArrayBase)
    pool_strides = prop_def(DenseArrayBase, default_value=ONES)
    pool_padding = prop_def(DenseArrayBase, default_value=NO_PADDING)
    residual_scale = opt_prop_def(FloatAttr)
    zero_point = opt_prop_def(IntegerAttr)
    low = prop_def(IntegerAttr, default_value=LOW)
    high = prop_def(IntegerAttr, default_value=HIGH)

    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    assembly_format = f"$input `,` $weight {_OPTIONAL} attr-dict `:` type($input) `,` type($weight) `->` type($result)"

    def verify_(self) -> None:
        self.check_values()
        self.check_quantized("input")
        self.check(element_of(self.weight) == i8, "weight must be of i8")
        shape, weight, groups = shape_of(self.input), shape_of(self.weight), self.groups.value.data
        self.check(len(shape) == 4, "input must be [n, h, w, channels]")
        self.check(len(weight) == 4, "weight must be [kh, kw, cin / groups, cout]")
        lengths = len(self.strides), len(self.dilations), len(self.padding)
        self.check(lengths == (2, 2, 4), "strides and dilations take 2 numbers, padding 4")
        numbers = [n.get_values() for n in (self.strides, self.dilations, self.padding)]
        self.check(min(*numbers[0], *numbers[1], groups) >= 1, "strides, dilations and groups must be at least 1")
        self.check(min(numbers[2]) >= 0, "padding must not be negative")
        self.check(
            weight[2] * groups == shape[3] and weight[3] % groups == 0,
            f"{shape[3]} channels do not fit weight {list(weight)} in {groups} groups",
        )
        size = self.unpooled_shape[1:3]
        self.check(min(size) >= 1, f"kernel {list(weight[:2])} is larger than the padded image")
        if self.pool is None:
            self.check(self.pool_strides == ONES and self.pool_padding == NO_PADDING, "pool_strides belong to a pool")
        else:
            size = self._check_pool(size)
        self.check_shape("result", (shape[0], *size, weight[3]))
        self.check_drain(weight[3])

    @property
    def unpooled_shape(self) -> tuple[int, ...]:
        """Of the sums."""
        (n, *size, _), (*kernel, _, cout) = shape_of(self.input), shape_of(self.weight)
        strides, dilations, padding = (p.get_values() for p in (self.strides, self.dilations, self.padding))
        return n, *positions(size, kernel, strides, padding, dilations), cout

    def _check_pool(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size of its result."""
        numbers = self.pool.get_values(), self.pool_strides.get_values(), self.pool_padding.get_values()
        self.check([len(n) for n in numbers] == [2, 2, 4], "pool and pool_strides take 2 numbers, pool_padding 4")
        (kh, kw), strides, padding = numbers
        self.check(min(kh, kw, *strides) >= 1, "pool and pool_strides must be at least 1")
        inside = min(padding) >= 0 and max(padding[:2]) < kh and max(padding[2:]) < kw
        self.check(inside, "pool_padding must be 0 or more, and less than the window")
        self.check(self.residual is None, "a pool takes no residual")
        self.check(element_of(self.result) != i32, "an i32 result takes no pool")
        return positions(size, (kh, kw), strides, padding)


@irdl_op_definition
class MatMul(Contraction):
    """Product of ``[…, m, k]`` with constant weights ``[k, n]``, or with ``[…, k, n]`` that was computed: of ``!graph.q``, and
    ``[…, n, k]`` with ``transposed``.

    The innermost of the outer sizes may be ``heads``; they lie side by side in the channels of those tensors that ``joined`` has
    (0: input, 1: weight, 2: result): ``[…, m, heads · k]`` instead of ``[…, heads, m, k]``."""

    name = "graph.matmul"
    input = operand_def(TensorType)
    weight = operand_def(TensorType)
    bias = opt_operand_def(TensorType)
    scale = opt_operand_def(TensorType)
    residual = opt_operand_def(TensorType)
    table = opt_operand_def(TensorType)
    result = result_def(TensorType)
    transposed = opt_prop_def(UnitAttr)
    heads = prop_def(IntegerAttr, default_value=integer(1))
    joined = prop_def(DenseArrayBase, default_value=ints([]))
    residual_scale = opt_prop_def(FloatAttr)
    zero_point = opt_prop_def(IntegerAttr)
    low = prop_def(IntegerAttr, default_value=LOW)
    high = prop_def(IntegerAttr, default_value=HIGH)

    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    assembly_format = f"$input `,` $weight {_OPTIONAL} attr-dict `:` type($input) `,` type($weight) `->` type($result)"

    @property
    def constant(self) -> bool:
        """Whether the right operand is constant."""
        return quantization(self.weight) is None

    def split_shape(self, place: int) -> tuple[int, ...]:
        """Of input (0), weight (1) or result (2), with the heads as an outer size."""
        shape = shape_of((self.input, self.weight, self.result)[place])
        heads = self.heads.value.data
        return (*shape[:-2], heads, shape[-2], shape[-1] // heads) if place in self.joined.get_values() else shape

    def verify_(self) -> None:
        self.check_values()
        self.check_quantized("input")
        heads, joined = self.heads.value.data, self.joined.get_values()
        self.check(heads >= 1, "heads must be at least 1")
        self.check(set(joined) <= {0, 1, 2}, "joined must be of 0 (input), 1 (weight) and 2 (result)")
        self.check(not joined or not self.constant, "constant weights have no heads")
        for place in joined:
            channels = shape_of((self.input, self.weight, self.result)[place])[-1]
            self.check(channels % heads == 0, f"{channels} channels are no {heads} heads")
        shape, weight = self.split_shape(0), self.split_shape(1)
        self.check(len(shape) >= 2, "input must be [..., m, k]")
        if self.constant:
            self.check(element_of(self.weight) == i8, "weight must be of i8 or !graph.q")
            self.check(len(weight) == 2 and self.transposed is None, "constant weights must be [k, n]")
        else:
            self.check(weight[:-2] == shape[:-2] and len(weight) >= 2, "both operands must have the same outer sizes")
        k, n = weight[-2:] if self.transposed is None else weight[:-3:-1]
        self.check(shape[-1] == k, f"rows of {shape[-1]} do not fit weight {list(weight)}")
        self.check(not joined or shape[-3:-2] == (heads,), f"{shape[:-2]} matrices are no {heads} heads")
        last = (shape[-2], heads * n)
        self.check_shape("result", (*shape[:-3], *last) if 2 in joined else (*shape[:-1], n))
        self.check_drain(n)
