"""The models of the ECP5's multiplier and block RAM against the golden ones, for random parameters and inputs."""

import numpy as np
import pytest

from verif.golden.ecp5 import BlockRam, Multiplier, Port

from .bench import bits, simulate
from .models import OURS

MULTIPLIER, RAM = ((OURS / f"{cell}.v").read_text() for cell in ("MULT18X18D", "DP16KD"))
STEPS = 400


def number(rng, width: int) -> int:
    """Random, often an extreme."""
    extremes = (0, (1 << width) - 1, 1 << (width - 1), (1 << (width - 1)) - 1, 1)
    return int(extremes[rng.integers(5)] if rng.random() < 0.3 else rng.integers(1 << width))


def chance(rng, probability: float, count: int) -> int:
    return sum(int(rng.random() < probability) << i for i in range(count))


def pack(*fields: tuple[int, int]) -> int:
    """Fields (value, width) from bit 0 upwards."""
    total = shift = 0
    for value, width in fields:
        total |= value << shift
        shift += width
    return total


@pytest.mark.parametrize("mode", ["SYNC", "ASYNC"])
def test_multiplier(mode, tmp_path):
    """Every stage on or off, on any clock, with any enable and reset; several clocks rise at once."""
    rng = np.random.default_rng(len(mode))
    stages = ("A", "B", "PIPELINE", "OUTPUT")
    models = [
        Multiplier(
            {
                s: (None if rng.random() < 0.4 else int(rng.integers(4)), *map(int, rng.integers(4, size=2)))
                for s in stages
            },
            mode == "ASYNC",
        )
        for _ in range(40)
    ]
    models.append(Multiplier(dict.fromkeys(stages, (0, 0, 0)), mode == "ASYNC"))  # the form that the array instantiates
    instances = ""
    for i, model in enumerate(models):
        parameters = [f'.RESETMODE("{mode}")']
        for stage, (clock, enable, reset) in model.stages.items():
            register = f"INPUT{stage}" if len(stage) == 1 else stage
            parameters.append(f'.REG_{register}_CLK("{"NONE" if clock is None else f"CLK{clock}"}")')
            parameters.append(f'.REG_{register}_CE("CE{enable}"), .REG_{register}_RST("RST{reset}")')
        instances += f"wire [35:0] p{i}; assign out[{36 * i} +: 36] = p{i};\n"
        instances += f"MULT18X18D #({', '.join(parameters)}) m{i} ({bits('A', 18, 'a')}, {bits('B', 18, 'b')},\n"
        instances += (
            f"{bits('P', 36, f'p{i}')}, {bits('CE', 4, 'ce')}, {bits('RST', 4, 'rst')}, {bits('CLK', 4, 'clk')},\n"
        )
        instances += ".SIGNEDA(in[36]), .SIGNEDB(in[37]), .SOURCEA(1'b0), .SOURCEB(1'b0));\n"
    wires = "wire [17:0] a = in[17:0], b = in[35:18]; wire [3:0] ce = in[41:38], rst = in[45:42], clk = in[49:46];\n"

    stimulus, expected, clocks = [], [], 0
    for _ in range(STEPS):
        now = number(rng, 18), number(rng, 18), *(int(x) for x in rng.integers(2, size=2))
        enables, resets = chance(rng, 0.8, 4), chance(rng, 0.05, 4)
        after = chance(rng, 0.5, 4)
        rising = {i for i in range(4) if after & ~clocks & 1 << i}
        for levels in (clocks, after):
            fields = zip((*now, enables, resets, levels), (18, 18, 1, 1, 4, 4, 4))
            stimulus.append(pack(*fields))
        for model in models:
            model.settle(*now, enables, resets)
        expected.append(pack(*((model.p, 36) for model in models)))
        for model in models:
            model.edge(rising)
        expected.append(pack(*((model.p, 36) for model in models)))
        clocks = after
    found = simulate([MULTIPLIER], 50, 36 * len(models), wires + instances, stimulus, tmp_path)
    assert found == expected, next(f"step {i}" for i, pair in enumerate(zip(found, expected)) if pair[0] != pair[1])


INPUTS = {"address": 14, "data": 18, "enable": 1, "select": 3, "write": 1, "output_enable": 1, "reset": 1}
WIDTH = sum(INPUTS.values())


