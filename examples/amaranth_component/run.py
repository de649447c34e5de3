"""python -m examples.amaranth_component.run: simulates the design in Python and compares every spectrum with NumPy's."""

import argparse

import numpy as np
from amaranth.sim import Simulator

from .spectrum import BATCH, CONFIG, FRAME, SCALE, Spectrum, cosines

PATIENCE = 5000
"""Cycles that a transfer may take."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m examples.amaranth_component.run", description=__doc__.split(": ")[1]
    )
    parser.add_argument("--batches", type=int, default=2, help=f"of {BATCH} frames each (default: 2)")
    parser.add_argument("--waves", metavar="FILE", help="write waves (.vcd)")
    parser.add_argument("--flip-weight", action="store_true", help="spoil one weight: the comparison must fail")
    options = parser.parse_args(arguments)

    frames = tones(options.batches * BATCH)
    expected = np.clip(np.rint(frames.astype(np.int32) @ cosines() * SCALE), -128, 127)
    weights = cosines()
    if options.flip_weight:
        weights[0, 0] ^= 0x40
    spectra, cycles = simulate(Spectrum(weights), frames, options.waves)
    for i in range(0, len(frames), 4):
        print(f"frame {i:2}  loudest frequency {int(np.argmax(np.abs(spectra[i, 1:]))) + 1:2}  {bars(spectra[i])}")
    wrong = int(np.count_nonzero(spectra != expected))
    verdict = "FAIL" if wrong else "PASS"
    print(f"{verdict}: {wrong} of {spectra.size} values differ from NumPy, {cycles} cycles")
    return 1 if wrong else 0


def tones(count: int) -> np.ndarray:
    """Frames ``[count, FRAME]`` int8 of a rising tone with a little noise."""
    rng = np.random.default_rng(3)
    pitch = np.linspace(1, FRAME - 1, count)[:, None]
    wave = 90 * np.cos(np.pi * (np.arange(FRAME) + 0.5) * pitch / FRAME)
    return np.rint(wave + rng.uniform(-20, 20, wave.shape)).astype(np.int8)


def bars(spectrum: np.ndarray) -> str:
    return "".join(" ▁▂▃▄▅▆▇█"[min(8, abs(int(value)) // 8)] for value in spectrum)


def simulate(design: Spectrum, frames: np.ndarray, waves: str | None = None) -> tuple[np.ndarray, int]:
    """Sends ``frames`` and returns their spectra and the cycles until the last one. Both sides pause at random."""
    words = frames.reshape(-1, CONFIG.rows).tolist()
    results, cycles = [], 0

    async def sender(ctx):
        rng = np.random.default_rng(4)
        for word in words:
            await ctx.tick().repeat(int(rng.integers(1, 3)))
            ctx.set(design.i.payload, word)
            ctx.set(design.i.valid, 1)
            await ctx.tick().until(design.i.ready)
            ctx.set(design.i.valid, 0)

    async def receiver(ctx):
        nonlocal cycles
        rng = np.random.default_rng(5)
        while len(results) < len(words):
            ctx.set(design.o.ready, int(rng.integers(2)))
            _, _, valid, ready, failed, payload = await ctx.tick().sample(
                design.o.valid, design.o.ready, design.failed, design.o.payload
            )
            cycles += 1
            if failed:
                raise SystemExit("FAIL: the accelerator stopped with an error")
            if cycles > PATIENCE * (len(frames) // BATCH):
                raise SystemExit(f"FAIL: {len(results)} of {len(words)} words after {cycles} cycles")
            if valid and ready:
                results.append([payload[i] for i in range(CONFIG.rows)])

    simulator = Simulator(design)
    simulator.add_clock(1e-8)
    simulator.add_testbench(sender)
    simulator.add_testbench(receiver)
    if waves:
        with simulator.write_vcd(waves):
            simulator.run()
    else:
        simulator.run()
    return np.array(results).reshape(frames.shape), cycles


if __name__ == "__main__":
    raise SystemExit(main())
