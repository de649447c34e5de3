// RUN: gemmary-opt %s -p sink-scalars
// The root of a head's size moves behind the product of heads; the scale of wide sums takes it. One that has other readers stays.
func.func @main(%x: tensor<2x4xf32>, %y: tensor<2x4xf32>, %z: tensor<2x4xi8>)
    -> (tensor<2x2x2xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>) {
  %c = graph.constant {value = dense<4.0> : tensor<f32>} : tensor<f32>
  %s = graph.constant {value = dense<[0.5, 1.0, 2.0, 3.0]> : tensor<4xf32>} : tensor<4xf32>
  %q = graph.float "Div"(%x, %c) {source = "divided"} : (tensor<2x4xf32>, tensor<f32>) -> tensor<2x4xf32>
  %a = graph.reshape %q {source = "heads"} : tensor<2x4xf32> -> tensor<2x2x2xf32>
  %b = graph.reshape %y : tensor<2x4xf32> -> tensor<2x2x2xf32>
  %m = graph.float "MatMul"(%a, %b) {source = "scores"} : (tensor<2x2x2xf32>, tensor<2x2x2xf32>) -> tensor<2x2x2xf32>
  %w = graph.scale %z, %s {source = "wide", axis = 1 : i64} : tensor<2x4xi8>, tensor<4xf32> -> tensor<2x4xf32>
  %t = graph.float "Mul"(%c, %w) {source = "times"} : (tensor<f32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %k = graph.float "Div"(%y, %c) {source = "kept"} : (tensor<2x4xf32>, tensor<f32>) -> tensor<2x4xf32>
  %n = graph.float "Neg"(%k) : (tensor<2x4xf32>) -> tensor<2x4xf32>
  func.return %m, %t, %k, %n : tensor<2x2x2xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>
}

// CHECK:      %[[A:.*]] = graph.reshape %x {source = "heads"}
// CHECK:      %[[C:.*]] = graph.constant {source = "divided", value = dense<2.500000e-01> : tensor<f32>}
// CHECK-NEXT: %[[M:.*]] = graph.float "MatMul"(%[[A]], %b) {source = "scores"}
// CHECK-NEXT: %m = graph.float "Mul"(%[[M]], %[[C]]) {source = "divided"}
// CHECK-NEXT: %[[U:.*]] = graph.constant {source = "times", value = dense<[2.000000e+00, 4.000000e+00, 8.000000e+00, 1.200000e+01]>
// CHECK-NEXT: %t = graph.scale %z, %[[U]] {source = "wide"
// CHECK-NEXT: %k = graph.float "Div"(%y, %c) {source = "kept"}
