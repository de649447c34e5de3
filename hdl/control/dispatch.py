"""Checks instructions and deals them out to the engines."""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from gemmary.isa import FORMATS, MAX_COUNT, MAX_LENGTH, VERSION, Cause, Field, Format

from ..interfaces import HEADER, Error, instruction_layout
from .layouts import InstructionWord, opcodes


def violation(field: Field, word):
    """The Cause that this field may raise and whether it does, as `isa.check` defines it; None for a field of any value."""
    raw = word[field.offset : field.offset + field.width]
    match field.kind:
        case "count" | "length":
            return Cause.COUNT, (raw == 0) | (raw > (MAX_COUNT if field.kind == "count" else MAX_LENGTH))
        case "reserved":
            return Cause.FIELD, raw.any()
        case "dtype" | "code":
            cause = Cause.DTYPE if field.kind == "dtype" else Cause.FIELD
            if field.allowed == tuple(range(len(field.allowed))):
                return cause, raw >= len(field.allowed)
            return cause, ~Cat(raw == code for code in field.allowed).any()
    return None


def fields(form: Format, word):
    """What instruction_layout keeps of a word; neighbours are kept in one slice."""
    slices = []
    for field in form.fields:
        if field.kind == "reserved" or field.name in HEADER:
            continue
        start, end = field.offset, field.offset + field.width
        if slices and slices[-1][1] == start:
            start = slices.pop()[0]
        slices.append((start, end))
    return Cat(word[start:end] for start, end in slices)


class Dispatch(wiring.Component):
    """Takes encoded instructions from ``i``; each goes to the stream of its engine (``load``, ``tensor``, ``vector``,
    ``store``; those that are built), in order, or ends in an ``error``: the cause that `isa.check` gives, with its offset.

    ``dispatched`` for one cycle with each one that an engine's queue has taken. After an error nothing is taken any more.
    Throughput: one in 2 cycles.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {"i": In(stream.Signature(InstructionWord)), "error": Out(Error), "dispatched": Out(1)}
            | {e.name.lower(): Out(stream.Signature(instruction_layout(op))) for e, op in opcodes().items()}
        )

    def elaborate(self, platform):
        m = Module()
        word, offset = self.i.payload.word, self.i.payload.offset
        checked, cause, failed = Signal(), Signal(Cause), Signal()
        legal = checked & (cause == Cause.NONE)
        with m.If(~checked):
            m.d.sync += [checked.eq(self.i.valid), cause.eq(self._check(m, word))]
        with m.Elif(self.i.ready):
            m.d.sync += checked.eq(0)
        m.d.comb += [
            self.error.valid.eq(checked & (cause != Cause.NONE) & ~failed),
            self.error.cause.eq(cause),
            self.error.offset.eq(offset),
            self.dispatched.eq(self.i.ready),
        ]
        with m.If(self.error.valid):
            m.d.sync += failed.eq(1)
        for engine, opcode in opcodes().items():
            o, chosen = getattr(self, engine.name.lower()), Signal(name=f"chosen_{engine.name.lower()}")
            m.d.comb += [
                chosen.eq(legal & (word[:8] == opcode)),
                o.valid.eq(chosen),
                o.payload.eq(Cat(fields(FORMATS[opcode], word), offset)),
            ]
            with m.If(chosen):
                m.d.comb += self.i.ready.eq(o.ready)
        return m

    def _check(self, m, word):
        """The cause of refusing ``word``: later assignments win, so the lowest code does."""
        cause = Signal(Cause, name="found", init=Cause.OPCODE)
        with m.Switch(word[:8]):
            for opcode in opcodes().values():
                violations = [v for v in (violation(f, word) for f in FORMATS[opcode].fields) if v]
                with m.Case(opcode):
                    m.d.comb += cause.eq(Cause.NONE)
                    for code in sorted({code for code, _ in violations}, reverse=True):
                        with m.If(Cat(wrong for c, wrong in violations if c == code).any()):
                            m.d.comb += cause.eq(code)
                    with m.If(word[8:16] != VERSION):
                        m.d.comb += cause.eq(Cause.VERSION)
        return cause
