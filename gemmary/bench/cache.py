"""Outcomes of runs, kept by the content of all that they depend on."""

import hashlib
import json
from dataclasses import asdict
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from .problem import NetworkProblem, Problem
from .task import NetworkTask, Task

SOURCES = {"rtl": ("hdl", "gemmary.runtime"), "emulator": ("gemmary.emulator", "gemmary.runtime")}
"""What makes a device: packages whose files are part of a key."""

JUDGES = ("gemmary.bench.measure", "gemmary.bench.problem", "gemmary.compiler.values", "gemmary.compiler.chain.values")
"""Modules that run the device and say what is right."""


class Cache:
    """A folder with a file for each outcome. The key is a hash of the device's sources, its config and memory, and the whole
    program with constants and inputs: who changes the compiler simulates those layers again whose programs have changed."""

    def __init__(self, folder: Path):
        self.folder = folder

    def key(self, task: Task | NetworkTask, problem: Problem | NetworkProblem) -> str:
        program, digest = problem.program, hashlib.sha256()
        facts = [task.device, task.config.identity, asdict(task.memory), task.memory.stalls and task.seed]
        facts.append(task.clocks.compute_ratio)
        digest.update(json.dumps([facts, self._sources[task.device]]).encode())
        for address, data in program.constants:
            digest.update(address.to_bytes(8, "little") + data)
        for name, value in problem.inputs.items():
            digest.update(name.encode() + value.tobytes())
        digest.update(program.encode())
        return digest.hexdigest()[:32]

    def get(self, key: str) -> dict | None:
        try:
            return json.loads((self.folder / f"{key}.json").read_text())
        except (OSError, ValueError):  # never measured, or interrupted while writing
            return None

    def put(self, key: str, outcome: dict) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{key}.tmp"
        temporary.write_text(json.dumps(outcome))
        temporary.replace(self.folder / f"{key}.json")

    @cached_property
    def _sources(self) -> dict[str, str]:
        return {device: _digest((*packages, *JUDGES)) for device, packages in SOURCES.items()}


def _digest(names: tuple[str, ...]) -> str:
    """Of the source files of packages and modules; of those, nothing but parent packages is imported."""
    digest = hashlib.sha256()
    for name in names:
        spec = find_spec(name)
        if spec is None:
            continue
        folders = spec.submodule_search_locations
        paths = (
            [path for folder in folders for path in sorted(Path(folder).rglob("*"))] if folders else [Path(spec.origin)]
        )
        for path in paths:
            if path.suffix in (".py", ".cpp", ".h"):
                digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
