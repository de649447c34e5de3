"""gemmary run: a model, or a compiled program, on a device."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from ..config import preset
from ..errors import InputError
from ..runtime.device import device_names, open_device
from .models import add_model_options, compiled_from, read_arrays

EPILOG = """examples:
  gemmary run model.gem --inputs x.npz --outputs y.npz
  gemmary run model.onnx --inputs x.npz --device emulator --preset small --check --json
"""

MEBIBYTE = 1 << 20


def register(subparsers) -> None:
    """Adds ``run`` to the commands."""
    parser = subparsers.add_parser(
        "run",
        help="run a model or a program on a device",
        description="Runs a compiled program, or compiles a model and runs it. Inputs may hold several batches: they are run one "
        "after the other.",
        epilog=EPILOG,
    )
    add_model_options(parser, program=True)
    parser.add_argument(
        "--inputs", type=Path, required=True, metavar="NPZ", help="arrays by the names of the model's inputs"
    )
    parser.add_argument("--outputs", type=Path, metavar="NPZ", help="write the outputs here")
    parser.add_argument("--device", default="rtl", help=f"{', '.join(device_names())} (default: rtl)")
    parser.add_argument(
        "--check", action="store_true", help="compare with the reference; status 1 if one element differs"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else, on stdout")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ..compiler.ir import interpret

    arrays = read_arrays(options.inputs)
    with Console(stderr=True).status("Compiling …") as status:
        first = next((len(array) for array in arrays.values() if array.ndim), None)
        compiled = compiled_from(options, first)
        batches = list(_batches(compiled.model, arrays))
        status.update(f"Opening device {options.device} (builds it, the first time) …")
        results, wall = _run(options, compiled, batches, status)
    outputs = _joined([result.outputs for result in results], len(batches))
    if options.outputs:
        _write(options.outputs, outputs)
    cycles, macs = (sum(getattr(result, name) for result in results) for name in ("cycles", "macs"))
    figures = {
        "device": options.device,
        "config": compiled.config.name,
        "batches": len(batches),
        "macs": macs,
        "cycles": cycles,
        "utilization": round(macs / (cycles * compiled.config.macs_per_cycle), 6) if cycles else 0.0,
        "fallbacks": len(compiled.fallbacks),
        "outputs": {name: list(array.shape) for name, array in outputs.items()},
        "wall_s": round(wall, 3),
    }
    if options.check:
        expected = _joined([interpret(compiled.model, batch) for batch in batches], len(batches))
        figures["mismatches"] = sum(int(np.count_nonzero(outputs[name] != expected[name])) for name in outputs)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:12} {value}")
    return 1 if figures.get("mismatches") else 0


def _run(options, compiled, batches, status):
    from ..compiler.backend import run_compiled

    config = preset(options.preset) if options.preset else compiled.config
    size = max(1, -(-compiled.memory_bytes // MEBIBYTE)) * MEBIBYTE
    device = open_device(options.device, config, memory_bytes=size)
    try:
        status.update("Running …")
        begin = time.perf_counter()
        results = [run_compiled(compiled, device, batch) for batch in batches]
        return results, time.perf_counter() - begin
    finally:
        device.close()


def _batches(model, arrays: dict[str, np.ndarray]):
    """The inputs of each pass: one, unless every array holds the same multiple of the model's first size."""
    from ..compiler.ir.types import shape_of

    counts = set()
    for name, value in model.inputs.items():
        shape, array = shape_of(value), arrays.get(name)
        if array is None or not shape or array.ndim != len(shape) or len(array) % shape[0] or not len(array):
            counts.add(1)
        else:
            counts.add(len(array) // shape[0])
    count = counts.pop() if len(counts) == 1 else 1
    if count == 1:
        yield arrays
        return
    sizes = {name: len(array) // count for name, array in arrays.items()}
    for i in range(count):
        yield {name: array[i * sizes[name] : (i + 1) * sizes[name]] for name, array in arrays.items()}


def _joined(parts: list[dict[str, np.ndarray]], count: int) -> dict[str, np.ndarray]:
    return parts[0] if count == 1 else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    try:
        with path.open("wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
