"""Places and routes a bare array on an LFE5U-85F, out of context: what it takes and how fast it runs.

python -m scripts.measure_array --rows 16 --columns 16 pair     JSON; minutes
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

from amaranth.back import rtlil

from boards.chips.ecp5 import Ecp5DotProduct, PlacedDotProducts, ecp5
from boards.chips.ecp5_pairs import PlacedPairs
from boards.flow.build import BUILD
from boards.flow.tools import find, find_yosys
from gemmary.config import preset
from hdl.array.array import SystolicArray
from hdl.array.pair import PairArray
from hdl.rtlil import share_modules

CHIP = ecp5("85F", "6", "CABGA381")
MHZ = 250
"""What the router is asked for: more than it reaches."""
ROUTE_SECONDS = 15 * 60


def design(kind: str, rows: int, columns: int):
    dot = 8 if kind == "pair" else 4
    config = dataclasses.replace(
        preset("base"), rows=rows, columns=columns, lanes=2, bus_bytes=4, dot=dot, multiplier=kind, window_line=0
    )
    if kind == "pair":
        return PairArray(config, PlacedPairs(rows // dot, columns))
    placed = rows * columns <= 128
    return SystolicArray(config, PlacedDotProducts(rows // dot, columns) if placed else Ecp5DotProduct)


def measure(folder: Path, component, placer: str, seed: int) -> dict:
    """Files of every step stay in ``folder``. ``mhz`` is None if the router took too long."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "design.il").write_text(share_modules(rtlil.convert(component, name="top", emit_src=False)))
    script = ["read_rtlil design.il", f"{CHIP.synthesis} -top top", "stat", "write_json netlist.json"]
    (folder / "run.ys").write_text("\n".join(script) + "\n")
    with (folder / "synthesise.log").open("w") as log:
        subprocess.run([*find_yosys().command, "run.ys"], cwd=folder, check=True, stdout=log)
    netlist = json.loads((folder / "netlist.json").read_text())
    CHIP.finish(netlist)
    (folder / "netlist.json").write_text(json.dumps(netlist))
    cells = netlist["modules"]["top"]["cells"].values()
    kinds = ("LUT4", "CCU2C", "PFUMX", "TRELLIS_FF", "TRELLIS_DPR16X4", "MULT18X18D")
    found = {kind: sum(cell["type"] == kind for cell in cells) for kind in kinds}
    options = ["--85k", "--speed=6", "--package=CABGA381", f"--placer={placer}", "--router=router2", f"--seed={seed}"]
    options += [f"--freq={MHZ}", "--out-of-context", "--timing-allow-fail", "--json=netlist.json", "--report=fmax.json"]
    begin = time.monotonic()
    (folder / "fmax.json").unlink(missing_ok=True)
    with (folder / "route.log").open("w") as log:
        command = [*find(CHIP.router).command, *options]
        try:
            subprocess.run(command, cwd=folder, check=True, stderr=log, timeout=ROUTE_SECONDS)
        except subprocess.TimeoutExpired:
            return found | {"mhz": None}
    report = json.loads((folder / "fmax.json").read_text())
    found |= {kind: report["utilization"][kind]["used"] for kind in ("TRELLIS_COMB", "TRELLIS_FF", "MULT18X18D")}
    mhz = round(min(clock["achieved"] for clock in report["fmax"].values()), 1)
    return found | {"mhz": mhz, "route_s": round(time.monotonic() - begin)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("plain", "pair"))
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--columns", type=int, default=16)
    parser.add_argument("--placer", choices=("heap", "static"), default="heap")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    component = design(options.kind, options.rows, options.columns)
    folder = BUILD / f"array-{options.kind}-{options.rows}x{options.columns}-{options.placer}-{options.seed}"
    print(json.dumps(vars(options) | measure(folder, component, options.placer, options.seed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
