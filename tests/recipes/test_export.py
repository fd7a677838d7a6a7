"""The recipes of export and serving run to their end on an adapter of the quickstart's model, and what they leave is looked at."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from shutil import copytree

import pytest
from recipe_runner import ROOT
from rows import read_rows
from tiny_run import written
from web_site import free_port

SCRIPTS = ROOT / "recipes" / "export"
METHOD = "export/qwen2_5_vl_{}.sh"


@pytest.mark.recipes
def test_a_merged_model_has_all_files_and_the_same_answers(runner, tmp_path):
    printed = runner.ran(METHOD.format("merge"), tmp_path / "out", MAX_NEW_TOKENS="64")
    assert "files of the base model that are missing: none" in printed
    assert "differs from the base model: nothing" in printed
    assert "loaded, differs: nothing" in printed
    assert "6 of 6 answers are equal" in printed


@pytest.mark.recipes
@pytest.mark.parametrize(
    ("name", "what"), [("tokenizer_config.json", "missing: tokenizer_config.json"), ("tokenizer.json", "added tokens: 1 of 19 differ")]
)
def test_a_merged_model_without_a_file_or_with_other_tokens_is_refused(runner, tmp_path, name, what):
    merged = copytree(ROOT / "recipes" / "quickstart" / "model", tmp_path / "merged")
    other = (merged / name).read_text().replace('"<|box_start|>"', '"<|box_begin|>"')
    (merged / name).unlink()
    if name == "tokenizer.json":
        (merged / name).write_text(other)
    command = [sys.executable, str(SCRIPTS / "check_merged.py"), str(merged), "--adapters", str(runner.adapter())]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert what in done.stdout
    assert "is not the base model with the adapter's weights" in done.stderr


@pytest.mark.recipes
def test_a_model_quantised_by_bnb_answers(runner, tmp_path):
    printed = runner.ran(METHOD.format("bnb"), tmp_path / "out")
    assert "of 6 answers are equal" in printed
    config = json.loads((tmp_path / "out" / "bnb" / "config.json").read_text())
    assert config["quantization_config"]["load_in_8bit"]
    assert len(read_rows(tmp_path / "out" / "result.jsonl")) == 6


def is_closed(port: int, seconds: float = 20) -> bool:
    """Whether nothing listens on a port, or stops to in some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return True
        time.sleep(0.2)
    return False


@pytest.mark.recipes
def test_a_client_gets_boxes_in_original_pixels(runner, tmp_path):
    from groundswift.boxes import iou

    port = free_port()
    variables = {"PORT": str(port), "MAX_NEW_TOKENS": "160", "MIN_PIXELS": "", "MAX_PIXELS": ""}
    printed = runner.ran(METHOD.format("deploy"), tmp_path / "out", **variables)
    assert "MAX_PIXELS=12544 MIN_PIXELS=3136 swift deploy" in printed
    found, truth = read_rows(tmp_path / "out" / "boxes.jsonl"), read_rows(runner.resolved("@test", tmp_path))
    assert [row["sample_id"] for row in found] == [row["sample_id"] for row in truth]
    hits = [
        any(iou([each["box_xyxy_px"]], [box])[0, 0] > 0.5 for each in row["objects"])
        for row, true in zip(found, truth, strict=True)
        for box in true["objects"]["bbox"]
    ]
    assert sum(hits) > len(hits) / 2
    assert is_closed(port), "the server is left running"


@pytest.mark.recipes
def test_a_server_that_does_not_start_ends_the_recipe(runner, tmp_path):
    done = runner.run("export/qwen2_5_vl_deploy.sh", tmp_path / "out", "--no_such_flag", "1", ADAPTERS="@adapter", TEST="@test")
    assert done.returncode == 1
    assert "the server did not start" in done.stderr


@pytest.mark.parametrize(
    ("after", "least", "status", "said"),
    [
        ({2: "b", 1: "a"}, "1.0", 0, "2 of 2 answers are equal"),
        ({1: "a", 2: "x"}, "0.5", 0, "1 of 2 answers are equal"),
        ({1: "a", 2: "x"}, "0.6", 1, "2: 'b' -> 'x'"),
        ({1: "a"}, "0.0", 1, "expected the same rows"),
        ({}, "0.0", 1, "expected the same rows"),
    ],
)
def test_answers_are_joined_by_id(tmp_path, after, least, status, said):
    files = [
        str(written(tmp_path / name, [{"sample_id": number, "response": text} for number, text in answers.items()]))
        for name, answers in (("before", {1: "a", 2: "b"}), ("after", after))
    ]
    command = [sys.executable, str(SCRIPTS / "same_answers.py"), *files, "--least", least]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, said in done.stdout + done.stderr) == (status, True), done.stdout + done.stderr


