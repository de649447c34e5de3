"""Post-training quantization with torchao's PT2E, as the accelerator wants it."""

import contextlib
import logging
import warnings
from collections.abc import Iterable

import torch
from torch.export import ExportedProgram

from ..compiler.frontends.torch_export import decomposed
from ..errors import InputError


def quantize(model: torch.nn.Module, calibration: Iterable) -> ExportedProgram:
    """The model with int8 weights and activations, exported; ``.module()`` of it computes the same in PyTorch.

    ``calibration``: batches of inputs, each a tensor, or a tuple of the model's arguments; a tensor alone is one batch. All have
    the sizes that the program will take. The model is exported in eval mode and stays as it is. InputError where there
    are no batches, where PyTorch cannot export the model, and where torchao is missing.
    """
    with quiet():
        try:
            from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

            from .biases import round_biases
            from .quantizer import GemmaryQuantizer
        except ModuleNotFoundError as error:
            package = error.name.partition(".")[0]
            raise InputError(f"quantizing needs the Python package {package}: pip install 'gemmary[torch]'") from None
        batches = _batches(calibration)
        program = _export(model, batches[0])
        prepared = prepare_pt2e(decomposed(program, lambda target: True).module(), GemmaryQuantizer())
        with torch.no_grad():
            for batch in batches:
                prepared(*batch)
        converted = convert_pt2e(prepared)
        round_biases(converted)
        return torch.export.export(converted, batches[0])


def _batches(calibration: Iterable) -> list[tuple]:
    if isinstance(calibration, torch.Tensor):
        calibration = [calibration]
    batches = [tuple(each) if isinstance(each, tuple | list) else (each,) for each in calibration]
    if not batches:
        raise InputError("calibration holds no batch: give some inputs of the model")
    shapes = [[getattr(each, "shape", None) for each in batch] for batch in batches]
    for i, each in enumerate(shapes):
        if each != shapes[0]:
            raise InputError(f"calibration batch {i} has other sizes than the first: all must be those of the program")
    return batches


def _export(model: torch.nn.Module, batch: tuple) -> ExportedProgram:
    training = model.training
    model.eval()
    try:
        return torch.export.export(model, batch)
    except Exception as error:  # whatever PyTorch raises
        raise InputError(f"torch.export cannot export the model: {' '.join(str(error).split())[:300]}") from error
    finally:
        model.train(training)


@contextlib.contextmanager
def quiet():
    """Without what PyTorch and torchao say about themselves."""
    loggers = [logging.getLogger(name) for name in ("torchao", "torch.utils._pytree")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels):
            each.setLevel(level)
