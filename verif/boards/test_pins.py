"""Boards' designs, simulated with a host at their UART pins: a network classifies, every activation as it should be."""

import dataclasses

import numpy as np
import pytest

from boards.board import board
from boards.device import BoardDevice
from boards.simulation.pins import Pins
from gemmary.compiler import compile_network
from gemmary.errors import GemmaryError, InputError
from gemmary.isa import Cause
from gemmary.models.digits import load_digits
from gemmary.runtime.device import DeviceError, open_device
from gemmary.runtime.execute import execute
from gemmary.runtime.link import PATIENCE_S
from verif.golden import network as golden

BOARDS = ["icebreaker", pytest.param("ulx3s-85f", marks=pytest.mark.nightly)]
"""The model of the larger one takes a minute to build."""


@pytest.fixture(scope="module", params=BOARDS)
def pins(request):
    chosen = board(request.param)
    pins = Pins(chosen, chosen.config())
    yield chosen, pins
    pins.close()


@pytest.fixture
def device(pins):
    chosen, line = pins
    return BoardDevice(chosen.config(), transport=line)


def test_digits(device):
    """One image; what the network makes of it after every layer."""
    digits = load_digits()
    program = compile_network(device.config, digits.network, 1)
    result = execute(device, program, {program.inputs[0]: digits.images[:1]})
    wanted = golden.run(digits.network, digits.images[:1])
    mismatches = {
        layer.name: int(np.count_nonzero(result.tensors[layer.output] != wanted[layer.name]))
        for layer in program.layers
    }
    assert mismatches == dict.fromkeys(mismatches, 0) and len(mismatches) == 4
    assert device.link.repeats == 0


def test_memory(device):
    """Any bytes at any alignment come back, those beside them stay; what does not fit is refused."""
    rng = np.random.default_rng(2)
    size = min(device.memory_bytes, 1 << 20)
    wanted = bytearray(rng.bytes(256))
    base = size - 256
    device.write(base, bytes(wanted))
    for _ in range(12):
        start = int(rng.integers(250))
        data = rng.bytes(int(rng.integers(0, min(9, 256 - start))))
        wanted[start : start + len(data)] = data
        device.write(base + start, data)
        assert device.read(base + start, len(data)) == data
    assert device.read(base, 256) == wanted
    for access in (lambda: device.write(device.memory_bytes - 1, b"12"), lambda: device.read(-1, 1)):
        with pytest.raises(InputError, match="do not fit the board's memory"):
            access()


def test_illegal_program(device):
    """The device says what was wrong, and takes the next program."""
    with pytest.raises(DeviceError) as stopped:
        device.run(bytes([0xEE]) + bytes(95))
    assert stopped.value.cause == Cause.OPCODE and stopped.value.offset == 0
    test_digits(device)


def test_lost_and_damaged_frames(pins):
    """With bytes that get lost on their way, each way, the results are the same."""
    chosen, line = pins
    rng = np.random.default_rng(3)

    class Bad:
        name, baud, pause, discard = line.name, line.baud, line.pause, line.discard

        def write(self, data):
            if len(data) > 3 and rng.random() < 0.1:
                place = int(rng.integers(len(data)))
                data = data[:place] + data[place + 1 :]
            line.write(data)

        def read(self, count, timeout_s):
            data = line.read(count, timeout_s - PATIENCE_S + 0.001)  # no adapter holds bytes back
            return data[:-1] + bytes([data[-1] ^ 4]) if data and rng.random() < 0.05 else data

    device = BoardDevice(chosen.config(), transport=Bad())
    test_memory(device)
    memory_words = rng.integers(1 << 32, size=40, dtype=np.uint32)
    device.link.write(0x8000_0000, memory_words)
    assert (device.link.read(0x8000_0000, 40) == memory_words).all()
    for _ in range(15):
        device.write(0, rng.bytes(40))
        assert device.control["IDENTITY"]
    assert device.link.repeats > 0


def test_wrong_config(pins):
    """The accelerator behind the link is another one."""
    chosen, line = pins
    other = dataclasses.replace(chosen.config(), queue_depth=4 * chosen.config().queue_depth)
    with pytest.raises(GemmaryError, match="not one of config"):
        BoardDevice(other, board=chosen.name, transport=line)


def test_needs_a_port():
    with pytest.raises(InputError, match="option port"):
        open_device("board", board("icebreaker").config())


def test_no_such_port():
    with pytest.raises(InputError, match="cannot open the serial port '/dev/nowhere'"):
        open_device("board", board("icebreaker").config(), port="/dev/nowhere")
