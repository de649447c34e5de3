// RUN: gemmary-opt %s -p fold-batch-norm
// Gains 2, -0.5 and 0 of the output channels go into the scales of int8 weights, their signs and the bias; of float weights into
// these. A channel with a -128 cannot be negated, and what something else reads is not folded.
func.func @main(%x: tensor<1x2x3x3xf32>, %z: tensor<4x2xf32>) -> (tensor<1x3x3x3xf32>, tensor<4x2xf32>, tensor<1x3x3x3xf32>, tensor<4x2xf32>, tensor<4x2xf32>) {
  %w = graph.constant {value = dense<[[[[1]], [[2]]], [[[3]], [[4]]], [[[5]], [[6]]]]> : tensor<3x2x1x1xi8>} : tensor<3x2x1x1xi8>
  %u = graph.constant {value = dense<[[[[1]], [[2]]], [[[3]], [[-128]]], [[[5]], [[6]]]]> : tensor<3x2x1x1xi8>} : tensor<3x2x1x1xi8>
  %s = graph.constant {value = dense<[0.5, 0.25, 1.0]> : tensor<3xf32>} : tensor<3xf32>
  %b = graph.constant {value = dense<[1.0, 2.0, 3.0]> : tensor<3xf32>} : tensor<3xf32>
  %gamma = graph.constant {value = dense<[4.0, -1.0, 0.0]> : tensor<3xf32>} : tensor<3xf32>
  %beta = graph.constant {value = dense<[1.0, 0.0, 7.0]> : tensor<3xf32>} : tensor<3xf32>
  %mean = graph.constant {value = dense<[0.5, 1.0, 2.0]> : tensor<3xf32>} : tensor<3xf32>
  %variance = graph.constant {value = dense<4.0> : tensor<3xf32>} : tensor<3xf32>
  %v = graph.constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : tensor<2x2xf32>
  %g = graph.constant {value = dense<[2.0, 8.0]> : tensor<2xf32>} : tensor<2xf32>
  %h = graph.constant {value = dense<[16.0, 4.0]> : tensor<2xf32>} : tensor<2xf32>
  %f = graph.scale %w, %s {axis = 0 : i64} : tensor<3x2x1x1xi8>, tensor<3xf32> -> tensor<3x2x1x1xf32>
  %c = graph.float "Conv"(%x, %f, %b) {source = "conv"} : (tensor<1x2x3x3xf32>, tensor<3x2x1x1xf32>, tensor<3xf32>) -> tensor<1x3x3x3xf32>
  %n = graph.float "BatchNormalization"(%c, %gamma, %beta, %mean, %variance) {source = "norm", options = {epsilon = 0.0 : f32}} :
    (tensor<1x3x3x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<1x3x3x3xf32>
  %d = graph.float "Gemm"(%z, %v) {source = "dense", options = {transB = 1 : i64}} : (tensor<4x2xf32>, tensor<2x2xf32>) -> tensor<4x2xf32>
  %m = graph.float "BatchNormalization"(%d, %g, %g, %g, %h) {source = "second", options = {epsilon = 0.0 : f32}} :
    (tensor<4x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<4x2xf32>
  %k = graph.scale %u, %s {axis = 0 : i64} : tensor<3x2x1x1xi8>, tensor<3xf32> -> tensor<3x2x1x1xf32>
  %e = graph.float "Conv"(%x, %k) {source = "least"} : (tensor<1x2x3x3xf32>, tensor<3x2x1x1xf32>) -> tensor<1x3x3x3xf32>
  %o = graph.float "BatchNormalization"(%e, %gamma, %beta, %mean, %variance) {source = "third", options = {epsilon = 0.0 : f32}} :
    (tensor<1x3x3x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<1x3x3x3xf32>
  %p = graph.float "Gemm"(%z, %v) {source = "read"} : (tensor<4x2xf32>, tensor<2x2xf32>) -> tensor<4x2xf32>
  %q = graph.float "BatchNormalization"(%p, %g, %g, %g, %h) {source = "fourth", options = {epsilon = 0.0 : f32}} :
    (tensor<4x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<4x2xf32>
  func.return %n, %m, %o, %p, %q : tensor<1x3x3x3xf32>, tensor<4x2xf32>, tensor<1x3x3x3xf32>, tensor<4x2xf32>, tensor<4x2xf32>
}

// CHECK:      %[[W:.*]] = graph.constant {source = "conv", value = dense<{{\[\[\[\[1\]\], \[\[2\]\]\], \[\[\[-3\]\], \[\[-4\]\]\], \[\[\[0\]\], \[\[0\]\]\]\]}}> : tensor<3x2x1x1xi8>}
// CHECK-NEXT: %[[S:.*]] = graph.constant {source = "conv", value = dense<[1.000000e+00, 1.250000e-01, 1.000000e+00]> : tensor<3xf32>}
// CHECK-NEXT: %[[F:.*]] = graph.scale %[[W]], %[[S]] {source = "conv", axis = 0 : i64}
// CHECK-NEXT: %[[B:.*]] = graph.constant {source = "conv", value = dense<[2.000000e+00, -5.000000e-01, 7.000000e+00]> : tensor<3xf32>}
// CHECK-NEXT: %n = graph.float "Conv"(%x, %[[F]], %[[B]]) {source = "conv"}
// CHECK-NEXT: %[[V:.*]] = graph.constant {source = "dense", value = dense<{{\[\[5.000000e-01, 1.000000e\+00\], \[1.200000e\+01, 1.600000e\+01\]\]}}> : tensor<2x2xf32>}
// CHECK-NEXT: %[[C:.*]] = graph.constant {source = "dense", value = dense<[1.000000e+00, -2.400000e+01]> : tensor<2xf32>}
// CHECK-NEXT: %m = graph.float "Gemm"(%z, %[[V]], %[[C]]) {source = "dense", options = {transB = 1 : i64}}
// CHECK:      %e = graph.float "Conv"(%x, %k) {source = "least"}
// CHECK-NEXT: %o = graph.float "BatchNormalization"(%e
// CHECK-NEXT: %p = graph.float "Gemm"(%z, %v) {source = "read"}
// CHECK-NEXT: %q = graph.float "BatchNormalization"(%p
