"""Loop nests, walks and bounded coordinates: how every engine makes its addresses."""

from amaranth import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gemmary.isa import MAX_COUNT

COORDINATE_BITS = 24
"""Exact for every legal instruction: |start| + 2 · MAX_COUNT · 255 < 2**23."""


class LoopNest(wiring.Component):
    """Counts through a nest of ``loops`` (outermost first), one iteration a ``step``.

    ``load`` starts at the first iteration with ``counts`` (each 1..MAX_COUNT). ``advance[i]`` says that the next step
    advances loop i and restarts every loop inside it (one-hot; all zero at the last iteration). ``first[i]``: loop i is at its
    first iteration. ``last``: the nest is at its last iteration. Latency 1 cycle from ``load`` or ``step`` to the outputs.

    With ``apart`` a load takes ``new_counts`` in place of ``counts``, which are those of the nest at work: no multiplexer stands
    before the comparators.
    """

    def __init__(self, loops: tuple[str, ...], apart: bool = False):
        self.loops, self.apart = loops, apart
        counts = data.StructLayout({loop: unsigned(16) for loop in loops})
        super().__init__(
            ({"new_counts": In(counts)} if apart else {})
            | {
                "load": In(1),
                "counts": In(counts),
                "step": In(1),
                "advance": Out(len(loops)),
                "first": Out(len(loops)),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        ended = Signal(len(self.loops))
        new_counts = self.new_counts if self.apart else self.counts
        for i, loop in enumerate(self.loops):
            remaining = Signal(range(MAX_COUNT), name=f"remaining_{loop}", reset_less=True)
            first = Signal(name=f"first_{loop}", reset_less=True)
            end = Signal(name=f"ended_{loop}", init=1)  # nothing remains: every step begins with this
            inner_ended = ended[i + 1 :].all() if i + 1 < len(self.loops) else 1
            m.d.comb += [ended[i].eq(end), self.first[i].eq(first), self.advance[i].eq(inner_ended & ~end)]
            with m.If(self.load):
                m.d.sync += [remaining.eq(new_counts[loop] - 1), first.eq(1), end.eq(new_counts[loop] == 1)]
            with m.Elif(self.step & inner_ended):
                m.d.sync += [
                    remaining.eq(Mux(end, self.counts[loop] - 1, remaining - 1)),
                    first.eq(end),
                    end.eq(Mux(end, self.counts[loop] == 1, remaining == 1)),
                ]
        m.d.comb += self.last.eq(ended.all())
        return m


class Walk(wiring.Component):
    """The address of one operand: ``load`` sets it to ``start``; a ``step`` adds the step of the loop that advances.

    ``loops`` are those of the nest that have a step (any others leave the address alone). Latency 1 cycle. Arithmetic modulo
    2**width.
    """

    def __init__(self, nest: tuple[str, ...], loops: tuple[str, ...], width: int = 16, step_width: int = 16):
        self.nest, self.loops = nest, loops
        super().__init__(
            {
                "load": In(1),
                "start": In(width),
                "steps": In(data.StructLayout({loop: signed(step_width) for loop in loops})),
                "step": In(1),
                "advance": In(len(nest)),
                "address": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        chosen = Signal(signed(self.steps.shape()[self.loops[0]].shape.width))
        # The advance bits are one-hot: an AND-OR is shallower than a priority chain.
        terms = [
            self.steps[loop].as_unsigned() & self.advance[self.nest.index(loop)].replicate(len(chosen))
            for loop in self.loops
        ]
        merged = terms[0]
        for term in terms[1:]:
            merged = merged | term
        m.d.comb += chosen.eq(merged)
        address = Signal(len(self.address), reset_less=True)
        m.d.comb += self.address.eq(address)
        with m.If(self.load):
            m.d.sync += address.eq(self.start)
        with m.Elif(self.step):
            m.d.sync += address.eq(address + chosen)
        return m


def coordinate_members(told: str, loops: int) -> dict:
    """Of a coordinate, which is ``told`` something of each loop of its nest."""
    return {
        "start": In(signed(16)),
        "outer_step": In(8),
        "inner_step": In(8),
        "limit": In(16),
        "step": In(1),
        told: In(loops),
        "value": Out(signed(COORDINATE_BITS)),
        "in_bounds": Out(1),
    }


class Coordinate(wiring.Component):
    """One bounded coordinate: ``start + i_outer · outer_step + i_inner · inner_step``, and whether 0 <= that ``value`` < limit.

    ``outer`` and ``inner`` name the two loops of the nest that move it. Latency 1 cycle.
    """

    def __init__(self, nest: tuple[str, ...], outer: str, inner: str):
        self.nest, self.outer, self.inner = nest, nest.index(outer), nest.index(inner)
        assert self.outer < self.inner
        super().__init__({"load": In(1)} | coordinate_members("advance", len(nest)))

    def elaborate(self, platform):
        m = Module()
        base, current = (Signal(signed(COORDINATE_BITS), name=name, reset_less=True) for name in ("base", "current"))
        next_base, next_current = base + self.outer_step, current + self.inner_step
        m.d.comb += self.value.eq(current)
        m.d.comb += self.in_bounds.eq(current.as_unsigned() < self.limit)
        outside = self.advance[: self.outer].any() if self.outer else 0
        between = self.advance[self.outer + 1 : self.inner].any() if self.inner > self.outer + 1 else 0
        with m.If(self.load | (self.step & outside)):
            m.d.sync += [base.eq(self.start), current.eq(self.start)]
        with m.Elif(self.step & self.advance[self.outer]):
            m.d.sync += [base.eq(next_base), current.eq(next_base)]
        with m.Elif(self.step & between):
            m.d.sync += current.eq(base)
        with m.Elif(self.step & self.advance[self.inner]):
            m.d.sync += current.eq(next_current)
        return m


def step_fields(instruction, walk: str, loops: tuple[str, ...]):
    """The steps of ``walk`` in an instruction view, in the order that ``Walk.steps`` wants."""
    return Cat(*(instruction[f"{walk}_step_{loop}"] for loop in loops))
