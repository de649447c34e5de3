"""Loop nest, walk and coordinate for a fast clock: a step commits what registers have worked out since the last one."""

from amaranth import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gemmary.isa import MAX_COUNT

from ..memory.address import COORDINATE_BITS, coordinate_members


def merged(m, name: str, *choices):
    """A cycle later, the value of that (flag, value) whose flag is high, of which at most one is, else 0; all of one width. A register for every two
    of them: half of an AND-OR is in front of it and half behind it."""
    result = 0
    for i in range(0, len(choices), 2):
        part = Signal(len(choices[i][1]), name=f"{name}_{i // 2}", reset_less=True)
        terms = [Cat(value) & flag.replicate(len(value)) for flag, value in choices[i : i + 2]]
        m.d.sync += part.eq(terms[0] | terms[-1])
        result = result | part
    return result


class PacedNest(wiring.Component):
    """`LoopNest` with steps 3 cycles apart or more, ``counts`` the same for the 2 cycles before each and in it.

    A step at the last iteration begins again. ``ended[i]``: loop i is at its last one; ``advance`` and ``last`` a cycle later, out of registers. After
    a reset the nest is at a last iteration.
    """

    def __init__(self, loops: tuple[str, ...]):
        self.loops = loops
        super().__init__(
            {
                "counts": In(data.StructLayout({loop: unsigned(16) for loop in loops})),
                "step": In(1),
                "ended": Out(len(loops), init=-1),
                "first": Out(len(loops)),
                "advance": Out(len(loops)),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.last.eq(self.ended.all())
        for i, loop in enumerate(self.loops):
            end, first = self.ended[i], self.first[i]
            remaining, less, all_less, following = (
                Signal(range(MAX_COUNT), name=f"{name}_{loop}", reset_less=True)
                for name in ("remaining", "less", "all_less", "following")
            )
            inner_ended, only, once, ends, begins = (
                Signal(name=f"{name}_{loop}", reset_less=True)
                for name in ("inner_ended", "only", "once", "ends", "begins")
            )
            inner = self.ended[i + 1 :].all() if i + 1 < len(self.loops) else 1
            m.d.sync += [
                inner_ended.eq(inner),
                self.advance[i].eq(inner & ~end),
                less.eq(remaining - 1),
                all_less.eq(self.counts[loop] - 1),
                only.eq(remaining == 1),
                once.eq(self.counts[loop] == 1),
                following.eq(Mux(inner_ended, Mux(end, all_less, less), remaining)),
                ends.eq(Mux(inner_ended, Mux(end, once, only), end)),
                begins.eq(Mux(inner_ended, end, first)),
            ]
            with m.If(self.step):
                m.d.sync += [remaining.eq(following), first.eq(begins), end.eq(ends)]
        return m


class PacedWalk(wiring.Component):
    """The address of one operand: a step adds the step of the loop that advances, and sets it to ``start`` where the nest begins
    again. Steps are 4 cycles apart or more; what they depend on is the same for as long."""

    def __init__(self, loops: tuple[str, ...]):
        self.loops = loops
        super().__init__(
            {
                "start": In(16),
                "steps": In(data.StructLayout({loop: signed(16) for loop in loops})),
                "advance": In(len(loops)),
                "last": In(1),
                "step": In(1),
                "address": Out(16),
            }
        )

    def elaborate(self, platform):
        m = Module()
        chosen, total, address = (
            Signal(16, name=name, reset_less=True) for name in ("chosen", "total", "current_address")
        )
        m.d.comb += [
            self.address.eq(address),
            chosen.eq(merged(m, "step", *((self.advance[i], self.steps[loop]) for i, loop in enumerate(self.loops)))),
        ]
        m.d.sync += total.eq(address + chosen)
        with m.If(self.step):
            m.d.sync += address.eq(Mux(self.last, self.start, total))
        return m


class PacedCoordinate(wiring.Component):
    """`Coordinate` of a PacedNest, whose ``ended`` it sees. ``inner`` None: the inner loop is not in the nest, and ``value`` is where it begins."""

    def __init__(self, nest: tuple[str, ...], outer: str, inner: str | None):
        self.nest, self.outer, self.inner = nest, nest.index(outer), nest.index(inner) if inner else len(nest)
        assert self.outer < self.inner
        super().__init__(coordinate_members("ended", len(nest)))

    def elaborate(self, platform):
        m = Module()
        ended, outer, inner = self.ended, self.outer, self.inner
        base, current, next_base, next_current = (
            Signal(signed(COORDINATE_BITS), name=name, reset_less=True)
            for name in ("base", "current", "next_base", "next_current")
        )
        again, turns, back, moves, stays = (
            Signal(name=name, reset_less=True) for name in ("again", "turns", "back", "moves", "stays")
        )
        start = Signal.like(base, name="extended_start")
        m.d.comb += start.eq(self.start)
        # Which of the loops around, the outer one, those between, the inner one advances; else one inside, and nothing moves.
        at_end = [ended[i:].all() if i < len(self.nest) else 1 for i in range(len(self.nest) + 1)]
        between = ended[outer + 1 : inner].all() if inner > outer + 1 else 1
        inner_moves = at_end[inner + 1] & ~ended[inner] if inner < len(self.nest) else 0
        m.d.sync += [
            again.eq(at_end[outer]),
            turns.eq(at_end[outer + 1] & ~ended[outer]),
            back.eq(at_end[inner] & ~between),
            moves.eq(inner_moves),
            stays.eq(~at_end[inner] & ~inner_moves),
            next_base.eq(base + self.outer_step),
            next_current.eq(current + self.inner_step),
        ]
        starts = ((again, start), (turns, next_base))
        new_base = merged(m, "new_base", *starts, (~(again | turns), base))
        new_current = merged(m, "new_current", *starts, (back, base), (moves, next_current), (stays, current))
        with m.If(self.step):
            m.d.sync += [base.eq(new_base), current.eq(new_current)]
        m.d.comb += [self.value.eq(current), self.in_bounds.eq(current.as_unsigned() < self.limit)]
        return m
