// RUN: gemmary-opt %s -p raise-tables,dead-code
// One table for a function of one int8, however many operators it takes; none where nothing happens; none of two tensors.

func.func @main(%x: tensor<2x3x!graph.q<0.5, 7>>, %z: tensor<2x3x!graph.q<0.5, 7>>)
    -> (tensor<2x3x!graph.q<0.25, 5>>, tensor<2x3x!graph.q<0.5, 7>>, tensor<2x3x!graph.q<0.5, 7>>) {
  %f = graph.dequantize %x : tensor<2x3x!graph.q<0.5, 7>> -> tensor<2x3xf32>
  %g = graph.float "Sigmoid"(%f) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %q = graph.quantize %g : tensor<2x3xf32> -> tensor<2x3x!graph.q<0.0078125, 0>>
  %h = graph.dequantize %q : tensor<2x3x!graph.q<0.0078125, 0>> -> tensor<2x3xf32>
  %m = graph.float "Mul"(%f, %h) {source = "silu"} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %y = graph.quantize %m : tensor<2x3xf32> -> tensor<2x3x!graph.q<0.25, 5>>
  %same = graph.quantize %f : tensor<2x3xf32> -> tensor<2x3x!graph.q<0.5, 7>>
  %k = graph.dequantize %z : tensor<2x3x!graph.q<0.5, 7>> -> tensor<2x3xf32>
  %p = graph.float "Mul"(%f, %k) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %two = graph.quantize %p : tensor<2x3xf32> -> tensor<2x3x!graph.q<0.5, 7>>
  func.return %y, %same, %two : tensor<2x3x!graph.q<0.25, 5>>, tensor<2x3x!graph.q<0.5, 7>>, tensor<2x3x!graph.q<0.5, 7>>
}

// CHECK:      func.func @main
// CHECK-NOT:  Sigmoid
// CHECK:      %[[Y:.*]] = graph.table %x, %{{.*}} {source = "silu"} : {{.*}} -> tensor<2x3x!graph.q<0.25, 5>>
// CHECK-NOT:  graph.table
// CHECK:      graph.float "Mul"
// CHECK:      %[[TWO:.*]] = graph.quantize
// CHECK-NEXT: func.return %[[Y]], %x, %[[TWO]]
