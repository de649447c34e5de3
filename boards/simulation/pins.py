"""The simulated design of a board, and the serial line to it."""

import ctypes
import weakref
from pathlib import Path

from gemmary.config import Config
from gemmary.errors import GemmaryError
from hdl.simulation.build import build_model

from ..board import Board
from ..system import System

HARNESS = Path(__file__).with_name("pins.cpp")


class Pins:
    """The design of ``board`` with ``config``, without clock generator and pads, and a UART at its pins with the divisor of the
    board: a gemmary.runtime.link.Transport, whose seconds are the design's. The first use builds the model.

    ``name``, ``baud``: as a Transport. GemmaryError when a byte from the design has no stop bit.
    """

    def __init__(self, board: Board, config: Config):
        self.name, self.baud = f"the simulated {board.name}", board.baud
        self._hz = float(board.clock_mhz) * 1e6
        top = System(config, board.divisor, board.memory_bytes)
        self._library = library = ctypes.CDLL(str(build_model(config, top=top, harness=HARNESS)))
        library.gp_open.restype = ctypes.c_void_p
        library.gp_cycles.restype = library.gp_framing_errors.restype = library.gp_receive.restype = ctypes.c_uint64
        self._handle = ctypes.c_void_p(library.gp_open(ctypes.c_uint32(board.divisor)))
        self.close = weakref.finalize(self, library.gp_close, self._handle)

    @property
    def cycles(self) -> int:
        """Since the design came out of reset."""
        return self._library.gp_cycles(self._handle)

    def write(self, data: bytes) -> None:
        self._library.gp_send(self._handle, data, ctypes.c_uint64(len(data)))

    def read(self, count: int, timeout_s: float) -> bytes:
        self._run(timeout_s, count)
        buffer = ctypes.create_string_buffer(count)
        size = self._library.gp_receive(self._handle, buffer, ctypes.c_uint64(count))
        return buffer.raw[:size]

    def pause(self, seconds: float) -> None:
        self._run(seconds)

    def discard(self) -> None:
        while self._library.gp_receive(self._handle, ctypes.create_string_buffer(1024), ctypes.c_uint64(1024)):
            pass

    def _run(self, seconds: float, until_received: int = 1 << 62) -> None:
        cycles = ctypes.c_uint64(max(1, round(seconds * self._hz)))
        self._library.gp_run(self._handle, cycles, ctypes.c_uint64(until_received))
        if self._library.gp_framing_errors(self._handle):
            raise GemmaryError(f"{self.name} sent a byte without a start or stop bit")
