// RUN: gemmary-opt %s -p cancel-transposes
// Two transposes meet behind a table and are gone, two others become one; a dense layer over a flattened NCHW image becomes a convolution;
// axes of size 1 that come and go between two transposes keep them from nothing, nor does a
// product with a factor for each channel.

func.func @main(%x: tensor<2x3x4x2x!graph.q<0.5, 7>>, %z: tensor<1x5x1x6x!graph.q<0.5, 7>>, %v: tensor<2x1x1x2xf32>) -> (tensor<2x3x4x2x!graph.q<0.25, 5>>, tensor<2x2x!graph.q<1.0, 0>>, tensor<4x2x2x3x!graph.q<0.5, 7>>, tensor<1x1x5x6x!graph.q<0.25, 5>>, tensor<2x3x4x2xf32>) {
  %t = graph.constant {value = dense<3> : tensor<256xi8>} : tensor<256xi8>
  %w = graph.constant {value = dense<[[-5, -2], [2, 5], [-2, 1], [5, -3], [1, 4], [-3, 0], [4, -4], [0, 3], [-4, -1], [3, -5], [-1, 2], [-5, -2], [2, 5], [-2, 1], [5, -3], [1, 4], [-3, 0], [4, -4], [0, 3], [-4, -1], [3, -5], [-1, 2], [-5, -2], [2, 5]]> : tensor<24x2xi8>} : tensor<24x2xi8>
  %s = graph.constant {value = dense<0.01> : tensor<1xf32>} : tensor<1xf32>
  %a = graph.transpose %x {permutation = array<i64: 0, 3, 1, 2>} : tensor<2x3x4x2x!graph.q<0.5, 7>> -> tensor<2x2x3x4x!graph.q<0.5, 7>>
  %b = graph.table %a, %t : tensor<2x2x3x4x!graph.q<0.5, 7>>, tensor<256xi8> -> tensor<2x2x3x4x!graph.q<0.25, 5>>
  %y = graph.transpose %b {permutation = array<i64: 0, 2, 3, 1>} : tensor<2x2x3x4x!graph.q<0.25, 5>> -> tensor<2x3x4x2x!graph.q<0.25, 5>>
  %f = graph.reshape %a : tensor<2x2x3x4x!graph.q<0.5, 7>> -> tensor<2x24x!graph.q<0.5, 7>>
  %m = graph.matmul %f, %w scale %s : tensor<1xf32> : tensor<2x24x!graph.q<0.5, 7>>, tensor<24x2xi8> -> tensor<2x2x!graph.q<1.0, 0>>
  %c = graph.transpose %a {permutation = array<i64: 3, 1, 0, 2>} : tensor<2x2x3x4x!graph.q<0.5, 7>> -> tensor<4x2x2x3x!graph.q<0.5, 7>>
  %d = graph.transpose %z {permutation = array<i64: 0, 3, 1, 2>} : tensor<1x5x1x6x!graph.q<0.5, 7>> -> tensor<1x6x5x1x!graph.q<0.5, 7>>
  %e = graph.reshape %d : tensor<1x6x5x1x!graph.q<0.5, 7>> -> tensor<1x6x5x!graph.q<0.5, 7>>
  %g = graph.table %e, %t : tensor<1x6x5x!graph.q<0.5, 7>>, tensor<256xi8> -> tensor<1x6x5x!graph.q<0.25, 5>>
  %h = graph.reshape %g : tensor<1x6x5x!graph.q<0.25, 5>> -> tensor<1x6x1x5x!graph.q<0.25, 5>>
  %i = graph.transpose %h {permutation = array<i64: 0, 2, 3, 1>} : tensor<1x6x1x5x!graph.q<0.25, 5>> -> tensor<1x1x5x6x!graph.q<0.25, 5>>
  %j = graph.dequantize %a : tensor<2x2x3x4x!graph.q<0.5, 7>> -> tensor<2x2x3x4xf32>
  %k = graph.reshape %v : tensor<2x1x1x2xf32> -> tensor<2x2x1x1xf32>
  %l = graph.float "Mul"(%j, %k) : (tensor<2x2x3x4xf32>, tensor<2x2x1x1xf32>) -> tensor<2x2x3x4xf32>
  %n = graph.transpose %l {permutation = array<i64: 0, 2, 3, 1>} : tensor<2x2x3x4xf32> -> tensor<2x3x4x2xf32>
  func.return %y, %m, %c, %i, %n : tensor<2x3x4x2x!graph.q<0.25, 5>>, tensor<2x2x!graph.q<1.0, 0>>, tensor<4x2x2x3x!graph.q<0.5, 7>>, tensor<1x1x5x6x!graph.q<0.25, 5>>, tensor<2x3x4x2xf32>
}

// CHECK-NOT: graph.transpose
// CHECK:     %[[Y:.*]] = graph.table %x
// CHECK:     %[[C:.*]] = graph.conv2d %x, {{.*}} : tensor<2x3x4x2x!graph.q<0.5, 7>>, tensor<3x4x2x2xi8> -> tensor<2x1x1x2x!graph.q<1.0, 0>>
// CHECK:     %[[M:.*]] = graph.reshape %[[C]]
// CHECK:     %[[T:.*]] = graph.transpose %x {permutation = array<i64: 2, 3, 0, 1>}
// CHECK-NOT: graph.transpose
// CHECK:     %[[R:.*]] = graph.reshape %z : tensor<1x5x1x6x!graph.q<0.5, 7>> -> tensor<1x5x6x!graph.q<0.5, 7>>
// CHECK:     %[[E:.*]] = graph.table %[[R]]
// CHECK:     %[[I:.*]] = graph.reshape %[[E]]
// CHECK-NOT: graph.transpose
// CHECK:     %[[J:.*]] = graph.dequantize %x
// CHECK:     %[[N:.*]] = graph.float "Mul"(%[[J]], %v)
// CHECK-NOT: graph.transpose
// CHECK:     func.return %[[Y]], %[[M]], %[[T]], %[[I]], %[[N]]
