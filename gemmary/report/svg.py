"""SVG elements as text, and scales."""

from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10


def element(name: str, content: str = "", /, **attributes) -> str:
    """``class_`` and ``text_anchor`` become ``class`` and ``text-anchor``; numbers get one decimal."""
    shown = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{shown}>{content}</{name}>"


def text(x: float, y: float, words: str, **attributes) -> str:
    return element("text", escape(words), x=x, y=y, **attributes)


def colour(index: int) -> str:
    return f"var(--c{index % 8})"


def picture(width: float, height: float, label: str, content: list[str]) -> str:
    """A figure; ``label`` says what it shows to those who cannot see it."""
    drawing = element(
        "svg", "".join(content), viewBox=f"0 0 {width:g} {height:g}", width=width, role="img", aria_label=escape(label)
    )
    return f"<figure>{drawing}</figure>"


def _value(value) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Scale:
    """Values from ``low`` to ``high`` to places from ``start`` to ``end``, in proportion or (``log``) to their logarithms."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """Round values, at most ten or so."""
        if self.log:
            powers = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            for digits in ((1,), (1, 2, 5), range(1, 10)):
                ticks = [digit * 10.0**power for power in powers for digit in digits]
                ticks = [tick for tick in ticks if self.low <= tick <= self.high]
                if len(ticks) >= 3:
                    break
            return ticks
        rough = (self.high - self.low) / 6
        power = 10.0 ** floor(log10(rough))
        step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough)
        return [step * i for i in range(ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9) + 1)]


def short(value: float) -> str:
    """12 300 000 as 12.3M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"
