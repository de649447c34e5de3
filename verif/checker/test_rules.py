"""Each rule of the checker, on the smallest stream that breaks it, and on its neighbour that does not."""

import pytest

from gemmary.compiler.checker import check_stream
from gemmary.isa import DType, Instruction, Opcode, Space, encode_program
from verif.configs import TINY, TINY_WINDOW

ONE = {f"count_{loop}": 1 for loop in ("n", "k", "ky", "kx", "y", "x")}
MATMUL = ONE | {"activation_dtype": DType.INT8, "weight_dtype": DType.INT8, "accumulator_dtype": DType.INT32}
MATMUL |= {"y_limit": 1, "x_limit": 1}
VECTOR = {f"count_{loop}": 1 for loop in ("n", "y", "x", "ky", "kx")} | {"y_limit": 1, "x_limit": 1}


def load(space=Space.ACTIVATION, at=0, external=0, length=16, **fields):
    counts = {"count_z": 1, "count_y": 1, "count_x": 1}
    fields = counts | {"dtype": DType.INT8, "space": space, "length": length, "onchip_address": at} | fields
    return Instruction(Opcode.LOAD, external_address=external, **fields)


def store(space=Space.ACTIVATION, at=0, external=0, length=16, **fields):
    counts = {"count_z": 1, "count_y": 1, "count_x": 1}
    fields = counts | {"dtype": DType.INT8, "space": space, "length": length, "onchip_address": at} | fields
    return Instruction(Opcode.STORE, external_address=external, **fields)


def matmul(**fields):
    return Instruction(Opcode.MATMUL, **(MATMUL | fields))


def vector(**fields):
    return Instruction(Opcode.VECTOR, **(VECTOR | {"source_dtype": DType.INT8, "result_dtype": DType.INT8} | fields))


def check(*instructions, config=TINY, memory=1 << 16):
    return check_stream(config, encode_program(instructions), memory)


def one(rule, named, *instructions, **options):
    """The only finding: its rule and the instructions it names."""
    findings = check(*instructions, **options)
    assert [(f.rule, f.instructions) for f in findings] == [(rule, named)], [str(f) for f in findings]
    for i in named:
        assert f"instruction {i} " in findings[0].message
    return findings[0].message


def test_a_read_waits_for_the_write():
    message = one("race", (0, 1), load(), store(external=64))
    assert "activation bytes 0x0..0xf" in message and "let instruction 0 signal a semaphore" in message
    assert not check(load(signal=1), store(external=64, wait=1))


def test_a_write_waits_for_the_read():
    good = [load(signal=1), store(external=64, wait=1, signal=2), load(wait=2, signal=4), store(external=128, wait=4)]
    assert not check(*good)
    one("race", (1, 2), good[0], store(external=64, wait=1), load(signal=4), good[3])


def test_only_bytes_that_meet_are_in_conflict():
    assert not check(load(signal=1), store(external=64, wait=1), load(at=4, external=96))
    one("race", (1, 2), load(signal=1), store(external=64, wait=1, length=13), load(at=3, length=4))


def test_order_through_a_third_engine():
    """Load before vector before store, and so load before store."""
    third = vector(source_address=0, result_address=8, wait=1, signal=2)
    assert not check(load(signal=1), third, store(at=0, external=64, wait=2))
    one("race", (0, 2), load(signal=1), vector(source_address=0, result_address=8, wait=1), store(external=64))


def test_a_wait_takes_the_signal_of_its_number():
    """The second store waits for the second load; one that takes the first signal does not."""
    loads = [load(at=0, signal=1), load(at=4, signal=1)]
    assert not check(*loads, store(at=0, external=64, wait=1), store(at=4, external=96, wait=1))
    message = one("race", (1, 2), *loads, store(at=4, external=96, wait=1), store(at=0, external=64, wait=1))
    assert "(LOAD)" in message and "(STORE)" in message


def test_a_semaphore_of_two_producers():
    """Whoever has waited twice knows that both have ended, whoever has waited once of neither."""
    start = [load(at=16, signal=2), load(signal=1), vector(x_limit=0, result_address=8, signal=1)]
    first = store(at=16, external=64, wait=1 | 2)
    assert not check(*start, first, store(at=8, length=4, external=96, wait=1))
    assert not check(*start, first, store(at=0, external=96, wait=1))
    one("race", (2, 3), *start, store(at=8, length=4, external=96, wait=1))
    one("race", (1, 3), *start, store(at=0, external=96, wait=1))


