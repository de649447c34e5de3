"""Somebody's design: frames of samples arrive on a stream, their spectra leave on another. The accelerator does the transform."""

import numpy as np
from amaranth import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from gemmary.compiler import compile_matmul
from gemmary.config import Config
from hdl.accelerator import Accelerator

from .launcher import Launcher
from .memory import AxiMemory

CONFIG = Config(
    "spectrum", 4, 4, 2, activation_bytes=1024, weight_bytes=1024, accumulator_rows=32, bus_bytes=4,
    parameter_rows=8, outstanding=4, address_bits=32,
)  # fmt: skip
"""An accelerator of our own: 4x4, with a bus as wide as an activation word."""

FRAME, BATCH = 16, 12
"""Samples of a frame, and frames that are transformed together."""

SCALE = np.float32(1 / 256)


def cosines() -> np.ndarray:
    """The discrete cosine transform (DCT-II) as int8 weights ``[samples, frequencies]``."""
    sample, frequency = np.arange(FRAME)[:, None], np.arange(FRAME)[None, :]
    return np.rint(127 * np.cos(np.pi * (sample + 0.5) * frequency / FRAME)).astype(np.int8)


class Spectrum(wiring.Component):
    """``i``: frames of FRAME int8 samples, as words of 4. ``o``: their spectra, as many words in the same order. Takes BATCH
    frames, transforms them, gives BATCH spectra, and begins again. ``failed``: the accelerator stopped with an error.
    """

    def __init__(self, weights: np.ndarray):
        self.program = compile_matmul(CONFIG, BATCH, FRAME, FRAME, weights=weights, scale=SCALE)
        word = data.ArrayLayout(signed(8), CONFIG.rows)
        super().__init__({"i": In(stream.Signature(word)), "o": Out(stream.Signature(word)), "failed": Out(1)})

    def elaborate(self, platform):
        m = Module()
        (run,) = self.program.layers[0].runs
        m.submodules.accelerator = accelerator = Accelerator(CONFIG)
        m.submodules.memory = memory = AxiMemory(CONFIG, self._contents(run.code))
        m.submodules.launcher = launcher = Launcher(self.program.code_address, len(run.code))
        connect(m, accelerator.axi, memory.axi)
        connect(m, launcher.bus, accelerator.host)
        m.d.comb += [launcher.irq.eq(accelerator.irq), self.failed.eq(launcher.failed)]

        local, samples, spectra = memory.local, self._first_word("a"), self._first_word("y")
        frame, word = Signal(range(BATCH)), Signal(range(FRAME // CONFIG.rows))
        last_word, last = Signal(), Signal()
        m.d.comb += [
            last_word.eq(word == FRAME // CONFIG.rows - 1),
            last.eq(last_word & (frame == BATCH - 1)),
            local.write_data.eq(self.i.payload),
            self.o.payload.eq(local.read_data),
        ]

        def step():
            """On to the next word of the batch."""
            m.d.sync += word.eq(word + 1)
            with m.If(last_word):
                m.d.sync += [word.eq(0), frame.eq(frame + 1)]
            with m.If(last):
                m.d.sync += frame.eq(0)

        offset = word * BATCH + frame  # tensors lie as [words, frames, samples of a word]
        with m.FSM():
            with m.State("fill"):
                m.d.comb += [self.i.ready.eq(1), local.write.eq(self.i.valid), local.address.eq(samples + offset)]
                with m.If(self.i.valid):
                    step()
                    with m.If(last):
                        m.next = "start"
            with m.State("start"):
                m.d.comb += launcher.start.eq(1)
                m.next = "transform"
            with m.State("transform"), m.If(~launcher.busy):
                m.next = "fetch"
            with m.State("fetch"):
                m.d.comb += local.address.eq(spectra + offset)
                m.next = "give"
            with m.State("give"):
                m.d.comb += [local.address.eq(spectra + offset), self.o.valid.eq(1)]
                with m.If(self.o.ready):
                    step()
                    m.next = "fetch"
                    with m.If(last):
                        m.next = "fill"
        return m

    def _first_word(self, tensor: str) -> int:
        return self.program.tensors[tensor].address // CONFIG.bus_bytes

    def _contents(self, code: bytes) -> bytes:
        """The memory at first: weights, parameters and instructions in their places."""
        contents = bytearray(self.program.memory_bytes)
        for address, piece in (*self.program.constants, (self.program.code_address, code)):
            contents[address : address + len(piece)] = piece
        return bytes(contents)
