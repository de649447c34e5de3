// RUN: gemmary-opt %s -p raise-integers,dead-code
// A product that a program requantizes itself: bias, ReLU, scales by channel, residual and zero points go into the drain. Functions
// of one int8 tensor become tables, sums over images average pools; wide sums keep their bias and leave by graph.scale.

func.func @main(%x: tensor<1x3x3x2xi8>, %v: tensor<1x2xi8>) -> (tensor<1x3x3x2xi8>, tensor<1x2xi8>, tensor<1x2xi8>, tensor<1x2xf32>, tensor<1x3x3x2xi8>) {
  %q = graph.reinterpret %x : tensor<1x3x3x2xi8> -> tensor<1x3x3x2x!graph.q<1.0, 0>>
  %w = graph.constant {value = dense<[[[[1, -2], [3, 4]]]]> : tensor<1x1x2x2xi8>} : tensor<1x1x2x2xi8>
  %zero = graph.constant {value = dense<0> : tensor<1xi32>} : tensor<1xi32>
  %five = graph.constant {value = dense<5.000000e+00> : tensor<1xf32>} : tensor<1xf32>
  %low = graph.constant {value = dense<-1.280000e+02> : tensor<1xf32>} : tensor<1xf32>
  %high = graph.constant {value = dense<1.270000e+02> : tensor<1xf32>} : tensor<1xf32>
  %b = graph.constant {value = dense<[7, -9]> : tensor<2xi32>} : tensor<2xi32>
  %s = graph.constant {value = dense<[0.3, 0.2]> : tensor<2xf32>} : tensor<2xf32>
  %t = graph.constant {value = dense<0.7> : tensor<1xf32>} : tensor<1xf32>

  // clip(round(max(conv + b, 0) · s) + 5), whose reader subtracts nothing: the zero point stands before an identity.
  %a = graph.conv2d %q, %w {source = "first"} : tensor<1x3x3x2x!graph.q<1.0, 0>>, tensor<1x1x2x2xi8> -> tensor<1x3x3x2xi32>
  %a1 = graph.float "Add"(%b, %a) : (tensor<2xi32>, tensor<1x3x3x2xi32>) -> tensor<1x3x3x2xi32>
  %a2 = graph.float "Max"(%a1, %zero) : (tensor<1x3x3x2xi32>, tensor<1xi32>) -> tensor<1x3x3x2xi32>
  %a3 = graph.float "Cast"(%a2) {options = {to = 1 : i64}} : (tensor<1x3x3x2xi32>) -> tensor<1x3x3x2xf32>
  %a4 = graph.float "Mul"(%a3, %s) : (tensor<1x3x3x2xf32>, tensor<2xf32>) -> tensor<1x3x3x2xf32>
  %a5 = graph.float "Round"(%a4) : (tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
  %a6 = graph.float "Add"(%a5, %five) : (tensor<1x3x3x2xf32>, tensor<1xf32>) -> tensor<1x3x3x2xf32>
  %a7 = graph.float "Max"(%low, %a6) : (tensor<1xf32>, tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
  %a8 = graph.float "Min"(%high, %a7) : (tensor<1xf32>, tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
  %y = graph.float "Cast"(%a8) {options = {to = 3 : i64}} : (tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xi8>
  %r = graph.reinterpret %y : tensor<1x3x3x2xi8> -> tensor<1x3x3x2x!graph.q<1.0, 0>>

  // With the residual x · 0.7.
  %c = graph.conv2d %r, %w {source = "second"} : tensor<1x3x3x2x!graph.q<1.0, 0>>, tensor<1x1x2x2xi8> -> tensor<1x3x3x2xi32>
  %c1 = graph.float "Cast"(%c) {options = {to = 1 : i64}} : (tensor<1x3x3x2xi32>) -> tensor<1x3x3x2xf32>
  %c2 = graph.float "Mul"(%c1, %s) : (tensor<1x3x3x2xf32>, tensor<2xf32>) -> tensor<1x3x3x2xf32>
  %c3 = graph.float "Cast"(%x) {options = {to = 1 : i64}} : (tensor<1x3x3x2xi8>) -> tensor<1x3x3x2xf32>
  %c4 = graph.float "Mul"(%c3, %t) : (tensor<1x3x3x2xf32>, tensor<1xf32>) -> tensor<1x3x3x2xf32>
  %c5 = graph.float "Add"(%c2, %c4) : (tensor<1x3x3x2xf32>, tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
  %c6 = graph.float "Round"(%c5) : (tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
  %c7 = graph.float "Max"(%low, %c6) : (tensor<1xf32>, tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
  %c8 = graph.float "Min"(%high, %c7) : (tensor<1xf32>, tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
  %z = graph.float "Cast"(%c8) {options = {to = 3 : i64}} : (tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xi8>

  // A function of one tensor.
  %d = graph.float "Cast"(%v) {options = {to = 1 : i64}} : (tensor<1x2xi8>) -> tensor<1x2xf32>
  %d1 = graph.float "Mul"(%d, %t) : (tensor<1x2xf32>, tensor<1xf32>) -> tensor<1x2xf32>
  %d2 = graph.float "Tanh"(%d1) : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %d3 = graph.float "Mul"(%d2, %high) : (tensor<1x2xf32>, tensor<1xf32>) -> tensor<1x2xf32>
  %d4 = graph.float "Round"(%d3) : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %u = graph.float "Cast"(%d4) {options = {to = 3 : i64}} : (tensor<1x2xf32>) -> tensor<1x2xi8>

  // A mean.
  %axes = graph.constant {value = dense<[1, 2]> : tensor<2xi64>} : tensor<2xi64>
  %e = graph.float "Cast"(%x) {options = {to = 6 : i64}} : (tensor<1x3x3x2xi8>) -> tensor<1x3x3x2xi32>
  %e1 = graph.float "ReduceSum"(%e, %axes) {source = "mean", options = {keepdims = 0 : i64}} : (tensor<1x3x3x2xi32>, tensor<2xi64>) -> tensor<1x2xi32>
  %e2 = graph.float "Cast"(%e1) {options = {to = 1 : i64}} : (tensor<1x2xi32>) -> tensor<1x2xf32>
  %e3 = graph.float "Mul"(%e2, %t) : (tensor<1x2xf32>, tensor<1xf32>) -> tensor<1x2xf32>
  %e4 = graph.float "Round"(%e3) : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %e5 = graph.float "Max"(%low, %e4) : (tensor<1xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  %e6 = graph.float "Min"(%high, %e5) : (tensor<1xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  %m = graph.float "Cast"(%e6) {options = {to = 3 : i64}} : (tensor<1x2xf32>) -> tensor<1x2xi8>

  // Wide sums with a bias, for float operators.
  %dense = graph.constant {value = dense<[[1, 2], [-3, 4]]> : tensor<2x2xi8>} : tensor<2x2xi8>
  %f = graph.reinterpret %v : tensor<1x2xi8> -> tensor<1x2x!graph.q<1.0, 0>>
  %f1 = graph.matmul %f, %dense : tensor<1x2x!graph.q<1.0, 0>>, tensor<2x2xi8> -> tensor<1x2xi32>
  %f2 = graph.float "Add"(%f1, %b) : (tensor<1x2xi32>, tensor<2xi32>) -> tensor<1x2xi32>
  %f3 = graph.float "Cast"(%f2) {options = {to = 1 : i64}} : (tensor<1x2xi32>) -> tensor<1x2xf32>
  %l = graph.float "Mul"(%f3, %s) : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>

  // It cuts off instead of rounding: it stays as it is.
  %h = graph.conv2d %q, %w {source = "third"} : tensor<1x3x3x2x!graph.q<1.0, 0>>, tensor<1x1x2x2xi8> -> tensor<1x3x3x2xi32>
  %h1 = graph.float "Cast"(%h) {options = {to = 1 : i64}} : (tensor<1x3x3x2xi32>) -> tensor<1x3x3x2xf32>
  %h2 = graph.float "Mul"(%h1, %s) : (tensor<1x3x3x2xf32>, tensor<2xf32>) -> tensor<1x3x3x2xf32>
  %h3 = graph.float "Max"(%low, %h2) : (tensor<1xf32>, tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
  %h4 = graph.float "Min"(%high, %h3) : (tensor<1xf32>, tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
  %k = graph.float "Cast"(%h4) {options = {to = 3 : i64}} : (tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xi8>
  func.return %z, %u, %m, %l, %k : tensor<1x3x3x2xi8>, tensor<1x2xi8>, tensor<1x2xi8>, tensor<1x2xf32>, tensor<1x3x3x2xi8>
}

// CHECK:     %[[B:.*]] = graph.constant {source = "first", value = dense<[7, -9]> : tensor<2xi32>}
// CHECK:     %[[Y:.*]] = graph.conv2d %{{.*}}, %{{.*}} bias %[[B]] : tensor<2xi32> scale %{{.*}} : tensor<2xf32> table %{{.*}} : tensor<256xi8> {source = "first", low = 5 : i64, zero_point = 5 : i64} : {{.*}} -> tensor<1x3x3x2x!graph.q<1.0, 0>>
// CHECK:     graph.conv2d %[[Y]], {{.*}} residual %{{.*}} : tensor<1x3x3x2x!graph.q<1.0, 0>> {source = "second", residual_scale = 7.000000e-01 : f32} : {{.*}} -> tensor<1x3x3x2x!graph.q<1.0, 0>>
// CHECK:     graph.table
// CHECK:     graph.average_pool {{.*}}scale = 7.000000e-01 : f32, window = array<i64: 3, 3>
// CHECK:     %[[F:.*]] = graph.matmul %{{.*}}, %{{.*}} bias %{{.*}} -> tensor<1x2xi32>
// CHECK:     graph.scale %[[F]]
// CHECK:     graph.conv2d {{.*}} -> tensor<1x3x3x2xi32>
// CHECK:     fallback = "it is not rounded, or not clipped