def ram_instance(i: int, model: BlockRam, decode: str) -> str:
    """Instance ``i`` on the shared inputs: port A in the lower bits of ``in``, port B above, the clocks on top."""
    parameters = ['.RESETMODE("ASYNC"), .ASYNC_RESET_RELEASE("ASYNC")' if model.asynchronous else '.RESETMODE("SYNC")']
    pins = []
    for name, port in model.ports.items():
        parameters.append(f'.DATA_WIDTH_{name}({port.width}), .WRITEMODE_{name}("{port.write_mode}")')
        parameters.append(
            f'.REGMODE_{name}("{"OUTREG" if port.registered else "NOREG"}"), .CSDECODE_{name}("{decode}")'
        )
        for pin, key in (("AD", "address"), ("DI", "data"), ("CS", "select")):
            pins.append(bits(f"{pin}{name}", INPUTS[key], f"{key}_{name}"))
        for pin, key in (("CE", "enable"), ("WE", "write"), ("OCE", "output_enable"), ("RST", "reset")):
            level = f"{key}_{name}" if (name, key, pseudo(model)) != ("B", "write", True) else "1'b0"
            pins.append(f".{pin}{name}({level})")
        pins.append(f".CLK{name}(in[{2 * WIDTH + 'AB'.index(name)}])")
        pins.append(bits(f"DO{name}", 18, f"q{i}_{name}"))
    for k in range(64):
        words = model.words[16 * k : 16 * k + 16]
        parameters.append(f".INITVAL_{k:02X}(320'h{pack(*((word, 20) for word in words)):x})")
    out = f"wire [17:0] q{i}_A, q{i}_B; assign out[{36 * i} +: 36] = {{q{i}_B, q{i}_A}};\n"
    return out + f"DP16KD #({', '.join(parameters)}) ram{i} ({', '.join(pins)});\n"


def pseudo(model: BlockRam) -> bool:
    return any(port.width == 36 for port in model.ports.values())


def wires() -> str:
    text, at = "", 0
    for name in "AB":
        for key, width in INPUTS.items():
            text += f"wire [{width - 1}:0] {key}_{name} = in[{at} +: {width}];\n"
            at += width
    return text


def random_ram(rng, widths: tuple[int, int], asynchronous: bool, select: int) -> BlockRam:
    def port(width: int) -> Port:
        modes = ("NORMAL", "WRITETHROUGH", "READBEFOREWRITE")[: 3 if width >= 9 else 2]
        return Port(width, modes[rng.integers(len(modes))], bool(rng.integers(2)), select)

    return BlockRam(dict(zip("AB", map(port, widths))), rng.integers(1 << 18, size=1024).tolist(), asynchronous)


def shown(model: BlockRam) -> int:
    """Both output buses, as pins: with a width of 36 the lower half of a word is on port A's."""
    a, b = (model.ports[name] for name in "AB")
    if not pseudo(model):
        return pack((a.shown, 18), (b.shown, 18))
    return b.shown if b.width == 36 else b.shown << 18


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_block_ram(asynchronous, tmp_path):
    """Every pair of widths, random modes, two clocks, at few addresses so that the ports meet, but never at one edge."""
    rng = np.random.default_rng(asynchronous)
    widths = [(a, b) for a in (1, 2, 4, 9, 18) for b in (1, 2, 4, 9, 18)] + [(36, 36), (36, 9), (36, 18), (9, 36)]
    for pair in widths:
        select = int(rng.integers(8))
        model = random_ram(rng, pair, asynchronous, select)
        stimulus, expected = drive(rng, model)
        folder = tmp_path / f"{pair[0]}-{pair[1]}"
        found = simulate(
            [RAM], 2 * WIDTH + 2, 36, wires() + ram_instance(0, model, f"0b{select:03b}"), stimulus, folder
        )
        wrong = [i for i in range(len(found)) if found[i] != expected[i]]
        ports = {name: (port.width, port.write_mode, port.registered) for name, port in model.ports.items()}
        assert not wrong, f"{ports}: step {wrong[0]}: {found[wrong[0]]:09x}, not {expected[wrong[0]]:09x}"


def drive(rng, model: BlockRam) -> tuple[list[int], list[int]]:
    """Stimulus for a RAM, and what it shows."""
    base, levels = int(rng.integers(1 << 14)) & ~0x7F, 0
    stimulus, expected = [], []
    for _ in range(STEPS):
        while True:
            now = {name: random_access(rng, model.ports[name], base) for name in "AB"}
            if pseudo(model):
                now["B"]["write"] = 0
                now["B"]["data"] = number(rng, 18)
            golden = {name: dict(values) for name, values in now.items()}
            if pseudo(model):
                golden["A"]["data"] |= now["B"]["data"] << 18
            if not model.conflict(golden):
                break
        model.settle(**golden)
        after = int(rng.integers(4))
        rising = {name for i, name in enumerate("AB") if after & ~levels & 1 << i}
        fields = [(now[name][key], width) for name in "AB" for key, width in INPUTS.items()]
        stimulus += [pack(*fields, (levels, 2)), pack(*fields, (after, 2))]
        expected.append(shown(model))
        model.edge(rising)
        expected.append(shown(model))
        levels = after
    return stimulus, expected


