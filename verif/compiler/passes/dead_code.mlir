// RUN: gemmary-opt %s -p dead-code
// What nobody reads goes, with the constants that only it reads.

func.func @main(%x: tensor<2x4x!graph.q<0.5, 0>>) -> tensor<2x4xf32> {
  %t = graph.constant {value = dense<3> : tensor<256xi8>} : tensor<256xi8>
  %a = graph.table %x, %t : tensor<2x4x!graph.q<0.5, 0>>, tensor<256xi8> -> tensor<2x4x!graph.q<0.5, 0>>
  %y = graph.dequantize %x : tensor<2x4x!graph.q<0.5, 0>> -> tensor<2x4xf32>
  func.return %y : tensor<2x4xf32>
}

// CHECK:      func.func @main
// CHECK-NEXT:   %[[Y:.*]] = graph.dequantize %x
// CHECK-NEXT:   func.return %[[Y]]
