"""`--engine ray`: the same bytes and counts as without it, and errors in words, also where there is no Ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from converted import run, write_lines

pytestmark = pytest.mark.process
COMMAND = "from groundswift.cli import main; main()"
TURNS = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}]
SHARD_ERROR = """
from groundswift.data_converters.engine.ray_backend import made_on_ray
from groundswift.data_converters.formats.coco.source import CocoOptions
from groundswift.errors import GroundswiftError

try:
    list(made_on_ray(CocoOptions(annotations="gone.json", check_images=False), 2, 0))
except GroundswiftError as error:
    print(error)
"""


@pytest.fixture
def arguments(tmp_path, monkeypatch) -> list[str]:
    """A command that converts many blocks of rows, some of them unreadable, up to its --out."""
    monkeypatch.chdir(tmp_path)
    write_lines(Path("rows.jsonl"), *({"conversations": TURNS if number % 500 else 7} for number in range(1, 6000)))
    return ["convert", "llava", "rows.jsonl", "--on-error", "skip", "--json", "--out"]


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """A process of its own, as Ray's threads would outlive the test."""
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env={**os.environ, **environment})


def test_a_cluster_makes_the_same_bytes_whatever_an_ended_one_left_behind(arguments):
    """A real local Ray of two workers. `ray start` notes its address in a file; the file stays when the cluster is killed."""
    pytest.importorskip("ray")
    alone = json.loads(run(*arguments, "alone.jsonl").stdout)
    assert alone["counts"] == {"row-unreadable": 11}
    with tempfile.TemporaryDirectory(prefix="ray") as folder:  # short, for sockets
        Path(folder, "ray").mkdir()
        Path(folder, "ray", "ray_current_cluster").write_text("127.0.0.1:9")
        done = python(COMMAND, *arguments, "ray.jsonl", "--engine", "ray", "--workers", "2", RAY_TMPDIR=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path("ray.jsonl").read_bytes() == Path("alone.jsonl").read_bytes()
    assert json.loads(done.stdout) == alone | {"out": "ray.jsonl"}


def test_what_a_shard_raises_is_printed_plainly(arguments):
    """A source that only the shards cannot read."""
    pytest.importorskip("ray")
    assert python(SHARD_ERROR).stdout == "gone.json: cannot be read (No such file or directory); expected a COCO annotation file\n"


@pytest.mark.parametrize(
    ("before", "address", "message"),
    [
        ("import sys; sys.modules['ray'] = None\n", "", "--engine ray needs the package ray: pip install 'groundswift[ray]'"),
        ("", "nonsense", "RAY_ADDRESS=nonsense: cannot start ("),
    ],
    ids=["no package", "no cluster"],
)
def test_without_ray(arguments, before, address, message):
    if address:
        pytest.importorskip("ray")
    done = python(before + COMMAND, *arguments, "ray.jsonl", "--engine", "ray", RAY_ADDRESS=address)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {message}")
    assert os.listdir() == ["rows.jsonl"]
