"""The simulated accelerator as harness.cpp exports it."""

import ctypes
import weakref
from enum import IntEnum
from pathlib import Path

import numpy as np

from gemmary.errors import GemmaryError

NO_ANSWER, BROKEN = -1, -2


class Stop(IntEnum):
    """Why ``Model.run`` returned."""

    CYCLES = 0
    INTERRUPT = 1
    VIOLATION = 2


class MemoryOptions(ctypes.Structure):
    """The struct of the same name in memory.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_uint64),
        ("latency", ctypes.c_uint64),
        ("read_bytes_per_cycle", ctypes.c_double),
        ("write_bytes_per_cycle", ctypes.c_double),
        ("stall_probability", ctypes.c_double),
        ("seed", ctypes.c_uint64),
        ("error_low", ctypes.c_uint64),
        ("error_high", ctypes.c_uint64),
    )


class Model:
    """One accelerator, out of reset, with ``memory`` (bytes) behind it; both live as long as this object. ``compute_ratio``: cycles
    of a tensor engine with a clock of its own in one of all else."""

    def __init__(self, path: Path, memory: np.ndarray, waves: str | None, compute_ratio: int = 1, **options):
        self.memory = memory
        self._library = library = ctypes.CDLL(str(path))
        library.gm_open.restype = ctypes.c_void_p
        library.gm_cycles.restype = library.gm_run_cycles.restype = ctypes.c_uint64
        library.gm_seconds.restype = ctypes.c_double
        library.gm_violation.restype = ctypes.c_char_p
        self._options = MemoryOptions(memory.ctypes.data, memory.nbytes, **options)
        handle = library.gm_open(ctypes.byref(self._options), waves.encode() if waves else None)
        self._handle = ctypes.c_void_p(handle)
        library.gm_compute_ratio(self._handle, compute_ratio)
        self.close = weakref.finalize(self, library.gm_close, self._handle)

    @property
    def cycles(self) -> int:
        return self._library.gm_cycles(self._handle)

    @property
    def cycles_per_second(self) -> float:
        """Over all ``run``; 0 before the first."""
        seconds = self._library.gm_seconds(self._handle)
        return self._library.gm_run_cycles(self._handle) / seconds if seconds else 0.0

    @property
    def violation(self) -> str:
        """How the accelerator has broken the bus protocol; empty if it has not."""
        return self._library.gm_violation(self._handle).decode()

    def reset(self) -> None:
        self._library.gm_reset(self._handle)

    def run(self, cycles: int) -> Stop:
        """Lets at most so many cycles pass, fewer when the interrupt is high."""
        return Stop(self._library.gm_run(self._handle, ctypes.c_uint64(cycles)))

    def write(self, address: int, words: np.ndarray, step: int = 4) -> None:
        data = np.ascontiguousarray(words, np.uint32)
        words, address_ = ctypes.c_uint64(len(data)), ctypes.c_uint32(address)
        done = self._library.gm_write(self._handle, address_, ctypes.c_uint32(step), data.ctypes, words)
        self._check("write", address, done)

    def read(self, address: int, count: int) -> np.ndarray:
        data = np.empty(count, np.uint32)
        done = self._library.gm_read(self._handle, ctypes.c_uint32(address), data.ctypes, ctypes.c_uint64(count))
        self._check("read", address, done)
        return data

    def _check(self, access: str, address: int, response: int) -> None:
        if response == BROKEN:
            raise GemmaryError(f"the accelerator broke the AXI protocol: {self.violation}")
        if response:
            answer = "has no answer" if response == NO_ANSWER else f"is refused with response {response}"
            raise GemmaryError(f"register {access} at {address:#x} {answer}")
