"""Which instructions have surely ended when another one starts, by the semaphores alone, and whether those are used legally."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...config import SEMAPHORE_MAX, SEMAPHORES, Config
from ...isa import Engine
from .finding import Finding
from .stream import Stream

ENGINES = len(Engine)

Clock = tuple[int, ...]
"""For each engine how many of its instructions have ended."""


@dataclass
class Semaphore:
    """Indices of the instructions that signal and wait, in the order of the stream."""

    signals: list[int] = field(default_factory=list)
    waits: list[int] = field(default_factory=list)
    producers: dict[int, list[int]] = field(default_factory=dict)  # by engine


def semaphores(stream: Stream) -> list[Semaphore]:
    found = [Semaphore() for _ in range(SEMAPHORES)]
    for i in range(stream.size):
        for s in numbers(stream.wait[i]):
            found[s].waits.append(i)
        for s in numbers(stream.signal[i]):
            found[s].signals.append(i)
            found[s].producers.setdefault(stream.engine[i], []).append(i)
    return found


def numbers(mask: int) -> list[int]:
    return [s for s in range(mask.bit_length()) if mask >> s & 1] if mask else []


def check_use(stream: Stream, used: Sequence[Semaphore]) -> list[Finding]:
    """Rules 1 and 4 of legal programs, which exclude every deadlock; and that each semaphore ends at 0, for the next program."""
    findings, count, last = [], [0] * SEMAPHORES, {}
    for i in range(stream.size):
        for s in numbers(stream.wait[i]):
            count[s] -= 1
            if count[s] < 0:
                count[s] = 0
                findings.append(_blocked(stream, i, s, used[s]))
            first = last.setdefault(s, i)
            if stream.engine[first] != stream.engine[i]:
                text = f"{stream.name(first)} and {stream.name(i)} wait for semaphore {s} in different engines, and may take what "
                findings.append(
                    Finding("waiters", (first, i), text + "is meant for the other: use one semaphore an engine")
                )
                last[s] = i
        for s in numbers(stream.signal[i]):
            count[s] += 1
    for s, rest in enumerate(count):
        if rest and not findings:
            i = used[s].signals[-1]
            text = f"semaphore {s} is left at {rest}, last signalled by {stream.name(i)}, and the next program would find it so: "
            findings.append(Finding("left", (i,), text + "let as many instructions wait for it as signal it"))
    return findings


def _blocked(stream: Stream, i: int, s: int, semaphore: Semaphore) -> Finding:
    text = f"{stream.name(i)} waits for ever for semaphore {s}: "
    later = [j for j in semaphore.signals if j >= i]
    if later:
        return Finding(
            "blocked",
            (i, later[0]),
            text + f"{stream.name(later[0])} would signal it, but comes too late in the program",
        )
    earlier = [j for j in semaphore.waits if j < i]
    if not earlier:
        return Finding("blocked", (i,), text + "no instruction signals it; drop the wait or add the signal")
    taken = stream.name(earlier[-1])
    return Finding(
        "blocked", (earlier[-1], i), text + f"{taken} took the last signal; drop one of the waits or add a signal"
    )


def clocks(stream: Stream, used: Sequence[Semaphore]) -> list[Clock]:
    """Of every instruction what has ended when it starts, itself and its engine's earlier ones included in the sense that those
    are in order.

    The k-th wait comes after k signals. Where only one engine signals, those are its first k. Where several do, it comes after as
    many of one engine's as the others cannot make up for: all of theirs but those that come after this wait in turn. So the others' clocks are
    needed, and found in rounds, from none known up to no change.
    """
    several = [s for s, semaphore in enumerate(used) if len(semaphore.producers) > 1]
    found = _pass(stream, used, None)
    while several:
        better = _pass(stream, used, found)
        if better == found:
            break
        found = better
    return found


def _pass(stream: Stream, used: Sequence[Semaphore], before: list[Clock] | None) -> list[Clock]:
    known = [[0] * ENGINES for _ in range(ENGINES)]
    waited = [0] * SEMAPHORES
    result: list[Clock] = []
    for i in range(stream.size):
        engine = stream.engine[i]
        mine = known[engine]
        for s in numbers(stream.wait[i]):
            waited[s] += 1
            for source in _surely(stream, used[s], waited[s], i, before):
                if source < i:
                    theirs, producer = result[source], stream.engine[source]
                    for e in range(ENGINES):
                        mine[e] = max(mine[e], theirs[e])
                    mine[producer] = max(mine[producer], stream.ordinal[source])
        result.append(tuple(mine))
        # Its engine executes as if it ended before the next one begins.
        mine[engine] = stream.ordinal[i]
    return result


def _surely(stream: Stream, semaphore: Semaphore, number: int, i: int, before: list[Clock] | None) -> list[int]:
    """The last signals, one an engine, that the ``number``-th wait, of instruction ``i``, surely comes after."""
    producers = semaphore.producers
    if len(producers) == 1:
        (signals,) = producers.values()
        return signals[number - 1 : number]
    possible = {e: _possible(stream, signals, i, before) for e, signals in producers.items()}
    total, sources = sum(possible.values()), []
    for e, signals in producers.items():
        least = number - (total - possible[e])
        if 0 < least <= len(signals):
            sources.append(signals[least - 1])
    return sources


def _possible(stream: Stream, signals: list[int], i: int, before: list[Clock] | None) -> int:
    """How many of one engine's ``signals`` may come before instruction ``i`` has started."""
    if before is None:
        return len(signals)
    engine, ordinal = stream.engine[i], stream.ordinal[i]
    if stream.engine[signals[0]] == engine:
        return bisect_left(signals, i)
    return bisect_right(signals, False, key=lambda j: before[j][engine] >= ordinal)


