"""Random traffic on the register bus, reads and writes at the same time, while the accelerator works."""

from collections import Counter

import cocotb
import numpy as np
from cocotbext.axi import AxiLiteMaster, AxiResp

from gemmary.config import Config
from gemmary.registers import ADDRESS, ADDRESS_BITS, HARDWARE_VERSION, IDENTITY

from .pace import paces


class RegisterTraffic:
    """Uses the registers through ``master``: reads always, writes while ``writing``. Checks every response and every value
    that it can know, so nothing may be lost or done twice.

    PROGRAM_LENGTH serves as scratch register: it means nothing after the start of a program. Every channel pauses at random,
    so addresses and data of writes come in either order.
    """

    def __init__(self, master: AxiLiteMaster, config: Config, edge, rng: np.random.Generator):
        self.master, self.edge, self.rng = master, edge, rng
        self.known = {
            "IDENTITY": IDENTITY,
            "VERSION": HARDWARE_VERSION,
            "CONFIG_IDENTITY": config.identity,
            "ACTIVATION_WORDS": config.activation_words,
            "WEIGHT_WORDS": config.weight_words,
            "ACCUMULATOR_ROWS": config.accumulator_rows,
            "PARAMETER_ROWS": config.parameter_rows,
        }
        self.holes = sorted(set(range(0, 1 << ADDRESS_BITS, 4)) - set(ADDRESS.values()))
        self.scratch = 0
        self.writing = self.busy = False
        self.done: Counter[str] = Counter()
        write, read = master.write_if, master.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(not goes for goes in paces(rng))
        self.tasks = [cocotb.start_soon(self._reads()), cocotb.start_soon(self._writes())]

    def begin(self, scratch: int) -> None:
        """Writes may come; PROGRAM_LENGTH holds ``scratch``."""
        self.scratch, self.writing = scratch, True

    async def end(self) -> None:
        """No more writes, once the present one is done."""
        self.writing = False
        while self.busy:
            await self.edge

    async def _reads(self):
        while True:
            for _ in range(int(self.rng.integers(40))):
                await self.edge
            kind = self.rng.random()
            if kind < 0.2:
                await self._read(int(self.rng.choice(self.holes)), AxiResp.SLVERR)
            elif kind < 0.6:
                name = str(self.rng.choice(list(self.known)))
                await self._read(ADDRESS[name], AxiResp.OKAY, self.known[name])
            else:
                await self._read(ADDRESS[str(self.rng.choice(list(ADDRESS)))], AxiResp.OKAY)

    async def _writes(self):
        while True:
            await self.edge
            if not self.writing:
                continue
            self.busy = True
            kind = self.rng.random()
            if kind < 0.2:
                await self._write(int(self.rng.choice(self.holes)), self.rng.bytes(4), AxiResp.SLVERR)
            elif kind < 0.4:  # nothing happens
                await self._write(ADDRESS[str(self.rng.choice(list(self.known)))], self.rng.bytes(4), AxiResp.OKAY)
            elif kind < 0.7:
                first = int(self.rng.integers(4))
                content = self.rng.bytes(int(self.rng.integers(1, 5 - first)))
                old = self.scratch.to_bytes(4, "little")
                self.scratch = int.from_bytes(old[:first] + content + old[first + len(content) :], "little")
                await self._write(ADDRESS["PROGRAM_LENGTH"] + first, content, AxiResp.OKAY)
            else:
                await self._read(ADDRESS["PROGRAM_LENGTH"], AxiResp.OKAY, self.scratch)
            self.busy = False

    async def _read(self, address: int, response: AxiResp, value: int | None = None) -> None:
        answer = await self.master.read(address, 4)
        self.done[f"read {response.name}"] += 1
        assert answer.resp == response, f"read of {address:#x}: {answer.resp!r}"
        found = int.from_bytes(answer.data, "little")
        assert value in (None, found), f"read of {address:#x}: {found:#x}, not {value:#x}"

    async def _write(self, address: int, content: bytes, response: AxiResp) -> None:
        answer = await self.master.write(address, content)
        self.done[f"write {response.name}"] += 1
        assert answer.resp == response, f"write of {address:#x}: {answer.resp!r}"
