// RUN: gemmary-opt %s -p schedule
// Tokens become counts of semaphores: load to vector, vector to store.

tile.program "main.0" for "small" inputs ["x"] outputs ["y"] code 512 {
  tile.tensor <Tensor(name = "x", shape = [16, 8], dtype = DType.INT8, address = 0, word = 8)>
  tile.tensor <Tensor(name = "y", shape = [16, 8], dtype = DType.INT8, address = 128, word = 8)>
  tile.layer "y" output "y" macs 0 {
    isa.run {
      %0 = isa.load {dtype = 1, length = 128, count_z = 1, count_y = 1, count_x = 1}
      %1 = isa.vector after(%0) {source_dtype = 1, result_dtype = 1, high = 127, mantissa = 8388608, shift = 23, count_n = 1, count_y = 1, count_x = 16, count_ky = 1, count_kx = 1, source_step_x = 1, result_address = 16, result_step_x = 1, y_limit = 1, x_limit = 1}
      %2 = isa.store after(%1) {dtype = 1, length = 128, count_z = 1, count_y = 1, count_x = 1, external_address = 128, onchip_address = 16}
    }
  }
}

// CHECK:      isa.run cycles {{[0-9]+}} {
// CHECK-NEXT:   isa.load scheduled {signal = [[LOADED:[0-9]+]],
// CHECK-NEXT:   isa.vector scheduled {wait = [[LOADED]], signal = [[DONE:[0-9]+]],
// CHECK-NEXT:   isa.store scheduled {wait = [[DONE]],
