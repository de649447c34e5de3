"""The programs of the flow: native ones on PATH, else those that pip installs."""

import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from gemmary.errors import InputError

PACKAGES = {"nextpnr-ecp5": "nextpnr-ecp5", "ecppack": "nextpnr-ecp5", "nextpnr-ice40": "nextpnr-ice40"}
PACKAGES |= {"icepack": "nextpnr-ice40", "yosys": "yosys"}
"""The YoWASP package that holds each program."""

_PYOSYS = "import sys; from pyosys import libyosys; libyosys.run_pass('script ' + sys.argv[1], libyosys.Design())"


@dataclass(frozen=True)
class Tool:
    """``command``, to which arguments are added; ``version`` says what it is."""

    command: tuple[str, ...]
    version: str


def find(program: str) -> Tool:
    """InputError if it is missing."""
    if native := shutil.which(program):
        return Tool((native,), _native_version(program, native))
    package = f"yowasp-{PACKAGES[program]}"
    path = Path(sysconfig.get_path("scripts"), f"yowasp-{program}")
    if not path.exists():
        raise InputError(f"{program} is missing: pip install 'gemmary[fpga]' brings it")
    return Tool((str(path),), f"{package} {metadata.version(package)}")


def find_yosys() -> Tool:
    """Yosys that runs the script whose name is added: the native one on PATH, else pyosys, which is native too, else YoWASP."""
    if not shutil.which("yosys") and find_spec("pyosys"):
        return Tool((sys.executable, "-c", _PYOSYS), f"pyosys {metadata.version('pyosys')}")
    return find("yosys")


def _native_version(program: str, path: str) -> str:
    option = "-V" if program == "yosys" else "--version"
    run = subprocess.run([path, option], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    found = re.search(r"\d+\.\d+\S*?(?=[)\s]|$)", run.stdout + run.stderr)
    return f"{program} {found[0] if found else 'of unknown version'}"
