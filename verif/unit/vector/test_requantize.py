"""The requantizer, bit for bit, against verif/golden/numerics.py: ties, extremes, every shift."""

import cocotb
import numpy as np
import pytest

from gemmary.isa import DType
from hdl.vector.requantize import SETTINGS, Requantize
from verif import bench
from verif.agents.pace import paces
from verif.configs import TINY, TINY_WIDE
from verif.golden import numerics

CONFIGS = {config.name: config for config in (TINY, TINY_WIDE)}
INT32 = -(2**31), 2**31 - 1
MANTISSA = 2**24 - 1


@pytest.mark.parametrize("case", CONFIGS)
def test_requantize(simulate, case):
    simulate(Requantize(CONFIGS[case]), case)


# Elements: dicts of arrays with one number a lane (i, residual, bias, mantissa, shift) and the settings.


def settings(rng, **fields) -> dict[str, int]:
    low, high = sorted(int(x) for x in rng.integers(-128, 128, 2)) if rng.random() < 0.3 else (-128, 127)
    return {
        "result_dtype": int(DType.INT8),
        "residual": int(rng.integers(2)),
        "residual_zero_point": int(rng.choice([-128, 127, 0, rng.integers(-128, 128)])),
        "residual_mantissa": int(rng.choice([0, 1, 2**23, MANTISSA, rng.integers(2**23, 2**24)])),
        "residual_shift": int(rng.integers(64)),
        "zero_point": int(rng.choice([-128, 127, 0, rng.integers(-128, 128)])),
        "low": low,
        "high": high,
    } | fields


def element(rng, lanes, **fields) -> dict:
    """Anything goes, extremes often."""
    return {
        "i": pick(rng, lanes, *INT32, 0, -1),
        "residual": rng.integers(-128, 128, lanes),
        "bias": np.where(rng.random(lanes) < 0.5, rng.integers(-2000, 2000, lanes), pick(rng, lanes, *INT32)),
        "mantissa": np.where(rng.random(lanes) < 0.2, rng.choice([0, 1, 2**23, MANTISSA], lanes), rng.integers(2**24, size=lanes)),
        "shift": rng.integers(64, size=lanes),
    } | fields  # fmt: skip


def pick(rng, lanes, *extremes):
    values = np.where(rng.random(lanes) < 0.3, rng.choice(extremes, lanes), rng.integers(*INT32, lanes, endpoint=True))
    return values >> np.where(rng.random(lanes) < 0.5, 0, rng.integers(31, size=lanes))


def tie(rng, lanes):
    """t · mantissa = (2 k + 1) · 2**(shift − 1) for a small k: exactly between two integers near 0, −128 or 127."""
    half = 2 * rng.integers(-140, 140, lanes) + 1
    shift = rng.integers(1, 46, lanes)
    up = np.minimum(shift - 1, rng.integers(24, size=lanes))
    up = np.maximum(up, shift - 1 - 22)  # |t| < 2**31
    up = np.minimum(up, 23)
    odd = np.where((up + 5 < 24) & (rng.random(lanes) < 0.5), 2 * rng.integers(8, size=lanes) + 1, 1)
    return {"i": half << (shift - 1 - up), "bias": 0 * half, "mantissa": odd << up, "shift": shift}


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def anything(dut):
    """Random and extreme operands; int32 and int8 results take turns without a gap."""
    rng, lanes = bench.rng(), CONFIGS[bench.case()].lanes
    groups = []
    for _ in range(150):
        kind = settings(rng, result_dtype=int(rng.choice([int(DType.INT8), int(DType.INT32)], p=[0.8, 0.2])))
        groups.append((kind, [element(rng, lanes) for _ in range(int(rng.integers(1, 12)))]))
    await check(dut, rng, groups)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_shift(dut):
    """Sums near the size of 2**shift, with a residual and without, also one shifted by up to 31."""
    rng, lanes = bench.rng(), CONFIGS[bench.case()].lanes
    groups = []
    for shift in (*range(64), 0, 63):
        below = int(rng.integers(32))
        kind = settings(rng, residual_shift=(shift - below) % 64, low=-128, high=127)
        elements = []
        for _ in range(8):
            mantissa = rng.integers(2**23, 2**24, lanes)
            size = np.clip(2.0**shift * rng.integers(1, 300, lanes) / mantissa, 1, 2**31 - 1).astype(np.int64)
            elements.append(element(rng, lanes, i=size * rng.choice([-1, 1], lanes), bias=rng.integers(-2, 3, lanes),
                                    mantissa=mantissa, shift=np.full(lanes, shift)))  # fmt: skip
        groups.append((kind, elements))
    await check(dut, rng, groups)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def ties(dut):
    """Exact ties go to the even integer."""
    rng, lanes = bench.rng(), CONFIGS[bench.case()].lanes
    drawn = [tie(rng, lanes) for _ in range(250)]
    assert sum(is_tie(values).sum() for values in drawn) > 200 * lanes
    plain = {"residual": 0, "low": -128, "high": 127}
    await check(dut, rng, [(settings(rng, **plain), [element(rng, lanes, **values)]) for values in drawn])


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def near_ties(dut):
    """A residual of plus or minus any power of two below one half decides to which side a tie goes."""
    rng, lanes = bench.rng(), CONFIGS[bench.case()].lanes
    groups = []
    for _ in range(250):
        drawn = {name: np.full(lanes, values[0]) for name, values in tie(rng, lanes).items()}
        shift = int(drawn["shift"][0])
        power = int(rng.integers(max(1, shift - 1)))
        d = min(power, shift, 31)
        if power - d > 23:
            continue
        kind = {
            "residual": 1,
            "residual_mantissa": 1 << power - d,
            "residual_shift": shift - d,
            "residual_zero_point": 0,
        }
        kind = settings(rng, **kind, zero_point=int(rng.integers(-3, 4)), low=-128, high=127)
        groups.append((kind, [element(rng, lanes, residual=rng.choice([-1, 1], lanes), **drawn)]))
    await check(dut, rng, groups)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def residual_ties(dut):
    """Ties that only the sum has: half from the product, or half from the residual at the largest shifts."""
    rng, lanes = bench.rng(), CONFIGS[bench.case()].lanes
    groups = []
    for _ in range(200):
        shift = int(rng.integers(1, 64))
        d = int(rng.integers(max(0, shift - 30), min(31, shift) + 1)) if shift <= 61 else 31
        bits = shift - 1 - d  # of the residual's mantissa: (q − zero point) · 2**bits · 2**d is an odd number of halves
        if not 0 <= bits < 24:
            continue
        kind = settings(
            rng, residual=1, residual_mantissa=1 << bits, residual_shift=shift - d, zero_point=0, low=-128, high=127
        )
        whole = np.zeros(lanes, np.int64)
        mantissa = np.full(lanes, 1 << 23)
        if shift >= 23 and shift - 23 < 24:
            whole = rng.integers(-60, 60, lanes) << (shift - 23)
        groups.append(
            (kind, [element(rng, lanes, i=whole, bias=0 * whole, mantissa=mantissa, shift=np.full(lanes, shift))])
        )
    assert len(groups) > 100
    await check(dut, rng, groups)