def test_external_memory_is_ordered_too():
    rewritten = [load(signal=1), store(external=64, wait=1, signal=2)]
    assert not check(*rewritten, load(at=8, external=64, wait=2))
    one("race", (1, 2), *rewritten, load(at=8, external=79, length=4))
    one("race", (1, 2), load(at=8, signal=1), load(external=64), store(at=8, external=64, wait=1))
    assert not check(*rewritten, load(at=8, external=80, length=4))


def test_deadlocks():
    assert "no instruction signals it" in one("blocked", (0,), load(wait=1))
    assert "too late" in one("blocked", (0, 1), store(wait=1, external=64), load(signal=1))
    good = [load(signal=1), store(external=64, wait=1)]
    assert "took the last signal" in one("blocked", (1, 2), *good, store(external=80, wait=1))


def test_a_semaphore_has_one_engine_that_waits():
    loads = [load(signal=1), load(at=4, signal=1)]
    waits = [vector(wait=1, source_address=0, result_address=8), store(wait=1, at=4, external=64)]
    one("waiters", (2, 3), *loads, *waits)


@pytest.mark.parametrize(("ahead", "fine"), [(58, True), (59, False)])
def test_semaphores_do_not_pass_63(ahead, fine):
    """Of the stores that have been dispatched at most a queue, which is 4, and one have not started and taken their signals."""
    rest = [i for _ in range(10) for i in (store(external=64, wait=1), load(at=8, signal=1))]
    findings = check(*[load(at=8 * (i > 0), signal=1) for i in range(ahead)], *rest)
    assert [f.rule for f in findings] == ([] if fine else ["overflow"])


def test_addresses():
    message = one("address", (0,), load(at=252, length=20))
    assert "reaches word 256 of the activation memory, which has 256" in message
    assert not check(load(at=252, length=16))
    one("address", (0,), load(at=65535, length=16))
    one("address", (0,), load(count_y=2, onchip_step_y=-1))
    one("address", (0,), load(transpose=1, count_x=5, length=4))
    one("bus", (0,), load(external=(1 << 16) - 15))
    assert not check(load(external=(1 << 16) - 16))
    one("bus", (0,), load(count_x=2, external_step_x=-1))
    one("encoding", (0,), load(length=0))


def test_bounds_decide_what_is_read():
    """Of a line with padding on both sides the memory is read in between only, wherever the walk goes beside it."""
    line = dict(count_x=6, activation_step_x=1, accumulator_step_x=1, x_start=-1, x_stride=1, x_limit=4)
    start = [load(Space.WEIGHT), load(at=0, signal=1)]
    nothing = matmul(wait=1)
    assert not check(*start, nothing, matmul(activation_address=65535, **line))
    assert "(operand activation)" in one("undefined", (3,), *start, nothing, matmul(**line))


def test_reads_of_what_nobody_wrote():
    start = load(Space.WEIGHT), load(at=0, signal=1), matmul(wait=1)
    assert not check(*start, matmul(accumulate=1))
    one("undefined", (3,), *start, matmul(accumulate=1, accumulator_address=1))
    one("undefined", (1,), load(signal=1), store(at=1, external=64, wait=1))


def test_line_memories():
    rows = TINY_WINDOW.rows
    weights = load(Space.WEIGHT, length=rows * 16)
    words = load(at=0, length=16 * 12, signal=1)
    image = dict(window=1, count_y=3, count_x=4, activation_step_x=1, activation_step_y=1, accumulator_step_x=1)
    image |= dict(accumulator_step_y=1, x_limit=4, y_limit=3, y_stride=1, x_stride=1)
    start = [weights, words, matmul(wait=1)]
    good = matmul(window_lead=2, **image)
    assert not check(*start, good, config=TINY_WINDOW)
    assert not check(*start, good, matmul(window_lead=0, **image), config=TINY_WINDOW)
    one("undefined", (3,), *start, matmul(window_lead=1, **image), config=TINY_WINDOW)
    one(
        "undefined",
        (4,),
        *start,
        good,
        matmul(window_lead=0, **image | {"count_x": 5, "activation_step_y": 0}),
        config=TINY_WINDOW,
    )
    one("address", (3,), *start, matmul(window_lead=2, **image | {"count_x": 2}), config=TINY_WINDOW)


def test_a_vector_instruction_and_itself():
    rows = dict(count_x=3, source_step_x=1, result_step_x=1, wait=1)
    assert not check(load(signal=1), vector(**rows))
    assert not check(load(signal=1), vector(result_address=3, **rows))
    one("within", (1,), load(signal=1), vector(result_address=1, **rows))
    one(
        "within",
        (1,),
        load(signal=1),
        vector(residual=1, residual_address=2, residual_step_x=-1, result_address=0, **rows),
    )
