// RUN: gemmary-opt %s -p join-heads{word=2}
// Scores of two heads of two channels, and the values that they mix: no transposes are left. A head of three channels is moved.
func.func @main(%q: tensor<1x3x4x!graph.q<0.5, 0>>, %k: tensor<1x3x4x!graph.q<0.5, 0>>, %o: tensor<1x3x6x!graph.q<0.5, 0>>)
    -> (tensor<1x3x4x!graph.q<0.25, 3>>, tensor<1x2x3x3xi32>) {
  %s = graph.constant {value = dense<0.01> : tensor<1xf32>} : tensor<1xf32>
  %a = graph.reshape %q : tensor<1x3x4x!graph.q<0.5, 0>> -> tensor<1x3x2x2x!graph.q<0.5, 0>>
  %b = graph.transpose %a {permutation = array<i64: 0, 2, 1, 3>} : tensor<1x3x2x2x!graph.q<0.5, 0>> -> tensor<1x2x3x2x!graph.q<0.5, 0>>
  %c = graph.reshape %k : tensor<1x3x4x!graph.q<0.5, 0>> -> tensor<1x3x2x2x!graph.q<0.5, 0>>
  %d = graph.transpose %c {permutation = array<i64: 0, 2, 1, 3>} : tensor<1x3x2x2x!graph.q<0.5, 0>> -> tensor<1x2x3x2x!graph.q<0.5, 0>>
  %e = graph.matmul %b, %d scale %s : tensor<1xf32> {source = "scores", transposed} :
    tensor<1x2x3x2x!graph.q<0.5, 0>>, tensor<1x2x3x2x!graph.q<0.5, 0>> -> tensor<1x2x3x3x!graph.q<0.5, 0>>
  %f = graph.matmul %e, %d scale %s : tensor<1xf32> {source = "mixed"} :
    tensor<1x2x3x3x!graph.q<0.5, 0>>, tensor<1x2x3x2x!graph.q<0.5, 0>> -> tensor<1x2x3x2x!graph.q<0.25, 3>>
  %g = graph.transpose %f {permutation = array<i64: 0, 2, 1, 3>} : tensor<1x2x3x2x!graph.q<0.25, 3>> -> tensor<1x3x2x2x!graph.q<0.25, 3>>
  %h = graph.reshape %g : tensor<1x3x2x2x!graph.q<0.25, 3>> -> tensor<1x3x4x!graph.q<0.25, 3>>
  %i = graph.reshape %o : tensor<1x3x6x!graph.q<0.5, 0>> -> tensor<1x3x2x3x!graph.q<0.5, 0>>
  %j = graph.transpose %i {permutation = array<i64: 0, 2, 1, 3>} : tensor<1x3x2x3x!graph.q<0.5, 0>> -> tensor<1x2x3x3x!graph.q<0.5, 0>>
  %l = graph.matmul %j, %j {source = "odd"} : tensor<1x2x3x3x!graph.q<0.5, 0>>, tensor<1x2x3x3x!graph.q<0.5, 0>> -> tensor<1x2x3x3xi32>
  func.return %h, %l : tensor<1x3x4x!graph.q<0.25, 3>>, tensor<1x2x3x3xi32>
}

// CHECK:      %e = graph.matmul %q, %k scale %s : tensor<1xf32> {source = "scores", transposed, heads = 2 : i64, joined = array<i64: 0, 1>}
// CHECK-NEXT: %h = graph.matmul %e, %k scale %s : tensor<1xf32> {source = "mixed", heads = 2 : i64, joined = array<i64: 1, 2>}{{.*}} -> tensor<1x3x4x!graph.q<0.25, 3>>
// CHECK-NEXT: %i = graph.reshape %o
// CHECK-NEXT: %j = graph.transpose %i
// CHECK-NEXT: %l = graph.matmul %j, %j {source = "odd"}
