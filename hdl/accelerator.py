"""The whole machine: submodules and the wires between them."""

from amaranth import ClockDomain, ClockSignal, DomainRenamer, Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.config import Config
from gemmary.errors import InputError

from .array.engine import TensorEngine
from .array.multiplier import DotProduct
from .control.sequencer import Sequencer
from .crossing.queue import FAST
from .crossing.tensor import ENGINES, TensorCrossing
from .dma.axi import AxiManager
from .dma.load import LoadEngine
from .dma.store import StoreEngine
from .host.registers import RegisterFile
from .interfaces import AxiSignature, RegisterBus
from .memory.accumulator import Accumulator
from .memory.dual_accumulator import DualAccumulator, passage
from .memory.router import Router
from .memory.scratchpad import Port, Scratchpad
from .nano.accelerator import NanoAccelerator
from .vector.engine import VectorEngine
from .vector.write import pieces


def accelerator_of(config: Config, two_clocks: bool = False) -> wiring.Component:
    """The machine for ``config``: ``host`` and ``irq``, with DMA ``axi``. Only one with DMA can have ``two_clocks``."""
    if two_clocks and not config.dma:
        raise InputError(f"config {config.name} has no DMA, and so only one clock")
    return Accelerator(config, two_clocks=two_clocks) if config.dma else NanoAccelerator(config)


def activation_memory(config: Config, apart: str | None = None) -> Scratchpad:
    """The activation scratchpad, ports in order of priority; that of the tensor engine in domain ``apart``."""
    ports = [
        Port("tensor", "read", config.rows),
        Port("result", "write", config.columns, pieces(config)),
        Port("source", "read", config.columns),
        Port("residual", "read", config.columns),
        Port("load", "write", config.bus_bytes),
        Port("store", "read", config.bus_bytes),
    ]
    shape = config.activation_words, config.rows, config.activation_banks
    part_bytes = min(config.lanes, config.bus_bytes) if apart else None
    return Scratchpad(*shape, ports, config.scratchpad_ports, apart, part_bytes)


def weight_memory(config: Config, apart: str | None = None) -> Scratchpad:
    """The weight scratchpad, ports in order of priority; that of the tensor engine in domain ``apart``."""
    ports = [
        Port("tensor", "read", config.columns),
        Port("load", "write", config.bus_bytes),
        Port("store", "read", config.bus_bytes),
    ]
    part_bytes = 1 if apart else None
    return Scratchpad(config.weight_words, config.columns, 1, ports, config.scratchpad_ports, apart, part_bytes)


