"""From operations with dependencies to the final stream: order and semaphores."""

from ..config import SEMAPHORE_MAX, SEMAPHORES, Config
from ..isa import Engine, Instruction
from ..performance.model import Timing
from .builder import ENGINES, Operation

SEMAPHORE = {
    (producer, consumer): number
    for number, (producer, consumer) in enumerate((p, c) for p in Engine for c in Engine if p != c)
}
"""One counting semaphore for each pair of engines."""
assert len(SEMAPHORE) <= SEMAPHORES


def schedule(timing: Timing, operations: list[Operation]) -> tuple[Instruction, ...]:
    """The stream, in an order in which no full queue holds up an instruction that could start, by ``timing``.

    Each engine's own order stays, and every instruction comes behind those it waits for. Every semaphore ends at 0.
    """
    waits, signals = _semaphores(operations)
    config, order = timing.config, _order(timing, operations)
    _check_counts(config, [(operations[i].engine, waits[i], signals[i]) for i in order])
    for operation, wait, signal in zip(operations, waits, signals):
        operation.instruction.values.update(wait=wait, signal=signal)
    return tuple(operations[i].instruction for i in order)


def _order(timing: Timing, operations: list[Operation]) -> list[int]:
    """Indices of the operations in the order of the stream.

    An instruction finds room in its queue when the one ``queue_depth`` before it starts, and is late when it could start
    itself. It is placed half-way between, so engines may run half a queue ahead or behind of what was expected.
    """
    starts = _expected_starts(timing, operations)
    mine = [[i for i, operation in enumerate(operations) if operation.engine == e] for e in Engine]
    emitted, order, slack = [0] * ENGINES, [], timing.config.queue_depth // 2

    def due(engine):
        return starts[mine[engine][max(0, emitted[engine] - slack)]]

    def ready(engine):
        return emitted[engine] < len(mine[engine]) and all(
            emitted[e] >= count for e, count in enumerate(operations[mine[engine][emitted[engine]]].after)
        )

    while len(order) < len(operations):
        engine = min(filter(ready, range(ENGINES)), key=due)
        order.append(mine[engine][emitted[engine]])
        emitted[engine] += 1
    return order


def _fields(operation: Operation) -> dict[str, int]:
    values = operation.instruction.values
    return {name: value for name, value in values.items() if name not in ("opcode", "version")}


def _expected_starts(timing: Timing, operations: list[Operation]) -> list[int]:
    starts = []
    ends = [[0] for _ in range(ENGINES)]  # ends[e][i]: when the first i instructions of engine e have ended
    free = [0] * ENGINES
    for operation in operations:
        start = max(free[operation.engine], *(ends[e][count] for e, count in enumerate(operation.after)))
        occupancy, latency = timing(operation.instruction)
        free[operation.engine] = start + occupancy
        ends[operation.engine].append(start + occupancy + latency)
        starts.append(start)
    return starts


def _semaphores(operations: list[Operation]) -> tuple[list[int], list[int]]:
    """Wait and signal masks of every operation.

    The k-th wait of a consumer on a producer's semaphore belongs to the producer's k-th signal on it, because both engines
    run in order and waits are for ever later instructions. ``known[c][p]``: so many instructions of engine p have ended when
    engine c gets here, by its own waits and by those of the instructions it waited for.
    """
    waits, signals = [0] * len(operations), [0] * len(operations)
    known = [[0] * ENGINES for _ in range(ENGINES)]
    issued: list[list[int]] = [[] for _ in range(ENGINES)]  # indices of the operations of each engine
    known_at: list[list[int]] = []
    for i, operation in enumerate(operations):
        consumer, mine = operation.engine, known[operation.engine]
        for producer, count in enumerate(operation.after):
            if count > mine[producer]:
                source = issued[producer][count - 1]
                bit = 1 << SEMAPHORE[Engine(producer), consumer]
                signals[source] |= bit
                waits[i] |= bit
                mine[producer] = count
                mine[:] = [max(pair) for pair in zip(mine, known_at[source])]
        issued[consumer].append(i)
        known_at.append(list(mine))
    return waits, signals


def _check_counts(config: Config, stream: list[tuple[Engine, int, int]]) -> None:
    """No semaphore overflows even if each consumer lags behind by all that its queue holds."""
    counts = [0] * SEMAPHORES
    lagging: list[list[int]] = [[] for _ in range(ENGINES)]
    for engine, wait, signal in stream:
        lagging[engine].append(wait)
        begun = lagging[engine].pop(0) if len(lagging[engine]) > config.queue_depth + 1 else 0
        for s in range(SEMAPHORES):
            counts[s] += (signal >> s & 1) - (begun >> s & 1)
            assert counts[s] <= SEMAPHORE_MAX, "a semaphore may overflow"
