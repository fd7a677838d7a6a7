"""Questions about anomalies in the forms of GLM-4V and Phi-3-vision, as swift's own templates of these models train on them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from special_models import special_template
from tiny_data import DATA
from tiny_models import tiny_model

GROUNDSWIFT = Path(sys.executable).with_name("groundswift")
FORMS = {"glm4v": ("chatglm4v", "jsonl"), "phi3v": ("phi3_vision", "json")}


@pytest.mark.parametrize("form", FORMS)
def test_answers_are_what_is_trained_on(tmp_path, form):
    model, suffix = FORMS[form]
    (tmp_path / "data").mkdir()
    rows = tmp_path / "rows.jsonl"
    given = DATA[f"anomaly_{form}"](tmp_path / "data") / f"train.3.{suffix}"
    words = ["anomaly", "table", given, "--read", form, "--stage", "3", "--out", rows]
    subprocess.run([GROUNDSWIFT, *words], check=True, capture_output=True)
    template = special_template(tiny_model(model, tmp_path), model, suffix="")
    answers = []
    for row in map(json.loads, rows.read_text(encoding="utf-8").splitlines()):
        encoded = template.encode({"messages": row["messages"], "images": row["images"]})
        trained = template.tokenizer.decode([token for token in encoded["labels"] if token >= 0])
        assert row["messages"][-1]["content"] in trained
        assert "images" in encoded or "pixel_values" in encoded
        answers.append(row["messages"][-1]["content"])
    assert {"A", "B"} & set(answers)
    assert any("bubble" in answer for answer in answers), "boxes as text"
