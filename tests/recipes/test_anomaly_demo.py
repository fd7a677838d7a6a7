"""The data of the anomaly demo: killed at random moments the same bytes come out, and no frame is in two parts. The whole demo runs in
`test_every_recipe.py`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from killed_recipe import kill_often
from recipe_runner import BIN, ROOT

SCRIPT = ROOT / "recipes" / "anomaly" / "demo.sh"
SMALL = {"FRAMES": "24", "VIDEOS": "8", "ASKED": "0", "UNTIL": "data"}


def command(out: Path, **variables: str) -> dict:
    own = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": os.environ["HOME"], "OUT": str(out), **SMALL, **variables}
    return {"args": ["bash", str(SCRIPT)], "env": own, "cwd": out.parent}


def run(out: Path, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(**command(out, **variables), capture_output=True, text=True, timeout=300)


def made(out: Path, **variables: str) -> dict[str, str]:
    """Run it to its end -> every file that it left but its log, with a hash."""
    done = run(out, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    paths = [path for path in out.rglob("*") if path.is_file() and path.name not in ("log.txt", ".lock")]
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes().replace(bytes(out), b"OUT")).hexdigest() for path in paths}


def killed_and_continued(out: Path, kills: int) -> None:
    began = time.monotonic()
    expected = made(out)
    kill_often(command(out), out, kills, time.monotonic() - began)
    assert made(out) == expected


def test_a_few_kills(tmp_path):
    killed_and_continued(tmp_path / "out", 3)


@pytest.mark.recipes
@pytest.mark.timeout(1800)
def test_fifty_kills(tmp_path):
    killed_and_continued(tmp_path / "out", 50)


def test_parts_share_no_frame_and_follow_from_the_seed(tmp_path):
    first = made(tmp_path / "out")
    frames = {
        part: {json.loads(line)["source_image"] for path in (tmp_path / "out/parts").glob(f"{part}.*.jsonl") for line in path.open()}
        for part in ("train", "val", "test")
    }
    assert all(frames.values())
    assert not frames["train"] & frames["val"] | frames["train"] & frames["test"] | frames["val"] & frames["test"]
    videos = {part: {Path(frame).parent.name for frame in found} for part, found in frames.items()}
    assert sum(map(len, videos.values())) == len(set.union(*videos.values())) == 8
    assert made(tmp_path / "again") == first
    other = made(tmp_path / "other", SEED="1")
    assert [
        name for name in ("bench/images/video00/00000.jpg", "local.jsonl", "parts/train.3.jsonl") if first[name] == other.get(name)
    ] == []


def test_other_settings_are_refused(tmp_path):
    before = made(tmp_path / "out")
    done = run(tmp_path / "out", FRAMES="32")
    assert done.returncode == 1
    assert "out was begun with FRAMES=24" in done.stderr
    assert "OVERWRITE=1" in done.stderr
    assert made(tmp_path / "out") == before
