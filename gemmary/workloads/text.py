"""A layer from words: the tables of a data file, and what a command line says."""

from dataclasses import fields

from ..errors import InputError
from .layer import Conv, Layer, Matmul

KINDS = {"matmul": Matmul, "conv": Conv}
FORMS = {
    "matmul": ("M", "K", "N"),
    "conv": ("H", "W", "CIN", "COUT", "KERNEL", "STRIDE", "PAD", "GROUPS"),
}
PAIRS = ("KERNEL", "STRIDE", "PAD")  # N or HEIGHTxWIDTH


def from_table(table: dict) -> Layer:
    """The layer that a table of a data file describes: the fields of Matmul or Conv, ``kind``, and short forms.

    Those are ``input = [height, width, cin]``, and one number for an equal kernel, stride or padding on all sides.
    """
    table = dict(table)
    name, kind = table.get("name"), table.pop("kind", None)
    if kind not in KINDS:
        raise InputError(f"layer {name!r}: kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if kind == "conv":
        shape = table.pop("input", None)
        if not isinstance(shape, list) or len(shape) != 3:
            raise InputError(f"layer {name!r}: input must be [height, width, channels], not {shape!r}")
        table.update(zip(("height", "width", "cin"), shape))
        for field, length in (("kernel", 2), ("stride", 2), ("padding", 4)):
            if field in table:
                value = table[field]
                table[field] = tuple(value) if isinstance(value, list) else (value,) * length
    known = {field.name: field for field in fields(KINDS[kind])}
    for field in table.keys() - known:
        raise InputError(f"layer {name!r}: {field} is no field of a {kind}; those are {', '.join(known)}")
    required = {"name", "m", "k", "n"} if kind == "matmul" else {"name", "cout", "kernel"}
    for field in sorted(required - table.keys()):
        raise InputError(f"layer {name!r}: {field} is missing")
    return KINDS[kind](**table)


def parse(text: str) -> Layer:
    """The layer in ``matmul:M,K,N`` or ``conv:H,W,CIN,COUT,KERNEL,STRIDE,PAD,GROUPS``; the text is its name.

    KERNEL, STRIDE and PAD are N or HEIGHTxWIDTH. InputError, naming the number, for anything else.
    """
    kind, _, rest = text.partition(":")
    if kind not in FORMS:
        raise InputError(
            f"layer {text!r} must be " + " or ".join(f"{kind}:{','.join(form)}" for kind, form in FORMS.items())
        )
    form, words = FORMS[kind], rest.split(",")
    if len(words) != len(form):
        raise InputError(f"layer {text!r} must have {len(form)} numbers, {kind}:{','.join(form)}, not {len(words)}")
    values = {name: _size(text, name, word) for name, word in zip(form, words)}
    if kind == "matmul":
        return Matmul(name=text, m=values["M"], k=values["K"], n=values["N"])
    top, left = values["PAD"]
    return Conv(
        name=text,
        height=values["H"],
        width=values["W"],
        cin=values["CIN"],
        cout=values["COUT"],
        kernel=values["KERNEL"],
        stride=values["STRIDE"],
        padding=(top, top, left, left),
        groups=values["GROUPS"],
    )


def _size(text: str, name: str, word: str) -> int | tuple[int, int]:
    parts = word.strip().split("x") if name in PAIRS else [word.strip()]
    least = 0 if name == "PAD" else 1
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and int(part) >= least for part in parts):
        form = f"a number of {least} or more" + (", or HEIGHTxWIDTH" if name in PAIRS else "")
        raise InputError(f"layer {text!r}: {name} must be {form}, not {word!r}")
    sizes = tuple(map(int, parts))
    return (sizes * 2)[:2] if name in PAIRS else sizes[0]
