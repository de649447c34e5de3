"""Compiles a matrix product and writes what the simulation reads: ram.hex, expected.hex and image.vh."""

from pathlib import Path

import numpy as np

from examples.simulators import write
from gemmary.compiler import Program, compile_matmul
from gemmary.config import Config

M, K, N = 24, 40, 24
SCALE = np.float32(1 / 1024)
MEMORY_BYTES = 32 << 10


def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random int8 ``a [M, K]`` and ``b [K, N]``, and the int8 ``[M, N]`` that NumPy makes of them."""
    rng = np.random.default_rng(1)
    a, b = rng.integers(-128, 128, (M, K), np.int8), rng.integers(-128, 128, (K, N), np.int8)
    sums = a.astype(np.int32) @ b.astype(np.int32)
    return a, b, np.clip(np.rint(sums * SCALE), -128, 127).astype(np.int8)  # exact: the scale is a power of two


def memory_image(program: Program, a: np.ndarray) -> bytearray:
    """External memory before the program starts: weights and parameters, activations, instructions."""
    image = bytearray(MEMORY_BYTES)
    (layer,) = program.layers
    (run,) = layer.runs  # a longer one would be several programs, to start one after the other
    activations = program.tensors["a"]
    for address, data in (
        *program.constants,
        (activations.address, activations.pack(a)),
        (program.code_address, run.code),
    ):
        image[address : address + len(data)] = data
    if len(image) > MEMORY_BYTES:
        raise SystemExit(f"the program needs {len(image)} bytes, the memory has {MEMORY_BYTES}")
    return image


def write_image(config: Config, folder: Path, flip_weight: bool = False) -> None:
    """Writes the three files into ``folder``. ``flip_weight`` spoils one weight after NumPy had it, for the test of the test."""
    a, b, y = problem()
    if flip_weight:
        b[0, 0] ^= 0x40
    program = compile_matmul(config, M, K, N, weights=b, scale=SCALE)
    result = program.tensors["y"]
    (run,) = program.layers[0].runs
    constants = {
        "WORDS": MEMORY_BYTES // config.bus_bytes,
        "CONFIG_IDENTITY": config.identity,
        "PROGRAM_ADDRESS": program.code_address,
        "PROGRAM_LENGTH": len(run.code),
        "RESULT_WORD": result.address // config.bus_bytes,
        "RESULT_WORDS": result.size // config.bus_bytes,
    }
    lines = [f"localparam [31:0] {name} = 32'h{value:x};" for name, value in constants.items()]
    write(folder / "image.vh", "\n".join(lines) + "\n")
    (folder / "ram.hex").write_text(hex_words(memory_image(program, a), config.bus_bytes))
    (folder / "expected.hex").write_text(hex_words(result.pack(y), config.bus_bytes))


def hex_words(data: bytes, size: int) -> str:
    """``data`` as $readmemh reads it: a little-endian word of ``size`` bytes on each line."""
    return "".join(f"{data[i : i + size][::-1].hex()}\n" for i in range(0, len(data), size))
