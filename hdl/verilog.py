"""The accelerator as one Verilog file, the same bytes every time."""

import dataclasses
import gc
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from gemmary import __version__
from gemmary.config import PRESETS, Config
from gemmary.errors import GemmaryError, InputError

from .rtlil import drop_initial_values, drop_zero_contents, share_modules
from .top import Top, port_groups

# Multiplexers, not `always @*`: a block that only assigns constants would never run in a simulator.
PASSES = "read_rtlil design.il\nproc -norom\npmuxtree\nmemory_collect\nwrite_verilog design.v\n"
WAIVERS = {
    "CMPCONST": "Yosys compares single bits with constants",
    "DECLFILENAME": "all modules are in one file, whose name you choose",
    "PROCASSINIT": "registers have an initial value, which FPGAs load, beside their reset",
    "UNUSEDSIGNAL": "a block may leave fields of a port alone, and structures keep the names of their fields for waves",
    "WIDTHEXPAND": "Yosys lets operations extend their operands",
    "WIDTHTRUNC": "Yosys writes `!x` for `x == 0` and lets operations truncate",
}
"""What `verilator --lint-only -Wall` would say about a correct design: rule and reason. The file waives these itself."""
TWO_CLOCKS_WAIVERS = {
    "SYNCASYNCNET": "the reset of aclk starts, without a clock, that of compute_aclk too, whose end follows its own clock",
}
"""What it would say besides about a design with two clocks."""
CROSSINGS = (
    "Two clocks: the tensor engine has compute_aclk, everything else aclk. All that lies between them is queues with Gray-coded",
    "counters, synchronisers of one bit (registers stage0 and stage1) and memories with a port for each clock. Tell synthesis and",
    "routing that a path between the clocks may take one period of the clock where it begins, and has no hold time:",
    "docs/integration.md, section Two clocks, has the lines of SDC.",
)

_PYOSYS = "from pyosys import libyosys; libyosys.run_pass('tee -q script convert.ys', libyosys.Design())"
# Signals without bits, which nothing reads: to Verilog they would have two.
_NOTHING = re.compile(r"^  (?:wire|reg) \[-1:0\] [^\n]*;\n", re.MULTILINE)
_OLDEST_YOSYS = (0, 40)


def to_verilog(
    config: Config,
    top: wiring.Component | None = None,
    *,
    name: str = "gemmary",
    initial_values: bool = True,
    two_clocks: bool = False,
) -> str:
    """The Verilog of ``Top(config)``, with ``two_clocks`` or one, or of ``top`` in its place, which has as many; the top module is
    called ``name``. Without ``initial_values`` registers are unknown until reset.

    Equal configs and versions of the tools give equal text. InputError if there is no Yosys.
    """
    with _no_garbage_collection():
        machine = Top(config, two_clocks=two_clocks) if top is None else top
        design = rtlil.convert(machine, name=name, emit_src=False)
    design = drop_zero_contents(design if initial_values else drop_initial_values(design))
    usual = top is None and initial_values and name == "gemmary" and config in PRESETS.values()
    option = " --two-clocks" if two_clocks else ""
    source = f"gemmary verilog --preset {config.name}{option}" if usual else "hdl.verilog.to_verilog"
    groups = port_groups(config, two_clocks) if top is None else {}
    rules = WAIVERS | (TWO_CLOCKS_WAIVERS if two_clocks else {})
    return _header(config, source, name, groups, two_clocks, rules) + _waived(from_rtlil(design), rules)


def from_rtlil(design: str) -> str:
    """The Verilog of a design that Amaranth converted to RTLIL, equal modules shared. InputError if there is no Yosys."""
    design = share_modules(design)
    yosys, command = find_yosys()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "design.il").write_text(design)
        Path(folder, "convert.ys").write_text(PASSES)
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if run.returncode:
            raise GemmaryError(f"{yosys} failed to write Verilog: {(run.stderr or run.stdout).strip()[-2000:]}")
        verilog = Path(folder, "design.v").read_text()
    verilog = re.sub(r"\A/\*.*?\*/\n+", "", verilog)
    return _NOTHING.sub("", verilog)


def find_yosys() -> tuple[str, list[str]]:
    """Name and version of Yosys, and the command that runs the script ``convert.ys``.

    The pinned native Yosys of PyPI comes first, so that everyone gets the same Verilog; then one on PATH.
    """
    if find_spec("pyosys"):
        return f"Yosys {metadata.version('pyosys')}", [sys.executable, "-c", _PYOSYS]
    if path := shutil.which("yosys"):
        found = re.match(r"Yosys (\d+)\.(\d+)", subprocess.run([path, "-V"], capture_output=True, text=True).stdout)
        if found and (int(found[1]), int(found[2])) >= _OLDEST_YOSYS:
            return found[0], [path, "-q", "-s", "convert.ys"]
    raise InputError("Yosys 0.40 or later is missing: pip install 'gemmary[rtl]' brings it")


def _header(config: Config, source: str, name: str, groups: dict, two_clocks: bool, waivers: dict) -> str:
    """What a reader of the file wants to know first. No date and no path: equal designs are equal files."""
    parameters = {
        field.name: getattr(config, field.name) for field in dataclasses.fields(config) if field.name != "name"
    }
    indent = 1 + max(map(len, groups), default=0)
    lines = [
        f"Gemmary {__version__}: int8 matrix-multiply accelerator. SPDX-License-Identifier: Apache-2.0",
        f"Written by {source} with Amaranth {metadata.version('amaranth')} and {find_yosys()[0]}.",
        "",
        f"Preset {config.name}, config identity 0x{config.identity:08x} (register CONFIG_IDENTITY). Parameters:",
        *(f"  {key} = {value}" for key, value in parameters.items()),
        "",
        f"Top module: {name}.{' Ports:' if groups else ''}",
        *(f"  {ports:{indent}}{doc}" for ports, doc in groups.items()),
        *(("", *CROSSINGS) if two_clocks else ()),
        "",
        "How to integrate it: docs/integration.md. Verilator finds nothing with -Wall but what this file waives:",
        *(f"  {rule:13}{reason}" for rule, reason in waivers.items()),
    ]
    return "".join(f"// {line}".rstrip() + "\n" for line in lines) + "\n"


def _waived(verilog: str, waivers: dict) -> str:
    off = "".join(f"/* verilator lint_off {rule} */\n" for rule in waivers)
    return f"/* verilator lint_save */\n{off}\n{verilog}\n/* verilator lint_restore */\n"


@contextmanager
def _no_garbage_collection():
    """Elaboration makes millions of objects that stay; looking through them again and again takes a third of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
