"""The measurement for a GPU, tried on the CPU: it runs a recipe's own training, prints figures, and writes none of a CPU into a head."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from recipe_runner import ROOT, load_script

from groundswift.swift_plugins.tools.plan.plan import measured_rate

RECIPE = "detection/qwen2_5_vl_lora.sh"
FOUND = {"memory_gb": 21.44, "seconds_per_step": 1.5, "tokens_per_second": 5300.4, "rows_per_step": 16}
FOUND |= {"device": "NVIDIA X", "attention": "sdpa"}


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    sys.path.insert(0, str(ROOT / "recipes"))
    yield load_script(ROOT / "recipes" / "_measure.py")
    sys.path.remove(str(ROOT / "recipes"))


def test_figures_of_a_gpu_go_into_the_head_and_replace_older_ones(script, tmp_path):
    path = tmp_path / "x.sh"
    path.write_text((ROOT / "recipes" / RECIPE).read_text())
    faster = FOUND | {"attention": "flash_attn", "memory_gb": 20.0, "seconds_per_step": 1.25}
    for day in ("2026-11-28", "2026-11-29"):
        script.write_head(path, [FOUND, faster], day, "abc1234")
    where = "(2026-11-29, abc1234, NVIDIA X, random weights, 1280 x 960 px)"
    before, after = (ROOT / "recipes" / RECIPE).read_text().splitlines(), path.read_text().splitlines()
    place = before.index("# Memory    not measured")
    assert after[place] == f"# Memory    21.4 GB with sdpa, 20.0 GB with flash_attn, peak of the GPU {where}"
    step = "s/step of 16 rows, 5,300 tokens/s with"
    assert after[place + 1] == f"# Rate      1.50 {step} sdpa; 1.25 {step} flash_attn {where}"
    assert after[:place] + after[place + 2 :] == before[:place] + before[place + 1 :]
    assert measured_rate({"Rate": after[place + 1].removeprefix("# Rate").strip()}, None)[0] == 1.5, "groundswift plan reads it"


def test_figures_of_a_cpu_are_refused(script, tmp_path):
    path = tmp_path / "x.sh"
    path.write_text((ROOT / "recipes" / RECIPE).read_text())
    with pytest.raises(ValueError, match="figures of a CPU are not written into a head"):
        script.write_head(path, [FOUND | {"device": "cpu"}], "2026-11-29", "abc1234")
    assert "# Memory    not measured" in path.read_text()


def test_every_recipe_that_trains_on_one_gpu_is_measured(script):
    paths = {head.path for head in script.measurable([])}
    assert {RECIPE, "large/qwen2_5_vl_packing.sh", "large/qwen2_5_vl_padding_free.sh"} <= paths
    assert "detection/qwen2_5_vl_lora_zero2.sh" not in paths
    with pytest.raises(SystemExit, match=r"no recipe detection/none.sh; expected paths as in recipes/README.md"):
        script.measurable(["detection/none.sh"])


def measure_gpu(runner, out: Path, *words: str, **variables: str) -> subprocess.CompletedProcess:
    environment = runner.environment(out, **variables)
    command = ["bash", str(ROOT / "recipes" / "measure_gpu.sh"), *words]
    return subprocess.run(command, cwd=out.parent, env=environment, capture_output=True, text=True, timeout=500)


def test_without_a_gpu_it_says_how_to_try(runner, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    done = measure_gpu(runner, tmp_path / "out", RECIPE)
    assert done.returncode == 1
    assert "error: no GPU: TINY=1 tries the measurement on the CPU with tiny models, and writes no head" in done.stderr


@pytest.mark.recipes
def test_a_try_on_the_cpu_measures_and_changes_no_head(runner, tmp_path):
    before = (ROOT / "recipes" / RECIPE).read_text()
    done = measure_gpu(runner, tmp_path / "out", RECIPE, "large/qwen2_5_vl_packing.sh", TINY="1", STEPS="2")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    measured = json.loads((tmp_path / "out" / "work" / "measured.json").read_text())
    (found,) = measured[RECIPE]
    assert (found["device"], found["steps"], found["rows_per_step"], found["attention"]) == ("cpu", 2, 2, "sdpa")
    assert 0 < found["seconds_per_step"] < 300
    assert found["tokens_per_step"] > 2 * 50  # two rows of an image and eight boxes
    assert found["memory_gb"] > 0.1
    assert f"{RECIPE}: " in done.stdout
    assert "large/qwen2_5_vl_packing.sh: skipped, flash_attn is not installed" in done.stdout
    assert (ROOT / "recipes" / RECIPE).read_text() == before
