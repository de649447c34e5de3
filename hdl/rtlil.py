"""Passes over the text of an RTLIL design."""

import re
from collections.abc import Iterable

_MODULE = re.compile(r"((?:^attribute [^\n]*\n)*)^module (\S+)\n(.*?)^end$", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"^(\s*cell )(\\\S+)( \S+)$", re.MULTILINE)
# What means nothing to the tools that read the Verilog, or differs between equal modules.
_NOISE = re.compile(r"^\s*attribute \\(?:src|generator|top|enum_\w+|amaranth\.\w+) .*\n", re.MULTILINE)
_ZEROS = re.compile(
    r"^\s*cell \$meminit_v2 [^\n]*\n(?:(?!\s*end$)[^\n]*\n)*?\s*connect \\DATA \d+'0+\n.*?^\s*end\n",
    re.MULTILINE | re.DOTALL,
)
_NO_CHECK = "attribute \\no_rw_check"
_COLLISION = re.compile(r"(parameter \\COLLISION_X_MASK (\d+)')0+$", re.MULTILINE)
_PORT = re.compile(r"^\s*cell \$mem(rd|wr)_v2 .*?^\s*end$", re.MULTILINE | re.DOTALL)
_CLOCK = re.compile(r"^\s*connect \\CLK (.*)$", re.MULTILINE)
_INITIAL = re.compile(r"^\s*attribute \\init .*\n", re.MULTILINE)


def drop_zero_contents(rtlil: str) -> str:
    """Without the initial contents of memories that start with zeros: a line of Verilog for every word, on which nothing may
    rely."""
    return _ZEROS.sub("", rtlil)


def drop_initial_values(rtlil: str) -> str:
    """Without the initial values of registers."""
    return _INITIAL.sub("", rtlil)


def forget_collisions(rtlil: str) -> str:
    """Where a memory has the attribute ``no_rw_check``, a read in the cycle of a write to the same word gives anything.

    Yosys heeds the attribute only while it makes read ports of registers, and Amaranth's have theirs already. Without this
    every block RAM that cannot give the old word gets a copy of what is written, a comparator and a multiplexer. Ports with different
    clocks have no cycle in common, so Yosys wants nothing said of them.
    """

    def relax(module: re.Match) -> str:
        text = module[0]
        if _NO_CHECK not in text:
            return text
        writers = {_CLOCK.search(port[0])[1] for port in _PORT.finditer(text) if port[1] == "wr"}

        def relax_port(port: re.Match) -> str:
            alike = writers == {_CLOCK.search(port[0])[1]}
            return _COLLISION.sub(lambda mask: mask[1] + "1" * int(mask[2]), port[0]) if alike else port[0]

        return _PORT.sub(relax_port, text)

    return _MODULE.sub(relax, rtlil)


def share_modules(rtlil: str) -> str:
    """The same design with one module for all whose bodies are equal once the modules inside them are shared.

    Amaranth emits one module an instance: 256 equal cells become 256 modules, which every later tool works through one by
    one. Drops source locations and the names of enum values. Names of modules become plain identifiers: the path of the first
    instance, joined with ``_``.
    """
    modules = {name: (attributes, body) for attributes, name, body in _MODULE.findall(_NOISE.sub("", rtlil))}
    plain = _plain_names(modules)
    kept: dict[tuple[str, str], str] = {}  # attributes and body, with its cells renamed: the name of its module
    final: dict[str, str] = {}  # module as Amaranth named it: the name of the module that stands for it

    def rename(cell: re.Match) -> str:
        kind = visit(cell[2]) if cell[2] in modules else cell[2]
        return cell[1] + kind + cell[3]

    def visit(name: str) -> str:
        if name not in final:
            attributes, body = modules[name]
            final[name] = kept.setdefault((attributes, _CELL.sub(rename, body)), plain[name])
        return final[name]

    for name in modules:
        visit(name)
    return "\n".join(f"{attributes}module {name}\n{body}end\n" for (attributes, body), name in kept.items())


def _plain_names(modules: Iterable[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    taken = set()
    for module in modules:
        plain = base = "\\" + re.sub(r"\W", "_", module[1:])
        suffix = 0
        while plain in taken:
            suffix += 1
            plain = f"{base}_{suffix}"
        taken.add(plain)
        names[module] = plain
    return names
