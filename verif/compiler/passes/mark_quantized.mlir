// RUN: gemmary-opt %s -p mark-quantized
// Operands of products are marked where they are made, also before what only moves them; the residual stream is not. The argument of
// GELU between two products is marked, that of one behind a sum is not.
func.func @main(%x: tensor<2x4xf32>, %y: tensor<4x2xf32>) -> (tensor<2x4xf32>, tensor<2x2xf32>, tensor<2x4xf32>) {
  %w = graph.constant {value = dense<0.25> : tensor<4x4xf32>} : tensor<4x4xf32>
  %b = graph.constant {value = dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>} : tensor<4xf32>
  %c = graph.constant {value = dense<0.5> : tensor<f32>} : tensor<f32>
  %m = graph.float "MatMul"(%x, %w) {source = "dense"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  %a = graph.float "Add"(%m, %b) {source = "bias"} : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  %e = graph.float "Tanh"(%a) {source = "tanh"} : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %g = graph.float "Mul"(%a, %e) {source = "gate"} : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %h = graph.float "Mul"(%g, %c) {source = "half"} : (tensor<2x4xf32>, tensor<f32>) -> tensor<2x4xf32>
  %n = graph.float "MatMul"(%h, %w) {source = "second"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  %r = graph.float "Add"(%n, %x) {source = "residual"} : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %t = graph.transpose %y {permutation = array<i64: 1, 0>, source = "turned"} : tensor<4x2xf32> -> tensor<2x4xf32>
  %u = graph.float "MatMul"(%t, %y) {source = "squares"} : (tensor<2x4xf32>, tensor<4x2xf32>) -> tensor<2x2xf32>
  %s = graph.float "Sigmoid"(%r) {source = "sigmoid"} : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %v = graph.float "MatMul"(%s, %w) {source = "last"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  func.return %r, %u, %v : tensor<2x4xf32>, tensor<2x2xf32>, tensor<2x4xf32>
}

// CHECK-DAG:  %[[Y:.*]] = graph.observe %y {symmetric}
// CHECK-DAG:  %[[X:.*]] = graph.observe %x : tensor<2x4xf32>
// CHECK:      %m = graph.float "MatMul"(%[[X]], %w)
// CHECK:      %[[A:.*]] = graph.observe %a {source = "bias"}
// CHECK-NEXT: %e = graph.float "Tanh"(%[[A]])
// CHECK-NEXT: %g = graph.float "Mul"(%[[A]], %e)
// CHECK:      %[[H:.*]] = graph.observe %h {source = "half"}
// CHECK-NEXT: %n = graph.float "MatMul"(%[[H]], %w)
// CHECK-NEXT: %r = graph.float "Add"(%n, %x)
// CHECK-NEXT: %[[T:.*]] = graph.transpose %[[Y]]
// CHECK-NEXT: %u = graph.float "MatMul"(%[[T]], %[[Y]])
// CHECK-NEXT: %s = graph.float "Sigmoid"(%r)
// CHECK-NEXT: %[[S:.*]] = graph.observe %s
// CHECK-NEXT: %v = graph.float "MatMul"(%[[S]], %w)
