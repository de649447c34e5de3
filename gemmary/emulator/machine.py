"""An accelerator: its memories and semaphores, and instructions executed one after the other."""

from ..config import SEMAPHORE_MAX, SEMAPHORES, Config
from ..isa import INSTRUCTION_BYTES, Cause, Engine, Instruction, Opcode, check, decode
from ..runtime.device import DeviceError
from .dma import load, store
from .matmul import matmul
from .memories import ExternalMemory, Fault, OnchipMemories
from .vector import vector


class Machine:
    """What a program changes. ``execute`` runs it in program order; memories and semaphores stay for the next one."""

    def __init__(self, config: Config, memory_bytes: int):
        self.config = config
        self.memories = OnchipMemories(config)
        self.external = ExternalMemory(memory_bytes)
        self.semaphores = [0] * SEMAPHORES

    def execute(self, program: bytes) -> int:
        """The number of instructions executed. DeviceError at the first that cannot be; semaphores are then 0."""
        offsets = range(0, len(program), INSTRUCTION_BYTES)
        for offset in offsets:
            word = program[offset : offset + INSTRUCTION_BYTES]
            engine = None
            try:
                if cause := check(word):
                    raise Fault(cause)
                instruction = decode(word)
                engine = Engine(instruction.engine)
                self.step(instruction)
            except Fault as fault:
                self.soft_reset()
                raise DeviceError(fault.cause, offset, engine) from None
        return len(offsets)

    def step(self, instruction: Instruction) -> None:
        """One legal instruction. Fault if it blocks or reaches outside a memory."""
        self._wait(instruction.wait)
        match instruction.opcode:
            case Opcode.LOAD:
                load(instruction, self.config, self.memories, self.external)
            case Opcode.MATMUL:
                matmul(instruction, self.config, self.memories)
            case Opcode.VECTOR:
                vector(instruction, self.config, self.memories)
            case Opcode.STORE:
                store(instruction, self.config, self.memories, self.external)
        self._signal(instruction.signal)

    def soft_reset(self) -> None:
        """Semaphores go to 0; memories keep what they hold."""
        self.semaphores = [0] * SEMAPHORES

    def _wait(self, mask: int) -> None:
        waited = _numbers(mask)
        if not all(self.semaphores[i] for i in waited):
            raise Fault(Cause.WATCHDOG)  # nobody is left to signal: only earlier instructions could have
        for i in waited:
            self.semaphores[i] -= 1

    def _signal(self, mask: int) -> None:
        for i in _numbers(mask):
            if self.semaphores[i] == SEMAPHORE_MAX:
                raise Fault(Cause.SEMAPHORE_OVERFLOW)
            self.semaphores[i] += 1


def _numbers(mask: int) -> list[int]:
    return [i for i in range(SEMAPHORES) if mask >> i & 1]
