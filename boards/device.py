"""A board as a device."""

import time

import numpy as np

from gemmary.config import Config
from gemmary.emulator.memories import ExternalMemory
from gemmary.errors import GemmaryError, InputError
from gemmary.isa import INSTRUCTION_BYTES
from gemmary.registers import WINDOW
from gemmary.runtime.controller import POLL_CYCLES, Controller, engine_states
from gemmary.runtime.device import Report
from gemmary.runtime.hosted import Host
from gemmary.runtime.link import WORD_BYTES, Link, Transport
from gemmary.runtime.serial import SerialPort

from .board import MODULES, Board, board

HOST_MEMORY_BYTES = 16 << 20
"""What a board without DMA has as external memory: the host's own."""


class BoardDevice:
    """The accelerator of ``config`` on a board at serial ``port``: gemmary.runtime.device.Device.

    ``board`` names it (default: the one that this config is the preset of). A program without progress for ``watchdog`` cycles
    (0: never) is stopped by the accelerator, and one that takes more than ``timeout_s`` by GemmaryError. ``transport`` takes
    the place of the port.
    """

    def __init__(
        self,
        config: Config,
        *,
        port: str = "",
        board: str = "",
        watchdog: int = 1_000_000,
        timeout_s: float = 60.0,
        transport: Transport | None = None,
    ):
        self.config, self.watchdog, self.timeout_s = config, watchdog, timeout_s
        self.board = _board(config, board)
        if transport is None and not port:
            raise InputError("device board needs the serial port of the board: option port, such as /dev/ttyUSB0")
        self._transport = transport or SerialPort(port, self.board.baud)
        self.link = Link(self._transport, float(self.board.clock_mhz) * 1e6)
        self.control = Controller(config, self.link)
        self._host = None
        self.memory_bytes = self.board.memory_bytes
        if not config.dma:
            self.memory_bytes = HOST_MEMORY_BYTES
            self._external = ExternalMemory(self.memory_bytes)
            self._host = Host(self.control, self._external)
        if self.control.flag("STATUS", "busy", "error"):
            self.control.soft_reset()  # somebody else's program

    def write(self, address: int, data: bytes) -> None:
        self._check_range(address, len(data))
        if self._host:
            memoryview(self._external.bytes).cast("B")[address : address + len(data)] = data
            return
        start, end = _words(address, len(data))
        before, after = address - start, end - address - len(data)
        edge = self._memory(start, WORD_BYTES)[:before] if before else b""
        tail = self._memory(end - WORD_BYTES, WORD_BYTES)[WORD_BYTES - after :] if after else b""
        if end > start:
            self.link.write(WINDOW | start, np.frombuffer(edge + bytes(data) + tail, "<u4"))

    def read(self, address: int, size: int) -> bytes:
        self._check_range(address, size)
        if self._host:
            return bytes(memoryview(self._external.bytes).cast("B")[address : address + size])
        start, end = _words(address, size)
        return self._memory(start, end - start)[address - start :][:size]

    def run(self, program: bytes, address: int = 0) -> Report:
        self.write(address, program)
        if self._host:
            return Report(self._host.run(program, self.watchdog))
        self.control.start(address, len(program), self.watchdog)
        deadline = time.monotonic() + self.timeout_s
        while not self.control.flag("INTERRUPT_STATUS", "done", "error"):
            self.link.wait(POLL_CYCLES)
            if time.monotonic() > deadline:
                states = engine_states(self.link)
                self.control.soft_reset()
                raise GemmaryError(f"the program did not end in timeout_s = {self.timeout_s}: {states}")
        if error := self.control.error(address):
            self.control.soft_reset()
            raise error
        return self.control.report() if self.config.counters else Report(len(program) // INSTRUCTION_BYTES)

    def close(self) -> None:
        """Gives the port back."""
        if isinstance(self._transport, SerialPort):
            self._transport.close()

    def _memory(self, start: int, size: int) -> bytes:
        return self.link.read(WINDOW | start, size // WORD_BYTES).astype("<u4").tobytes()

    def _check_range(self, address: int, size: int) -> None:
        if address < 0 or size < 0 or address + size > self.memory_bytes:
            raise InputError(f"{size} bytes at address {address} do not fit the board's memory of {self.memory_bytes}")


def _board(config: Config, name: str) -> Board:
    if name:
        return board(name)
    for known in map(board, MODULES):
        if known.config().identity == config.identity:
            return known
    raise InputError(f"no board has preset {config.name} as its own: say which one with option board")


def _words(address: int, size: int) -> tuple[int, int]:
    """Start and end of the whole words that hold these bytes."""
    return address // WORD_BYTES * WORD_BYTES, -(-(address + size) // WORD_BYTES) * WORD_BYTES
