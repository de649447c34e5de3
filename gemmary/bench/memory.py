"""The external memory that a benchmark has behind the accelerator."""

from dataclasses import dataclass

from ..config import Config
from ..errors import InputError
from ..performance.model import Timing


@dataclass(frozen=True)
class Memory:
    """Answers ``latency`` cycles after a request and moves ``bytes_per_cycle`` (default: the width of the bus) each way. Each
    of its channels pauses in a cycle with probability ``stalls``, which only the rtl device knows."""

    latency: int = 100
    bytes_per_cycle: float | None = None
    stalls: float = 0.0

    def __post_init__(self):
        if self.latency < 1:
            raise InputError(f"latency must be at least 1 cycle, not {self.latency}")
        if self.bytes_per_cycle is not None and not self.bytes_per_cycle > 0:
            raise InputError(f"bytes per cycle must be above 0, not {self.bytes_per_cycle}")
        if not 0 <= self.stalls < 1:
            raise InputError(f"stalls must be at least 0 and below 1, not {self.stalls}")

    def rate(self, config: Config) -> float:
        """Bytes a cycle, each way. InputError for more than the bus of ``config`` carries."""
        rate = self.bytes_per_cycle or config.bus_bytes
        if rate > config.bus_bytes:
            raise InputError(
                f"bytes per cycle must be at most {config.bus_bytes}, the bus of {config.name}, not {rate}"
            )
        return rate

    def timing(self, config: Config) -> Timing:
        return Timing(config, self.latency, self.rate(config))