def test_waiting_ends_with_the_process():
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.exit(3)"])
    url = f"http://127.0.0.1:{free_port()}/health"
    command = [sys.executable, str(SCRIPTS / "wait_for_server.py"), url, "--process", str(process.pid), "--seconds", "60"]
    assert subprocess.run(command, timeout=50, env=os.environ).returncode == 1


@pytest.mark.recipes
def test_exported_graphs_give_the_boxes_of_torch(runner, tmp_path):
    """On images as they are, enlarged, and far from square: every text and box is equal, and there are boxes."""
    printed = runner.ran("export/qwen2_vl_graphs.sh", tmp_path / "out")
    found = json.loads((tmp_path / "out" / "parity" / "parity.json").read_text())
    assert {name: way["lowest_agreement"] for name, way in found["ways"].items() if name != "torch"} == {"onnx": 1.0, "openvino": 1.0}
    assert "report" in printed


@pytest.mark.recipes
def test_without_llama_cpp_the_recipe_says_how_to_build_it(runner, tmp_path):
    ways = [("", "LLAMA_CPP is not set"), (str(tmp_path), f"LLAMA_CPP={tmp_path} has no convert_hf_to_gguf.py")]
    for number, (folder, said) in enumerate(ways):
        done = runner.run("export/qwen2_vl_gguf.sh", tmp_path / f"out{number}", ADAPTERS="@adapter", TEST="@test", LLAMA_CPP=folder)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {said}"), done.stderr
        assert "cmake --build" in done.stderr


@pytest.mark.recipes
@pytest.mark.skipif(not os.environ.get("LLAMA_CPP"), reason="LLAMA_CPP is not set: the folder of a built llama.cpp")
def test_llama_cpp_gives_the_boxes_of_torch(runner, tmp_path):
    """On images as they are, enlarged, and far from square, there are boxes, and they are equal."""
    rows = {"ADAPTERS": "@adapter", "TEST": "@test", "LIMIT": "2", "MAX_NEW_TOKENS": "64"}
    done = runner.run("export/qwen2_vl_gguf.sh", tmp_path / "out", "--threads", "2", SPLITS_AS="qwen2", PORT=str(free_port()), **rows)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads((tmp_path / "out" / "parity" / "parity.json").read_text())
    assert found["ways"]["gguf"]["lowest_agreement"] > 0.95
    assert found["ways"]["gguf"]["numbers"]["box_iou"] > 0.95


def memory(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, SCRIPTS / "serving_memory.py", *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def test_the_cache_of_the_memory_plan_is_the_models(tmp_path):
    """Bytes for a token as transformers' cache holds them, of the quickstart's model in 32 bits."""
    import torch
    from transformers import AutoModelForImageTextToText

    folder = ROOT / "recipes" / "quickstart" / "model"
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        cache = model(input_ids=torch.arange(10)[None], use_cache=True).past_key_values
    held = sum(tensor.numel() * tensor.element_size() for layer in cache.layers for tensor in (layer.keys, layer.values))
    done = memory(folder, "--context", 10, "--cache-bytes", 4)
    assert f"{held // 10} bytes each" in done.stdout
    assert done.returncode == 0


def test_the_memory_plan_counts_only_layers_that_keep_tokens_and_refuses_in_words(tmp_path):
    text = {"num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 2, "hidden_size": 64, "head_dim": 16}
    config = {"text_config": text | {"layer_types": ["linear_attention"] * 3 + ["full_attention"]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    no_weights = memory(tmp_path)
    assert no_weights.returncode == 1
    assert no_weights.stderr.startswith(f"error: {tmp_path}: has no weights; expected a model's folder")
    (tmp_path / "model.safetensors").write_bytes(bytes(1 << 20))
    assert f"{2 * 1 * 2 * 16 * 2} bytes each" in memory(tmp_path).stdout
    assert memory(tmp_path, "--memory", 4).returncode == 3  # the system's 8 GiB do not fit
    (tmp_path / "config.json").write_text("{}")
    assert memory(tmp_path).stderr.startswith("error: ")
