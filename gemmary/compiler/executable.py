"""A compiled model to call: what ``gemmary.compile`` returns."""

import inspect
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..config import Config, preset
from ..errors import InputError
from ..runtime.device import Device, open_device
from .backend import Compiled, compile_model, explain, load_compiled, run_compiled, save_compiled, signal_to_noise
from .backend.execution import ModelResult
from .ir import Model

MEBIBYTE = 1 << 20


class FallbackWarning(UserWarning):
    """An operator runs on the host, or in the framework: what, why, and what it costs."""


def warn(sentences: Iterable[str]) -> None:
    """Each as a FallbackWarning, of the line that called this package, or PyTorch's."""
    level, frame = 2, inspect.currentframe().f_back
    while frame is not None and _package(frame) in ("gemmary", "torch"):
        level, frame = level + 1, frame.f_back
    for sentence in sentences:
        warnings.warn(sentence, FallbackWarning, stacklevel=level)


def _package(frame) -> str:
    return frame.f_globals.get("__name__", "").partition(".")[0]


class Adapter(Protocol):
    """A framework's arguments as arrays by the names of inputs, and arrays as what its function returns."""

    def inputs(self, args: tuple, kwargs: dict) -> dict[str, np.ndarray]: ...

    def outputs(self, arrays: dict[str, np.ndarray]) -> Any: ...


class Executable:
    """A program and the device that it runs on, opened with the first call. Arguments are those of the model."""

    def __init__(
        self,
        compiled: Compiled,
        device: str = "emulator",
        adapter: Adapter | None = None,
        imported: Model | None = None,
    ):
        self.compiled, self.device_name = compiled, device
        self.result: ModelResult | None = None
        """Of the last call: cycles and layers."""
        self._adapter, self._imported, self._device = adapter or Arrays(compiled.model), imported, None

    @classmethod
    def of(
        cls,
        model: Model,
        config: str | Config,
        *,
        device: str = "emulator",
        strict: bool = False,
        silent: bool = False,
        adapter: Adapter | None = None,
        imported: Model | None = None,
    ) -> "Executable":
        """Of a model at the level of the machine's operators; what runs on the host is warned of, unless ``silent``.
        ``imported`` is the model as it was before the passes."""
        config = preset(config) if isinstance(config, str) else config
        compiled = compile_model(model, config, strict=strict)
        warn([] if silent else compiled.warnings)
        return cls(compiled, device, adapter, imported)

    @classmethod
    def load(cls, path: str | Path, device: str = "emulator") -> "Executable":
        """Of a file that ``save`` or gemmary compile wrote. It takes arrays, in the order of the model's inputs or by name."""
        return cls(load_compiled(Path(path)), device)

    def __call__(self, *args, **kwargs):
        """What the model returns. InputError for arguments of other sizes or dtypes; DeviceError if the device stops."""
        self.result = run_compiled(self.compiled, self.open(), self._adapter.inputs(args, kwargs))
        return self._adapter.outputs(self.result.outputs)

    def open(self) -> Device:
        if self._device is None:
            size = max(1, -(-self.compiled.memory_bytes // MEBIBYTE)) * MEBIBYTE
            self._device = open_device(self.device_name, self.compiled.config, memory_bytes=size)
        return self._device

    def close(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None

    def __enter__(self) -> "Executable":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def save(self, path: str | Path) -> None:
        """Writes the program, for gemmary run, explain and disassemble."""
        save_compiled(self.compiled, Path(path))

    def explain(self, *args, **kwargs) -> dict:
        """What gemmary explain says; with the model's arguments also ``sqnr_db``, the quantization error of every result."""
        errors = None
        if args or kwargs:
            if self._imported is None:
                raise InputError("the quantization error needs the model that the program was made of")
            errors = signal_to_noise(self._imported, self.compiled.model, self._adapter.inputs(args, kwargs))
        return explain(self.compiled, errors)


class Arrays:
    """Arrays in the order of the model's inputs, or by name; one result alone, several as a tuple."""

    def __init__(self, model: Model):
        self.names = list(model.inputs)

    def inputs(self, args: tuple, kwargs: Mapping) -> dict[str, np.ndarray]:
        if len(args) > len(self.names):
            raise InputError(f"the model takes {len(self.names)} inputs, not {len(args)}: {', '.join(self.names)}")
        return {name: np.asarray(array) for name, array in (dict(zip(self.names, args)) | dict(kwargs)).items()}

    def outputs(self, arrays: dict[str, np.ndarray]):
        values = tuple(arrays.values())
        return values[0] if len(values) == 1 else values
