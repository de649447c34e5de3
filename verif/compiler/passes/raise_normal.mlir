// RUN: gemmary-opt %s -p raise-normal,dead-code
// Over the last axis only; what is wide on either side stays wide.

func.func @main(%x: tensor<2x3x!graph.q<0.5, 7>>) -> (tensor<2x3x!graph.q<0.25, 5>>, tensor<2x3x!graph.q<0.25, 5>>, tensor<2x3x!graph.q<0.25, 5>>, tensor<2x3xf32>) {
  %w = graph.constant {value = dense<[1.0, 2.0, 0.5]> : tensor<3xf32>} : tensor<3xf32>
  %f = graph.dequantize %x : tensor<2x3x!graph.q<0.5, 7>> -> tensor<2x3xf32>
  %a = graph.float "Softmax"(%f) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %y = graph.quantize %a : tensor<2x3xf32> -> tensor<2x3x!graph.q<0.25, 5>>
  %b = graph.float "LayerNormalization"(%f, %w, %w) {options = {epsilon = 0.001 : f32}} : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %z = graph.quantize %b : tensor<2x3xf32> -> tensor<2x3x!graph.q<0.25, 5>>
  %c = graph.float "Softmax"(%f) {options = {axis = 0 : i64}} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %u = graph.quantize %c : tensor<2x3xf32> -> tensor<2x3x!graph.q<0.25, 5>>
  %d = graph.float "LayerNormalization"(%c, %w) : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %v = graph.float "Neg"(%d) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %e = graph.float "Softmax"(%v) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  func.return %y, %z, %u, %e : tensor<2x3x!graph.q<0.25, 5>>, tensor<2x3x!graph.q<0.25, 5>>, tensor<2x3x!graph.q<0.25, 5>>, tensor<2x3xf32>
}

// CHECK:     graph.softmax %x
// CHECK:     graph.layer_norm %x, %w, %w {epsilon = 1.000000e-03 : f32}
// CHECK:     graph.float "Softmax"
// CHECK:     %[[B:.*]] = graph.constant {value = dense<0.000000e+00> : tensor<3xf32>}
// CHECK-NEXT: graph.layer_norm %c, %w, %[[B]] {epsilon = 1.000000e-05 : f32} : tensor<2x3xf32>
// CHECK:     graph.softmax %v : tensor<2x3xf32> -> tensor<2x3xf32>
