"""No good stream is refused: random legal programs, and whatever the compilers make."""

import numpy as np
import pytest

from gemmary.compiler import compile_layer, compile_network
from gemmary.compiler.chain import compile_chain
from gemmary.compiler.checker import check_program, check_stream
from gemmary.compiler.checker.accesses import Kind, accesses
from gemmary.compiler.checker.memory import Checker, get
from gemmary.compiler.checker.stream import read_stream
from gemmary.config import PRESETS
from gemmary.errors import InputError
from gemmary.isa import Opcode, Space, decode_program
from gemmary.models.digits import load_digits
from gemmary.workloads import load, names
from verif.agents.accesses import EXTERNAL
from verif.agents.accesses import accesses as independent
from verif.agents.programs import random_program
from verif.checker.programs import LAYERS, program
from verif.configs import TINIES, TINY_WINDOW

CONFIGS = {config.name: config for config in (*TINIES, TINY_WINDOW)}


@pytest.mark.parametrize("name", CONFIGS)
def test_random_programs(name):
    for seed in range(4):
        case = random_program(CONFIGS[name], seed, memory_bytes=4 << 10)
        assert not check_stream(case.config, case.program, case.memory_bytes), seed


@pytest.mark.parametrize("name", CONFIGS)
def test_accesses_are_those_of_the_independent_model(name):
    """To the granule, with every feature of every instruction."""
    config = CONFIGS[name]
    for seed in range(4, 8):
        code = random_program(config, seed, memory_bytes=4 << 10).program
        mine = accesses(read_stream(code), config)
        for i, instruction in enumerate(decode_program(code)):
            wanted = [
                {s: set(g.tolist()) for s, g in part.items() if s != EXTERNAL}
                for part in independent(instruction, config)
            ]
            for part, kinds in zip(wanted, ((Kind.READ,), (Kind.WRITE, Kind.ADD))):
                if instruction.opcode == Opcode.MATMUL and instruction.window:
                    part.pop(Space.WEIGHT, None)  # that one also names the rows of a tile that do not count
                found = granules(config, [a for a in mine[i] if a.kind in kinds])
                found = {
                    s: g
                    for s, g in found.items()
                    if s in part or not (instruction.opcode == Opcode.MATMUL and instruction.window)
                }
                assert found == {s: g for s, g in part.items() if g}, (seed, i)


def granules(config, some):
    checker, found = Checker(config, False), {}
    for access in some:
        size = checker.memories[access.space].size
        place = checker._place(0, checker.memories[access.space], access)
        found.setdefault(access.space, set()).update(get(np.arange(size), place).ravel().tolist())
    return found


@pytest.mark.parametrize("name", ["matmul", "transposed operand", "first convolution", "groups", "depthwise, stride 2"])
def test_small_layers(name):
    assert not check_program(program(name))


@pytest.mark.parametrize("name", ["resnet8", "mobilenet-v1-025"])
def test_a_network_as_one_program(name):
    assert not check_program(compile_chain(PRESETS["base"], load(name)))


@pytest.mark.nightly
def test_every_small_layer():
    for name in LAYERS:
        assert not check_program(program(name)), name


@pytest.mark.nightly
@pytest.mark.parametrize("config", ["base", "small", "ulx3s-85f", "ulx3s-pair", "ulx3s-mixed", "nano"])
def test_digits(config):
    for batch in (1, 3):
        assert not check_program(compile_network(PRESETS[config], load_digits().network, batch))


@pytest.mark.nightly
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("name", ["resnet8", "ds-cnn", "mobilenet-v1-025", "autoencoder"])
def test_every_chain(name, keep):
    assert not check_program(compile_chain(PRESETS["base"], load(name), keep=keep))


@pytest.mark.nightly
@pytest.mark.parametrize("config", ["base", "small"])
@pytest.mark.parametrize("name", names())
def test_every_layer_of_every_workload(name, config):
    for layer in load(name).layers:
        try:
            compiled = compile_layer(PRESETS[config], layer)
        except InputError:
            continue
        assert not check_program(compiled), layer.name
