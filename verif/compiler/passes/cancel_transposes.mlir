// RUN: gemmary-opt %s -p cancel-transposes
// Two transposes meet behind a table and are gone; a dense layer over a flattened NCHW image becomes a convolution.

func.func @main(%x: tensor<2x3x4x2x!graph.q<0.5, 7>>) -> (tensor<2x3x4x2x!graph.q<0.25, 5>>, tensor<2x2x!graph.q<1.0, 0>>) {
  %t = graph.constant {value = dense<3> : tensor<256xi8>} : tensor<256xi8>
  %w = graph.constant {value = dense<3> : tensor<24x2xi8>} : tensor<24x2xi8>
  %s = graph.constant {value = dense<0.01> : tensor<1xf32>} : tensor<1xf32>
  %a = graph.transpose %x {permutation = array<i64: 0, 3, 1, 2>} : tensor<2x3x4x2x!graph.q<0.5, 7>> -> tensor<2x2x3x4x!graph.q<0.5, 7>>
  %b = graph.table %a, %t : tensor<2x2x3x4x!graph.q<0.5, 7>>, tensor<256xi8> -> tensor<2x2x3x4x!graph.q<0.25, 5>>
  %y = graph.transpose %b {permutation = array<i64: 0, 2, 3, 1>} : tensor<2x2x3x4x!graph.q<0.25, 5>> -> tensor<2x3x4x2x!graph.q<0.25, 5>>
  %f = graph.reshape %a : tensor<2x2x3x4x!graph.q<0.5, 7>> -> tensor<2x24x!graph.q<0.5, 7>>
  %m = graph.matmul %f, %w scale %s : tensor<1xf32> : tensor<2x24x!graph.q<0.5, 7>>, tensor<24x2xi8> -> tensor<2x2x!graph.q<1.0, 0>>
  func.return %y, %m : tensor<2x3x4x2x!graph.q<0.25, 5>>, tensor<2x2x!graph.q<1.0, 0>>
}

// CHECK-NOT: graph.transpose
// CHECK:     %[[Y:.*]] = graph.table %x
// CHECK:     %[[C:.*]] = graph.conv2d %x, {{.*}} : tensor<2x3x4x2x!graph.q<0.5, 7>>, tensor<3x4x2x2xi8> -> tensor<2x1x1x2x!graph.q<1.0, 0>>
// CHECK:     %[[M:.*]] = graph.reshape %[[C]]
// CHECK:     func.return %[[Y]], %[[M]]
