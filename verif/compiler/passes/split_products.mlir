// RUN: gemmary-opt %s -p split-products
// Query and key of one dense layer, split over the channels or over an axis of their own, are computed apart. What is read whole stays.
func.func @main(%x: tensor<1x2x3xf32>) -> (tensor<1x2x2xf32>, tensor<1x2x2xf32>, tensor<1x2x2x1xf32>, tensor<1x2x1x2xf32>, tensor<1x2x4xf32>) {
  %w = graph.constant {value = dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0]]> : tensor<3x4xf32>} : tensor<3x4xf32>
  %b = graph.constant {value = dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>} : tensor<4xf32>
  %i = graph.constant {value = dense<1> : tensor<i64>} : tensor<i64>
  %z = graph.constant {value = dense<0> : tensor<1xi64>} : tensor<1xi64>
  %m = graph.float "MatMul"(%x, %w) {source = "qkv"} : (tensor<1x2x3xf32>, tensor<3x4xf32>) -> tensor<1x2x4xf32>
  %a = graph.float "Add"(%m, %b) {source = "bias"} : (tensor<1x2x4xf32>, tensor<4xf32>) -> tensor<1x2x4xf32>
  %q, %k = graph.float "Split"(%a) {source = "split", options = {axis = -1 : i64}} : (tensor<1x2x4xf32>) -> (tensor<1x2x2xf32>, tensor<1x2x2xf32>)
  %n = graph.float "MatMul"(%x, %w) {source = "pair"} : (tensor<1x2x3xf32>, tensor<3x4xf32>) -> tensor<1x2x4xf32>
  %r = graph.reshape %n : tensor<1x2x4xf32> -> tensor<1x2x2x2x1xf32>
  %t = graph.transpose %r {permutation = array<i64: 2, 0, 3, 1, 4>} : tensor<1x2x2x2x1xf32> -> tensor<2x1x2x2x1xf32>
  %g = graph.float "Gather"(%t, %i) {source = "second"} : (tensor<2x1x2x2x1xf32>, tensor<i64>) -> tensor<1x2x2x1xf32>
  %h = graph.float "Gather"(%t, %z) {source = "first"} : (tensor<2x1x2x2x1xf32>, tensor<1xi64>) -> tensor<1x1x2x2x1xf32>
  %j = graph.reshape %h : tensor<1x1x2x2x1xf32> -> tensor<1x2x1x2xf32>
  %o = graph.float "MatMul"(%x, %w) {source = "whole"} : (tensor<1x2x3xf32>, tensor<3x4xf32>) -> tensor<1x2x4xf32>
  %u, %v = graph.float "Split"(%o) {options = {axis = 2 : i64}} : (tensor<1x2x4xf32>) -> (tensor<1x2x2xf32>, tensor<1x2x2xf32>)
  %c = graph.concat %u, %v {axis = 2 : i64} : (tensor<1x2x2xf32>, tensor<1x2x2xf32>) -> tensor<1x2x4xf32>
  %s = graph.float "Sub"(%c, %o) : (tensor<1x2x4xf32>, tensor<1x2x4xf32>) -> tensor<1x2x4xf32>
  func.return %q, %k, %g, %j, %s : tensor<1x2x2xf32>, tensor<1x2x2xf32>, tensor<1x2x2x1xf32>, tensor<1x2x1x2xf32>, tensor<1x2x4xf32>
}

// CHECK:      graph.constant {source = "qkv.1", value = dense<{{\[\[3.000000e\+00, 4.000000e\+00\], \[7.000000e\+00, 8.000000e\+00\], \[1.100000e\+01, 1.200000e\+01\]\]}}> : tensor<3x2xf32>}
// CHECK:      %[[K:.*]] = graph.float "MatMul"(%x, %{{.*}}) {source = "qkv.1"} : (tensor<1x2x3xf32>, tensor<3x2xf32>) -> tensor<1x2x2xf32>
// CHECK-NEXT: %[[B:.*]] = graph.constant {source = "qkv.1", value = dense<[3.000000e+00, 4.000000e+00]> : tensor<2xf32>}
// CHECK-NEXT: %k = graph.float "Add"(%[[K]], %[[B]])
// CHECK:      %q = graph.float "Add"({{.*}}) {source = "qkv.0"}
// CHECK:      %[[G:.*]] = graph.float "MatMul"(%x, %{{.*}}) {source = "pair.1"}
// CHECK:      %[[H:.*]] = graph.float "MatMul"(%x, %{{.*}}) {source = "pair.0"}
// CHECK:      %[[R:.*]] = graph.reshape %[[H]] {{.*}} -> tensor<1x2x2x1xf32>
// CHECK-NEXT: %[[T:.*]] = graph.transpose %[[R]] {source = "first", permutation = array<i64: 0, 2, 1, 3>}
// CHECK-NEXT: %h = graph.reshape %[[T]]
// CHECK-NEXT: %[[S:.*]] = graph.reshape %[[G]] {{.*}} -> tensor<1x2x2x1xf32>
// CHECK-NEXT: %g = graph.transpose %[[S]] {source = "first", permutation = array<i64: 0, 2, 1, 3>}
// CHECK:      %o = graph.float "MatMul"(%x, %w) {source = "whole"}
// CHECK-NEXT: %u, %v = graph.float "Split"(%o)
