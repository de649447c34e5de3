"""Performance counters."""

from collections.abc import Collection

from amaranth import Array, Const, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from gemmary.isa import Engine
from gemmary.registers import COUNTERS, State

from ..interfaces import COUNTED_BITS, Counted
from .layouts import traffic_layout

GENERAL = len(COUNTERS) - len(Engine) * len(State)
STATE_BITS = (len(State) - 1).bit_length()


class StateCounters(wiring.Component):
    """For one engine, the cycles of ``enable`` in each state since ``clear``: a small RAM, with a bit for each word that says
    whether it has been written since. ``value`` is that of ``index``, in the same cycle. With ``bits`` a cycle of ``enable`` counts for
    ``cycles``."""

    def __init__(self, bits: int = 0):
        self.bits = bits
        super().__init__(
            {"clear": In(1), "enable": In(1), "state": In(State), "index": In(State), "value": Out(32)}
            | ({"cycles": In(bits)} if bits else {})
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.storage = storage = memory.Memory(shape=32, depth=len(State), init=[])
        read, previous, write = storage.read_port(domain="comb"), storage.read_port(domain="comb"), storage.write_port()
        written = Signal(len(State))
        m.d.comb += [
            read.addr.eq(self.index),
            self.value.eq(Mux(written.bit_select(self.index, 1), read.data, 0)),
            previous.addr.eq(self.state),
            write.addr.eq(self.state),
            write.en.eq(self.enable),
            write.data.eq(Mux(written.bit_select(self.state, 1), previous.data, 0) + (self.cycles if self.bits else 1)),
        ]
        with m.If(self.clear):
            m.d.sync += written.eq(0)
        with m.Elif(self.enable):
            m.d.sync += written.bit_select(self.state, 1).eq(1)
        return m


class Counters(wiring.Component):
    """`registers.COUNTERS`: they count while ``enable`` is high; ``clear`` sets all to 0. ``value`` is counter ``index``, in the
    same cycle; always 0 without ``config.counters``.

    Those of ``crossed`` engines count cycles of their own clock, and what ``counted`` tells, at any time."""

    def __init__(self, config: Config, crossed: Collection[Engine] = ()):
        self.config = config
        self.counted = {engine: Signal(Counted, name=f"counted_{engine.name.lower()}") for engine in crossed}
        super().__init__(
            {
                "clear": In(1),
                "enable": In(1),
                "states": In(State).array(len(Engine)),
                "dispatched": In(1),
                "traffic": In(traffic_layout(config)),
                "index": In(range(len(COUNTERS))),
                "value": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if not self.config.counters:
            return m
        traffic = self.traffic
        events = {
            "CYCLES": (Const(1), 1),
            "INSTRUCTIONS": (self.dispatched, 1),
            "READ_BYTES": (traffic.read, self.config.bus_bytes),
            "WRITE_BYTES": (traffic.write, sum(traffic.strobe)),
        }
        assert [name for name, _ in COUNTERS[:GENERAL]] == list(events)
        values = [self._total(m, name.lower(), event, amount) for name, (event, amount) in events.items()]
        of_states = self._states(m)
        with m.Switch(self.index):
            for i, value in enumerate(values):
                with m.Case(i):
                    m.d.comb += self.value.eq(value)
            with m.Default():
                m.d.comb += self.value.eq(of_states)
        return m

    def _total(self, m, name, event, amount):
        total = Signal(32, name=name)
        with m.If(self.clear):
            m.d.sync += total.eq(0)
        with m.Elif(self.enable & event):
            m.d.sync += total.eq(total + amount)
        return total

    def _states(self, m):
        """The state counter of ``index``: engine in the upper bits, state in the lower."""
        position = Signal(range(len(Engine) * len(State)))
        m.d.comb += position.eq(self.index - GENERAL)
        values = []
        for engine in Engine:
            crossed = self.counted.get(engine)
            m.submodules[engine.name.lower()] = states = StateCounters(COUNTED_BITS if engine in self.counted else 0)
            m.d.comb += [
                states.clear.eq(self.clear),
                states.enable.eq(self.enable if crossed is None else crossed.cycles != 0),
                states.state.eq(self.states[engine] if crossed is None else crossed.state),
                states.index.eq(position[:STATE_BITS]),
            ]
            if crossed is not None:
                m.d.comb += states.cycles.eq(crossed.cycles)
            values.append(states.value)
        return Array(values)[position[STATE_BITS:]]
