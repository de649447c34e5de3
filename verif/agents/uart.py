"""Both ends of a serial line: a host at the pins ``rx`` and ``tx`` of a design."""

import cocotb
from cocotb.triggers import FallingEdge, Timer, with_timeout

from verif.bench import PERIOD_NS

LATEST = 20_000
"""Bits after which an answer is late."""


class Host:
    """Sends bytes into ``dut.rx`` and collects those from ``dut.tx``, a bit every ``divisor`` cycles.

    ``skew``: how much longer than that the host's own bits are. Fails the test for a byte without a stop bit.
    """

    def __init__(self, dut, divisor: int, skew: float = 0.0):
        self.dut, self.bit_ns = dut, divisor * PERIOD_NS
        self.send_ns = round(self.bit_ns * (1 + skew))
        self.received = bytearray()
        dut.rx.value = 1
        self.task = cocotb.start_soon(self._receive())

    async def send(self, data: bytes, stop: int = 1) -> None:
        for byte in data:
            for bit in (0, *(byte >> i & 1 for i in range(8)), stop):
                self.dut.rx.value = bit
                await Timer(self.send_ns, "ns")
        self.dut.rx.value = 1

    async def silence(self, bits: int) -> None:
        self.dut.rx.value = 1
        await Timer(bits * self.bit_ns, "ns")

    async def answer(self, size: int) -> bytes:
        """The next ``size`` bytes."""

        async def wait():
            while len(self.received) < size:
                await Timer(self.bit_ns, "ns")

        await with_timeout(wait(), LATEST * self.bit_ns, "ns")
        found = bytes(self.received[:size])
        del self.received[:size]
        return found

    async def _receive(self):
        tx = self.dut.tx
        while True:
            if tx.value != 0:
                await FallingEdge(tx)
            await Timer(self.bit_ns // 2, "ns")
            assert tx.value == 0, "a start bit that is over by its middle"
            byte = 0
            for bit in range(8):
                await Timer(self.bit_ns, "ns")
                byte |= int(tx.value) << bit
            await Timer(self.bit_ns, "ns")
            assert tx.value == 1, "no stop bit"
            self.received.append(byte)
