// RUN: gemmary-opt %s -p tile{config="small"}
// A dense layer and a pool: what is on the chip, in which parts, and which step waits for which.

func.func @main(%x: tensor<4x8x8x16x!graph.q<0.5, 1>>) -> (tensor<4x4x4x8x!graph.q<0.5, 7>>) attributes {inputs = ["x"], outputs = ["z"]} {
  %w = graph.constant {value = dense<3> : tensor<1x1x16x8xi8>} : tensor<1x1x16x8xi8>
  %s = graph.constant {value = dense<0.01> : tensor<1xf32>} : tensor<1xf32>
  %y = graph.conv2d %x, %w scale %s : tensor<1xf32> {source = "dense"} : tensor<4x8x8x16x!graph.q<0.5, 1>>, tensor<1x1x16x8xi8> -> tensor<4x8x8x8x!graph.q<0.5, 7>>
  %z = graph.max_pool %y {window = array<i64: 2, 2>, strides = array<i64: 2, 2>, source = "pool"} : tensor<4x8x8x8x!graph.q<0.5, 7>> -> tensor<4x4x4x8x!graph.q<0.5, 7>>
  func.return %z : tensor<4x4x4x8x!graph.q<0.5, 7>>
}

// CHECK:      tile.program "main.0" for "small" inputs ["x"] outputs ["pool"]
// CHECK-NEXT:   tile.tensor <Tensor(name = "dense", shape = [4, 8, 8, 8]
// CHECK:        tile.layer "dense" output "dense" macs 32768 {
// CHECK-NEXT:     tile.nest "contraction" <[Contraction(
// CHECK-NEXT:       [[SOURCE:%[0-9]+]] = tile.buffer "source" activation 4 by 128 at 0
// CHECK-NEXT:       [[RESULT:%[0-9]+]] = tile.buffer "result" activation 4 by 64 at 512
// CHECK:            [[SUMS:%[0-9]+]] = tile.buffer "sums" accumulator 2 by 128 at 0
// CHECK:            tile.for "column" [4 of 64] {
// CHECK:            [[SUM:%[0-9]+]] = tile.for "k" [2] {
// CHECK:            tile.matmul([[SOURCE]], {{.*}}, [[SUMS]]) after(
// CHECK:            [[DRAIN:%[0-9]+]] = tile.vector([[SUMS]], {{.*}}, [[RESULT]]) after([[SUM]]
// CHECK:            tile.store([[RESULT]]) after([[DRAIN]])
// CHECK:        tile.layer "pool" output "pool" macs 0 {
// CHECK-NEXT:     tile.nest "pooling"
