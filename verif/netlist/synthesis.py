"""Yosys runs for netlists, in a process of their own, kept by the hash of what went in."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from boards.chips.ecp5 import ecp5
from boards.chips.ice40 import ice40up5k
from verif.runner import BUILD

# What the boards' bitstreams are made with.
FAMILIES = {"ice40": ice40up5k("sg48").synthesis, "ecp5": ecp5("85F", "6", "CABGA381").synthesis}
LIBRARIES = {
    "ice40": "read_verilog -lib +/ice40/cells_sim.v",
    "ecp5": "read_verilog -lib +/lattice/cells_sim_ecp5.v +/lattice/cells_bb_ecp5.v",
}
READ = "read_verilog -sv design.v"
_RUN = "from pyosys import libyosys as ys; ys.run_pass('tee -q script run.ys', ys.Design())"


@dataclass(frozen=True)
class Netlist:
    """What Yosys wrote to ``folder``: the flat module ``top`` as Verilog and as JSON."""

    top: str
    folder: Path

    @property
    def verilog(self) -> str:
        return (self.folder / "netlist.v").read_text()

    @property
    def json(self) -> dict:
        return json.loads((self.folder / "netlist.json").read_text())

    @property
    def cells(self) -> Counter:
        """How many there are of each kind."""
        cells = self.json["modules"][self.top]["cells"].values()
        return Counter(cell["type"] for cell in cells if cell["type"] != "$scopeinfo")


def synthesize(verilog: str, family: str, top: str = "gemmary", options: str = "") -> Netlist:
    """``verilog`` mapped to the cells of ``family`` ("ice40" or "ecp5")."""
    return _run(verilog, top, f"{FAMILIES[family]} {options} -top {top}")


def flatten(design: str, top: str = "gemmary", rtlil_of: str = "") -> Netlist:
    """``design`` as Yosys' own cells: registers, memories and logic, no hierarchy. Takes seconds.

    It is Verilog; or with ``rtlil_of`` a family, RTLIL in which there may be cells of that family.
    """
    # The names of what was flattened stay: `top.queue.stage0`. They tell the synchronisers.
    commands = f"hierarchy -top {top}; proc -norom; flatten; memory_collect; opt_clean; check"
    return _run(design, top, commands, f"read_rtlil design.v; {LIBRARIES[rtlil_of]}" if rtlil_of else READ)


def _run(verilog: str, top: str, commands: str, read: str = READ) -> Netlist:
    # Vectors and long names double the work of the simulator's compiler; the clock-domain check needs the names.
    smaller = "splitnets; rename -hide */w:* */c:*; opt_clean -purge"
    steps = [
        read,
        commands,
        "write_json -selected netlist.json",
        smaller,
        "write_verilog -noattr netlist.v",
    ]
    script = "".join(f"{step}\n" for step in steps)
    key = hashlib.sha256("\0".join([verilog, script, metadata.version("pyosys")]).encode()).hexdigest()[:16]
    folder = BUILD / "netlists" / f"{top}-{key}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix="building-"))
        try:
            (scratch / "design.v").write_text(verilog)
            (scratch / "run.ys").write_text(script)
            run = subprocess.run([sys.executable, "-c", _RUN], cwd=scratch, capture_output=True, text=True)
            if run.returncode:
                raise RuntimeError(f"Yosys failed: {(run.stderr or run.stdout).strip()[-2000:]}")
            with suppress(OSError):  # another process was faster
                scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return Netlist(top, folder)
