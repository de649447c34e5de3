"""The front of the vector engine: from instructions to operands."""

from amaranth import Module, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary import isa
from gemmary.config import Config

from ..interfaces import READ_LATENCY, instruction_layout
from .issue import Issue, read_ports
from .layouts import Beat, Parameter, delayed, order_layout
from .rows import Parameters, ResidualRow, SourceRow
from .slots import Slots


class Fetch(wiring.Component):
    """Walks the nests of instructions and brings their operands, one lane group a cycle.

        i ─► Slots ─► Issue ─► read ports ─► rows ─► operand ; residual, parameter
                      cycle 0                 LATENCY          LATENCY + 1

    ``beat`` goes with ``operand``, LATENCY = READ_LATENCY + 1 cycles after its issue. ``residual`` (with a result) and
    ``parameter`` (from a ``fresh`` beat until the next one) come one cycle later, when the operands have been reduced.
    Nothing behind the issue stalls: a result is issued only with ``credit``, and announced as ``order``.

    ``constant``: the setting of the instruction whose beat was issued 2 cycles ago. ``start``: an instruction begins, if ``ready``;
    ``parity`` is that of the last one begun, ``oldest`` that of the oldest one not complete. ``failed`` stays until a reset.
    ``hungry``: no slot to issue; ``waiting``: nor can one be made before an older instruction is complete.
    """

    LATENCY = READ_LATENCY + 1

    def __init__(self, config: Config):
        self.config = config
        layout = instruction_layout(isa.Opcode.VECTOR)
        inputs = "halt settled ready parity oldest credit"
        outputs = "start taken first busy issued hungry waiting hazard failed failed_parity ordered"
        super().__init__(
            {name: Out(port) for name, port in read_ports(config).items()}
            | {name: In(1) for name in inputs.split()}
            | {name: Out(1) for name in outputs.split()}
            | {
                "i": In(stream.Signature(layout)),
                "instruction": Out(layout),
                "constant": In(signed(8)),
                "order": Out(order_layout(config)),
                "beat": Out(Beat),
                "operand": Out(data.ArrayLayout(signed(32), config.lanes)),
                "residual_operand": Out(data.ArrayLayout(signed(8), config.lanes)),
                "parameter_operand": Out(data.ArrayLayout(Parameter, config.lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.slots = slots = Slots(self.config)
        m.submodules.issue = issue = Issue(self.config)
        connect(m, flipped(self.i), slots.i)
        connect(m, slots.o, issue.i)
        for name in read_ports(self.config):
            connect(m, getattr(issue, name), flipped(getattr(self, name)))
        m.d.comb += [
            slots.halt.eq(self.halt),
            slots.settled.eq(self.settled),
            slots.ready.eq(self.ready),
            slots.parity.eq(self.parity),
            issue.halt.eq(self.halt),
            issue.credit.eq(self.credit),
            issue.oldest.eq(self.oldest),
            self.instruction.eq(slots.instruction),
            self.start.eq(slots.start),
            self.taken.eq(slots.taken),
            self.first.eq(issue.beat.first),
            self.busy.eq(slots.busy | slots.o.valid),
            self.issued.eq(issue.beat.valid),
            self.hungry.eq(~slots.o.valid),
            self.waiting.eq(slots.waiting & ~slots.o.valid),
            self.hazard.eq(issue.hazard),
            self.failed.eq(issue.failed),
            self.failed_parity.eq(slots.o.payload.parity),
            self.ordered.eq(issue.ordered),
            self.order.eq(issue.order),
        ]
        self.rows(m, issue)
        return m

    def rows(self, m, issue):
        """The rows, loaded in cycle 2 of a beat (or before) and read in cycle 3."""
        beats = {name: delayed(m, issue.beat[name], self.LATENCY, name) for name in Beat.as_shape().members}
        constant = delayed(m, issue.constant, READ_LATENCY, "constant")
        m.submodules.source_row = source = SourceRow(self.config)
        m.submodules.residual_row = residual = ResidualRow(self.config)
        m.submodules.parameters = parameters = Parameters(self.config)
        m.d.comb += [
            *(self.beat[name].eq(taps[-1]) for name, taps in beats.items()),
            source.load_accumulator.eq(issue.arrives.accumulator),
            source.load_source.eq(issue.arrives.source),
            source.load_constant.eq(constant[-1]),
            source.accumulator.eq(self.accumulator.data),
            source.source.eq(self.source.data),
            source.constant.eq(self.constant),
            source.take.eq(self.beat.valid),
            self.operand.eq(source.o),
            residual.load.eq(issue.arrives.residual),
            residual.i.eq(self.residual.data),
            residual.take.eq(self.beat.result),
            self.residual_operand.eq(residual.o),
            parameters.load.eq(issue.arrives.parameter),
            parameters.i.eq(self.parameter.data),
            parameters.first.eq(beats["first"][READ_LATENCY]),
            parameters.instruction.eq(self.instruction),
            parameters.take.eq(self.beat.fresh),
            self.parameter_operand.eq(parameters.o),
        ]
