"""What the flow wants to know of a family of chips."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Chip:
    """One device and its tools.

    ``synthesis``: the Yosys command. ``router``, ``packer``: programs; ``route_options`` choose the device, and
    ``fast_options`` come to them where a board gives a design a second, fast clock. ``constraints``:
    suffix of the file with the pins, which is also the name of the option that takes it. ``routed``: option and suffix of the
    file from router to packer. ``resources``: keys of the report, and what the router calls them. ``finish`` changes Yosys'
    netlist for the better, in JSON.
    """

    device: str
    synthesis: str
    router: str
    route_options: tuple[str, ...]
    constraints: str
    routed: tuple[str, str]
    packer: str
    pack_options: tuple[str, ...]
    bitstream: str
    resources: dict[str, tuple[str, ...]]
    finish: Callable[[dict], object] | None = None
    fast_options: tuple[str, ...] = ()

    def route(self, netlist: Path, constraints: Path, routed: Path, report: Path, seed: int) -> list[str]:
        """Arguments of the router."""
        files = {"json": netlist, self.constraints: constraints, self.routed[0]: routed, "report": report}
        return [*self.route_options, *(f"--{k}={v}" for k, v in files.items()), f"--seed={seed}"]

    def pack(self, routed: Path, bitstream: Path) -> list[str]:
        return [*self.pack_options, str(routed), str(bitstream)]
