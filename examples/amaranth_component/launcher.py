"""Starts a program on the accelerator and waits for its end, register by register."""

from amaranth import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gemmary.registers import ADDRESS
from hdl.interfaces import RegisterBus

DONE, ERROR = 1, 2  # bits of INTERRUPT_STATUS and INTERRUPT_ENABLE
START = 1  # of CONTROL


class Launcher(wiring.Component):
    """The manager of the accelerator's registers.

    ``start`` in a cycle without ``busy`` runs the program of ``length`` bytes at ``address`` of external memory. ``busy`` falls
    when it has ended; ``failed`` rises, and stays, if the accelerator stopped it.
    """

    start: In(1)
    busy: Out(1)
    failed: Out(1)
    irq: In(1)
    bus: Out(RegisterBus())

    def __init__(self, address: int, length: int):
        super().__init__()
        self.writes = [
            ("PROGRAM_ADDRESS_LOW", address),
            ("PROGRAM_LENGTH", length),
            ("INTERRUPT_ENABLE", DONE | ERROR),
            ("INTERRUPT_STATUS", DONE | ERROR),  # writing 1 clears: of the program before
            ("CONTROL", START),
        ]

    def elaborate(self, platform):
        m = Module()
        request, response = self.bus.request, self.bus.response
        step = Signal(range(len(self.writes)))
        addresses = Array(ADDRESS[name] for name, _ in self.writes)
        values = Array(value for _, value in self.writes)
        m.d.comb += [self.busy.eq(1), response.ready.eq(1), request.payload.strobe.eq(0b1111)]

        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.busy.eq(0)
                with m.If(self.start):
                    m.next = "write"
            with m.State("write"):
                m.d.comb += [
                    request.valid.eq(1),
                    request.payload.write.eq(1),
                    request.payload.address.eq(addresses[step]),
                    request.payload.data.eq(values[step]),
                ]
                with m.If(request.ready):
                    m.next = "written"
            with m.State("written"), m.If(response.valid):
                last = step == len(self.writes) - 1
                m.d.sync += step.eq(step + 1)
                m.next = "write"
                with m.If(last):
                    m.d.sync += step.eq(0)
                    m.next = "interrupt"
            with m.State("interrupt"), m.If(self.irq):
                m.next = "read"
            with m.State("read"):
                m.d.comb += [request.valid.eq(1), request.payload.address.eq(ADDRESS["INTERRUPT_STATUS"])]
                with m.If(request.ready):
                    m.next = "answer"
            with m.State("answer"), m.If(response.valid):
                m.d.sync += self.failed.eq(self.failed | (response.payload.data != DONE))
                m.next = "idle"
        return m
