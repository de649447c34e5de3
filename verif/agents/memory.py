"""Memories behind the request ports of a component: docs/architecture.md, "Memories"."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import cocotb
import numpy as np

from .pace import paces
from .streams import garbage


class Access(NamedTuple):
    """``data`` (None: a read) for the bytes of ``memory`` at ``places``."""

    memory: bytearray
    places: range
    data: bytes | None
    enabled: list[bool]


class Port:
    """Port ``name`` of a component that reads or (``write``) writes ``memory``: bytes, or a mapping from spaces to bytes.

    An address counts words of the port's width. Every request is refused at random; until it is accepted it may not be
    changed or withdrawn, unless ``halted``. ``taken`` lists accepted requests: (space or None, address).
    """

    def __init__(self, dut, name: str, memory: bytearray | Mapping[int, bytearray], rng, write=False, pace=None):
        def handle(part):
            return getattr(dut, f"{name}__{part}", None)

        self.valid, self.ready, self.address, self.data = (handle(p) for p in ("valid", "ready", "address", "data"))
        self.space, self.mask = handle("space"), handle("mask")
        self.name, self.memory, self.write, self.rng = name, memory, write, rng
        self.pace: Iterator[bool] = pace or paces(rng)
        self.bytes = len(self.data) // 8
        self.taken: list[tuple[int | None, int]] = []
        self.granted: bool | None = None
        self.arriving: bytes | None = None
        self.shown = True
        self.waiting = None
        self.halted = False

    def begin(self) -> None:
        if (granted := next(self.pace)) != self.granted:
            self.ready.value = self.granted = granted

    def end(self) -> Access | None:
        """The access of the cycle that has just ended."""
        valid = self.valid.value == 1
        if self.halted:
            self.waiting = None
        assert valid or self.waiting is None, f"{self.name}: request withdrawn before it was accepted"
        if not valid:
            return None
        parts = (self.space, self.address, self.data if self.write else None, self.mask)
        request = tuple(None if part is None else int(part.value) for part in parts)
        assert self.waiting in (None, request), f"{self.name}: request changed before it was accepted"
        self.waiting = None if self.granted else request
        if not self.granted:
            return None
        space, address, word, mask = request
        memory = self.memory if space is None else self.memory[space]
        places = range(address * self.bytes, (address + 1) * self.bytes)
        assert places.stop <= len(memory), f"{self.name}: address {address} of space {space} is outside its memory"
        self.taken.append((space, address))
        part = self.bytes // len(self.mask) if self.mask is not None else self.bytes
        enabled = [mask is None or bool(mask >> i // part & 1) for i in range(self.bytes)]
        return Access(memory, places, None if word is None else word.to_bytes(self.bytes, "little"), enabled)

    def answer(self, word: bytes | None) -> None:
        """Data arrive 2 cycles after the request, and garbage follows them."""
        if self.arriving is not None:
            self.data.value = int.from_bytes(self.arriving, "little")
        elif self.shown:
            self.data.value = garbage(8 * self.bytes)
        self.shown = self.arriving is not None
        self.arriving = word


class MemoryServer:
    """Serves ``ports`` in every cycle. Bytes read in the cycle in which they are written are garbage."""

    def __init__(self, edge, rng: np.random.Generator, *ports: Port):
        self.edge, self.rng, self.ports = edge, rng, ports
        self.task = cocotb.start_soon(self._run())

    async def _run(self):
        while True:
            for port in self.ports:
                port.begin()
            await self.edge
            accesses = [(port, port.end()) for port in self.ports]
            writes = [access for port, access in accesses if port.write and access]
            for port, access in accesses:
                if not port.write:
                    port.answer(self._read(access, writes) if access else None)
            for memory, places, data, enabled in writes:
                for place, byte, on in zip(places, data, enabled):
                    if on:
                        memory[place] = byte

    def _read(self, access: Access, writes: list[Access]) -> bytes:
        word = bytearray(access.memory[access.places.start : access.places.stop])
        for write in writes:
            if write.memory is access.memory:
                for place in set(write.places) & set(access.places):
                    word[place - access.places.start] = int(self.rng.integers(256))
        return bytes(word)


class ApartPort:
    """Read port ``name`` of a component that has a clock of its own: never refuses. Part p of ``parts`` of the word at the address of
    cycle t comes in cycle t + ``latency`` + p, ``valid`` or not; that of an address outside ``memory`` is garbage."""

    def __init__(self, dut, name: str, memory: bytearray, edge, parts: int, latency: int):
        self.ready, self.address, self.data = (getattr(dut, f"{name}__{part}") for part in ("ready", "address", "data"))
        self.memory, self.edge, self.parts, self.latency = memory, edge, parts, latency
        self.halted = False
        self.task = cocotb.start_soon(self._run())

    async def _run(self):
        width = len(self.data)
        bits, earlier = width // self.parts, [None] * (self.latency + self.parts)
        self.ready.value = 1
        while True:
            await self.edge
            earlier = [self._word(int(self.address.value), width), *earlier[:-1]]
            word = 0
            for part in range(self.parts):
                found = earlier[self.latency + part - 1]
                found = garbage(width) if found is None else found
                word |= (found >> part * bits & (1 << bits) - 1) << part * bits
            self.data.value = word

    def _word(self, address: int, width: int) -> int | None:
        size = width // 8
        word = self.memory[address * size : (address + 1) * size]
        return int.from_bytes(word, "little") if len(word) == size else None
