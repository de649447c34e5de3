"""Clock-domain crossings of a flat netlist, and which of them are not in a named synchroniser or an asynchronous queue.

    python -m verif.netlist.cdc netlist.json [--asynchronous rx,button] [--json]

reads what Yosys wrote with ``write_json`` after ``flatten``. It prints every crossing and exits with 1 if one is not allowed.
Mapped netlists do as well, but mapping may rename registers or put an inverter behind one that starts at 1: a synchroniser is
then not known any more, and is reported. A crossing is a path without a register on it, to a register with another clock, from

- a register or an output of a PLL, or a pin that ``--asynchronous`` names (``*``: every input that is no clock);
- any of these, or any pin at all, where it ends in an asynchronous set or reset;
- a memory that another clock writes.

Allowed are, by the names that Amaranth gives them and by their structure:

- ``FFSynchronizer``: a submodule with registers ``stage0`` to ``stage1`` on one clock, ``stage0`` feeding nothing but ``stage1``.
  What goes in is one bit, straight from a register or a pin: several bits may arrive in different cycles, and logic may glitch;
- ``AsyncFFSynchronizer`` and ``ResetSynchronizer``: the same with an asynchronous reset, whose stage 0 loads a constant;
- ``AsyncFIFO``, ``AsyncFIFOBuffered`` and ``hdl.crossing.queue``: Gray counters through ``produce_cdc`` and ``consume_cdc``, and the memory
  ``storage``;
- memories called ``shared``, or ``shared`` and a number: nobody reads there what is being written, since semaphores order accesses.
"""

import argparse
import dataclasses
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .cells import BUFFERS, Bit, Cell, Register, parts

ASYNCHRONOUS, PIN = "(asynchronous)", "(pin)"
CONSTANTS = ("0", "1", "x", "z")
_SHARED = re.compile(r"(?:.*\.)?shared(?:_\d+)?(?:\.\d+)*")
_STAGE = re.compile(r"(.+)\.stage(\d+)")


@dataclass(frozen=True)
class Crossing:
    """``kind``: "data", "reset" or "memory". ``allowed`` names the synchroniser or queue; ``problem`` says what is wrong instead."""

    kind: str
    source: str
    source_clock: str
    destination: str
    destination_clock: str
    allowed: str = ""
    problem: str = ""

    def __str__(self) -> str:
        verdict = f"allowed: {self.allowed}" if self.allowed else f"NOT ALLOWED: {self.problem}"
        path = f"{self.source} [{self.source_clock}] -> {self.destination} [{self.destination_clock}]"
        return f"{self.kind}: {path}: {verdict}"


def crossings(netlist: dict, asynchronous: Iterable[str] = ()) -> list[Crossing]:
    """All crossings of ``netlist``, Yosys' JSON of one flat design, sorted. ``asynchronous``: input pins that follow no clock.

    ValueError if the design is not flat, a pin does not exist, or a clocked cell is unknown.
    """
    return _Design(_top(netlist), list(asynchronous)).crossings()


def _top(netlist: dict) -> dict:
    modules = netlist.get("modules") if isinstance(netlist, dict) else None
    if not isinstance(modules, dict):
        raise ValueError("this is not what Yosys' write_json writes: it has no modules")
    real = {name for name, module in modules.items() if not _box(module)}
    tops = [name for name in real if "top" in modules[name].get("attributes", {})] or sorted(real)
    if len(tops) != 1:
        raise ValueError(f"the netlist has {len(tops)} top modules: run hierarchy -top and flatten in Yosys")
    top = modules[tops[0]]
    if inner := {cell["type"] for cell in top["cells"].values()} & real:
        raise ValueError(f"the netlist is not flat: module {min(inner)} is inside; run flatten in Yosys")
    return top


def _box(module: dict) -> bool:
    attributes = module.get("attributes", {})
    return any(name in attributes for name in ("blackbox", "whitebox", "lib_whitebox", "cells_not_processed_box"))


