"""Both ends of an Amaranth stream: ``name__payload``, ``name__valid``, ``name__ready`` of a component."""

import random
from collections import deque
from collections.abc import Iterable, Iterator

import cocotb
import numpy as np

from verif import bench

from .pace import paces


class Source:
    """Sends ``items`` (values of ``shape``) into stream ``name`` of ``dut``, pausing at random.

    After an item the payload is garbage. ``sent`` counts transfers.
    """

    def __init__(self, dut, name: str, shape, edge, rng: np.random.Generator, items: Iterable = (), pace=None):
        self.valid, self.ready, self.payload = (
            getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload")
        )
        self.shape, self.edge, self.rng = shape, edge, rng
        self.pace: Iterator[bool] = pace or paces(rng)
        self.width = bench.width(shape)
        self.items = deque(items)
        self.sent = 0
        self.task = cocotb.start_soon(self._run())

    def send(self, item) -> None:
        self.items.append(item)

    async def empty(self) -> None:
        """Waits until everything has been taken."""
        while self.items:
            await self.edge

    async def _run(self):
        offered = shown = False
        while True:
            if not offered:
                offered = bool(self.items) and next(self.pace)
                if offered or shown:
                    self.valid.value = offered
                    self.payload.value = bench.pack(self.shape, self.items[0]) if offered else garbage(self.width)
                shown = offered
            await self.edge
            if offered and self.ready.value == 1:
                self.items.popleft()
                self.sent += 1
                offered = False


class Sink:
    """Takes items from stream ``name`` of ``dut`` into ``items``, pausing at random.

    Fails the test when ``valid`` falls or the payload changes before a transfer.
    """

    def __init__(self, dut, name: str, shape, edge, rng: np.random.Generator, pace=None):
        self.valid, self.ready, self.payload = (
            getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload")
        )
        self.name, self.shape, self.edge = name, shape, edge
        self.pace: Iterator[bool] = pace or paces(rng)
        self.items: list = []
        self.task = cocotb.start_soon(self._run())

    async def _run(self):
        waiting = ready = None
        while True:
            if (goes := next(self.pace)) != ready:
                self.ready.value = ready = goes
            await self.edge
            valid = self.valid.value == 1
            assert valid or waiting is None, f"stream {self.name}: valid fell before a transfer"
            if not valid:
                continue
            payload = self.payload.value
            assert waiting in (None, payload), f"stream {self.name}: payload changed before a transfer"
            waiting = None if ready else payload
            if ready:
                self.items.append(bench.unpack(self.shape, payload))


class Replayed(Sink):
    """Takes what goes by; an item that it did not take must be the next one, 2 cycles later."""

    async def _run(self):
        refused, due = None, -1
        while True:
            ready = next(self.pace)
            self.ready.value = ready
            await self.edge
            due -= 1
            valid = self.valid.value == 1
            assert refused is None or valid == (due == 0), "an item that was refused comes again 2 cycles later"
            if not valid:
                continue
            payload = self.payload.value
            assert refused in (None, payload), "another item than that which was refused"
            refused, due = (None, -1) if ready else (payload, 2)
            if ready:
                self.items.append(bench.unpack(self.shape, payload))


def garbage(width: int) -> int:
    """Random bits."""
    return random.getrandbits(width)
