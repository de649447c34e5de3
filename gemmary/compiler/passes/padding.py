"""The padding of ONNX's windows."""

from .matching import Mismatch


def pads_of(options: dict, sizes, window, strides, dilations=None) -> list[int]:
    """(top, bottom, left, right) of one or two axes; of one they are left and right. Mismatch for what the machine has not."""
    dilations = dilations or [1] * len(window)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilations)]
    kind = options.get("auto_pad", "NOTSET")
    if kind == "NOTSET":
        pads = options.get("pads", [0] * 2 * len(window))
        pairs = list(zip(pads[: len(window)], pads[len(window) :]))
    elif kind == "VALID":
        pairs = [(0, 0)] * len(window)
    else:
        pairs = []
        for size, length, step in zip(sizes, reach, strides):
            total = max(0, (-(-size // step) - 1) * step + length - size)
            half = total // 2
            pairs.append((half, total - half) if kind == "SAME_UPPER" else (total - half, half))
    if any(n < 0 for pair in pairs for n in pair):
        raise Mismatch("negative padding")
    if options.get("ceil_mode", 0):
        for i, (size, length, step) in enumerate(zip(sizes, reach, strides)):
            before, after = pairs[i]
            count = -(-(size + before + after - length) // step) + 1
            if (count - 1) * step >= size + before:  # ONNX leaves out a window that begins in the padding
                count -= 1
            pairs[i] = before, max(after, (count - 1) * step + length - size - before)
    flat = [n for pair in pairs for n in pair]
    return flat if len(window) == 2 else [0, 0, *flat]
