"""Programs on an accelerator without DMA: the host deals the instructions out and performs loads and stores itself.

Knows registers and windows (docs/registers.md), and nothing of the bus behind them.
"""

from collections import deque

import numpy as np

from ..config import SEMAPHORES, Config
from ..emulator.dma import load, store
from ..emulator.memories import ExternalMemory, Fault, OnchipMemories
from ..errors import GemmaryError
from ..isa import INSTRUCTION_BYTES, Cause, Engine, Instruction, Opcode, Space, check, decode
from ..registers import ADDRESS, WINDOW, State
from .controller import POLL_CYCLES, Controller, RegisterAccess, engine_states
from .device import DeviceError

GRANULE_BYTES = 4
MOVED = {Engine.LOAD: load, Engine.STORE: store}
"""The engines that the host stands in for."""


class Window:
    """An on-chip memory as an array of granules, each access to which goes through the registers."""

    def __init__(self, access: RegisterAccess, space: Space, granules: int):
        self.access, self.granules = access, granules
        self.base = WINDOW | space << 24

    def __len__(self) -> int:
        return self.granules

    def __setitem__(self, index: np.ndarray, granules: np.ndarray) -> None:
        words = np.ascontiguousarray(granules).view("<u4").ravel()
        for start, end in _consecutive(index):
            self.access.write(self.base + GRANULE_BYTES * int(index[start]), words[start:end])

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        flat = index.ravel()
        words = [
            self.access.read(self.base + GRANULE_BYTES * int(flat[start]), end - start)
            for start, end in _consecutive(flat)
        ]
        return np.concatenate(words).astype("<u4").view(np.int8).reshape(*index.shape, GRANULE_BYTES)


class Windows:
    """What loads and stores see of the accelerator's memories."""

    def __init__(self, config: Config, access: RegisterAccess):
        if config.bus_bytes != GRANULE_BYTES:
            raise GemmaryError(
                f"a host window moves {GRANULE_BYTES} bytes at a time, not bus_bytes = {config.bus_bytes}"
            )
        sizes = {space: len(granules) for space, granules in OnchipMemories(config).granules.items()}
        self.granules = {space: Window(access, space, sizes[space]) for space in Space}


class Host:
    """Runs programs on the accelerator of ``control``, which has no DMA: the loads and stores among them move data between its
    windows and ``external``.

    Each engine has its queue as in an accelerator with DMA, so what semaphores do not order may overlap.
    """

    def __init__(self, control: Controller, external: ExternalMemory):
        self.control, self.external = control, external
        self.windows = Windows(control.config, control.access)

    def run(self, program: bytes, watchdog: int) -> int:
        """Runs ``program`` and returns the number of its instructions. Stopped after ``watchdog`` cycles without progress (0:
        never). After a DeviceError the accelerator has been soft reset."""
        if not program or len(program) % INSTRUCTION_BYTES:
            raise DeviceError(Cause.PROGRAM, 0)
        try:
            return _Run(self, program, watchdog).to_end()
        except DeviceError:
            self.control.soft_reset()
            raise


