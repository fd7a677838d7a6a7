"""The peers of `interchange.py`: each writes and reads a set of boxes by its own code, in an environment of its own.

    python benchmarks/interchange_peers                                          -> what each can do, as JSON
    PEER/bin/python benchmarks/interchange_peers globox write voc REQUEST.json

A peer is a file with_PEER.py: `REQUIREMENT` is what is installed for it, `write_FORMAT(data, out)` writes the set `data` into the folder
`out` and returns where, with options of `groundswift convert FORMAT`; `read_FORMAT(place)` returns the boxes by image of a `source` with
`images` and `classes`, and WRITTEN has options of `groundswift convert to-FORMAT` for it. REQUEST.json has the folders `set` and `out`, or
a place; the `answer` is written as JSON to the file that it names. A set is a folder with images/, set.json (classes; file, width, height
and boxes of each image: class, x1, y1, x2, y2 in px) and coco.json (the same). Nothing of groundswift is imported here, and of the peers
only what a function needs, within it.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

PEERS = sorted(path.stem.removeprefix("with_") for path in Path(__file__).parent.glob("with_*.py"))


def ways(module: ModuleType) -> list[tuple[str, str]]:
    """(write or read, format) of all functions of a peer, in their order."""
    parts = (name.partition("_") for name in vars(module))
    return [(direction, form.replace("_", "-")) for direction, _, form in parts if direction in ("write", "read") and form]


def described() -> dict[str, Any]:
    """Peer -> what is installed for it, its ways, and options of writers by format."""
    modules = {peer: import_module(f"with_{peer}") for peer in PEERS}
    return {
        peer: {"requirement": module.REQUIREMENT, "ways": ways(module), "written": getattr(module, "WRITTEN", {})}
        for peer, module in modules.items()
    }


def loaded(root: Path) -> Any:
    """The set of a folder."""
    content = json.loads((root / "set.json").read_text(encoding="utf-8"))
    return SimpleNamespace(root=root, images=root / "images", classes=content["classes"], each=content["images"])


def run(peer: str, direction: str, name: str, path: str) -> None:
    """One way, as a request says."""
    request = json.loads(Path(path).read_text(encoding="utf-8"))
    way = getattr(import_module(f"with_{peer}"), f"{direction}_{name.replace('-', '_')}")
    if direction == "write":
        out = Path(request["out"])
        out.mkdir(parents=True)
        found = way(loaded(Path(request["set"])), out)
    else:
        found = way(request)
    Path(request["answer"]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    run(*sys.argv[1:]) if len(sys.argv) > 1 else print(json.dumps(described()))