class _Design:
    def __init__(self, top: dict, asynchronous: list[str]):
        self.ports = top["ports"]
        self.names: dict[Bit, list[str]] = defaultdict(list)  # every name of a bit, without its index
        widths: dict[str, list[Bit]] = {}
        for name, net in sorted(top["netnames"].items(), key=lambda item: (item[1].get("hide_name", 0), len(item[0]))):
            widths[name] = net["bits"]
            for bit in net["bits"]:
                self.names[bit].append(name)
        self.registers: list[Register] = []
        self.driver: dict[Bit, Register] = {}
        self.back: dict[Bit, tuple[Bit, ...]] = {}  # the bits that logic makes a bit from
        self.straight: set[Bit] = set()  # outputs of buffers
        self.reads: dict[Bit, tuple[str, tuple[Bit, ...]]] = {}  # asynchronous reads: the memory, clocks that write it
        self.unclocked: set[Bit] = set()
        self.uses: dict[Bit, int] = defaultdict(int)
        for name, cell in top["cells"].items():
            self._add(
                Cell(
                    name, cell["type"], cell["connections"], cell.get("parameters", {}), cell.get("port_directions", {})
                )
            )
        self.seeds = self._seeds(asynchronous)
        self.reach = self._reach()
        self.synchronisers = self._synchronisers(widths)

    def _add(self, cell: Cell) -> None:
        found = parts(cell)
        self.registers += found.registers
        for register in found.registers:
            self.driver |= dict.fromkeys(register.outputs, register)
        for outputs, inputs in found.logic:
            for bit in outputs:
                self.back[bit] = self.back.get(bit, ()) + tuple(i for i in inputs if i not in CONSTANTS)
            if cell.kind in BUFFERS:
                self.straight |= set(outputs)
        for outputs, clocks in found.reads:
            self.reads |= dict.fromkeys(outputs, (cell.name, clocks))
        self.unclocked |= set(found.sources)
        for bit in cell.inputs():
            self.uses[bit] += 1

    def _domain(self, clock: Bit) -> Bit:
        """The net that a clock comes from, buffers and inverters left out."""
        while clock in self.straight and len(self.back[clock]) == 1:
            clock = self.back[clock][0]
        return clock

    def _seeds(self, asynchronous: list[str]) -> dict[Bit, set[Bit]]:
        """Where paths begin: bits with the domains that they belong to."""
        seeds = defaultdict(set)
        for register in self.registers:
            if register.clock not in CONSTANTS:
                for bit in register.outputs:
                    seeds[bit].add(self._domain(register.clock))
        for bit, (_, clocks) in self.reads.items():
            seeds[bit] |= {self._domain(clock) for clock in clocks if clock not in CONSTANTS}
        clocks = {self._domain(register.clock) for register in self.registers}
        for bit in self.unclocked - clocks:
            seeds[bit].add(ASYNCHRONOUS)
        inputs = {name: port["bits"] for name, port in self.ports.items() if port["direction"] != "output"}
        for name in asynchronous:
            if name != "*" and name not in inputs:
                raise ValueError(f"the design has no input pin {name}: its inputs are {', '.join(sorted(inputs))}")
        for name, bits in inputs.items():
            for bit in bits:
                if bit not in clocks:
                    seeds[bit].add(ASYNCHRONOUS if name in asynchronous or "*" in asynchronous else PIN)
        return seeds

    def _reach(self) -> dict[Bit, set[Bit]]:
        """The domains of all that can be seen at each bit through logic."""
        forward = defaultdict(list)
        for bit, inputs in self.back.items():
            for source in inputs:
                forward[source].append(bit)
        reach = defaultdict(set)
        work = [(bit, domain) for bit, domains in self.seeds.items() for domain in domains]
        while work:
            bit, domain = work.pop()
            if domain not in reach[bit]:
                reach[bit].add(domain)
                work += [(after, domain) for after in forward[bit]]
        return reach

    def _origins(self, bit: Bit, domain: Bit) -> tuple[set[Bit], bool]:
        """The bits of ``domain`` that ``bit`` is made from, and whether it is one of them, buffers left out."""
        found, seen, work, straight = set(), {bit}, [bit], True
        while work:
            current = work.pop()
            if domain in self.seeds.get(current, ()):
                found.add(current)
            before = [source for source in self.back.get(current, ()) if domain in self.reach.get(source, ())]
            straight &= not before or current in self.straight
            work += [source for source in before if source not in seen]
            seen |= set(before)
        return found, straight

    def _synchronisers(self, nets: dict[str, list[Bit]]) -> dict[str, list[Bit]]:
        """Scopes of true synchronisers, with the bits of stage 0."""
        found = {}
        for name, bits in nets.items():
            match = _STAGE.fullmatch(name)
            if match and match[2] == "0" and self._chained(bits, nets.get(f"{match[1]}.stage1", ())):
                found[match[1]] = bits
        return found

    def _chained(self, first: list[Bit], second: list[Bit]) -> bool:
        def follows(before: Bit, after: Bit) -> bool:
            one, two = self.driver.get(before), self.driver.get(after)
            return (
                one is not None
                and two is not None
                and (before, after) in two.pairs
                and self.uses[before] == 1
                and self._domain(one.clock) == self._domain(two.clock)
            )

        return len(first) == len(second) > 0 and all(map(follows, first, second))

    def _queue(self, scope: str) -> bool:
        return {f"{scope}.produce_cdc", f"{scope}.consume_cdc"} <= set(self.synchronisers)

    def crossings(self) -> list[Crossing]:
        found = set()
        for register in self.registers:
            if register.clock in CONSTANTS:
                continue
            here = self._domain(register.clock)
            for bit, output in register.pairs:
                found |= self._into("data", bit, register, output, here, {here, PIN})
            some = register.outputs[0] if register.outputs else None
            for bit in register.inputs:
                found |= self._into("data", bit, register, some, here, {here, PIN})
            for bit in register.resets:
                for output in register.outputs:
                    found |= self._into("reset", bit, register, output, here, {here})
            for clock in register.storage:
                if clock not in CONSTANTS and self._domain(clock) != here:
                    found.add(self._between_memory(register, self._domain(clock), here))
        return sorted(found, key=lambda c: (bool(c.allowed), dataclasses.astuple(c)))

    def _into(
        self, kind: str, bit: Bit, register: Register, output: Bit | None, here: Bit, harmless: set
    ) -> set[Crossing]:
        found = set()
        for domain in self.reach.get(bit, set()) - harmless:
            origins, straight = self._origins(bit, domain)
            judge = self._judge_reset if kind == "reset" else self._judge_data
            allowed, problem = judge(register, output, origins, straight)
            destination = register.cell if output is None else self._name(output)
            for source in {self._origin_name(origin) for origin in origins}:
                clocks = self._clock_name(domain), self._clock_name(here)
                found.add(Crossing(kind, source, clocks[0], destination, clocks[1], allowed, problem))
        return found

    def _judge_data(self, register: Register, output: Bit | None, origins: set[Bit], straight: bool) -> tuple[str, str]:
        """What allows a path into ``output``, or the problem with it."""
        sources = [self._origin_names(origin) for origin in origins]
        places = [*self.names.get(output, []), register.cell]
        for scope in {name.removesuffix(".produce_cdc") for name in self.synchronisers if self._queue(name[:-12])}:
            inside = any(place.startswith(f"{scope}.") for place in places)
            if inside and all(any(name.startswith(f"{scope}.storage") for name in names) for names in sources):
                return f"queue {scope}", ""
        scope = next((scope for scope, bits in self.synchronisers.items() if output in bits), None)
        if scope is None:
            return "", "no synchroniser"
        queue = scope.rpartition(".")[0]
        if queue and self._queue(queue) and all(any(n.startswith(f"{queue}.") for n in names) for names in sources):
            return f"queue {queue}", ""
        if len(self.synchronisers[scope]) > 1:
            return "", f"several bits through synchroniser {scope} may arrive in different cycles"
        if not straight:
            return "", f"logic in front of synchroniser {scope} may glitch"
        return f"synchroniser {scope}", ""

    def _judge_reset(self, register: Register, output: Bit, origins: set[Bit], straight: bool) -> tuple[str, str]:
        for name in self.names.get(output, []):
            match = _STAGE.fullmatch(name)
            scope = match and match[1]
            if scope in self.synchronisers:
                first = self.synchronisers[scope][0]
                loads = [data for data, q in self.driver[first].pairs if q == first]
                if all(data in CONSTANTS for data in loads):
                    return f"reset synchroniser {scope}", ""
        return "", "asynchronous reset without a reset synchroniser"

    def _between_memory(self, register: Register, writing: Bit, reading: Bit) -> Crossing:
        scope = re.match(r"(?:(.*)\.)?storage", register.cell)
        clocks = self._clock_name(writing), self._clock_name(reading)
        destination = self._name(register.outputs[0]) if register.outputs else register.cell
        queue = scope[1] if scope and scope[1] and self._queue(scope[1]) else ""
        if _SHARED.fullmatch(register.cell):
            return Crossing("memory", register.cell, clocks[0], destination, clocks[1], "shared memory", "")
        verdict = (f"queue {queue}", "") if queue else ("", "a memory with two clocks outside an asynchronous queue")
        return Crossing("memory", register.cell, clocks[0], destination, clocks[1], *verdict)

    def _origin_names(self, bit: Bit) -> list[str]:
        return [self.reads[bit][0]] if bit in self.reads else self.names.get(bit, [])

    def _origin_name(self, bit: Bit) -> str:
        return next(iter(self._origin_names(bit)), f"net {bit}")

    def _name(self, bit: Bit) -> str:
        return self.names[bit][0] if bit in self.names else f"net {bit}"

    def _clock_name(self, domain: Bit) -> str:
        return domain if domain in (ASYNCHRONOUS, PIN) else self._name(domain)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m verif.netlist.cdc", description="Lists clock-domain crossings.")
    parser.add_argument("netlist", type=Path, help="what Yosys' write_json wrote of a flat design")
    parser.add_argument(
        "--asynchronous", default="", help="input pins that follow no clock, with commas between; * for all"
    )
    parser.add_argument("--json", action="store_true", help="print the crossings as JSON")
    options = parser.parse_args(arguments)
    try:
        pins = [pin for pin in options.asynchronous.split(",") if pin]
        found = crossings(json.loads(options.netlist.read_text()), pins)
    except (OSError, ValueError, KeyError) as error:
        print(f"cdc: {options.netlist}: {error}", file=sys.stderr)
        return 2
    bad = sum(not crossing.allowed for crossing in found)
    if options.json:
        print(json.dumps([dataclasses.asdict(crossing) for crossing in found], indent=2))
    else:
        print(*found, f"{len(found)} crossings, {bad} not allowed", sep="\n")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
