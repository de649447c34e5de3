"""Builds a board's design: elaborate, synthesise, place and route, pack. What has not changed is not built again."""

import fcntl
import gc
import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import gemmary
from gemmary.config import Config
from gemmary.errors import GemmaryError
from hdl.rtlil import drop_zero_contents, forget_collisions, share_modules

from ..board import Board
from .progress import Steps
from .report import report
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
    """The design of ``board`` with ``config``, routed with ``seed``, in build/boards/BOARD (or ``folder``).

    report.json, the logs and all files between the steps stay there. Several processes may ask for the same one.
    """

    def __init__(self, board: Board, config: Config, seed: int | None = None, folder: Path | None = None):
        self.board, self.config = board, config
        self.seed = board.seed if seed is None else seed
        self.folder = folder or BUILD / board.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tools = Tools(find_yosys(), find(board.chip.router), find(board.chip.packer))
        self.steps = Steps(f"{board.name}, preset {config.name}", self.folder)
        self.report = self.folder / "report.json"
        self.bitstream = self.folder / f"{board.name}.{board.chip.bitstream}"
        self.routed = self.folder / f"routed.{board.chip.routed[1]}"

    def fpga(self) -> dict:
        """Synthesises, places and routes unless that has been done: the report then says so with ``cached``."""
        with self._locked():
            recipe = [self.config.identity, self.board.name, self.seed, self.tools.versions()]
            state = self._state()
            sources = digest(recipe, source_texts())
            if state.get("sources") == sources:
                return self._cached()
            begin = time.monotonic()
            with self.steps.step("elaborate"):
                design, constraints = elaborate(self.board, self.config)
            content = digest(recipe, design, constraints, flow_texts())
            if state.get("content") == content:
                self._save(sources=sources, content=content)
                return self._cached()
            self._clean()
            self._synthesise(design, constraints)
            self._route()
            found = report(
                self.board, self.config, self.seed, self.folder / "fmax.json", self.folder / "synthesise.log"
            )
            found |= {"tools": self.tools.versions(), "wall_s": round(time.monotonic() - begin, 1), "cached": False}
            self.write(found)
            self._save(sources=sources, content=content)
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

    def _synthesise(self, design: str, constraints: str) -> None:
        (self.folder / "design.il").write_text(design)
        (self.folder / f"pins.{self.board.chip.constraints}").write_text(constraints)
        script = ["read_rtlil design.il", f"{self.board.chip.synthesis} -top top", "stat", "write_json netlist.json"]
        (self.folder / "synthesise.ys").write_text("\n".join(script) + "\n")
        self.steps.run("synthesise", [*self.tools.yosys.command, "synthesise.ys"])
        if changes := [finish for finish in (self.board.chip.finish, self.board.finish) if finish]:
            netlist = json.loads((self.folder / "netlist.json").read_text())
            for finish in changes:
                finish(netlist)
            (self.folder / "netlist.json").write_text(json.dumps(netlist))

    def _route(self) -> None:
        chip, pins = self.board.chip, f"pins.{self.board.chip.constraints}"
        arguments = chip.route("netlist.json", pins, self.routed.name, "fmax.json", self.seed)
        try:
            self.steps.run("route", [*self.tools.router.command, *arguments])
        except GemmaryError:
            # nextpnr fails too when timing is not met, and then has written everything.
            log = (self.folder / "route.log").read_text(errors="replace")
            if not ((self.folder / "fmax.json").exists() and "(FAIL at" in log):
                raise

    def _cached(self) -> dict:
        return json.loads(self.report.read_text()) | {"cached": True}

    def _clean(self) -> None:
        """What an earlier build has left must not pass for this one's."""
        for path in (self.folder / "state.json", self.report, self.bitstream, self.routed, self.folder / "fmax.json"):
            path.unlink(missing_ok=True)

    def _state(self) -> dict:
        path = self.folder / "state.json"
        return json.loads(path.read_text()) if path.exists() and self.report.exists() and self.routed.exists() else {}

    def _save(self, **state: str) -> None:
        (self.folder / "state.json").write_text(json.dumps(state))

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
    """What is done to a design after its elaboration, and with which options."""
    return _texts((SOURCES / "boards").rglob("*.py"))


def _texts(paths: Iterable[Path]) -> dict[str, str]:
    return {str(path): path.read_text() for path in sorted(paths)}


def digest(*parts) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
