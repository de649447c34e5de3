"""Inputs of ``real_models`` with the right answers: files of this repository and of the Python installation, and rendered text."""

import sysconfig
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SIDE, BLOCK, PADDING = 1024, 4096, 256
"""Of magika's features: bytes from either end, bytes that are looked at, and what stands for no byte."""

TYPES = {
    ".c": "c", ".cfg": "ini", ".cpp": "cpp", ".css": "css", ".gif": "gif", ".gz": "gzip", ".html": "html", ".ini": "ini",
    ".ipynb": "ipynb", ".js": "javascript", ".json": "json", ".md": "markdown", ".npz": "npz", ".onnx": "onnx", ".pkl": "pickle",
    ".png": "png", ".pdf": "pdf", ".py": "python", ".pyc": "pythonbytecode", ".rst": "rst", ".sh": "shell", ".so": "elf",
    ".svg": "svg", ".toml": "toml", ".ttf": "ttf", ".v": "verilog", ".whl": "zip", ".xml": "xml", ".yaml": "yaml", ".yml": "yaml",
    ".zip": "zip",
}  # fmt: skip
"""Suffixes that say what a file is, in magika's words."""

EACH = 24
"""Files of a type, at most: a third calibrates, the others test."""


def files(labels: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(calibration, test inputs, right answers): int32 features of files whose suffix says their type, as places in ``labels``."""
    found: dict[str, list[Path]] = {}
    purelib = Path(sysconfig.get_paths()["purelib"])
    for root in (
        ROOT / "docs",
        ROOT / "gemmary",
        ROOT / "verif",
        ROOT / "hdl",
        Path(sysconfig.get_paths()["stdlib"]),
        purelib,
    ):
        for path in sorted(root.rglob("*")):
            kind = TYPES.get(path.suffix)
            if kind is not None and path.is_file() and path.stat().st_size > 200:
                found.setdefault(kind, []).append(path)
    rng, calibration, inputs, answers = np.random.default_rng(0), [], [], []
    for kind, paths in sorted(found.items()):
        for i, place in enumerate(rng.permutation(len(paths))[:EACH]):
            features = file_features(paths[place].read_bytes())
            if i % 3 == 0:
                calibration.append(features)
            else:
                inputs.append(features)
                answers.append(labels.index(kind))
    return np.stack(calibration), np.stack(inputs), np.array(answers)


def file_features(data: bytes) -> np.ndarray:
    """2,048 int32: the first and the last 1,024 bytes without white space around, padded with 256, as magika takes them."""
    begin, end = data[:BLOCK].lstrip()[:SIDE], data[-BLOCK:].rstrip()[-SIDE:]
    if len(data) <= BLOCK:
        begin, end = data.strip()[:SIDE], data.strip()[-SIDE:]
    row = np.full(2 * SIDE, PADDING, np.int32)
    row[: len(begin)] = np.frombuffer(begin, np.uint8)
    row[2 * SIDE - len(end) :] = np.frombuffer(end, np.uint8)
    return row


HEIGHT, WIDTH = 48, 192
WORDS = [
    "accelerator", "matrix", "Invoice", "2024", "Total", "amount", "street", "PLATFORM", "station", "exit", "Quality",
    "open", "weights", "3.14159", "London", "No", "smoking", "Kitchen", "garden", "river", "bridge", "Model", "T-800",
    "please", "wait", "here", "Breakfast", "from", "7:30", "Taxi", "free", "entry", "Paris", "75001", "museum",
    "closed", "Price", "19.99", "EUR", "contact", "Library", "second", "floor", "emergency", "Ticket", "adult", "child",
    "receipt", "thank", "you", "Welcome", "to", "the", "city", "of",
]  # fmt: skip


def lines(count: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(calibration, test inputs, right answers): float32 ``[n, 3, 48, 192]`` of −1 … 1, lines of text, every other one turned by 180
    degrees; 0 to the right of a short one. Answers: 0 upright, 1 turned."""
    rng, answers = np.random.default_rng(0), np.arange(count) % 2
    batch = np.zeros((count, 3, HEIGHT, WIDTH), np.float32)
    for i, answer in enumerate(answers):
        image = _line(rng)
        image = image[::-1, ::-1] if answer else image
        batch[i, :, :, : image.shape[1]] = image.transpose(2, 0, 1) / 127.5 - 1
    third = count // 3
    return batch[:third], batch[third:], answers[third:]


def _line(rng: np.random.Generator) -> np.ndarray:
    """One image, uint8 ``[48, at most 192, 3]``: dark text on a light ground or the reverse, some noise."""
    from PIL import Image, ImageDraw, ImageFont

    text = " ".join(rng.choice(WORDS, rng.integers(1, 4)))
    font = ImageFont.load_default(size=float(rng.uniform(26, 40)))
    ground, ink = (tuple(int(c) for c in rng.integers(low, low + 90, 3)) for low in rng.permutation([0, 165]))
    left, top, right, bottom = font.getbbox(text)
    margin = int(rng.integers(2, 10))
    image = Image.new("RGB", (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin), ground)
    ImageDraw.Draw(image).text((margin - left, margin - top), text, fill=ink, font=font)
    width = min(WIDTH, -(-HEIGHT * image.width // image.height))
    scaled = np.asarray(image.resize((width, HEIGHT), Image.Resampling.BILINEAR), np.float32)
    return np.clip(scaled + rng.normal(0, 6, scaled.shape), 0, 255).astype(np.uint8)
