"""Yosys' netlist in JSON."""


def top_module(netlist: dict) -> dict:
    """The module of ``netlist``, a flat design, that has the attribute ``top``."""
    return next(module for module in netlist["modules"].values() if int(str(module["attributes"].get("top", 0)), 2))
