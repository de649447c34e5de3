"""Builds a board's design: elaborate, synthesise, place and route, pack. What has not changed is not built again."""

import fcntl
import filecmp
import gc
import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import gemmary
from gemmary.config import Config
from hdl.rtlil import drop_zero_contents, forget_collisions, share_modules

from ..board import Board
from . import placement
from .limits import limits
from .modules import scopes
from .page import fpga_page
from .progress import Steps
from .report import best, domains, read, report, seed_row
from .seeds import Routed, Seeds
from .tools import Tool, find, find_yosys

SOURCES = Path(__file__).resolve().parents[2]
BUILD = SOURCES / "build" / "boards"


@dataclass(frozen=True)
class Tools:
    """What builds for a chip; the report names their versions."""

    yosys: Tool
    router: Tool
    packer: Tool

    def versions(self) -> dict[str, str]:
        return {"amaranth": metadata.version("amaranth")} | {name: tool.version for name, tool in vars(self).items()}


class Build:
    """The design of ``board`` with ``config``, routed with each of ``seeds``, in build/boards/BOARD (or ``folder``).

    report.json, what the best seed came to, the logs and all files between the steps stay there. Several processes may ask for
    the same one. ``jobs``: seeds that are routed at a time (default: as many as cores and memory allow).
    """

    def __init__(
        self,
        board: Board,
        config: Config,
        seeds: Sequence[int] | None = None,
        folder: Path | None = None,
        jobs: int | None = None,
    ):
        self.board, self.config, self.jobs = board.of(config), config, jobs
        self.seeds = tuple(seeds or (board.seed,))
        self.folder = folder or BUILD / board.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tools = Tools(find_yosys(), find(board.chip.router), find(board.chip.packer))
        self.steps = Steps(f"{board.name}, preset {config.name}", self.folder)
        self.report = self.folder / "report.json"
        self.page = self.folder / "index.html"
        self.netlist = self.folder / "netlist.json"
        self.bitstream = self.folder / f"{board.name}.{board.chip.bitstream}"
        self.routed = self.folder / f"routed.{board.chip.routed[1]}"

    def fpga(self) -> dict:
        """Synthesises, places and routes what has not been: the report says with ``cached`` if nothing had to be done."""
        with self._locked():
            synthesised, seconds = self._netlist()
            netlist = digest(hashlib.sha256(self.netlist.read_bytes()).hexdigest(), self._pins().read_text())
            kept = self._state()
            facts = [self.config.identity, self.tools.versions(), report_texts(), netlist, self.seeds]
            if not synthesised and kept.get("report") == digest(*facts) and self._complete():
                return json.loads(self.report.read_text()) | {"cached": True}
            design = json.loads(self.netlist.read_text())
            seeds = Seeds(self.steps, self.board.chip, self.tools.router, scopes(design))
            routed = seeds.route(self.seeds, netlist, self.jobs)
            found = self._report(design, routed, seconds) | {"cached": not (synthesised or seeds.ran)}
            self.write(found)
            if not any(r.error for r in routed):
                self._save(report=digest(*facts))
            return found

    def write(self, report: dict) -> None:
        """Makes ``report`` report.json."""
        self.report.write_text(json.dumps(report, indent=2) + "\n")

    def pack(self) -> Path:
        """The bitstream of what ``fpga`` has routed, unless there is one."""
        with self._locked():
            if not self.bitstream.exists():
                part = self.bitstream.with_suffix(".part")
                self.steps.run("pack", [*self.tools.packer.command, *self.board.chip.pack(self.routed.name, part.name)])
                part.replace(self.bitstream)
        return self.bitstream

    def _netlist(self) -> tuple[bool, float]:
        """Makes netlist.json unless it is there: whether it had to, and how many seconds it took then."""
        recipe = [self.config.identity, self.board.name, str(self.board.compute_mhz)]
        recipe += [self.tools.yosys.version, metadata.version("amaranth")]
        state = self._state() if self.netlist.exists() else {}
        sources = digest(recipe, source_texts())
        if state.get("sources") == sources:
            return False, state["synthesis_s"]
        begin = time.monotonic()
        with self.steps.step("elaborate"):
            design, constraints = elaborate(self.board, self.config)
        content = digest(recipe, design, constraints, flow_texts())
        if state.get("content") == content:
            self._save(sources=sources)
            return False, state["synthesis_s"]
        self._clean()
        self._synthesise(design, constraints)
        seconds = round(time.monotonic() - begin, 1)
        self._save(sources=sources, content=content, synthesis_s=seconds)
        return True, seconds

    def _report(self, design: dict, routed: list[Routed], synthesis_s: float) -> dict:
        """Keeps the files of the best seed; its report, with a line for every seed."""
        board, known, found = self.board, scopes(design), limits(design, self.board.chip.device)
        results = {r.seed: read(r.timing) for r in routed if not r.error}
        clocks = {seed: domains(result, found, known) for seed, result in results.items()}
        seed = best(board, clocks)
        kept = next(r for r in routed if r.seed == seed)
        self._keep(kept)
        cells = placement.load(kept.placement)
        figures = report(board, self.config, results[seed], clocks[seed], found, self.folder / "synthesise.log", cells)
        rows = [seed_row(board, r.seed, clocks.get(r.seed, []), r.seconds) for r in routed]
        figures |= {"seed": seed, "seeds": rows, "tools": self.tools.versions()}
        figures["wall_s"] = round(synthesis_s + kept.seconds, 1)
        self.page.write_text(fpga_page(figures, cells), encoding="utf-8")
        return figures

    def _keep(self, best: Routed) -> None:
        for name in (self.routed.name, "fmax.json", "route.log", "placement.json"):
            new, old = best.folder / name, self.folder / name
            if name == self.routed.name and not (old.exists() and filecmp.cmp(old, new, shallow=False)):
                self.bitstream.unlink(missing_ok=True)
            shutil.copyfile(new, old)

    def _complete(self) -> bool:
        """Whether the files of all seeds and those of the best are there."""
        folders = [self.folder, *(self.folder / f"seed-{seed}" for seed in self.seeds)]
        return self.report.exists() and all((folder / self.routed.name).exists() for folder in folders)

    def _pins(self) -> Path:
        return self.folder / f"pins.{self.board.chip.constraints}"

    def _synthesise(self, design: str, constraints: str) -> None:
        (self.folder / "design.il").write_text(design)
        self._pins().write_text(constraints)
        script = ["read_rtlil design.il", f"{self.board.chip.synthesis} -top top", "stat", "write_json netlist.json"]
        (self.folder / "synthesise.ys").write_text("\n".join(script) + "\n")
        self.steps.run("synthesise", [*self.tools.yosys.command, "synthesise.ys"])
        if self.board.chip.finish or self.board.finish:
            netlist = json.loads((self.folder / "netlist.json").read_text())
            if self.board.chip.finish:
                self.board.chip.finish(netlist)
            if self.board.finish:
                self.board.finish(netlist, self.config)
            (self.folder / "netlist.json").write_text(json.dumps(netlist))

    def _clean(self) -> None:
        """What an earlier build has left must not pass for this one's."""
        for path in (
            self.folder / "state.json",
            self.report,
            self.page,
            self.bitstream,
            self.routed,
            self.folder / "fmax.json",
        ):
            path.unlink(missing_ok=True)

    def _state(self) -> dict:
        path = self.folder / "state.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def _save(self, **state) -> None:
        (self.folder / "state.json").write_text(json.dumps(self._state() | state))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def elaborate(board: Board, config: Config) -> tuple[str, str]:
    """RTLIL of the board's design, its top called ``top``, and the file of its pins and clocks."""
    gc.disable()  # elaboration makes millions of objects that stay
    try:
        files = board.platform().prepare(board.design(board, config), "top", emit_src=False).files
    finally:
        gc.enable()
    design = share_modules(forget_collisions(drop_zero_contents(_text(files["top.il"]))))
    return design, _text(files[f"top.{board.chip.constraints}"])


def _text(content: str | bytes) -> str:
    return content if isinstance(content, str) else content.decode()


def source_texts() -> dict[str, str]:
    """Everything that a design is made from."""
    gemmary_folder = Path(gemmary.__file__).parent
    paths = [gemmary_folder / f"{name}.py" for name in ("config", "isa", "registers")]
    paths += [gemmary_folder / "runtime" / "link.py", *(SOURCES / "hdl").rglob("*.py")]
    return _texts(paths) | flow_texts()


def flow_texts() -> dict[str, str]:
    """What is done to a design until it is a netlist, and with which options."""
    paths = (SOURCES / "boards").rglob("*.py")
    return _texts(path for path in paths if path.parent.name != "flow" or path.name == "build.py")


def report_texts() -> dict[str, str]:
    """What makes figures and pages of the router's files."""
    return _texts((*Path(__file__).parent.glob("*.py"), *(Path(gemmary.__file__).parent / "report").glob("*")))


def _texts(paths: Iterable[Path]) -> dict[str, str]:
    return {str(path): path.read_text() for path in sorted(paths)}


def digest(*parts) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
