// RUN: gemmary-opt %s -p sink-dequantize,dead-code
// Numbers move as int8; of constant weights the transposed array is computed, and its scales keep their channels.

func.func @main(%x: tensor<2x3x4x!graph.q<0.5, 7>>) -> (tensor<2x12xf32>, tensor<2x1xf32>) {
  %w = graph.constant {value = dense<[[1, 2]]> : tensor<1x2xi8>} : tensor<1x2xi8>
  %s = graph.constant {value = dense<[0.5, 0.25]> : tensor<2xf32>} : tensor<2xf32>
  %f = graph.dequantize %x : tensor<2x3x4x!graph.q<0.5, 7>> -> tensor<2x3x4xf32>
  %t = graph.transpose %f {permutation = array<i64: 0, 2, 1>} : tensor<2x3x4xf32> -> tensor<2x4x3xf32>
  %r = graph.reshape %t : tensor<2x4x3xf32> -> tensor<2x12xf32>
  %g = graph.scale %w, %s {axis = 1 : i64} : tensor<1x2xi8>, tensor<2xf32> -> tensor<1x2xf32>
  %v = graph.transpose %g {permutation = array<i64: 1, 0>} : tensor<1x2xf32> -> tensor<2x1xf32>
  func.return %r, %v : tensor<2x12xf32>, tensor<2x1xf32>
}

// CHECK:      graph.transpose %x {permutation = array<i64: 0, 2, 1>} : tensor<2x3x4x!graph.q<0.5, 7>> -> tensor<2x4x3x!graph.q<0.5, 7>>
// CHECK-NEXT: %[[R:.*]] = graph.reshape {{.*}} -> tensor<2x12x!graph.q<0.5, 7>>
// CHECK-NEXT: graph.dequantize %[[R]] {{.*}} -> tensor<2x12xf32>
// CHECK-NEXT: %[[W:.*]] = graph.constant {value = dense<{{\[\[1\], \[2\]\]}}> : tensor<2x1xi8>}
// CHECK-NEXT: graph.scale %[[W]], %s {axis = 0 : i64}
