// RUN: gemmary-opt %s -p raise-softmax,dead-code
// The four operators become one; a division by another sum stays, and one by the sums of other rows.

func.func @main(%x: tensor<2x4xf32>, %c: tensor<2x2x2xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x2x2xf32>) {
  %last = graph.constant {value = dense<[1]> : tensor<1xi64>} : tensor<1xi64>
  %shape = graph.constant {value = dense<[2, 4]> : tensor<2xi64>} : tensor<2xi64>
  %m = graph.float "ReduceMax"(%x, %last) {options = {keepdims = 0 : i64}} : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2xf32>
  %m2 = graph.reshape %m : tensor<2xf32> -> tensor<2x1xf32>
  %m3 = graph.float "Expand"(%m2, %shape) : (tensor<2x1xf32>, tensor<2xi64>) -> tensor<2x4xf32>
  %d = graph.float "Sub"(%x, %m3) : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %e = graph.float "Exp"(%d) : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %s = graph.float "ReduceSum"(%e, %last) {options = {keepdims = 1 : i64}} : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %y = graph.float "Div"(%e, %s) {source = "weights"} : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %f = graph.float "Exp"(%m3) : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %z = graph.float "Div"(%f, %s) : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %rows = graph.constant {value = dense<[2]> : tensor<1xi64>} : tensor<1xi64>
  %n = graph.float "ReduceMax"(%c, %rows) {options = {keepdims = 1 : i64}} : (tensor<2x2x2xf32>, tensor<1xi64>) -> tensor<2x2x1xf32>
  %g = graph.float "Sub"(%c, %n) : (tensor<2x2x2xf32>, tensor<2x2x1xf32>) -> tensor<2x2x2xf32>
  %h = graph.float "Exp"(%g) : (tensor<2x2x2xf32>) -> tensor<2x2x2xf32>
  %t = graph.float "ReduceSum"(%h, %rows) {options = {keepdims = 0 : i64}} : (tensor<2x2x2xf32>, tensor<1xi64>) -> tensor<2x2xf32>
  %t1 = graph.reshape %t : tensor<2x2xf32> -> tensor<1x2x2xf32>
  %u = graph.float "Div"(%h, %t1) : (tensor<2x2x2xf32>, tensor<1x2x2xf32>) -> tensor<2x2x2xf32>
  func.return %y, %z, %u : tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x2x2xf32>
}

// CHECK:     graph.float "Softmax"(%x) {{{.*}}options = {axis = 1 : i64}{{.*}}} : (tensor<2x4xf32>) -> tensor<2x4xf32>
// CHECK-NOT: Softmax
// CHECK:     graph.float "Div"
// CHECK-NOT: Softmax
// CHECK:     graph.float "Div"
