// RUN: gemmary-opt %s -p insert-quantization
// Marks become int8 over their range, symmetric ones with the zero point 0; weights have a scale for each output channel.
func.func @main(%x: tensor<2x4xf32>, %y: tensor<3x4xf32>) -> (tensor<2x2xf32>, tensor<2x3xf32>) {
  %w = graph.constant {value = dense<[[127.0, 0.0], [0.0, 254.0], [-5.0, 2.0], [1.0, -8.0]]> : tensor<4x2xf32>} : tensor<4x2xf32>
  %a = graph.observe %x {low = -128.0 : f32, high = 127.0 : f32, source = "x"} : tensor<2x4xf32> -> tensor<2x4xf32>
  %m = graph.float "MatMul"(%a, %w) {source = "dense"} : (tensor<2x4xf32>, tensor<4x2xf32>) -> tensor<2x2xf32>
  %b = graph.observe %y {low = -127.0 : f32, high = 64.0 : f32, symmetric, source = "y"} : tensor<3x4xf32> -> tensor<3x4xf32>
  %c = graph.float "Gemm"(%a, %b) {source = "keys", options = {transB = 1 : i64}} : (tensor<2x4xf32>, tensor<3x4xf32>) -> tensor<2x3xf32>
  func.return %m, %c : tensor<2x2xf32>, tensor<2x3xf32>
}

// CHECK:      %[[X:.*]] = graph.quantize %x {source = "x"} : tensor<2x4xf32> -> tensor<2x4x!graph.q<1.0, 0>>
// CHECK-NEXT: %a = graph.dequantize %[[X]]
// CHECK-NEXT: %[[W:.*]] = graph.constant {source = "dense", value = dense<{{\[\[127, 0\], \[0, 127\], \[-5, 1\], \[1, -4\]\]}}> : tensor<4x2xi8>}
// CHECK-NEXT: %[[S:.*]] = graph.constant {source = "dense", value = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>}
// CHECK-NEXT: %[[R:.*]] = graph.scale %[[W]], %[[S]] {source = "dense", axis = 1 : i64}
// CHECK-NEXT: %m = graph.float "MatMul"(%a, %[[R]])
// CHECK-NEXT: %[[Y:.*]] = graph.quantize %y {source = "y"} : tensor<3x4xf32> -> tensor<3x4x!graph.q<1.0, 0>>
// CHECK-NEXT: %b = graph.dequantize %[[Y]]
// CHECK-NEXT: %c = graph.float "Gemm"(%a, %b)