def check_overflow(stream: Stream, used: Sequence[Semaphore], clock: list[Clock], config: Config) -> list[Finding]:
    """Rule 3: no semaphore passes SEMAPHORE_MAX, however far the one that waits lags behind.

    When a signal is given, an instruction after it may have been dispatched only while the queues before it had room; and of those
    before it, at most a queue and one more have not started.
    """
    findings, room = [], config.queue_depth + 1
    for s, semaphore in enumerate(used):
        if len(semaphore.signals) <= SEMAPHORE_MAX or not semaphore.waits:
            many = semaphore.signals[SEMAPHORE_MAX:]
            if many:
                findings.append(_overflow(stream, s, many[0]))
            continue
        consumer = stream.engine[semaphore.waits[0]]
        members = stream.members[consumer]
        for number, i in enumerate(semaphore.signals):
            if number < SEMAPHORE_MAX:
                continue
            started = max(clock[i][consumer], bisect_right(members, i) - room)
            if stream.engine[i] == consumer:
                started = stream.ordinal[i]
            taken = bisect_right(semaphore.waits, members[started - 1]) if started > 0 else 0
            if _given(stream, semaphore, i, clock, room) - taken > SEMAPHORE_MAX:
                findings.append(_overflow(stream, s, i))
                break
    return findings


def _given(stream: Stream, semaphore: Semaphore, i: int, clock: list[Clock], room: int) -> int:
    """How many signals may have been given when ``i`` has given its own."""
    engine, ordinal = stream.engine[i], stream.ordinal[i]
    own, total = stream.members[engine], 0
    behind = own[ordinal + room] if ordinal + room < len(own) else stream.size
    for e, signals in semaphore.producers.items():
        if e == engine:
            total += bisect_right(signals, i)
        else:
            after = bisect_right(signals, False, key=lambda j: clock[j][engine] >= ordinal)
            total += min(after, bisect_right(signals, behind))
    return total


def _overflow(stream: Stream, s: int, i: int) -> Finding:
    text = (
        f"{stream.name(i)} can raise semaphore {s} past {SEMAPHORE_MAX}, if the engine that waits for it lags behind: "
    )
    return Finding("overflow", (i,), text + "let its engine wait for the other now and then")
