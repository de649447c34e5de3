"""The settings of an instruction, each in the stage that uses it."""

from collections.abc import Mapping

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gemmary import isa

from ..interfaces import instruction_layout
from .layouts import delayed, settings_layout


class Settings(wiring.Component):
    """Copies fields out of ``instruction`` as the first beat of the instruction passes.

    ``stages`` says for each field in which stage it is used; ``o`` holds the new value from the cycle in which the first beat
    is in that stage. So beats of two instructions follow each other without a gap, and each meets its own settings.

    ``first``: the first beat of an instruction is issued (stage 0). ``taken``: ``instruction`` changes with the next
    cycle, only allowed while ``settled`` says that everything has been copied.
    """

    def __init__(self, stages: Mapping[str, int]):
        assert min(stages.values()) >= 1
        self.stages = dict(stages)
        super().__init__(
            {
                "instruction": In(instruction_layout(isa.Opcode.VECTOR)),
                "taken": In(1),
                "first": In(1),
                "settled": Out(1, init=1),
                "o": Out(settings_layout(stages)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        last = max(self.stages.values())
        first = delayed(m, self.first, last - 1, "first_in")
        for name, stage in self.stages.items():
            value = Signal(self.o.shape()[name].shape, name=name, reset_less=True)
            m.d.comb += self.o[name].eq(value)
            with m.If(first[stage - 1]):
                m.d.sync += value.eq(self.instruction[name])
        with m.If(self.taken):
            m.d.sync += self.settled.eq(0)
        with m.Elif(first[last - 1]):
            m.d.sync += self.settled.eq(1)
        return m