def random_access(rng, port: Port, base: int) -> dict[str, int]:
    return {
        "address": base | int(rng.integers(128)),
        "data": number(rng, 18),
        "enable": int(rng.random() < 0.8),
        "select": port.select if rng.random() < 0.8 else int(rng.integers(8)),
        "write": int(rng.random() < 0.5),
        "output_enable": int(rng.random() < 0.7),
        "reset": int(rng.random() < 0.05),
    }


UNSUPPORTED = {
    "RESETMODE": (MULTIPLIER, 'MULT18X18D #(.RESETMODE("NEVER")) m ()'),
    "REG_INPUTC_CLK": (MULTIPLIER, 'MULT18X18D #(.REG_INPUTC_CLK("CLK0")) m ()'),
    "SOURCEB_MODE": (MULTIPLIER, 'MULT18X18D #(.SOURCEB_MODE("C_SHIFT")) m ()'),
    "MULT_BYPASS": (MULTIPLIER, 'MULT18X18D #(.MULT_BYPASS("ENABLED")) m ()'),
    "CAS_MATCH_REG": (MULTIPLIER, 'MULT18X18D #(.CAS_MATCH_REG("TRUE")) m ()'),
    "HIGHSPEED_CLK": (MULTIPLIER, 'MULT18X18D #(.HIGHSPEED_CLK("CLK0")) m ()'),
    "CLKn_DIV": (MULTIPLIER, 'MULT18X18D #(.CLK2_DIV("DISABLED")) m ()'),
    "clock": (MULTIPLIER, 'MULT18X18D #(.REG_OUTPUT_CLK("CLK4")) m ()'),
    "enable": (MULTIPLIER, 'MULT18X18D #(.REG_OUTPUT_CE("CE4")) m ()'),
    "reset": (MULTIPLIER, 'MULT18X18D #(.REG_OUTPUT_RST("RST")) m ()'),
    "SOURCEA = 1": (MULTIPLIER, "MULT18X18D m (.SOURCEA(in[0]))"),
    "SOURCEB = 1": (MULTIPLIER, "MULT18X18D m (.SOURCEB(in[0]))"),
    "operand C": (MULTIPLIER, "MULT18X18D m (.C5(in[0]))"),
    "DATA_WIDTH": (RAM, "DP16KD #(.DATA_WIDTH_B(8)) m ()"),
    "REGMODE": (RAM, 'DP16KD #(.REGMODE_A("YES")) m ()'),
    "WRITEMODE": (RAM, 'DP16KD #(.WRITEMODE_B("OLD")) m ()'),
    "CLKAMUX": (RAM, 'DP16KD #(.CLKAMUX("CLKB")) m ()'),
    "INIT_DATA": (RAM, 'DP16KD #(.INIT_DATA("DYNAMIC")) m ()'),
    "INITVAL_1b": (RAM, f'DP16KD #(.INITVAL_1B("0x{0:080x}")) m ()'),
    "port B writes": (RAM, "DP16KD #(.DATA_WIDTH_A(36)) m (.WEB(in[0]))"),
    "ASYNC_RESET_RELEASE": (RAM, 'DP16KD #(.RESETMODE("ASYNC")) m (.RSTA(in[0]))'),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_modelled_stops_the_simulation(name, tmp_path):
    model, instance = UNSUPPORTED[name]
    with pytest.raises(AssertionError, match=rf"FATAL.*(MULT18X18D|DP16KD): .*{name}\b"):
        simulate([model], 1, 1, f"assign out = in;\n{instance};", [0, 1, 0], tmp_path)


def test_a_collision_gives_wrong_data(tmp_path):
    """A read of the word that the other port writes at the same edge shows neither the old word nor the new one."""
    pins = (
        "assign out = q;\nwire [8:0] q;\n"
        + "DP16KD #(.DATA_WIDTH_A(9), .DATA_WIDTH_B(9)) m (.CLKA(in[0]), .CLKB(in[0]),\n"
    )
    pins += f".CEA(1'b1), .CEB(1'b1), .WEA(in[1]), {bits('DIA', 9, 'in[10:2]')}, {bits('DOB', 9, 'q')});"
    pins = pins.replace("in[10:2][", "d[") + "\nwire [8:0] d = in[10:2];"
    write, read = 0x155 << 2 | 2, 0x0AA << 2
    found = simulate([RAM], 11, 9, pins, [write, write | 1, read, read | 1, write, write | 1, read, read | 1], tmp_path)
    assert found == [0, 0x1FF, 0x1FF, 0x155, 0x155, 0x0AA, 0x0AA, 0x155]
