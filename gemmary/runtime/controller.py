"""An accelerator through its registers, whatever bus they are behind."""

from typing import Protocol

import numpy as np

from ..config import Config
from ..errors import GemmaryError
from ..isa import Cause, Engine
from ..registers import ADDRESS, COUNTERS, IDENTITY, REGISTERS, State
from .device import DeviceError, Report

POLL_CYCLES = 32
SOFT_RESET_POLLS = 100_000
_FIELDS = {register.name: {f.name: f for f in register.fields} for register in REGISTERS}


class RegisterAccess(Protocol):
    """How a host reaches the accelerator: 32-bit words at ``address``, ``address`` + ``step``, ….

    ``write`` and ``read`` raise GemmaryError when the accelerator refuses the access.
    """

    def write(self, address: int, words: np.ndarray, step: int = 4) -> None: ...

    def read(self, address: int, count: int) -> np.ndarray: ...

    def wait(self, cycles: int) -> None:
        """Lets about so many cycles pass without an access. GemmaryError when a program has taken too long."""


class Controller:
    """The registers by name. GemmaryError if what is behind ``access`` is not an accelerator of ``config``."""

    def __init__(self, config: Config, access: RegisterAccess):
        self.config, self.access = config, access
        found = self["IDENTITY"], self["CONFIG_IDENTITY"]
        if found != (IDENTITY, config.identity):
            raise GemmaryError(
                f"the accelerator found is not one of config {config.name}: it says {found[0]:#x}, {found[1]:#x}"
            )

    def __getitem__(self, register: str) -> int:
        return int(self.access.read(ADDRESS[register], 1)[0])

    def __setitem__(self, register: str, value: int) -> None:
        self.access.write(ADDRESS[register], np.array([value], np.uint32))

    def flag(self, register: str, *fields: str) -> bool:
        """Whether one of these one-bit fields is set."""
        value = self[register]
        return any(value >> _FIELDS[register][field].offset & 1 for field in fields)

    def act(self, register: str, *fields: str) -> None:
        """Writes 1 to these fields and 0 to the others."""
        self[register] = sum(1 << _FIELDS[register][field].offset for field in fields)

    def start(self, address: int, length: int, watchdog: int) -> None:
        """Starts the program of ``length`` bytes at ``address``; the interrupt rises at its end."""
        self["PROGRAM_ADDRESS_LOW"], self["PROGRAM_ADDRESS_HIGH"] = address & 0xFFFF_FFFF, address >> 32
        self["PROGRAM_LENGTH"] = length
        self["WATCHDOG_LIMIT"] = watchdog
        self.act("INTERRUPT_STATUS", "done", "error")
        self.act("INTERRUPT_ENABLE", "done", "error")
        self.act("CONTROL", "start")

    def error(self, address: int) -> DeviceError | None:
        """Why the program at ``address`` was stopped, if it was."""
        if not self.flag("STATUS", "error"):
            return None
        fields, value = _FIELDS["ERROR_CAUSE"], self["ERROR_CAUSE"]
        cause, engine = (value >> f.offset & (1 << f.width) - 1 for f in (fields["cause"], fields["engine"]))
        offset = (self["ERROR_ADDRESS_HIGH"] << 32 | self["ERROR_ADDRESS_LOW"]) - address
        offset %= 1 << self.config.address_bits
        return DeviceError(Cause(cause), offset, Engine(engine) if engine < len(Engine) else None)

    def soft_reset(self) -> None:
        """Stops whatever runs and waits until the accelerator takes the next program."""
        self.act("CONTROL", "soft_reset")
        for _ in range(SOFT_RESET_POLLS):
            if not self.flag("STATUS", "error", "resetting"):
                return
            self.access.wait(POLL_CYCLES)
        raise GemmaryError(f"soft reset does not end: {engine_states(self.access)}")

    def report(self) -> Report:
        """The counters of the last program."""
        first = ADDRESS[f"COUNT_{COUNTERS[0][0]}"]
        values = dict(zip((name for name, _ in COUNTERS), self.access.read(first, len(COUNTERS)).tolist()))
        engines = {e.name.lower(): {s.name.lower(): values[f"{e.name}_{s.name}"] for s in State} for e in Engine}
        return Report(values["INSTRUCTIONS"], values["CYCLES"], values["READ_BYTES"], values["WRITE_BYTES"], engines)


def engine_states(access: RegisterAccess) -> str:
    """What each engine does at this moment, in words."""
    engines = []
    for engine in Engine:
        state = State(access.read(ADDRESS[f"{engine.name}_STATE"], 1)[0])
        awaited = int(access.read(ADDRESS[f"{engine.name}_AWAITED"], 1)[0])
        semaphore = f" {awaited & 15}" if awaited >> 31 else ""
        engines.append(f"{engine.name.lower()} {state.name.lower()}{semaphore}")
    return ", ".join(engines)
