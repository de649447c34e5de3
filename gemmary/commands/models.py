"""What the commands on models share: options, files of arrays, warnings."""

import argparse
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..config import PRESETS, preset
from ..errors import InputError

if TYPE_CHECKING:  # imported where a model is compiled: the other commands need no IR
    from ..compiler.backend import Compiled


def add_model_options(parser: argparse.ArgumentParser, program: bool) -> None:
    """The model, and what compiling it takes; with ``program`` the file may be one that is compiled."""
    kinds = "ONNX (.onnx) or text of the graph level (.mlir)"
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help=kinds + (", or a compiled program" if program else "")
    )
    parser.add_argument(
        "--preset", help=f"{', '.join(PRESETS)} (default: base{', or the program’s' if program else ''})"
    )
    parser.add_argument("--batch", type=int, metavar="N", help="first size of inputs where the model leaves it open")
    parser.add_argument("--size", action="append", default=[], metavar="NAME=N", help="a symbolic size of the model")
    parser.add_argument("--calibration", type=Path, metavar="NPZ", help="inputs to quantize a float model with")
    parser.add_argument(
        "--wide",
        action=argparse.BooleanOptionalAction,
        help="of a float model quantize the operands of matrix products only (default: of one that multiplies computed tensors)",
    )
    parser.add_argument("--strict", action="store_true", help="refuse operators that the machine does not do")


def compiled_from(options: argparse.Namespace, batch: int | None = None, progress=lambda name: None) -> "Compiled":
    """The program of the options' file, which is compiled if it is a model. Fallbacks are warned of on stderr."""
    from ..compiler.backend import compile_model, load_compiled
    from ..compiler.backend.binary import is_compiled
    from ..compiler.frontends.models import load_model

    if is_compiled(options.model):
        for name in ("batch", "size", "calibration"):
            if getattr(options, name):
                raise InputError(f"{options.model} is compiled already: --{name} belongs to gemmary compile")
        compiled = load_compiled(options.model)
        if options.strict and compiled.warnings:
            raise InputError(f"{compiled.warnings[0]} (--strict forbids it)")
    else:
        calibration = read_arrays(options.calibration) if options.calibration else None
        model = load_model(
            options.model, sizes_of(options.size), options.batch or batch, calibration, wide=options.wide
        )
        config = preset(options.preset or "base")
        compiled = compile_model(model, config, strict=options.strict, progress=progress)
    for warning in compiled.warnings:
        print(f"gemmary: warning: {warning}", file=sys.stderr)
    return compiled


def sizes_of(given: list[str]) -> dict[str, int]:
    """NAME=N of every --size. InputError for anything else."""
    sizes = {}
    for each in given:
        name, _, number = each.partition("=")
        if not name or not number.isdigit() or int(number) < 1:
            raise InputError(f"--size must be NAME=N with N of at least 1, not {each!r}")
        sizes[name] = int(number)
    return sizes


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """InputError for a file that is no .npz."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, zipfile.BadZipFile, AttributeError, TypeError):
        raise InputError(f"{path} is no .npz file of arrays") from None
