"""`--engine ray` where there is no Ray: no package, no cluster."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process


WITHOUT = "import sys; sys.modules['ray'] = None\n"
COMMAND = "from groundswift.cli import main; main()"


def shown(tmp_path, before: str = "", **environment: str) -> str:
    """What the command says in a process of its own."""
    (tmp_path / "rows.jsonl").write_text('{"conversations": [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}]}\n')
    arguments = ["convert", "llava", "rows.jsonl", "--out", "out.jsonl", "--engine", "ray"]
    done = subprocess.run(
        [sys.executable, "-c", before + COMMAND, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **environment},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
    return done.stderr


def test_without_the_package(tmp_path):
    assert shown(tmp_path, WITHOUT) == "error: --engine ray needs the package ray: pip install 'groundswift[ray]'\n"


def test_an_address_of_no_cluster(tmp_path):
    pytest.importorskip("ray")
    assert shown(tmp_path, RAY_ADDRESS="nonsense").startswith("error: RAY_ADDRESS=nonsense: cannot start (")
