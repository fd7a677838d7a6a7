"""Requests about drawn scenes, and a server whose model writes questions about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from anomaly_set import lay_out_frames
from converted import run
from judge_server import judge_server
from writer_server import WriterHandler


@pytest.fixture
def server():
    with judge_server(0.2, WriterHandler) as running:
        yield running


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """Seven requests about drawn scenes."""
    lay_out_frames(tmp_path / "set")
    done = run(
        "anomaly", "draw", tmp_path / "set", "--save-images", tmp_path / "marked", "--requests", "--out", tmp_path / "requests.jsonl"
    )
    assert done.exit_code == 0, done.output
    return tmp_path / "requests.jsonl"


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Eight requests about bare scenes."""
    lay_out_frames(tmp_path / "set")
    assert run("anomaly", "describe", tmp_path / "set", "--anomaly", "bubble", "--out", tmp_path / "scenes.jsonl").exit_code == 0
    return tmp_path / "scenes.jsonl"
