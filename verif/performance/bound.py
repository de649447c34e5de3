"""What bounds a layer, from its shape and the config alone: written apart from gemmary.bench, to check it."""

from math import ceil, prod


def bound(config, layer, bytes_per_cycle):
    """max(padded tile cycles, bytes read / bandwidth, bytes written / bandwidth): each operand once, no overhead at all."""
    written = layer.batch * layer.m * layer.n * {"int8": 1, "int32": 4}[layer.output]
    read = layer.batch * layer.k * layer.n + (written if layer.residual else 0)
    if layer.kind == "matmul":
        read += layer.batch * layer.m * layer.k
        cycles = layer.batch * layer.m * tiles(config, layer.k, layer.n)
    else:
        top, _, left, _ = layer.padding
        sizes, outputs = (layer.height, layer.width), layer.output_shape[:2]
        axes = zip(sizes, outputs, layer.kernel, layer.stride, (top, left))
        read += layer.cin * prod(sum(seen(place, *axis) for place in range(axis[0])) for axis in axes)
        cycles = convolution(config, layer)
    return max(cycles, read / bytes_per_cycle, written / bytes_per_cycle)


def seen(place, size, outputs, kernel, stride, before):
    """Whether some window covers this place of an axis."""
    return any(0 <= place + before - output * stride < kernel for output in range(outputs))


def convolution(config, layer):
    """Of all ways to put outputs of a line, and groups, side by side into the columns of one tile, the best; or each word of
    a depthwise layer's padded image once, through a window of 3 x 3 with steps of 1 or 2."""
    rows, width, cin = *layer.output_shape[:2], layer.cin // layer.groups
    side_by_side = [
        (q, g)
        for q in range(1, width + 1)
        for g in range(1, layer.groups + 1)
        if q * g == 1 or q * g * layer.n <= config.columns
    ]
    sums = [
        rows * ceil(width / q) * ceil(layer.groups / g)
        * tiles(config, g * cin * layer.kernel[0] * ((q - 1) * layer.stride[1] + layer.kernel[1]), g * q * layer.n)
        for q, g in side_by_side
    ]  # fmt: skip
    high, wide = (step * (outputs - 1) + 3 for step, outputs in zip(layer.stride, (rows, width)))
    single = layer.groups == layer.cin == layer.cout
    if single and {*layer.kernel} <= {1, 2, 3} and {*layer.stride} <= {1, 2} and wide <= config.window_line:
        sums.append(ceil(layer.cin / config.columns) * high * wide)
    return min(sums)


def tiles(config, k, n):
    return ceil(k / config.rows) * ceil(n / config.columns)
