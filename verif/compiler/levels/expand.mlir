// RUN: gemmary-opt %s -p expand
// The loops say how often: two parts of a table, each loaded, looked up, stored.

tile.program "main.0" for "small" inputs ["x"] outputs ["y"] code 512 {
  tile.tensor <Tensor(name = "x", shape = [16, 8], dtype = DType.INT8, address = 0, word = 8)>
  tile.tensor <Tensor(name = "y", shape = [16, 8], dtype = DType.INT8, address = 128, word = 8)>
  tile.layer "y" output "y" macs 0 {
    tile.nest "elementwise" <[Elementwise(source = Tensor(name = "x", shape = [16, 8], dtype = DType.INT8, address = 0, word = 8), result = Tensor(name = "y", shape = [16, 8], dtype = DType.INT8, address = 128, word = 8), requantization = Requantization(low = 0))]> {
      %0 = tile.buffer "source" activation 2 by 12 at 0
      %1 = tile.buffer "result" activation 2 by 12 at 24
      %2 = tile.for "word" [12, 4] {
        %3 = tile.load(%0)
        %4 = tile.vector(%0, %1) after(%3)
        %5 = tile.store(%1) after(%4)
      }
    }
  }
}

// CHECK-NOT: tile.nest
// CHECK:     isa.run {
// CHECK-NEXT:  [[A:%[0-9]+]] = isa.load {{.*}}length = 96
// CHECK-NEXT:  [[B:%[0-9]+]] = isa.vector after([[A]]) {{.*}}count_x = 12{{.*}}result_address = 24
// CHECK-NEXT:  isa.store after([[B]]) {{.*}}external_address = 128, {{.*}}onchip_address = 24
// CHECK-NEXT:  [[C:%[0-9]+]] = isa.load {{.*}}length = 32{{.*}}external_address = 96{{.*}}onchip_address = 12
// CHECK-NEXT:  [[D:%[0-9]+]] = isa.vector after([[C]]) {{.*}}count_x = 4
// CHECK-NEXT:  isa.store after([[D]])
