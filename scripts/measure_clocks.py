"""What two clocks cost and gain in simulation: a matrix product and the digits on one clock, and with a faster one for the tensor engine.

python -m scripts.measure_clocks --ratios 1 2 4     JSON, cycles of the control's clock; minutes
python -m scripts.measure_clocks --preset ulx3s-pair --networks resnet8 --bytes-per-cycle 5.5 --images 0 --ratios 3     networks as one program too
"""

import argparse
import json
import sys
from collections.abc import Sequence

import numpy as np

from gemmary.bench.memory import Memory
from gemmary.bench.problem import NetworkProblem
from gemmary.bench.task import whole_networks
from gemmary.compiler import compile_matmul, compile_network
from gemmary.config import PRESETS, preset
from gemmary.errors import GemmaryError, InputError
from gemmary.isa import DType
from gemmary.models.digits import load_digits
from gemmary.runtime.execute import execute
from hdl.simulation.device import RtlDevice
from verif.golden import network as golden

ONE_CLOCK = 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.measure_clocks", description=__doc__)
    parser.add_argument("--preset", default="base", help=f"{', '.join(PRESETS)} (default: base)")
    parser.add_argument(
        "--size", type=int, default=64, help="of the product: [size, size] x [size, size] (default: 64)"
    )
    parser.add_argument("--images", type=int, default=360, help="how many digits (default: 360)")
    parser.add_argument(
        "--ratios", type=int, nargs="+", default=[1, 2, 4], help="clocks of the tensor engine (default: 1 2 4)"
    )
    parser.add_argument(
        "--networks", nargs="*", default=[], help="these as one program each: resnet8 and others of the workloads"
    )
    parser.add_argument("--bytes-per-cycle", type=float, help="of memory, each way (default: the width of the bus)")
    options = parser.parse_args(arguments)
    try:
        rows = [measure(options, ratio) for ratio in (ONE_CLOCK, *options.ratios)]
    except GemmaryError as error:
        print(f"measure_clocks: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    print(json.dumps(rows, indent=2))
    return 1 if any(row["mismatches"] for row in rows) else 0


def measure(options: argparse.Namespace, ratio: int) -> dict:
    config, size, digits = preset(options.preset), options.size, load_digits()
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-128, 128, (size, size), np.int8) for _ in range(2))
    product = compile_matmul(config, size, size, size, weights=b, result=DType.INT32)
    network, images = digits.network, digits.images[: options.images]
    program = compile_network(config, network, max(1, len(images)))
    memory = Memory(bytes_per_cycle=options.bytes_per_cycle)
    problems = [NetworkProblem.of(task) for task in whole_networks(options.networks, config=config, memory=memory)]
    most = max(p.memory_bytes for p in (product, program, *(problem.program for problem in problems)))
    settings = {"latency": memory.latency, "bytes_per_cycle": memory.rate(config), "compute_ratio": ratio}
    device = RtlDevice(config, memory_bytes=most + 63 & ~63, **settings)
    try:
        matmul = execute(device, product, {"a": a})
        found = {"matmul_cycles": matmul.cycles}
        wrong = np.count_nonzero(matmul.tensors["y"] != a.astype(np.int32) @ b.astype(np.int32))
        if len(images):
            classified, expected = execute(device, program, {program.inputs[0]: images}), golden.run(network, images)
            wrong += sum(np.count_nonzero(classified.tensors[i.output] != expected[i.name]) for i in program.layers)
            found |= {
                "digits_cycles": classified.cycles,
                "programs": sum(len(layer.reports) for layer in (*matmul.layers, *classified.layers)),
            }
        for problem in problems:
            result = execute(device, problem.program, problem.inputs)
            wrong += np.count_nonzero(result.tensors[problem.program.outputs[-1]] != problem.expected())
            macs = sum(layer.macs * layer.count for layer in problem.network.layers)
            found |= {f"{problem.network.name}_cycles": result.cycles, f"{problem.network.name}_macs": macs}
    finally:
        device.close()
    return {"compute_ratio": ratio, "mismatches": int(wrong)} | found


if __name__ == "__main__":
    sys.exit(main())
