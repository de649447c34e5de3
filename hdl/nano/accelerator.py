"""The machine without DMA: processor, array, memories and the host's bus."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import TABLE_ENTRIES, TABLES, Config
from gemmary.isa import Space
from gemmary.registers import WINDOW

from ..interfaces import RegisterBus
from .array import Array
from .instructions import WORD_BITS, BusFlags, Status
from .instructions import In as Source
from .instructions import Out as Port
from .memories import Accumulators, Words, halfword
from .microcode import microcode
from .multiplier import MultiplierPair
from .processor import Processor
from .product import Product
from .rows import Rows

WINDOW_BIT = WINDOW.bit_length() - 1


class NanoAccelerator(wiring.Component):
    """``host``: registers and windows into the on-chip memories, 32 bits a time; an access takes some 50 to 200 cycles, and
    waits for the rows on their way. ``irq``: level interrupt. ``multiplier``: a component with a PairSignature.

        host ◄─► processor ─┬► rows ─► activations ─► array ─► accumulators
                            ├► product
                            └► space, address ─► all memories
    """

    def __init__(self, config: Config, multiplier: type = MultiplierPair):
        assert not config.dma
        self.config, self.multiplier = config, multiplier
        super().__init__({"host": In(RegisterBus()), "irq": Out(1)})

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.processor = self.processor = Processor(microcode(config))
        m.submodules.rows = rows = Rows(config)
        m.submodules.array = array = Array(config, self.multiplier)
        m.submodules.product = product = Product()
        m.submodules.activations = self.activations = Words(config.activation_words, config.rows // 2)
        m.submodules.weights = self.weights = Words(config.weight_words, config.columns // 2)
        m.submodules.accumulators = self.accumulators = Accumulators(config.accumulator_words, 2 * config.columns)
        m.submodules.parameters = self.parameters = Words(
            config.parameter_rows * config.parameter_row_bytes * 8 // WORD_BITS, 1
        )
        m.submodules.tables = self.tables = Words(TABLES * TABLE_ENTRIES * 8 // WORD_BITS, 1)
        for unit in (rows, product):
            m.d.comb += [
                unit.port.eq(self.processor.port),
                unit.write.eq(self.processor.write),
                unit.data.eq(self.processor.data),
            ]
        self._rows(m, rows, array)
        word = self._memory(m, rows, array)
        self._host(m, rows, product, word)
        return m

    def _written(self, port: Port):
        return self.processor.write & (self.processor.port == port)

    def _rows(self, m, rows, array):
        """From the scratchpads into the array."""
        constant = Cat(rows.constant for _ in range(self.config.rows))
        m.d.comb += [
            array.word.eq(Mux(rows.inside, self.activations.read, constant)),
            array.valid.eq(rows.summed),
            array.weights.eq(self.weights.read),
        ]
        # One row of weights after the other; the processor does not start rows before they are there.
        self.tile, self.loading = Signal(range(self.config.weight_words), reset_less=True), Signal()
        row = Signal(range(self.config.rows))
        with m.If(self.loading):
            m.d.sync += [self.tile.eq(self.tile + 1), row.eq(row + 1), self.loading.eq(row != self.config.rows - 1)]
        with m.If(self._written(Port.WEIGHTS)):
            m.d.sync += [self.tile.eq(self.processor.data), self.loading.eq(1)]
        m.d.sync += [array.load.eq(self.loading), array.row.eq(row)]

    def _memory(self, m, rows, array):
        """What the processor reads and writes: ``address`` counts the halfwords of ``space``."""
        space, address, data = Signal(Space, reset_less=True), Signal(WORD_BITS, reset_less=True), self.processor.data
        write = self._written(Port.WRITE)
        with m.If(self._written(Port.SPACE)):
            m.d.sync += space.eq(data)
        with m.If(self._written(Port.ADDRESS)):
            m.d.sync += address.eq(data)
        with m.Elif(write | self._written(Port.NEXT)):
            m.d.sync += address.eq(address + 1)

        def enables(chosen: Space, halves: int):
            selected = write & (space == chosen)
            return Cat(selected & (address[: (halves - 1).bit_length()] == i) for i in range(halves))

        pair = (self.config.rows // 2 - 1).bit_length()
        wide = (2 * self.config.columns - 1).bit_length()
        accumulators = self.accumulators
        m.d.comb += [
            self.activations.address.eq(Mux(rows.busy, rows.activation, address[pair:])),
            self.activations.data.eq(data.replicate(self.activations.halves)),
            self.activations.write.eq(enables(Space.ACTIVATION, self.activations.halves)),
            self.weights.address.eq(Mux(self.loading, self.tile, address[pair:])),
            self.weights.data.eq(data.replicate(self.weights.halves)),
            self.weights.write.eq(enables(Space.WEIGHT, self.weights.halves)),
            self.parameters.address.eq(address),
            self.parameters.data.eq(data),
            self.parameters.write.eq(enables(Space.PARAMETER, 1)),
            self.tables.address.eq(address),
            self.tables.data.eq(data),
            self.tables.write.eq(enables(Space.TABLE, 1)),
            accumulators.read_address.eq(Mux(rows.busy, rows.accumulator, address[wide:])),
            accumulators.write_address.eq(Mux(rows.busy, rows.target, address[wide:])),
            accumulators.write.eq(
                Mux(
                    rows.busy,
                    rows.written.replicate(accumulators.halves),
                    enables(Space.ACCUMULATOR, accumulators.halves),
                )
            ),
        ]
        # Through the adder: no rows are on their way when the processor writes, so the sums are 0.
        for n in range(self.config.columns):
            old = accumulators.read.word_select(n, 32)
            kept = Mux(rows.busy, Mux(rows.overwrite, 0, old), data.replicate(2))
            m.d.comb += accumulators.data.word_select(n, 32).eq(kept + array.sums[n])

        word = Signal(WORD_BITS)
        with m.Switch(space):
            for chosen, memory in (
                (Space.ACTIVATION, self.activations),
                (Space.WEIGHT, self.weights),
                (Space.ACCUMULATOR, accumulators),
                (Space.PARAMETER, self.parameters),
            ):
                with m.Case(chosen):
                    m.d.comb += word.eq(halfword(m, memory.read, address[: (memory.halves - 1).bit_length()]))
            with m.Default():
                m.d.comb += word.eq(self.tables.read)
        return word

    def _host(self, m, rows, product, word):
        """What the processor reads, and its answers to the host."""
        request, response, processor = self.host.request, self.host.response, self.processor
        address = request.payload.address
        space, window = address[24:27], address[WINDOW_BIT]
        far = address[27:WINDOW_BIT].any() | Mux(window, address[16:24].any(), address[11:27].any())

        def bits(**positions):
            """A word with these bits."""
            word = [Const(0, 1)] * WORD_BITS
            for position, value in positions.values():
                word[position : position + len(value)] = [value[i] for i in range(len(value))]
            return Cat(*word)

        flags = bits(
            window=(BusFlags.WINDOW, window),
            write=(BusFlags.WRITE, request.payload.write),
            far=(BusFlags.FAR, far),
            space=(BusFlags.SPACE, space),
            strobe=(BusFlags.STROBE, request.payload.strobe),
        )
        status = bits(
            busy=(Status.ROWS_BUSY, rows.busy),
            failed=(Status.ROWS_FAILED, rows.failed),
            product=(Status.PRODUCT_BUSY, product.busy),
            half=(Status.HALF, product.half),
            sticky=(Status.STICKY, product.sticky),
        )
        sources = {
            Source.STATUS: status,
            Source.BUS_ADDRESS: address[:16],
            Source.BUS_FLAGS: flags,
            Source.BUS_LOW: request.payload.data[:16],
            Source.BUS_HIGH: request.payload.data[16:],
            Source.MEMORY: word,
            Source.PRODUCT: product.low,
        }
        with m.Switch(processor.port[:3]):
            for port, value in sources.items():
                with m.Case(port):
                    m.d.comb += processor.read.eq(value)
        answer = self._written(Port.RESPOND)
        m.d.comb += [processor.poll.eq(request.valid & ~response.valid), request.ready.eq(answer)]
        with m.If(answer):
            m.d.sync += [response.valid.eq(1), response.payload.error.eq(processor.data[0])]
        with m.Elif(response.ready):
            m.d.sync += response.valid.eq(0)
        with m.If(self._written(Port.RESPONSE_LOW)):
            m.d.sync += response.payload.data[:16].eq(processor.data)
        with m.If(self._written(Port.RESPONSE_HIGH)):
            m.d.sync += response.payload.data[16:].eq(processor.data)
        with m.If(self._written(Port.INTERRUPT)):
            m.d.sync += self.irq.eq(processor.data[0])
