// RUN: gemmary-opt %s -p sink-dequantize,raise-contractions,dead-code
// A convolution with bias, residual and ReLU rounds once; a product whose result stays float leaves int32 sums; weights that
// are not constant say why they stay. (4.0 * 0.5 / 1.0 = 2.0; bias 4.0 / (4.0 * 0.5) = 2.)

func.func @main(%x: tensor<1x2x5x5x!graph.q<4.0, -3>>, %r: tensor<1x1x5x5x!graph.q<16.0, 1>>, %u: tensor<1x2x5x2x!graph.q<0.0625, 0>>, %a: tensor<3x2xf32>)
    -> (tensor<1x1x5x5x!graph.q<1.0, -9>>, tensor<1x2x5x2xf32>, tensor<1x2x5x2x!graph.q<1.0, 0>>, tensor<3x3xf32>) {
  %w = graph.constant {value = dense<5> : tensor<1x2x3x3xi8>} : tensor<1x2x3x3xi8>
  %s = graph.constant {value = dense<0.5> : tensor<1xf32>} : tensor<1xf32>
  %b = graph.constant {value = dense<4.0> : tensor<1xf32>} : tensor<1xf32>
  %fw = graph.scale %w, %s {axis = 0 : i64} : tensor<1x2x3x3xi8>, tensor<1xf32> -> tensor<1x2x3x3xf32>
  %fx = graph.dequantize %x : tensor<1x2x5x5x!graph.q<4.0, -3>> -> tensor<1x2x5x5xf32>
  %fr = graph.dequantize %r : tensor<1x1x5x5x!graph.q<16.0, 1>> -> tensor<1x1x5x5xf32>
  %c = graph.float "Conv"(%fx, %fw, %b) {source = "conv", options = {pads = array<i64: 1, 1, 1, 1>}} : (tensor<1x2x5x5xf32>, tensor<1x2x3x3xf32>, tensor<1xf32>) -> tensor<1x1x5x5xf32>
  %d = graph.float "Add"(%c, %fr) : (tensor<1x1x5x5xf32>, tensor<1x1x5x5xf32>) -> tensor<1x1x5x5xf32>
  %e = graph.float "Relu"(%d) : (tensor<1x1x5x5xf32>) -> tensor<1x1x5x5xf32>
  %y = graph.quantize %e : tensor<1x1x5x5xf32> -> tensor<1x1x5x5x!graph.q<1.0, -9>>
  %m = graph.constant {value = dense<2> : tensor<5x2xi8>} : tensor<5x2xi8>
  %ms = graph.constant {value = dense<[0.5, 0.25]> : tensor<2xf32>} : tensor<2xf32>
  %fm = graph.scale %m, %ms {axis = 1 : i64} : tensor<5x2xi8>, tensor<2xf32> -> tensor<5x2xf32>
  %z = graph.float "MatMul"(%fx, %fm) {source = "product"} : (tensor<1x2x5x5xf32>, tensor<5x2xf32>) -> tensor<1x2x5x2xf32>
  %v = graph.float "MatMul"(%fx, %fm) {source = "small"} : (tensor<1x2x5x5xf32>, tensor<5x2xf32>) -> tensor<1x2x5x2xf32>
  %fu = graph.dequantize %u : tensor<1x2x5x2x!graph.q<0.0625, 0>> -> tensor<1x2x5x2xf32>
  %vu = graph.float "Add"(%v, %fu) : (tensor<1x2x5x2xf32>, tensor<1x2x5x2xf32>) -> tensor<1x2x5x2xf32>
  %q = graph.quantize %vu : tensor<1x2x5x2xf32> -> tensor<1x2x5x2x!graph.q<1.0, 0>>
  %b2 = graph.constant {value = dense<1.5> : tensor<2x3xf32>} : tensor<2x3xf32>
  %n = graph.float "MatMul"(%a, %b2) {source = "float"} : (tensor<3x2xf32>, tensor<2x3xf32>) -> tensor<3x3xf32>
  func.return %y, %z, %q, %n : tensor<1x1x5x5x!graph.q<1.0, -9>>, tensor<1x2x5x2xf32>, tensor<1x2x5x2x!graph.q<1.0, 0>>, tensor<3x3xf32>
}

// CHECK:      graph.constant {source = "conv", value = dense<2.000000e+00> : tensor<1xf32>}
// CHECK:      graph.constant {source = "conv", value = dense<2> : tensor<1xi32>}
// CHECK:      graph.conv2d {{.*}} bias %{{.*}} scale %{{.*}} residual %{{.*}} {source = "conv", {{.*}}low = -9 : i64, residual_scale = 1.600000e+01 : f32{{.*}} -> tensor<1x5x5x1x!graph.q<1.0, -9>>
// CHECK:      %[[SUMS:.*]] = graph.matmul %x, {{.*}} {source = "product"} {{.*}} -> tensor<1x2x5x2xi32>
// CHECK:      graph.scale %[[SUMS]], {{.*}}axis = 3 : i64
// A residual of a smaller scale than that of the sums is not for the drain:
// CHECK:      graph.matmul %x, {{.*}} {source = "small"} {{.*}} -> tensor<1x2x5x2xi32>
// CHECK:      graph.float "Add"
// CHECK:      graph.float "MatMul"{{.*}}fallback = "the input is not dequantized from int8"
