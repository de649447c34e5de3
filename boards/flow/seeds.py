"""Places and routes one netlist with several seeds, several at a time. What is routed stays routed."""

import json
import os
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gemmary.errors import GemmaryError

from ..chips.chip import Chip
from . import placement
from .progress import Steps
from .report import Domain, domains
from .tools import Tool

ROUTE_BYTES = 4 << 30
"""Memory that a full LFE5U-85F may take while it is routed."""


@dataclass(frozen=True)
class Routed:
    """What ``seed`` came to: its files are in ``folder``. ``error`` if the router found no way."""

    seed: int
    folder: Path
    seconds: float = 0.0
    error: str = ""

    @property
    def timing(self) -> Path:
        return self.folder / "fmax.json"

    @property
    def placement(self) -> Path:
        return self.folder / "placement.json"


class Seeds:
    """Routes the netlist in the folder of ``steps``; a seed's files are in seed-N there. ``known``: names of the design's modules."""

    def __init__(self, steps: Steps, chip: Chip, router: Tool, known: Collection[str]):
        self.steps, self.chip, self.router, self.known = steps, chip, router, known
        self.ran = 0
        self._lock = threading.Lock()

    def route(self, seeds: Sequence[int], netlist: str, jobs: int | None = None) -> list[Routed]:
        """All ``seeds``, in order. ``netlist`` tells a netlist from all others. At most ``jobs`` at a time (default: as many as
        cores and memory allow). GemmaryError if none is routed."""
        names = [f"seed {seed}" for seed in seeds]
        with ThreadPoolExecutor(jobs or at_once()) as pool, self.steps.several(names) as show:
            found = list(pool.map(lambda seed: self._one(seed, netlist, show), seeds))
        if all(routed.error for routed in found):
            raise GemmaryError(found[0].error)
        return found

    def _one(self, seed: int, netlist: str, show) -> Routed:
        folder, name = self.steps.folder / f"seed-{seed}", f"seed {seed}"
        folder.mkdir(exist_ok=True)
        state, routed = folder / "state.json", folder / f"routed.{self.chip.routed[1]}"
        arguments = self._arguments(folder.name, routed.name, seed)
        digest = [netlist, self.router.version, *arguments]
        kept = json.loads(state.read_text()) if state.exists() else {}
        if kept.get("digest") == digest and routed.exists():
            return Routed(seed, folder, kept["seconds"])
        begin = time.monotonic()
        for path in folder.iterdir():
            path.unlink()
        with self._lock:
            self.ran += 1
        show(name, "begins")
        try:
            self._run(name, folder, arguments, show)
        except GemmaryError as error:
            self.steps.say(f"{name} failed after {time.monotonic() - begin:.0f} s")
            return Routed(seed, folder, error=str(error))
        finally:
            show(name, None)
        placement.shorten(folder / "written.json", self.known, folder / "placement.json")
        seconds = round(time.monotonic() - begin, 1)
        state.write_text(json.dumps({"digest": digest, "seconds": seconds}))
        slowest = domains(json.loads((folder / "fmax.json").read_text()))[:1]
        self.steps.say(f"{name} took {seconds:.0f} s" + "".join(f": {clock_line(domain)}" for domain in slowest))
        return Routed(seed, folder, seconds)

    def _arguments(self, folder: str, routed: str, seed: int) -> list[str]:
        chip = self.chip
        files = ("netlist.json", f"pins.{chip.constraints}", f"{folder}/{routed}", f"{folder}/fmax.json")
        return [*chip.route(*files, seed), f"--write={folder}/written.json"]

    def _run(self, name: str, folder: Path, arguments: list[str], show) -> None:
        log = folder / "route.log"
        try:
            self.steps.watch(name, [*self.router.command, *arguments], log, lambda phase: show(name, phase))
        except GemmaryError:
            # nextpnr fails too when timing is not met, and then has written everything.
            if not ((folder / "fmax.json").exists() and "(FAIL at" in log.read_text(errors="replace")):
                raise


def clock_line(domain: Domain) -> str:
    met = "met" if domain.met else "NOT met"
    return f"{domain.name} {domain.fmax_mhz:.1f} MHz of {domain.clock_mhz:.1f} MHz, {met}"


def at_once() -> int:
    """How many routers this machine has room for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, free_memory() // ROUTE_BYTES))


def free_memory() -> int:
    """Bytes; a lot where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 1 << 40
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable")), 1 << 40)