def is_tie(drawn) -> np.ndarray:
    product = drawn["i"] * drawn["mantissa"]
    return product & (1 << drawn["shift"]) - 1 == 1 << drawn["shift"] - 1


def expected(kind, lanes_of) -> np.ndarray:
    t = numerics.add_bias(lanes_of["i"], lanes_of["bias"])
    if kind["result_dtype"] == DType.INT32:
        return t
    names = ("residual_zero_point", "residual_mantissa", "residual_shift")
    added = {name: kind[name] for name in names} | {"residual": lanes_of["residual"]} if kind["residual"] else {}
    clip = (kind["zero_point"], kind["low"], kind["high"])
    return numerics.requantize(t, lanes_of["mantissa"], lanes_of["shift"], *clip, **added)


async def check(dut, rng, groups):
    """Sends the elements of each group at random moments and compares every output."""
    component = Requantize(CONFIGS[bench.case()])
    layout = component.settings.shape()
    row, narrow, parameters = (getattr(component, name).shape() for name in ("i", "residual", "parameter"))
    edge = await bench.start(dut, component)
    pace = paces(rng, (1.0, 0.5))
    queue = [(kind, item) for kind, elements in groups for item in elements]
    entered: list = []  # by cycle: None, or (settings, element)
    fresh_from = None
    position = 0
    for cycle in range(10**6):
        item = queue[position] if position < len(queue) and next(pace) else None
        position += item is not None
        entered.append(item)
        dut.valid.value = item is not None
        if item is not None:
            values = item[1]
            packed = [
                {"bias": int(b), "mantissa": int(m), "shift": int(s), "unused": int(rng.integers(4))}
                for b, m, s in zip(values["bias"], values["mantissa"], values["shift"])
            ]
            # With new settings too: an instruction begins.
            dut.fresh.value = (item[0], packed) != fresh_from
            fresh_from = item[0], packed
            dut.parameter.value = bench.pack(parameters, packed)
            dut.i.value = bench.pack(row, values["i"].tolist())
            dut.residual.value = bench.pack(narrow, values["residual"].tolist())
        dut.settings.value = bench.pack(
            layout, {name: setting(rng, layout, entered, cycle, name) for name, _ in layout}
        )
        await edge
        for latency, dtype, name in ((1, DType.INT32, "wide"), (Requantize.LATENCY, DType.INT8, "o")):
            answered = entered[cycle - latency] if cycle >= latency else None
            wanted = answered is not None and answered[0]["result_dtype"] == dtype
            assert bool(getattr(dut, f"{name}_valid").value) == wanted, (cycle, name)
            if wanted:
                got = bench.unpack(row if name == "wide" else narrow, getattr(dut, name).value)
                assert got == expected(*answered).tolist(), "".join(map(str, answered))
        if position == len(queue) and entered[-Requantize.LATENCY - 1 :] == [None] * (Requantize.LATENCY + 1):
            return


def setting(rng, layout, entered, cycle, name) -> int:
    """The value of the element that has been inside for SETTINGS[name] cycles; anything if there is none."""
    since = cycle - SETTINGS[name]
    if since >= 0 and entered[since] is not None:
        return entered[since][0][name]
    return bench.unpack(layout[name].shape, int(rng.integers(1 << bench.width(layout[name].shape))))
