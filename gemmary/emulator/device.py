"""The emulator as a device."""

from ..config import Config
from ..errors import InputError
from ..isa import INSTRUCTION_BYTES, Cause
from ..runtime.device import DeviceError, Report
from .machine import Machine

MAX_PROGRAM_BYTES = (1 << 24) - INSTRUCTION_BYTES


class EmulatorDevice:
    """Runs programs in NumPy, one instruction at a time in program order: gemmary.runtime.device.Device without a clock.

    External memory has ``memory_bytes`` bytes, 0 at first. InputError for any other option.
    """

    def __init__(self, config: Config, memory_bytes: int = 64 << 20, **options):
        if options:
            raise InputError(f"the emulator has no option {next(iter(options))!r}: it takes only memory_bytes")
        if not isinstance(memory_bytes, int) or memory_bytes <= 0 or memory_bytes % config.bus_bytes:
            raise InputError(f"memory_bytes = {memory_bytes!r}: must be a positive multiple of {config.bus_bytes}")
        self.config, self.memory_bytes = config, memory_bytes
        self.machine = Machine(config, memory_bytes)

    def write(self, address: int, data: bytes) -> None:
        self._check_range(address, len(data))
        self._memory[address : address + len(data)] = data

    def read(self, address: int, size: int) -> bytes:
        self._check_range(address, size)
        return bytes(self._memory[address : address + size])

    def run(self, program: bytes, address: int = 0) -> Report:
        self.write(address, program)
        aligned = address % self.config.bus_bytes == 0 and len(program) % INSTRUCTION_BYTES == 0
        if not aligned or not 0 < len(program) <= MAX_PROGRAM_BYTES:
            self.machine.soft_reset()
            raise DeviceError(Cause.PROGRAM, 0)
        return Report(instructions=self.machine.execute(program))

    def close(self) -> None:
        """Nothing to give back."""

    @property
    def _memory(self) -> memoryview:
        return memoryview(self.machine.external.bytes).cast("B")

    def _check_range(self, address: int, size: int) -> None:
        if address < 0 or size < 0 or address + size > self.memory_bytes:
            raise InputError(f"{size} bytes at address {address} do not fit the device's memory of {self.memory_bytes}")
