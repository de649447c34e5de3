"""Drives an engine through its EngineSignature."""

import cocotb
import numpy as np

from gemmary.isa import Instruction, Opcode
from gemmary.registers import State
from hdl.interfaces import Done, Error, instruction_layout
from verif import bench

from .streams import Source


class EngineDriver:
    """Sends instructions, at random moments, to member ``name`` of a component, and records what the engine reports.

    ``done`` and ``errors`` list what came in order: (signal, offset) and (cause, offset). ``states`` counts cycles by state.
    Fails the test when something comes that no instruction sent can explain.
    """

    def __init__(self, dut, opcode: Opcode, edge, rng: np.random.Generator, pace=None, name="engine"):
        self.layout = instruction_layout(opcode)
        self.edge = edge
        self.handles = [getattr(dut, f"{name}__{part}") for part in ("state", "done", "error")]
        self.source = Source(dut, f"{name}__i", self.layout, edge, rng, pace=pace)
        self.sent: list[tuple[Instruction, int]] = []
        self.done: list[tuple[int, int]] = []
        self.errors: list[tuple[int, int]] = []
        self.states = dict.fromkeys(State, 0)
        self.cycle = 0
        self.task = cocotb.start_soon(self._watch())

    def send(self, instruction: Instruction, offset: int | None = None) -> None:
        """``offset`` of the instruction in its program: by default they follow each other."""
        offset = 96 * len(self.sent) if offset is None else offset
        self.sent.append((instruction, offset))
        fields = {name: getattr(instruction, name) for name, _ in self.layout if name != "offset"}
        self.source.send(fields | {"offset": offset})

    async def finish(self, cycles: int) -> None:
        """Waits until everything sent is done; fails if that takes more than ``cycles``, or after an error."""
        for _ in range(cycles):
            if len(self.done) == len(self.sent):
                return
            assert not self.errors, f"error {self.errors}"
            await self.edge
        raise AssertionError(f"{len(self.done)} of {len(self.sent)} instructions done after {cycles} cycles")

    async def fail(self, cycles: int) -> tuple[int, int]:
        """Waits for an error: (cause, offset)."""
        for _ in range(cycles):
            if self.errors:
                return self.errors[0]
            await self.edge
        raise AssertionError(f"no error after {cycles} cycles")

    async def _watch(self):
        state, done_handle, error_handle = self.handles
        while True:
            await self.edge
            self.cycle += 1
            self.states[int(state.value)] += 1
            done, error = done_handle.value, error_handle.value
            if valid(done):
                fields = bench.unpack(Done, done)
                assert len(self.done) < len(self.sent), f"done {fields} for nothing"
                instruction, offset = self.sent[len(self.done)]
                got = fields["signal"], fields["offset"]
                assert got == (instruction.signal, offset), f"done {got}, but {instruction.signal, offset} comes first"
                assert not self.errors or self.errors[0][1] != offset, "done after it failed"
                self.done.append(got)
            if valid(error):
                fields = bench.unpack(Error, error)
                self.errors.append((fields["cause"], fields["offset"]))
                assert len(self.errors) == 1, f"more than one error: {self.errors}"
                assert fields["offset"] in [offset for _, offset in self.sent[len(self.done) :]], (
                    "error of nothing sent"
                )


def valid(report) -> bool:
    """The lowest bit of a Done or Error; the others may be X while it is 0."""
    bit = str(report)[-1]
    assert bit in "01", "valid of done or error is X"
    return bit == "1"
