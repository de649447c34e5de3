"""python -m examples.litex.run: builds the LiteX SoC with its firmware and a compiled matrix product, and simulates it."""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
from bronzebeard.asm import assemble
from litex.soc.integration.export import get_csr_json

from examples import simulators
from gemmary.compiler import compile_matmul
from gemmary.registers import ADDRESS
from hdl.verilog import to_verilog

from .soc import CONFIG, RAM_BYTES, REGISTERS, SoC

HERE = Path(__file__).resolve().parent
M, K, N = 16, 40, 16
SCALE = np.float32(1 / 1024)


class Problem:
    """A random matrix product: the RAM before, addresses, and the result that NumPy expects."""

    def __init__(self, flip_weight: bool):
        rng = np.random.default_rng(2)
        a, b = rng.integers(-128, 128, (M, K), np.int8), rng.integers(-128, 128, (K, N), np.int8)
        y = np.clip(np.rint((a.astype(np.int32) @ b) * SCALE), -128, 127).astype(np.int8)
        if flip_weight:
            b[0, 0] ^= 0x40
        program = compile_matmul(CONFIG, M, K, N, weights=b, scale=SCALE)
        (run,) = program.layers[0].runs
        activations, self.result = program.tensors["a"], program.tensors["y"]
        self.program, self.length, self.expected = program.code_address, len(run.code), self.result.pack(y)
        image = bytearray(RAM_BYTES)
        packed = activations.address, activations.pack(a)
        for address, data in (*program.constants, packed, (program.code_address, run.code)):
            image[address : address + len(data)] = data
        assert len(image) == RAM_BYTES, "the program needs more memory"
        self.ram = np.frombuffer(image, "<u4").tolist()


def firmware(soc: SoC, problem: Problem) -> bytes:
    """The ROM: the assembled firmware, the expected result behind it."""
    found = json.loads(get_csr_json(csr_regions=soc.csr_regions, constants=soc.constants, mem_regions=soc.mem_regions))
    csr = {name: register["addr"] for name, register in found["csr_registers"].items()}
    constants = {name: address for name, address in ADDRESS.items() if address < 0x80} | {
        "GEMMARY": REGISTERS,
        "EXPECTED_IDENTITY": CONFIG.identity,
        "PROGRAM": problem.program,
        "PROGRAM_SIZE": problem.length,
        "RESULT": soc.mem_regions["main_ram"].origin + problem.result.address,
        "RESULT_WORDS": len(problem.expected) // 4,
        "IRQ_MASK": 0xBC0 - (1 << 12),  # VexRiscv's own; the assembler takes 12 bits as signed
        "IRQ_PENDING": 0xFC0 - (1 << 12),
        "IRQ_BIT": 1 << soc.irq.locs["gemmary"],
        "EVENT_ENABLE": csr["gemmary_ev_enable"],
        "CONSOLE": csr["outputs_character"],
        "EXIT": csr["outputs_status"],
        "ROM": soc.mem_regions["rom"].origin,
    }
    return assemble(str(HERE / "firmware.asm"), constants=constants) + problem.expected


def write_verilog(soc: SoC, rom: bytes, folder: Path) -> list[Path]:
    """Writes the SoC as Verilog with the contents of its memories. Returns all sources."""
    soc.init_rom("rom", contents=np.frombuffer(rom, "<u4").tolist())
    verilog = soc.platform.get_verilog(soc.get_fragment(), name="soc")
    (folder / "soc.v").write_text(verilog.main_source)
    for name, contents in verilog.data_files.items():
        (folder / name).write_text(contents)
    simulators.write(folder / "gemmary.v", to_verilog(CONFIG))
    return [
        HERE / "tb.v",
        folder / "soc.v",
        folder / "gemmary.v",
        *(Path(source[0]) for source in soc.platform.sources),
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.litex.run", description=__doc__.split(": ")[1])
    parser.add_argument("--folder", type=Path, default=Path("build/examples/litex"), help="for what is generated")
    parser.add_argument("--flip-weight", action="store_true", help="spoil one weight: the simulation must fail")
    parser.add_argument("--verbose", action="store_true", help="what LiteX has to say about the SoC")
    options = parser.parse_args(arguments)
    logging.disable(logging.NOTSET if options.verbose else logging.INFO)
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    problem = Problem(options.flip_weight)
    soc = SoC(problem.ram)
    soc.finalize()
    sources = write_verilog(soc, firmware(soc, problem), folder)
    return 1 if simulators.verilator(sources, "tb", folder) else 0


if __name__ == "__main__":
    raise SystemExit(main())
