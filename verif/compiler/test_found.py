"""Models that random graphs found to fail, as small as they became; each ran wrong, or was refused, once."""

import numpy as np
import pytest

from gemmary.compiler import ir
from gemmary.compiler.ir.types import shape_of
from gemmary.config import preset
from verif.compiler.agreement import check
from verif.configs import TINY_NARROW_BUS

SMALL, BASE = preset("small"), preset("base")

CASES = {
    # v is the right operand of a product on the host: as a result of this program it had rows that nothing stores.
    "right operand that leaves": (
        SMALL,
        """
func.func @main(%x: tensor<1x1x!graph.q<1.0, 0>>) -> tensor<1x4x!graph.q<1.0, 0>> {
  %w = graph.constant {value = dense<[[-52, -73, -128, -57]]> : tensor<1x4xi8>} : tensor<1x4xi8>
  %s = graph.constant {value = dense<0.003> : tensor<1xf32>} : tensor<1xf32>
  %v = graph.matmul %x, %w scale %s : tensor<1xf32> : tensor<1x1x!graph.q<1.0, 0>>, tensor<1x4xi8> -> tensor<1x4x!graph.q<0.03125, 3>>
  %p = graph.softmax %x : tensor<1x1x!graph.q<1.0, 0>> -> tensor<1x1x!graph.q<0.0078125, 0>>
  %y = graph.matmul %p, %v scale %s : tensor<1xf32> : tensor<1x1x!graph.q<0.0078125, 0>>, tensor<1x4x!graph.q<0.03125, 3>> -> tensor<1x4x!graph.q<1.0, 0>>
  func.return %y : tensor<1x4x!graph.q<1.0, 0>>
}
""",
    ),
    # The last row of outputs reads padding only: a row of inputs was loaded that nothing read.
    "all padding": (
        BASE,
        """
func.func @main(%x: tensor<2x3x12x2x!graph.q<0.5, 3>>) -> tensor<2x2x7x2x!graph.q<0.0625, 127>> {
  %w = graph.constant {value = dense<7> : tensor<1x1x2x2xi8>} : tensor<1x1x2x2xi8>
  %s = graph.constant {value = dense<0.03> : tensor<1xf32>} : tensor<1xf32>
  %y = graph.conv2d %x, %w scale %s : tensor<1xf32> {strides = array<i64: 3, 2>, padding = array<i64: 0, 1, 1, 1>} :
    tensor<2x3x12x2x!graph.q<0.5, 3>>, tensor<1x1x2x2xi8> -> tensor<2x2x7x2x!graph.q<0.0625, 127>>
  func.return %y : tensor<2x2x7x2x!graph.q<0.0625, 127>>
}
""",
    ),
    # Rows of tokens, read as an image: the checker knew only the rows, of which some are taken more often.
    "uneven view": (
        SMALL,
        """
func.func @main(%x: tensor<9x16x!graph.q<0.5, 3>>) -> tensor<1x3x2x8x!graph.q<0.25, 0>> {
  %t = graph.constant {value = dense<5> : tensor<256xi8>} : tensor<256xi8>
  %w = graph.constant {value = dense<7> : tensor<1x2x16x8xi8>} : tensor<1x2x16x8xi8>
  %s = graph.constant {value = dense<0.003> : tensor<1xf32>} : tensor<1xf32>
  %a = graph.table %x, %t : tensor<9x16x!graph.q<0.5, 3>>, tensor<256xi8> -> tensor<9x16x!graph.q<0.5, 3>>
  %r = graph.reshape %a : tensor<9x16x!graph.q<0.5, 3>> -> tensor<1x3x3x16x!graph.q<0.5, 3>>
  %y = graph.conv2d %r, %w scale %s : tensor<1xf32> {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>} :
    tensor<1x3x3x16x!graph.q<0.5, 3>>, tensor<1x2x16x8xi8> -> tensor<1x3x2x8x!graph.q<0.25, 0>>
  func.return %y : tensor<1x3x2x8x!graph.q<0.25, 0>>
}
""",
    ),
    # One key: the second half of a tile of 8 columns, which takes two transfers of 4 bytes, was read and never loaded.
    "few keys": (
        TINY_NARROW_BUS,
        """
func.func @main(%x: tensor<2x4x!graph.q<0.5, 0>>, %z: tensor<1x4x!graph.q<0.5, 0>>) -> tensor<2x1x!graph.q<0.5, 0>> {
  %s = graph.constant {value = dense<0.01> : tensor<1xf32>} : tensor<1xf32>
  %y = graph.matmul %x, %z scale %s : tensor<1xf32> {transposed} :
    tensor<2x4x!graph.q<0.5, 0>>, tensor<1x4x!graph.q<0.5, 0>> -> tensor<2x1x!graph.q<0.5, 0>>
  func.return %y : tensor<2x1x!graph.q<0.5, 0>>
}
""",
    ),
    # A result that nobody reads, of a model without passes: what a chain writes on the chip must be read.
    "dead end": (
        BASE,
        """
func.func @main(%x: tensor<2x16x!graph.q<1.0, 0>>) -> tensor<2x8x!graph.q<1.0, 0>> {
  %s = graph.constant {value = dense<0.001> : tensor<1xf32>} : tensor<1xf32>
  %w = graph.constant {value = dense<7> : tensor<16x8xi8>} : tensor<16x8xi8>
  %v = graph.constant {value = dense<-3> : tensor<8x8xi8>} : tensor<8x8xi8>
  %a = graph.matmul %x, %w scale %s : tensor<1xf32> : tensor<2x16x!graph.q<1.0, 0>>, tensor<16x8xi8> -> tensor<2x8x!graph.q<1.0, 0>>
  %d = graph.matmul %x, %w scale %s : tensor<1xf32> : tensor<2x16x!graph.q<1.0, 0>>, tensor<16x8xi8> -> tensor<2x8x!graph.q<1.0, 0>>
  %y = graph.matmul %a, %v scale %s : tensor<1xf32> : tensor<2x8x!graph.q<1.0, 0>>, tensor<8x8xi8> -> tensor<2x8x!graph.q<1.0, 0>>
  func.return %y : tensor<2x8x!graph.q<1.0, 0>>
}
""",
    ),
    # A chain cannot begin with a mean: fused, the product read behind it.
    "mean and product": (
        SMALL,
        """
func.func @main(%x: tensor<1x3x1x16x!graph.q<2.0, 3>>) -> tensor<1x16x!graph.q<2.0, 3>> {
  %s = graph.constant {value = dense<0.001> : tensor<1xf32>} : tensor<1xf32>
  %w = graph.constant {value = dense<7> : tensor<16x16xi8>} : tensor<16x16xi8>
  %p = graph.average_pool %x {scale = 0.225 : f32, window = array<i64: 3, 1>, strides = array<i64: 1, 1>} :
    tensor<1x3x1x16x!graph.q<2.0, 3>> -> tensor<1x1x1x16x!graph.q<2.0, 3>>
  %r = graph.reshape %p : tensor<1x1x1x16x!graph.q<2.0, 3>> -> tensor<1x16x!graph.q<2.0, 3>>
  %y = graph.matmul %r, %w scale %s : tensor<1xf32> : tensor<1x16x!graph.q<2.0, 3>>, tensor<16x16xi8> -> tensor<1x16x!graph.q<2.0, 3>>
  func.return %y : tensor<1x16x!graph.q<2.0, 3>>
}
""",
    ),
    # A product of a flattened image became a convolution without what stands before its table.
    "zero point of a table": (
        SMALL,
        """
func.func @main(%x: tensor<1x1x2x4x!graph.q<1.0, 0>>) -> tensor<1x4x!graph.q<1.0, 3>> {
  %r = graph.reshape %x : tensor<1x1x2x4x!graph.q<1.0, 0>> -> tensor<1x8x!graph.q<1.0, 0>>
  %w = graph.constant {value = dense<7> : tensor<8x4xi8>} : tensor<8x4xi8>
  %s = graph.constant {value = dense<0.01> : tensor<1xf32>} : tensor<1xf32>
  %t = graph.constant {value = dense<[RAMP]> : tensor<256xi8>} : tensor<256xi8>
  %y = graph.matmul %r, %w scale %s : tensor<1xf32> table %t : tensor<256xi8> {zero_point = 71 : i64} :
    tensor<1x8x!graph.q<1.0, 0>>, tensor<8x4xi8> -> tensor<1x4x!graph.q<1.0, 3>>
  func.return %y : tensor<1x4x!graph.q<1.0, 3>>
}
""".replace("RAMP", ", ".join(map(str, range(-128, 128)))),
    ),
    # z was in the weight memory still when its place in external memory had gone: its uses were counted as those of a constant.
    "weights that were": (
        SMALL,
        """
func.func @main(%x: tensor<8x8x!graph.q<0.5, 0>>, %z: tensor<8x8x!graph.q<0.5, 0>>) -> (tensor<8x16x!graph.q<0.5, 0>>, tensor<8x8x!graph.q<0.5, 0>>) {
  %s = graph.constant {value = dense<0.001> : tensor<1xf32>} : tensor<1xf32>
  %u = graph.constant {value = dense<7> : tensor<8x8xi8>} : tensor<8x8xi8>
  %v = graph.constant {value = dense<9> : tensor<8x16xi8>} : tensor<8x16xi8>
  %a = graph.matmul %x, %z scale %s : tensor<1xf32> : tensor<8x8x!graph.q<0.5, 0>>, tensor<8x8x!graph.q<0.5, 0>> -> tensor<8x8x!graph.q<0.5, 0>>
  %b = graph.matmul %a, %u scale %s : tensor<1xf32> : tensor<8x8x!graph.q<0.5, 0>>, tensor<8x8xi8> -> tensor<8x8x!graph.q<0.5, 0>>
  %y = graph.matmul %b, %v scale %s : tensor<1xf32> : tensor<8x8x!graph.q<0.5, 0>>, tensor<8x16xi8> -> tensor<8x16x!graph.q<0.5, 0>>
  func.return %y, %a : tensor<8x16x!graph.q<0.5, 0>>, tensor<8x8x!graph.q<0.5, 0>>
}
""",
    ),
    # v, filled up to 16 rows, had been where b lies: the checker read b's words as v's.
    "two in one place": (
        SMALL,
        """
func.func @main(%x: tensor<11x5x!graph.q<1.0, 0>>, %p: tensor<11x11x!graph.q<1.0, 0>>) -> tensor<11x16x!graph.q<1.0, 0>> {
  %s = graph.constant {value = dense<0.003> : tensor<1xf32>} : tensor<1xf32>
  %w = graph.constant {value = dense<7> : tensor<5x16xi8>} : tensor<5x16xi8>
  %v = graph.matmul %x, %w scale %s : tensor<1xf32> : tensor<11x5x!graph.q<1.0, 0>>, tensor<5x16xi8> -> tensor<11x16x!graph.q<1.0, 0>>
  %a = graph.matmul %p, %v scale %s : tensor<1xf32> : tensor<11x11x!graph.q<1.0, 0>>, tensor<11x16x!graph.q<1.0, 0>> -> tensor<11x16x!graph.q<1.0, 0>>
  %b = graph.add %a, %a {left_scale = 0.5 : f32, right_scale = 0.6 : f32} : tensor<11x16x!graph.q<1.0, 0>>, tensor<11x16x!graph.q<1.0, 0>> -> tensor<11x16x!graph.q<1.0, 0>>
  %y = graph.add %b, %b {left_scale = 0.5 : f32, right_scale = 0.6 : f32} : tensor<11x16x!graph.q<1.0, 0>>, tensor<11x16x!graph.q<1.0, 0>> -> tensor<11x16x!graph.q<1.0, 0>>
  func.return %y : tensor<11x16x!graph.q<1.0, 0>>
}
""",
    ),
    # Bounds make something other than 0 of the channels that fill up a word, in both operands: their products were summed too.
    "words not filled with zeros": (
        SMALL,
        """
func.func @main(%x: tensor<3x8x!graph.q<1.0, 0>>) -> tensor<3x3x!graph.q<1.0, 0>> {
  %s = graph.constant {value = dense<0.003> : tensor<1xf32>} : tensor<1xf32>
  %w = graph.constant {value = dense<7> : tensor<8x4xi8>} : tensor<8x4xi8>
  %q = graph.matmul %x, %w scale %s : tensor<1xf32> {low = 50 : i64} : tensor<3x8x!graph.q<1.0, 0>>, tensor<8x4xi8> -> tensor<3x4x!graph.q<1.0, 0>>
  %k = graph.matmul %x, %w scale %s : tensor<1xf32> {low = 30 : i64} : tensor<3x8x!graph.q<1.0, 0>>, tensor<8x4xi8> -> tensor<3x4x!graph.q<1.0, 0>>
  %y = graph.matmul %q, %k scale %s : tensor<1xf32> {transposed} : tensor<3x4x!graph.q<1.0, 0>>, tensor<3x4x!graph.q<1.0, 0>> -> tensor<3x3x!graph.q<1.0, 0>>
  func.return %y : tensor<3x3x!graph.q<1.0, 0>>
}
""",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_found(name):
    config, text = CASES[name]
    model = ir.parse(text)
    rng = np.random.default_rng(0)
    check(model, {n: rng.integers(-128, 128, shape_of(v), np.int8) for n, v in model.inputs.items()}, config)
