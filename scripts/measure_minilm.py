"""What each choice of the quantization is worth: cosines of MiniLM's embeddings against float (docs/compiler.md has the table).

    python -m scripts.measure_minilm [VARIANT ...]

Half a minute each, computed by the reference, which has the bits of the device.
"""

import argparse

import numpy as np
import onnxruntime

from gemmary.compiler.frontends.calibrate import calibrate
from gemmary.compiler.frontends.equalize import equalize
from gemmary.compiler.frontends.onnx import import_onnx
from gemmary.compiler.frontends.onnx_quantize import quantize_onnx
from gemmary.compiler.frontends.onnx_shapes import fix_sizes
from gemmary.compiler.ir import Model, interpret
from gemmary.compiler.passes import run_pipeline
from gemmary.compiler.passes.pipeline import MARK

from .make_minilm import minilm, read_sentences, tokens

LENGTH = 64


def wide(model, calibration, mark: str = MARK, alike: bool = True, insert: str = "insert-quantization") -> Model:
    imported = run_pipeline(import_onnx(model, {"sequence": LENGTH}, 1), mark)
    ends = calibrate(imported, calibration)
    if alike:
        equalize(imported, ends)
    return run_pipeline(imported, insert)


def narrow(model, calibration) -> Model:
    return import_onnx(quantize_onnx(fix_sizes(model, {"sequence": LENGTH}, 1), calibration))


VARIANTS = {
    "as-compiled": wide,
    "gelu-wide": lambda *given: wide(*given, mark=f"{MARK}{{tables=false}}"),
    "channels-unlike": lambda *given: wide(*given, alike=False),
    "one-scale": lambda *given: wide(*given, insert="insert-quantization{per_channel=false}"),
    "stream-int8": lambda *given: wide(*given, mark=f"{MARK}{{stream=true}}"),
    "all-int8": narrow,
}


def cosines(model: Model, sentences, expected: np.ndarray) -> np.ndarray:
    rows = [{name: array[i : i + 1] for name, array in sentences.items()} for i in range(len(expected))]
    found = np.concatenate([interpret(model, row)["embedding"] for row in rows])
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return (found * expected).sum(axis=1) / lengths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"{', '.join(VARIANTS)} (default: all)")
    names = parser.parse_args().variants or list(VARIANTS)
    if unknown := set(names) - VARIANTS.keys():
        parser.error(f"unknown variant {sorted(unknown)[0]!r}: choose of {', '.join(VARIANTS)}")
    calibration, sentences = (tokens(texts, LENGTH) for texts in read_sentences())
    model = minilm()
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, sentences)[0]
    print(f"{len(expected)} sentences of {LENGTH} tokens\n{'variant':16} {'mean':>7} {'least':>7}")
    for name in names:
        found = cosines(run_pipeline(VARIANTS[name](model, calibration)), sentences, expected)
        print(f"{name:16} {found.mean():7.4f} {found.min():7.4f}", flush=True)


if __name__ == "__main__":
    main()
