"""The simulated RTL as a device."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gemmary.config import Config
from gemmary.emulator.memories import ExternalMemory
from gemmary.errors import GemmaryError, InputError
from gemmary.isa import INSTRUCTION_BYTES
from gemmary.runtime.controller import Controller, engine_states
from gemmary.runtime.device import DeviceError, Report
from gemmary.runtime.hosted import Host

from .build import Variant, build_model
from .library import Model, Stop

CHUNK_CYCLES = 100_000
"""Cycles between two calls of ``progress``, and two chances to interrupt a run from the keyboard."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How the simulated system behaves. InputError, naming the option, for anything impossible.

    Memory answers ``latency`` cycles after the address and moves ``bytes_per_cycle`` (default: the width of the bus) each
    way, or ``write_bytes_per_cycle`` in writes; each of its channels pauses in a cycle with ``stall_probability``.
    Addresses of ``error_range`` (low, high) answer SLVERR. A program without progress for ``watchdog`` cycles (0: never) is
    stopped by the accelerator, and one that takes more than ``max_cycles`` by GemmaryError. ``waves``: a file (.fst or .vcd)
    for the waves. ``random_initial``: registers start at random values, drawn like the pauses from ``seed``. ``progress`` is
    called with the cycles since the start of the program, every now and then. ``compute_ratio`` n > 0: the tensor engine has a
    clock of its own, n times as fast; all cycles that are given or reported are those of the other one, except that its engines
    count their own.
    """

    memory_bytes: int = 64 << 20
    latency: int = 100
    bytes_per_cycle: float | None = None
    write_bytes_per_cycle: float | None = None
    stall_probability: float = 0.0
    seed: int = 0
    error_range: tuple[int, int] = (0, 0)
    watchdog: int = 1_000_000
    max_cycles: int = 1 << 40
    waves: str | Path | None = None
    random_initial: bool = False
    progress: Callable[[int], None] | None = None
    compute_ratio: int = 0

    def check(self, config: Config) -> None:
        def check(condition: bool, option: str, message: str) -> None:
            if not condition:
                raise InputError(f"option {option} = {getattr(self, option)!r}: {message}")

        def whole(option: str, least: int) -> None:
            value = getattr(self, option)
            check(
                isinstance(value, int | np.integer) and value >= least,
                option,
                f"must be a whole number of at least {least}",
            )

        whole("memory_bytes", config.bus_bytes)
        check(self.memory_bytes % config.bus_bytes == 0, "memory_bytes", f"must be a multiple of {config.bus_bytes}")
        whole("latency", 1)
        for option in ("bytes_per_cycle", "write_bytes_per_cycle"):
            rate = getattr(self, option)
            check(
                rate is None or 0 < rate <= config.bus_bytes, option, f"must be above 0 and at most {config.bus_bytes}"
            )
        check(0 <= self.stall_probability < 1, "stall_probability", "must be at least 0 and below 1")
        for option in ("seed", "watchdog", "compute_ratio"):
            whole(option, 0)
        check(self.watchdog < 1 << 32, "watchdog", "must be below 2**32")
        check(self.compute_ratio <= 16, "compute_ratio", "must not exceed 16")
        check(config.dma or not self.compute_ratio, "compute_ratio", "must be 0 without dma")
        whole("max_cycles", 1)
        suffix = Path(self.waves).suffix if self.waves else ".fst"
        check(suffix in (".fst", ".vcd"), "waves", "must be a file name that ends in .fst or .vcd")


class RtlDevice:
    """The accelerator of ``config``, simulated cycle by cycle in this process: gemmary.runtime.device.Device.

    The options are those of ``Options``. The first use of a config builds its model.
    """

    def __init__(self, config: Config, **options):
        known = {field.name for field in dataclasses.fields(Options)}
        if unknown := sorted(set(options) - known):
            raise InputError(f"the rtl device has no option {unknown[0]!r}: it takes {', '.join(sorted(known))}")
        self.options = Options(**options)
        self.options.check(config)
        self.config, self.memory_bytes = config, self.options.memory_bytes
        self.external = ExternalMemory(self.memory_bytes)
        self.model = self._open()
        self._access = _Limited(self.model, self.options)
        self.control = Controller(config, self._access)
        self._host = None if config.dma else Host(self.control, self.external)

    @property
    def cycles_per_second(self) -> float:
        """Simulated cycles for each second of wall time, over all runs."""
        return self.model.cycles_per_second

    def write(self, address: int, data: bytes) -> None:
        self._check_range(address, len(data))
        self._bytes[address : address + len(data)] = data

    def read(self, address: int, size: int) -> bytes:
        self._check_range(address, size)
        return bytes(self._bytes[address : address + size])

    def run(self, program: bytes, address: int = 0) -> Report:
        self.write(address, program)
        self._access.begin()
        try:
            return self._run_hosted(program) if self._host else self._run(program, address)
        except DeviceError:
            raise
        except BaseException:
            self.model.reset()  # whatever state it was left in
            raise

    def close(self) -> None:
        """Gives the model back. The device is of no use afterwards."""
        self.model.close()

    def _run(self, program: bytes, address: int) -> Report:
        self.control.start(address, len(program), self.options.watchdog)
        begin = self._access.cycles
        while self._access.advance(CHUNK_CYCLES) != Stop.INTERRUPT:
            pass
        cycles = self._access.cycles - begin
        if error := self.control.error(address):
            self.control.soft_reset()
            raise error
        report = self.control.report()
        if self.config.counters:
            return report
        return Report(len(program) // INSTRUCTION_BYTES, cycles)

    def _run_hosted(self, program: bytes) -> Report:
        instructions = self._host.run(program, self.options.watchdog)
        return Report(instructions, self._access.cycles)

    def _library(self, variant: Variant) -> Path:
        return build_model(self.config, variant)

    def _open(self) -> Model:
        options = self.options
        waves = str(options.waves) if options.waves else None
        variant = Variant(
            Path(waves).suffix[1:] if waves else None, options.random_initial, two_clocks=options.compute_ratio > 0
        )
        rate = options.bytes_per_cycle or self.config.bus_bytes
        return Model(
            self._library(variant),
            self.external.bytes,
            waves,
            options.compute_ratio or 1,
            latency=options.latency,
            read_bytes_per_cycle=rate,
            write_bytes_per_cycle=options.write_bytes_per_cycle or rate,
            stall_probability=options.stall_probability,
            seed=options.seed,
            error_low=options.error_range[0],
            error_high=options.error_range[1],
        )

    @property
    def _bytes(self) -> memoryview:
        return memoryview(self.external.bytes).cast("B")

    def _check_range(self, address: int, size: int) -> None:
        if address < 0 or size < 0 or address + size > self.memory_bytes:
            raise InputError(f"{size} bytes at address {address} do not fit the device's memory of {self.memory_bytes}")


class _Limited:
    """The registers of ``model``, for as long as a program may take: a RegisterAccess."""

    def __init__(self, model: Model, options: Options):
        self.model, self.options = model, options
        self.write, self.read = model.write, model.read
        self.begin()

    def begin(self) -> None:
        """A program starts."""
        self.first = self.shown = self.model.cycles

    @property
    def cycles(self) -> int:
        return self.model.cycles - self.first

    def advance(self, cycles: int) -> Stop:
        """GemmaryError if the accelerator breaks the protocol of the bus, or the program takes too long."""
        stop = self.model.run(min(cycles, max(1, self.options.max_cycles - self.cycles)))
        if stop == Stop.VIOLATION:
            raise GemmaryError(f"the accelerator broke the AXI protocol: {self.model.violation}")
        if self.options.progress and self.model.cycles - self.shown >= CHUNK_CYCLES:
            self.shown = self.model.cycles
            self.options.progress(self.cycles)
        if stop != Stop.INTERRUPT and self.cycles >= self.options.max_cycles:
            states = engine_states(self.model)
            raise GemmaryError(f"the program did not end in max_cycles = {self.options.max_cycles}: {states}")
        return stop

    def wait(self, cycles: int) -> None:
        self.advance(cycles)
