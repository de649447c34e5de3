"""A netlist in place of the RTL, simulated in process."""

from pathlib import Path

from gemmary.config import Config
from hdl.simulation.build import Variant, build_model
from hdl.simulation.device import RtlDevice
from hdl.verilog import to_verilog

from .models import cell_models
from .synthesis import Netlist, synthesize


def accelerator(config: Config, family: str) -> Netlist:
    """The netlist of ``Top(config)`` for ``family``."""
    return synthesize(to_verilog(config), family)


class NetlistDevice(RtlDevice):
    """``netlist`` (Verilog of the flat top, in cells of ``family``) as a device; options as of RtlDevice, without waves."""

    def __init__(self, config: Config, family: str, netlist: str, **options):
        self._verilog = cell_models(family) + netlist
        super().__init__(config, **options)

    def _library(self, variant: Variant) -> Path:
        return build_model(self.config, variant, verilog=self._verilog)