def parameter_memory(config: Config) -> Scratchpad:
    """Words of as many channels as the vector engine takes in a cycle, or of a granule if that is more."""
    channels = 8 * config.lanes
    word = max(channels, config.bus_bytes)
    ports = [Port("vector", "read", channels), Port("load", "write", config.bus_bytes)]
    return Scratchpad(config.parameter_rows * config.parameter_row_bytes // word, word, 1, ports)


class Accelerator(wiring.Component):
    """``axi``: external memory. ``host``: the registers; `hdl.host.axi_lite.AxiLiteBridge` makes AXI4-Lite of it. ``irq``: level
    interrupt. ``multiplier``: a component with a DotSignature.

    With ``two_clocks`` the tensor engine, with its side of the on-chip memories, is in domain ``fast``; all else, and the
    ports, in ``sync`` (docs/decisions/0010-two-clocks.md). The clocks may have any ratio and phase; ``fast`` must be in reset for as long as
    ``sync`` is, and is to be no slower."""

    def __init__(self, config: Config, multiplier: type = DotProduct, two_clocks: bool = False):
        self.config, self.multiplier, self.two_clocks = config, multiplier, two_clocks
        assert config.dma, "without DMA it is another machine: accelerator_of(config)"
        super().__init__({"axi": Out(AxiSignature(config)), "host": In(RegisterBus()), "irq": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.sequencer = self.sequencer = Sequencer(self.config, ENGINES if self.two_clocks else ())
        self.clearable = ResetInserter(self.sequencer.clear)
        m.submodules.registers = self.registers = RegisterFile(self.config)
        m.submodules.router = self.router = Router(self.config)
        connect(m, self.registers.control, self.sequencer.control)
        m.d.comb += self.irq.eq(self.registers.irq)
        (self._tensor_apart if self.two_clocks else self._tensor)(m)
        self._compute(m)
        self._dma(m)
        return m

    def _tensor(self, m):
        """The tensor engine and the memories that it shares."""
        m.submodules.tensor = self.tensor = self.clearable(TensorEngine(self.config, self.multiplier))
        self.activation, self.weight = activation_memory(self.config), weight_memory(self.config)
        self.accumulator = Accumulator(self.config)
        connect(m, self.sequencer.tensor, self.tensor.engine)

    def _tensor_apart(self, m):
        """The same with a clock of its own, and what stands for the control there."""
        config, flush, reset = self.config, Signal(init=1), Signal(init=1)
        self.activation, self.weight = activation_memory(config, FAST), weight_memory(config, FAST)
        self.accumulator = DualAccumulator(config)
        # Straight from a register, so that it has a cycle for the way, and a cycle after that of the accumulator, which has its own.
        m.domains.engine = ClockDomain(local=True, reset_less=True)
        m.d.comb += ClockSignal("engine").eq(ClockSignal(FAST))
        engine = TensorEngine(config, self.multiplier, self.activation.parts)
        m.submodules.tensor = self.tensor = DomainRenamer("engine")(ResetInserter(reset)(engine))
        m.submodules.crossing = crossing = TensorCrossing(passage(config))
        m.d[FAST] += [flush.eq(crossing.fast_flush), reset.eq(flush)]
        status = self.sequencer.control.status
        connect(m, self.sequencer.tensor, crossing.tensor)
        connect(m, crossing.fast_tensor, self.tensor.engine)
        connect(m, crossing.writes, self.accumulator.crossing)
        m.d.comb += [
            crossing.resetting.eq(status.resetting),
            crossing.counting.eq(status.busy),
        ]

    def _compute(self, m):
        """The vector engine, and the on-chip memories."""
        router, tensor = self.router, self.tensor
        m.submodules.vector = vector = self.clearable(VectorEngine(self.config))
        m.submodules.activation = activation = self.activation
        m.submodules.weight = weight = self.weight
        m.submodules.accumulator = accumulator = self.accumulator
        m.submodules.parameter = parameter = parameter_memory(self.config)
        for client, memory in (
            (self.sequencer.vector, vector.engine),
            (tensor.activation, activation.tensor),
            (tensor.weight, weight.tensor),
            (tensor.accumulate, accumulator.accumulate),
            (vector.source, activation.source),
            (vector.residual, activation.residual),
            (vector.result, activation.result),
            (vector.accumulator, accumulator.vector_read),
            (vector.accumulator_result, accumulator.vector_write),
            (vector.parameter, parameter.vector),
            (router.write_activation, activation.load),
            (router.write_weight, weight.load),
            (router.write_accumulator, accumulator.load),
            (router.write_parameter, parameter.load),
            (router.write_table, vector.table),
            (router.read_activation, activation.store),
            (router.read_weight, weight.store),
            (router.read_accumulator, accumulator.store),
        ):
            connect(m, client, memory)

    def _dma(self, m):
        """Load, store and the memory bus."""
        sequencer, axi, traffic = self.sequencer, self.axi, self.sequencer.traffic
        m.submodules.load = load = self.clearable(LoadEngine(self.config))
        m.submodules.store = store = self.clearable(StoreEngine(self.config))
        m.submodules.manager = manager = AxiManager(self.config)
        connect(m, flipped(self.host), self.registers.bus)
        connect(m, sequencer.load, load.engine)
        connect(m, sequencer.store, store.engine)
        connect(m, sequencer.bus, manager.fetch)
        connect(m, load.bus, manager.load)
        connect(m, store.bus, manager.store)
        connect(m, load.onchip, self.router.write)
        connect(m, store.onchip, self.router.read)
        connect(m, manager.axi, flipped(axi))
        m.d.comb += [
            traffic.read.eq(axi.r.valid & axi.r.ready),
            traffic.write.eq(axi.w.valid & axi.w.ready),
            traffic.strobe.eq(axi.w.payload.strb),
            traffic.response.eq(axi.b.valid & axi.b.ready),
        ]
