"""The memories of `nano`, as the processor reaches them: halfword by halfword, and one port each."""

from amaranth import Array, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ..memory.ram import NO_CHECK
from .instructions import WORD_BITS


class Words(wiring.Component):
    """``depth`` words of ``halves`` halfwords, one access a cycle: writes the halves of ``write``, or reads. ``read`` follows in the
    next cycle."""

    def __init__(self, depth: int, halves: int):
        self.depth, self.halves = depth, halves
        super().__init__(
            {
                "address": In(range(depth)),
                "write": In(halves),
                "data": In(WORD_BITS * halves),
                "read": Out(WORD_BITS * halves),
            }
        )

    def elaborate(self, platform):
        m = Module()
        reads = []
        for i in range(self.halves):
            m.submodules[f"half_{i}"] = half = memory.Memory(shape=WORD_BITS, depth=self.depth, init=[], attrs=NO_CHECK)
            read, write = half.read_port(), half.write_port()
            m.d.comb += [
                read.addr.eq(self.address),
                read.en.eq(~self.write[i]),
                write.addr.eq(self.address),
                write.data.eq(self.data.word_select(i, WORD_BITS)),
                write.en.eq(self.write[i]),
                self.read.word_select(i, WORD_BITS).eq(read.data),
            ]
            reads.append(read.data)
        return m


class Accumulators(wiring.Component):
    """``depth`` rows of ``halves`` halfwords: reads ``read_address`` and writes the halves of ``write``, both in a cycle. ``read``
    follows in the next cycle; it is undefined for a row that is being written."""

    def __init__(self, depth: int, halves: int):
        self.depth, self.halves = depth, halves
        super().__init__(
            {
                "read_address": In(range(depth)),
                "read": Out(WORD_BITS * halves),
                "write_address": In(range(depth)),
                "write": In(halves),
                "data": In(WORD_BITS * halves),
            }
        )

    def elaborate(self, platform):
        m = Module()
        for i in range(self.halves):
            m.submodules[f"half_{i}"] = half = memory.Memory(shape=WORD_BITS, depth=self.depth, init=[], attrs=NO_CHECK)
            read, write = half.read_port(), half.write_port()
            m.d.comb += [
                read.addr.eq(self.read_address),
                write.addr.eq(self.write_address),
                write.data.eq(self.data.word_select(i, WORD_BITS)),
                write.en.eq(self.write[i]),
                self.read.word_select(i, WORD_BITS).eq(read.data),
            ]
        return m


def halfword(m, word, position):
    """Halfword ``position`` of ``word``."""
    chosen = Signal(WORD_BITS)
    halves = [word.word_select(i, WORD_BITS) for i in range(len(word) // WORD_BITS)]
    m.d.comb += chosen.eq(Array(halves)[position] if len(halves) > 1 else halves[0])
    return chosen
