// RUN: gemmary-opt %s -p raise-adds,dead-code
// Both scales are over that of the result; a constant becomes a tensor of the whole shape.

func.func @main(%x: tensor<2x3x!graph.q<0.5, 7>>, %z: tensor<2x3x!graph.q<2.0, 1>>) -> (tensor<2x3x!graph.q<0.25, 5>>, tensor<2x3x!graph.q<0.5, 0>>) {
  %w = graph.constant {value = dense<[10, 20, 30]> : tensor<3xi8>} : tensor<3xi8>
  %s = graph.constant {value = dense<0.125> : tensor<1xf32>} : tensor<1xf32>
  %c = graph.scale %w, %s {axis = 0 : i64} : tensor<3xi8>, tensor<1xf32> -> tensor<3xf32>
  %f = graph.dequantize %x : tensor<2x3x!graph.q<0.5, 7>> -> tensor<2x3xf32>
  %g = graph.dequantize %z : tensor<2x3x!graph.q<2.0, 1>> -> tensor<2x3xf32>
  %a = graph.float "Add"(%f, %g) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %b = graph.float "Relu"(%a) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %y = graph.quantize %b : tensor<2x3xf32> -> tensor<2x3x!graph.q<0.25, 5>>
  %d = graph.float "Add"(%f, %c) : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %u = graph.quantize %d : tensor<2x3xf32> -> tensor<2x3x!graph.q<0.5, 0>>
  func.return %y, %u : tensor<2x3x!graph.q<0.25, 5>>, tensor<2x3x!graph.q<0.5, 0>>
}

// CHECK:     graph.add %x, %z {low = 5 : i64, left_scale = 2.000000e+00 : f32, right_scale = 8.000000e+00 : f32}
// CHECK:     %[[C:.*]] = graph.reinterpret {{.*}} : tensor<2x3xi8> -> tensor<2x3x!graph.q<0.125, -128>>
// CHECK:     graph.add %x, %[[C]]
