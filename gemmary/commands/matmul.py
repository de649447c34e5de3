"""gemmary matmul: a random matrix product on a device, compared with NumPy."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from ..compiler import Program, compile_matmul, mantissa_and_shift
from ..compiler.matmul import MAX_DIMENSION, check_shape
from ..config import PRESETS, preset
from ..errors import InputError
from ..isa import DType
from ..runtime.device import device_names, open_device
from ..runtime.execute import execute

EPILOG = """examples:
  gemmary matmul -m 64 -k 64 -n 64
  gemmary matmul -m 512 -k 512 -n 512 --json
  gemmary matmul -m 37 -k 129 -n 65 --preset small --latency 400 --stalls 0.2 --seed 7
  gemmary matmul -m 200 -k 300 -n 100 --device emulator --result int32
"""

RESULTS = {"int8": DType.INT8, "int32": DType.INT32}

MEBIBYTE = 1 << 20

TYPICAL_PRODUCT = 128**2 / 3
"""Standard deviation of a product of two random int8."""


def register(subparsers) -> None:
    """Adds ``matmul`` to the commands."""
    parser = subparsers.add_parser(
        "matmul",
        help="run a random matrix product and compare it with NumPy",
        description="Multiplies random int8 matrices [m, k] and [k, n] on a device, adds a bias, scales every channel to int8 "
        "(or leaves int32) and compares each element with NumPy. Exit status 1 if one differs.",
        epilog=EPILOG,
    )
    for name, meaning in (("m", "rows of the result"), ("k", "length of each sum"), ("n", "columns of the result")):
        parser.add_argument(
            f"-{name}", type=int, required=True, metavar=name.upper(), help=f"{meaning}, 1 to {MAX_DIMENSION}"
        )
    parser.add_argument("--preset", default="base", help=f"{', '.join(PRESETS)} (default: base)")
    parser.add_argument("--device", default="rtl", help=f"{', '.join(device_names())} (default: rtl)")
    parser.add_argument("--result", choices=RESULTS, default="int8", help="type of the result (default: int8)")
    parser.add_argument("--seed", type=int, default=0, help="of the matrices, and of stalls (default: 0)")
    parser.add_argument("--program", type=Path, metavar="FILE", help="also write the encoded program here")
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else, on stdout")
    memory = parser.add_argument_group("external memory (device rtl)")
    memory.add_argument("--latency", type=int, metavar="CYCLES", help="from a request to its first data")
    memory.add_argument("--bytes-per-cycle", type=float, metavar="BYTES", help="bandwidth each way")
    memory.add_argument("--stalls", type=float, metavar="P", help="probability that a bus channel pauses for a cycle")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    config, shape = preset(options.preset), (options.m, options.k, options.n)
    check_shape(*shape)
    if options.seed < 0:
        raise InputError(f"seed must not be negative: {options.seed}")
    console = Console(stderr=True)
    with console.status("Compiling …") as status:
        operands, expected = _problem(*shape, RESULTS[options.result], options.seed)
        a = operands.pop("a")
        program = compile_matmul(config, *shape, **operands)
        if options.program:
            _write(options.program, program.encode())
        status.update(f"Opening device {options.device} (builds it, the first time) …")
        device = open_device(options.device, config, **_device_options(options, program))
        try:
            status.update("Running …")
            begin = time.perf_counter()
            result = execute(device, program, {"a": a})
            wall = time.perf_counter() - begin
        finally:
            device.close()
    mismatches = int(np.count_nonzero(result.tensors["y"] != expected))
    figures = {
        "mismatches": mismatches,
        "cycles": result.cycles,
        "macs": result.macs,
        "utilization": round(result.utilization, 6),
        "wall_s": round(wall, 3),
    }
    if options.json:
        chosen = {name: getattr(options, name) for name in ("m", "k", "n", "preset", "device", "result", "seed")}
        print(json.dumps(chosen | figures))
    else:
        for name, value in figures.items():
            print(f"{name:12} {value}")
    return 1 if mismatches else 0


def _problem(m: int, k: int, n: int, result: DType, seed: int) -> tuple[dict, np.ndarray]:
    """Arguments of compile_matmul and ``a``, and what NumPy says of them. Results spread over all of int8."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-128, 128, (m, k), np.int8), rng.integers(-128, 128, (k, n), np.int8)
    bias = rng.integers(-(1 << 15), 1 << 15, n, np.int32)
    # Exact: every sum is far below 2^53, and float64 takes the fast path.
    sums = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64) + bias
    operands = {"a": a, "weights": b, "bias": bias, "result": result}
    if result == DType.INT32:
        return operands, sums
    scale = (rng.uniform(0.5, 1.5, n) * 64 / (TYPICAL_PRODUCT * np.sqrt(k))).astype(np.float32)
    zero_point = int(rng.integers(-32, 33))
    expected = np.clip(_rounded(sums, scale) + zero_point, -128, 127)
    return operands | {"scale": scale, "zero_point": zero_point}, expected


def _rounded(sums: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """``sums · scale`` rounded half to even, exactly."""
    mantissa, shift = mantissa_and_shift(scale)
    product = sums * mantissa
    floor, half = product >> shift, np.int64(1) << (shift - 1)
    rest = product - (floor << shift)
    return floor + ((rest > half) | ((rest == half) & (floor & 1 == 1)))


def _device_options(options: argparse.Namespace, program: Program) -> dict:
    memory = {"memory_bytes": -(-program.memory_bytes // MEBIBYTE) * MEBIBYTE}
    given = {
        "latency": options.latency,
        "bytes_per_cycle": options.bytes_per_cycle,
        "stall_probability": options.stalls,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if options.device == "rtl":
        return memory | given | {"seed": options.seed}
    if given:
        raise InputError(
            f"device {options.device!r} has no memory to set: --latency, --bytes-per-cycle and --stalls are for rtl"
        )
    return memory


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
