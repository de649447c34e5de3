"""The interface of every device, and how devices are found."""

from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Protocol

from ..config import Config
from ..errors import GemmaryError, InputError
from ..isa import CAUSE_DOC, Cause, Engine


@dataclass(frozen=True)
class Report:
    """What one run took.

    ``cycles`` runs from the first instruction fetch to the last write response (0 on the emulator, which has no clock).
    ``counters`` holds, for each engine name in lower case, cycles by state name in lower case; the states of an engine add
    up to ``cycles``, or to those of its clock if it has another.
    """

    instructions: int
    cycles: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    counters: dict[str, dict[str, int]] = field(default_factory=dict)


class DeviceError(GemmaryError):
    """The accelerator stopped: ``cause``, the ``engine`` (None before dispatch) and the byte ``offset`` of the offending
    instruction in its program."""

    def __init__(self, cause: Cause, offset: int, engine: Engine | None = None):
        self.cause, self.offset, self.engine = Cause(cause), offset, engine
        where = f" in the {engine.name.lower()} engine" if engine is not None else ""
        super().__init__(f"instruction at byte {offset} stopped the accelerator{where}: {CAUSE_DOC[self.cause]}")


class Device(Protocol):
    """A machine that runs programs. Addresses are bytes of external memory, which starts at 0.

    A device keeps its on-chip memories between runs. After a DeviceError the device has been soft reset and takes the next
    program.
    """

    config: Config
    memory_bytes: int

    def write(self, address: int, data: bytes) -> None:
        """Copies ``data`` to external memory. InputError past its end."""

    def read(self, address: int, size: int) -> bytes:
        """Returns ``size`` bytes of external memory. InputError past its end."""

    def run(self, program: bytes, address: int = 0) -> Report:
        """Writes the encoded ``program`` to external memory at ``address``, runs it to its end. DeviceError if it stops."""

    def close(self) -> None: ...


def device_names() -> list[str]:
    return sorted(e.name for e in entry_points(group="gemmary.devices"))


def open_device(name: str, config: Config, **options) -> Device:
    """The device registered as ``name`` (entry point group ``gemmary.devices``). InputError lists the known ones."""
    found = {e.name: e for e in entry_points(group="gemmary.devices")}
    if name not in found:
        raise InputError(f"unknown device {name!r}: choose one of {', '.join(sorted(found)) or 'none installed'}")
    try:
        factory = found[name].load()
    except ModuleNotFoundError as error:
        raise InputError(
            f"device {name!r} needs the Python package {error.name}: pip install 'gemmary[{name}]'"
        ) from None
    return factory(config, **options)