class _Run:
    """One program under way."""

    def __init__(self, host: Host, program: bytes, watchdog: int):
        self.host, self.control, self.program, self.watchdog = host, host.control, program, watchdog
        self.next = 0  # offset of the next instruction to deal out
        self.pushed: list[int] = []  # offsets of the instructions that the accelerator has got
        self.queues: dict[Engine, deque[tuple[int, Instruction]]] = {engine: deque() for engine in MOVED}
        self.retired = self.stalled = 0

    def to_end(self) -> int:
        self.control.start(0, len(self.program), self.watchdog)
        self.control["INTERRUPT_ENABLE"] = 0  # it would rise whenever the engines have nothing to do
        while True:
            moved = [self.deal(), *[self.transfer(engine) for engine in MOVED]]
            if any(moved):
                self.stalled = 0
                continue
            self.check()
            if self.ended():
                return len(self.program) // INSTRUCTION_BYTES
            self.wait()

    def deal(self) -> bool:
        """Gives the next instruction to its engine's queue, if there is room."""
        if self.next == len(self.program):
            return False
        word = self.program[self.next : self.next + INSTRUCTION_BYTES]
        if word[0] in (Opcode.LOAD, Opcode.STORE):
            if cause := check(word):
                raise DeviceError(cause, self.next)
            instruction = decode(word)
            queue = self.queues[instruction.engine]
            if len(queue) == self.control.config.queue_depth:
                return False
            queue.append((self.next, instruction))
        else:
            if not self.control["INSTRUCTION_READY"]:
                return False
            self.control.access.write(ADDRESS["INSTRUCTION"], np.frombuffer(word, "<u4"), step=0)
            self.pushed.append(self.next)
        self.next += INSTRUCTION_BYTES
        return True

    def transfer(self, engine: Engine) -> bool:
        """Performs the load or store at the head of its queue, if its semaphores are there."""
        if not self.queues[engine]:
            return False
        offset, instruction = self.queues[engine][0]
        if instruction.wait:
            counts = self.control.access.read(ADDRESS["SEMAPHORE_0"], SEMAPHORES)
            if any(instruction.wait >> i & 1 and not count for i, count in enumerate(counts)):
                return False
            self.control["SEMAPHORE_TAKE"] = instruction.wait
        try:
            MOVED[engine](instruction, self.control.config, self.host.windows, self.host.external)
        except Fault as fault:
            raise DeviceError(fault.cause, offset, engine) from None
        if instruction.signal:
            self.control["SEMAPHORE_SIGNAL"] = instruction.signal
            self.check(offset, engine)
        self.queues[engine].popleft()
        return True

    def check(self, offset: int = 0, engine: Engine | None = None) -> None:
        """DeviceError if the accelerator has stopped: it counts the instructions that it has got. The instruction at
        ``offset`` is to blame for what the host itself has done."""
        if error := self.control.error(0):
            if error.cause == Cause.SEMAPHORE_OVERFLOW and error.engine is None:
                raise DeviceError(error.cause, offset, engine)
            raise DeviceError(error.cause, self.pushed[error.offset // INSTRUCTION_BYTES], error.engine)

    def ended(self) -> bool:
        retired = self.control["TENSOR_RETIRED"] + self.control["VECTOR_RETIRED"]
        if retired != self.retired:
            self.retired, self.stalled = retired, 0
        return self.next == len(self.program) and retired == len(self.pushed) and not any(self.queues.values())

    def wait(self) -> None:
        """Lets the engines work. The accelerator's own watchdog takes every access for progress, so this one counts too."""
        if State.BUSY in (self.control["TENSOR_STATE"], self.control["VECTOR_STATE"]):
            self.stalled = 0
        self.control.access.wait(POLL_CYCLES)
        self.stalled += POLL_CYCLES
        if not self.watchdog or self.stalled <= self.watchdog:
            return
        if self.queues[Engine.LOAD]:
            raise DeviceError(Cause.WATCHDOG, self.queues[Engine.LOAD][0][0], Engine.LOAD)
        # The accelerator's watchdog may be late by an eighth where several semaphores are waited for.
        self.control.access.wait(self.watchdog + self.watchdog // 8 + POLL_CYCLES)
        self.check()
        if self.queues[Engine.STORE]:
            raise DeviceError(Cause.WATCHDOG, self.queues[Engine.STORE][0][0], Engine.STORE)
        raise GemmaryError(f"the accelerator neither works nor stops: {engine_states(self.control.access)}")


def _consecutive(index: np.ndarray) -> list[tuple[int, int]]:
    """The parts (start, end) of ``index`` in which each number is one more than the one before."""
    cuts = (np.flatnonzero(np.diff(index) != 1) + 1).tolist()
    return list(zip([0, *cuts], [*cuts, len(index)]))
