"""An earlier build of groundswift: its files in a temporary folder, and the environment in which its processes import them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parents[1]
SIBLINGS = ("data_converters", "eval", "swift_plugins")  # packages of groundswift that a clone has as folders of their own


@contextlib.contextmanager
def earlier_tree(revision: str) -> Iterator[Path]:
    """The files of a revision in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", revision], cwd=TREE, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        for name in SIBLINGS:  # builds before 2026-11-28 do not look for them there, and would import those of this build
            inside = Path(folder, "groundswift", name)
            if Path(folder, name).is_dir() and not inside.exists():
                inside.symlink_to(Path("..", name))
        yield Path(folder)


def environment(tree: Path) -> dict[str, str]:
    """The environment of a build's processes; bytecode is kept, so that no build is compiled at each start."""
    return {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}


def printed_json(command: list[str], tree: Path) -> Any:
    """What a process of a build prints, as JSON; its errors end this one."""
    done = subprocess.run(command, cwd=tree, env=environment(tree), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)
