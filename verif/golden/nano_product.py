"""The product of `nano` in Python integers, written from the docstring of hdl/nano/product.py."""

from hdl.nano.instructions import Out

WORD = 1 << 16
MULTIPLIER_BITS = 24


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (value >> bits - 1 << bits)


class Product:
    """``write`` returns the cycles that it takes; ``half`` and ``sticky`` are those of the last shift, None before one."""

    def __init__(self):
        self.value: int | None = None
        self.factor_low = self.factor_high = 0
        self.half: int | None = None
        self.sticky: int | None = None

    @property
    def low(self) -> int:
        return self.value % WORD

    def write(self, port: Out, data: int) -> int:
        if port == Out.FACTOR_LOW:
            self.factor_low = data
        elif port == Out.FACTOR_HIGH:
            self.factor_high = data
        elif port == Out.PUSH:
            self.value = signed((self.value or 0) % WORD**4 // WORD + data * WORD**3, 64)
        elif port == Out.MULTIPLY:
            assert 0 <= self.value < 1 << MULTIPLIER_BITS
            self.value *= signed(self.factor_high * WORD + self.factor_low, 32)
            self.half = self.sticky = None
            return MULTIPLIER_BITS
        elif port == Out.SHIFT:
            lost = self.value % (1 << data)
            self.value >>= data
            self.half = lost >> data - 1 if data else 0
            self.sticky = int(lost % (1 << max(data - 1, 0)) != 0)
            return data
        return 0
