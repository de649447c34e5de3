// RUN: gemmary-opt %s -p raise-pools,dead-code
// Pools work on [n, h, w, channels]; a mean over the image is a window of its size: scale 0.5 / (4 * 4 * 0.25) = 0.125.

func.func @main(%x: tensor<1x2x4x4x!graph.q<0.5, 7>>) -> (tensor<1x2x2x2xf32>, tensor<1x2x1x1x!graph.q<0.25, 0>>, tensor<1x2x2x2xf32>) {
  %f = graph.dequantize %x : tensor<1x2x4x4x!graph.q<0.5, 7>> -> tensor<1x2x4x4xf32>
  %m = graph.float "MaxPool"(%f) {options = {kernel_shape = array<i64: 3, 3>, strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 0, 0>}} : (tensor<1x2x4x4xf32>) -> tensor<1x2x2x2xf32>
  %a = graph.float "GlobalAveragePool"(%f) : (tensor<1x2x4x4xf32>) -> tensor<1x2x1x1xf32>
  %q = graph.quantize %a : tensor<1x2x1x1xf32> -> tensor<1x2x1x1x!graph.q<0.25, 0>>
  %l = graph.float "AveragePool"(%f) {options = {kernel_shape = array<i64: 3, 3>, strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 0, 0>}} : (tensor<1x2x4x4xf32>) -> tensor<1x2x2x2xf32>
  func.return %m, %q, %l : tensor<1x2x2x2xf32>, tensor<1x2x1x1x!graph.q<0.25, 0>>, tensor<1x2x2x2xf32>
}

// CHECK:     graph.max_pool {{.*}}window = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 1, 0>{{.*}} -> tensor<1x2x2x2x!graph.q<0.5, 7>>
// CHECK:     graph.average_pool {{.*}}window = array<i64: 4, 4>{{.*}}scale = 1.250000e-01 : f32{{.*}} -> tensor<1x1x1x2x!graph.q<0.25, 0>>
// CHECK:     graph.float "AveragePool"{{.*}}fallback = "an average that leaves its padding out"
