"""The counting semaphores through which the engines meet."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import SEMAPHORE_MAX, SEMAPHORES, Config

from ..interfaces import Done
from .layouts import TakeSignature, opcodes


class Semaphores(wiring.Component):
    """SEMAPHORES counters of 0..SEMAPHORE_MAX.

    ``take_<engine>``: granted when every semaphore of the mask is above 0; all go down in that cycle. One grant a cycle, lowest
    engine first. ``done_<engine>`` and ``host_signal`` raise, all in the same cycle if need be; ``host_take`` lowers those
    above 0. ``zero``: which are at 0. An ``overflow`` past SEMAPHORE_MAX (the count then stays there) names who signalled: one
    bit for each built engine in order, then one for the host.
    """

    def __init__(self, config: Config):
        self.names = [e.name.lower() for e in opcodes()]
        super().__init__(
            {f"take_{name}": In(TakeSignature()) for name in self.names}
            | {f"done_{name}": In(Done) for name in self.names}
            | {
                "host_signal": In(SEMAPHORES),
                "host_take": In(SEMAPHORES),
                "counts": Out(range(SEMAPHORE_MAX + 1)).array(SEMAPHORES),
                "zero": Out(SEMAPHORES, init=(1 << SEMAPHORES) - 1),
                "overflow": Out(len(self.names) + 1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        taken = self._arbitrate(m)
        signals = []
        for name in self.names:
            done, signal = getattr(self, f"done_{name}"), Signal(SEMAPHORES, name=f"signal_{name}")
            m.d.comb += signal.eq(Mux(done.valid, done.signal, 0))
            signals.append(signal)
        signals.append(self.host_signal)

        over = Signal(SEMAPHORES)
        for i, count in enumerate(self.counts):
            raised = Signal(3, name=f"raised_{i}")
            m.d.comb += raised.eq(sum(signal[i] for signal in signals))
            # Both sums are made while the claims are still being weighed.
            sums, changes = [], []
            for claimed in (0, 1):
                total = Signal(8, name=f"total_{i}_{claimed}")
                lowered = self.host_take[i] & (count != claimed)
                m.d.comb += total.eq(count + raised - claimed - lowered)
                sums.append((total > SEMAPHORE_MAX, total == 0, Mux(total > SEMAPHORE_MAX, SEMAPHORE_MAX, total)))
                changes.append((raised != 0) | lowered | claimed)
            chosen = taken[i]
            m.d.comb += over[i].eq(Mux(chosen, sums[1][0], sums[0][0]))
            with m.If(Mux(chosen, changes[1], changes[0])):
                m.d.sync += [
                    self.zero[i].eq(Mux(chosen, sums[1][1], sums[0][1])),
                    count.eq(Mux(chosen, sums[1][2], sums[0][2])),
                ]
        m.d.comb += self.overflow.eq(Cat((signal & over).any() for signal in signals))
        return m

    def _arbitrate(self, m):
        """Grants the first claim whose semaphores are all above 0; returns its mask."""
        taken, busy = Signal(SEMAPHORES), Const(0)
        for name in self.names:
            take, possible = getattr(self, f"take_{name}"), Signal(name=f"possible_{name}")
            m.d.comb += [
                possible.eq(take.valid & ~(take.mask & self.zero).any()),
                take.grant.eq(possible & ~busy),
            ]
            with m.If(take.grant):
                m.d.comb += taken.eq(take.mask)
            busy = busy | possible
        return taken
