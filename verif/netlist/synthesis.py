"""Yosys runs for netlists, in a process of their own, kept by the hash of what went in."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from boards.chips.ecp5 import ecp5
from boards.chips.ice40 import ice40up5k
from boards.flow.build import flow_texts
from verif.runner import BUILD

# What the boards' bitstreams are made with.
FAMILIES = {"ice40": ice40up5k("sg48"), "ecp5": ecp5("85F", "6", "CABGA381")}
LIBRARIES = {
    "ice40": "read_verilog -lib +/ice40/cells_sim.v",
    "ecp5": "read_verilog -lib +/lattice/cells_sim_ecp5.v +/lattice/cells_bb_ecp5.v",
}
READ = "read_verilog -sv design.v"
Finish = Callable[[dict], None]
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
    chip = FAMILIES[family]
    return _run(verilog, top, f"{chip.synthesis} {options} -top {top}", finish=chip.finish)


def flatten(design: str, top: str = "gemmary", rtlil_of: str = "") -> Netlist:
    """``design`` as Yosys' own cells: registers, memories and logic, no hierarchy. Takes seconds.

    It is Verilog; or with ``rtlil_of`` a family, RTLIL in which there may be cells of that family.
    """
    # The names of what was flattened stay: `top.queue.stage0`. They tell the synchronisers.
    commands = f"hierarchy -top {top}; proc -norom; flatten; memory_collect; opt_clean; check"
    return _run(design, top, commands, f"read_rtlil design.v; {LIBRARIES[rtlil_of]}" if rtlil_of else READ)


def _run(verilog: str, top: str, commands: str, read: str = READ, finish: Finish | None = None) -> Netlist:
    # Vectors and long names double the work of the simulator's compiler; the clock-domain check needs the names.
    smaller = "splitnets; rename -hide */w:* */c:*; opt_clean -purge"
    scripts = [[read, commands, "write_json -selected netlist.json"], [smaller, "write_verilog -noattr netlist.v"]]
    if finish:
        scripts[1].insert(0, "read_json netlist.json")
    else:
        scripts = [scripts[0] + scripts[1]]
    passes = sorted(flow_texts().values()) if finish else []
    parts = [verilog, *(step for script in scripts for step in script), *passes, metadata.version("pyosys")]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    folder = BUILD / "netlists" / f"{top}-{key}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix="building-"))
        try:
            (scratch / "design.v").write_text(verilog)
            for index, script in enumerate(scripts):
                if index:
                    netlist = json.loads((scratch / "netlist.json").read_text())
                    finish(netlist)
                    _drop_open_outputs(netlist)
                    (scratch / "netlist.json").write_text(json.dumps(netlist))
                _yosys(scratch, script)
            with suppress(OSError):  # another process was faster
                scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return Netlist(top, folder)


def _drop_open_outputs(netlist: dict) -> None:
    """An output that the board's flow has cut off is connected to "x", which nextpnr wants and Verilog forbids."""
    for module in netlist["modules"].values():
        for cell in module["cells"].values():
            for port in [port for port, bits in cell["connections"].items() if bits == ["x"]]:
                if cell["port_directions"][port] == "output":
                    del cell["connections"][port]


def _yosys(folder: Path, script: list[str]) -> None:
    (folder / "run.ys").write_text("".join(f"{step}\n" for step in script))
    run = subprocess.run([sys.executable, "-c", _RUN], cwd=folder, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"Yosys failed: {(run.stderr or run.stdout).strip()[-2000:]}")
