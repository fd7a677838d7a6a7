"""From labels to the files of a trainer, step by step through files, with a model at a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from anomaly_set import lay_out_frames
from converted import lint_findings, run
from judge_server import judge_server
from writer_server import WriterHandler

pytestmark = pytest.mark.process


def step(*words: object) -> None:
    done = run("anomaly", *words)
    assert done.exit_code == 0, done.output


def test_from_labels_to_messages(tmp_path: Path):
    lay_out_frames(tmp_path / "set", 12, 6)
    data, at = tmp_path / "set/data.yaml", {name: tmp_path / name for name in ("local", "marked", "parts")}
    for name, stage in (("local", "crop"), ("marked", "draw")):
        step(stage, data, "--save-images", at[name], "--requests", "--pairs", 2, "--out", tmp_path / f"{name}.requests.jsonl")
    step("describe", data, "--anomaly", "bubble", "--out", tmp_path / "bare.requests.jsonl")
    step("locate", data, "--anomaly", "bubble", "--out", tmp_path / "located.jsonl")
    with judge_server(0.2, WriterHandler) as server:
        for name, model in (("local", "writer"), ("marked", "writer"), ("bare", "describer")):
            words = ["--base-url", server.url, "--model", model, "--out", tmp_path / f"{name}.jsonl"]
            step("ask", tmp_path / f"{name}.requests.jsonl", *words)
    for name in ("local", "marked", "bare"):
        step("table", tmp_path / f"{name}.jsonl", "--out", tmp_path / f"{name}.csv", "--bom")
        step("table", tmp_path / f"{name}.csv", "--out", tmp_path / f"{name}.rows.jsonl")
    files = [tmp_path / f"{name}.rows.jsonl" for name in ("local", "marked", "bare")]
    step(
        "split",
        *files,
        tmp_path / "located.jsonl",
        "--out",
        at["parts"],
        "--near-bits",
        0,
        "--workers",
        1,
        "--parts",
        "train=0.7",
        "test=0.3",
    )
    counts = {path.name: len(path.read_text().splitlines()) for path in at["parts"].iterdir()}
    assert counts["train.1+2+3.jsonl"] == sum(counts[f"train.{stage}.jsonl"] for stage in (1, 2, 3))
    assert lint_findings(at["parts"] / "train.1+2+3.jsonl") == {}
    done = run("convert", "to-glm4v", at["parts"] / "train.1+2+3.jsonl", "--out", tmp_path / "train_glm.jsonl")
    assert done.exit_code == 0, done.output
    glm = list(map(json.loads, (tmp_path / "train_glm.jsonl").read_text().splitlines()))
    assert len(glm) == counts["train.1+2+3.jsonl"]
    assert all(Path(row["messages"][0]["image"]).is_file() for row in glm)
