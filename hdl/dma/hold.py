"""Requests that are not withdrawn."""

from amaranth import Signal


def offered(m, wanted, allowed, ready, name: str):
    """``valid`` of a request: ``wanted``, and ``allowed`` when it was first offered. Once offered it stays until taken."""
    valid, held = Signal(name=f"{name}_valid"), Signal(name=f"{name}_held")
    m.d.comb += valid.eq(wanted & (allowed | held))
    m.d.sync += held.eq(valid & ~ready)
    return valid
