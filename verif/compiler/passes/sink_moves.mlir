// RUN: gemmary-opt %s -p sink-moves,dead-code
// A transpose and a reshape of wide sums go behind what works on every element; constants are read as they were in front of them.

func.func @main(%x: tensor<2x3xi8>) -> (tensor<4x2xi8>, tensor<8xf32>) {
  %q = graph.reinterpret %x : tensor<2x3xi8> -> tensor<2x3x!graph.q<1.0, 0>>
  %w = graph.constant {value = dense<[[1, 2, -3, 4], [5, -6, 7, 8], [-9, 10, 11, 12]]> : tensor<3x4xi8>} : tensor<3x4xi8>
  %b = graph.constant {value = dense<[[1], [2], [3], [4]]> : tensor<4x1xi32>} : tensor<4x1xi32>
  %a = graph.matmul %q, %w : tensor<2x3x!graph.q<1.0, 0>>, tensor<3x4xi8> -> tensor<2x4xi32>
  %t = graph.transpose %a {permutation = array<i64: 1, 0>} : tensor<2x4xi32> -> tensor<4x2xi32>
  %s = graph.float "Add"(%t, %b) : (tensor<4x2xi32>, tensor<4x1xi32>) -> tensor<4x2xi32>
  %y = graph.float "Cast"(%s) {options = {to = 3 : i64}} : (tensor<4x2xi32>) -> tensor<4x2xi8>
  %c = graph.constant {value = dense<0.5> : tensor<1xf32>} : tensor<1xf32>
  %d = graph.matmul %q, %w : tensor<2x3x!graph.q<1.0, 0>>, tensor<3x4xi8> -> tensor<2x4xi32>
  %r = graph.reshape %d : tensor<2x4xi32> -> tensor<8xi32>
  %f = graph.float "Cast"(%r) {options = {to = 1 : i64}} : (tensor<8xi32>) -> tensor<8xf32>
  %z = graph.float "Mul"(%c, %f) : (tensor<1xf32>, tensor<8xf32>) -> tensor<8xf32>
  func.return %y, %z : tensor<4x2xi8>, tensor<8xf32>
}

// CHECK:     %[[A:.*]] = graph.matmul
// CHECK:     %[[B:.*]] = graph.constant {value = dense<[[1, 2, 3, 4]]> : tensor<1x4xi32>}
// CHECK:     %[[S:.*]] = graph.float "Add"(%[[A]], %[[B]]) : (tensor<2x4xi32>, tensor<1x4xi32>) -> tensor<2x4xi32>
// CHECK:     %[[Y:.*]] = graph.float "Cast"(%[[S]]) {{.*}} -> tensor<2x4xi8>
// CHECK:     graph.transpose %[[Y]]
// CHECK:     %[[Z:.*]] = graph.float "Mul"(%{{.*}}, %{{.*}}) : (tensor<1x1xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
// CHECK:     graph.reshape %[[Z]] : tensor<2x4xf32> -> tensor<8xf32>
