"""How large a board's design is, without placing and routing it."""

import json
import re

from gemmary.errors import GemmaryError

from .build import BUILD, Build, digest, elaborate, flow_texts, source_texts

_USED = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)", re.MULTILINE)


class Size(Build):
    """The design of ``board`` with ``config`` as the router packs it; in build/boards/BOARD-size."""

    def __init__(self, board, config):
        super().__init__(board, config, folder=BUILD / f"{board.name}-size")

    def count(self) -> dict[str, int]:
        """How many of each resource of the report the design takes. Counted once for an unchanged design."""
        with self._locked():
            recipe = [self.config.identity, self.board.name, self.tools.versions()]
            sources, kept = digest(recipe, source_texts()), self.folder / "size.json"
            found = json.loads(kept.read_text()) if kept.exists() else {}
            if found.get("sources") == sources:
                return found["used"]
            with self.steps.step("elaborate"):
                design, constraints = elaborate(self.board, self.config)
            content = digest(recipe, design, constraints, flow_texts())
            if found.get("content") != content:
                self._synthesise(design, constraints)
                found = {"used": self._pack()}
            kept.write_text(json.dumps(found | {"sources": sources, "content": content}))
            return found["used"]

    def _pack(self) -> dict[str, int]:
        chip = self.board.chip
        pins = f"--{chip.constraints}=pins.{chip.constraints}"
        command = [*self.tools.router.command, *chip.route_options, "--json=netlist.json", pins, "--pack-only"]
        self.steps.run("count", command)
        log = (self.folder / "count.log").read_text(errors="replace")
        used = {name: int(count) for name, count, _ in _USED.findall(log)}
        if not used:
            raise GemmaryError(f"no device utilisation in {self.folder / 'count.log'}")
        return {name: sum(used.get(kind, 0) for kind in kinds) for name, kinds in chip.resources.items()}
