"""python -m examples.verilog_soc.run: builds the system on chip and simulates it, here with the words that NumPy expects."""

import argparse
from pathlib import Path

from examples import simulators
from gemmary.config import preset
from hdl.verilog import to_verilog

from .image import write_image

HERE = Path(__file__).resolve().parent
SIMULATORS = {"icarus": simulators.icarus, "verilator": simulators.verilator}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.verilog_soc.run", description=__doc__.split(": ")[1])
    parser.add_argument("--simulator", action="append", choices=SIMULATORS, help="default: both, one after the other")
    parser.add_argument("--folder", type=Path, default=Path("build/examples/verilog_soc"), help="for what is generated")
    parser.add_argument("--waves", action="store_true", help="write waves.vcd there")
    parser.add_argument("--flip-weight", action="store_true", help="spoil one weight: the simulation must fail")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    config = preset("small")
    write_image(config, folder, options.flip_weight)
    simulators.write(folder / "gemmary.v", to_verilog(config))
    sources = [folder / "gemmary.v", *(HERE / name for name in ("axi_ram.v", "host.v", "soc.v", "tb.v"))]
    for name in options.simulator or SIMULATORS:
        print(f"{name}:", flush=True)
        if SIMULATORS[name](sources, "tb", folder, ["+waves"] if options.waves else []):
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
