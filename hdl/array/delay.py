"""Delay lines."""

from amaranth import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


class Delay(wiring.Component):
    """``o`` is ``i``, ``cycles`` cycles later: a chain of registers. ``reset`` says whether a reset clears them, or sets them to ``init``."""

    def __init__(self, shape, cycles: int, reset: bool = False, init=None):
        self.shape, self.cycles, self.reset, self.init = shape, cycles, reset, init
        super().__init__({"i": In(shape), "o": Out(shape)})

    def elaborate(self, platform):
        m = Module()
        value = self.i
        for cycle in range(1, self.cycles + 1):
            stage = Signal(self.shape, name=f"stage_{cycle}", reset_less=not self.reset, init=self.init)
            m.d.sync += stage.eq(value)
            value = stage
        m.d.comb += self.o.eq(value)
        return m


class RamDelay(wiring.Component):
    """``o`` is ``i``, ``cycles`` >= 2 cycles later: a RAM of ``cycles`` words written at a pointer that goes round, and read one
    place ahead of it. What comes out in the first ``cycles`` cycles is undefined."""

    def __init__(self, shape, cycles: int):
        assert cycles >= 2, cycles
        self.shape, self.cycles = shape, cycles
        super().__init__({"i": In(shape), "o": Out(shape)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.ram = ram = memory.Memory(shape=self.shape, depth=self.cycles, init=[])
        read, write = ram.read_port(), ram.write_port()
        pointer = Signal(range(self.cycles))
        ahead = Signal(range(self.cycles), init=1)
        m.d.sync += [pointer.eq(ahead), ahead.eq(Mux(ahead == self.cycles - 1, 0, ahead + 1))]
        m.d.comb += [
            write.en.eq(1),
            write.addr.eq(pointer),
            write.data.eq(self.i),
            read.en.eq(1),
            read.addr.eq(ahead),
            self.o.eq(read.data),
        ]
        return m
