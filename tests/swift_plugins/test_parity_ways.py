"""Ways to run the embedded model, compared by the command: adapter, merged, disturbed, 4 bits, served by `swift deploy`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from converted import run
from rows import read_rows
from test_served_commands import page, swift
from tiny_run import export, sft, written
from web_site import free_port

SHORT = ["--swift", "--attn_impl sdpa --torch_dtype float32", "--max-new-tokens", "48"]


@pytest.fixture(scope="module")
def made(plugin, toys, tmp_path_factory) -> dict[str, Path]:
    """Rows, an adapter of two steps, the folder that it is merged into, and a copy of that with one weight changed."""
    folder = tmp_path_factory.mktemp("parity")
    data = written(folder / "rows.jsonl", read_rows(toys / "toys.jsonl")[:3])
    sft(plugin, data, folder / "lora", "--learning_rate", "1e-3", "--save_steps", "2", "--max_steps", "2")
    adapter = folder / "lora" / "checkpoint-2"
    merged = export(folder / "merged", adapters=adapter, merge_lora=True, torch_dtype="float32")
    return {"rows": data, "adapter": adapter, "merged": merged, "disturbed": disturbed(merged, folder / "disturbed"), "folder": folder}


def disturbed(model: Path, copy: Path) -> Path:
    """A copy of a model with one number of its last norm changed."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, copy)
    weights = load_file(copy / "model.safetensors")
    (name,) = [name for name in weights if name.endswith(("language_model.norm.weight", "model.norm.weight"))]
    weights[name][3] += 8
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    return copy


def parity(made: dict[str, Path], out: Path, *words: object, code: int = 0) -> tuple[dict[str, Any], str]:
    """(parity.json, what was printed)."""
    done = run("parity", made["rows"], *SHORT, "--out", out, *words)
    assert done.exit_code == code, done.output
    path = out / "parity.json"
    return json.loads(path.read_text()) if path.exists() else {}, done.output


def test_adapter_and_merged_agree_and_a_disturbed_weight_shows_where(made, toys, tmp_path):
    ways = [f"--way={name}={made[name]}" for name in ("adapter", "merged", "disturbed")]
    sizes = ["--size", "original", "--size", "224x84"]
    found, printed = parity(made, tmp_path / "out", *ways, *sizes, "--gt", toys / "annotations.json", "--blind", code=1)
    merged, other = found["ways"]["merged"], found["ways"]["disturbed"]
    assert (merged["numbers"]["agreement"], merged["numbers"]["same_text"], merged["numbers"]["same_tokens"]) == (1, 1, 1)
    assert merged["numbers"]["logprob_difference"] < 1e-3
    assert merged["numbers"]["AP"] == found["ways"]["adapter"]["numbers"]["AP"]
    assert set(merged["by_size"]) == {"up to 512 px", "224x84"}
    assert (merged["agrees"], other["agrees"], found["samples"]) == (True, False, 6)
    first = other["different"][0]["first_difference"]
    assert first["token_index"] is not None
    assert first["gap"] > 0
    assert f"token {first['token_index']}: " in printed
    assert found["blind"]["adapter"]["same_text"] < 1
    rows = read_rows(tmp_path / "out" / "answers" / "merged.jsonl")
    assert {tuple(row["size_wh"]) for row in rows if row.get("parity_size")} == {(224, 84)}
    assert (tmp_path / "out" / "answers" / "merged.jsonl.run.json").exists()


def test_four_bits_and_plain_transformers_are_compared_on_a_cpu(made, tmp_path):
    pytest.importorskip("bitsandbytes")
    ways = [f"--way={name}={made['merged']}{form}" for name, form in (("merged", ""), ("int4", ":bnb4"), ("plain", ":transformers"))]
    found, printed = parity(made, tmp_path / "out", *ways, "--limit", 1, "--tolerance", 1)
    numbers = {name: found["ways"][name]["numbers"] for name in ("int4", "plain")}
    assert numbers["int4"]["logprob_difference"] > 1e-4
    assert (numbers["plain"]["same_text"], numbers["plain"]["token_error_rate"]) == (1, 0)  # the image is not resized
    (row,) = read_rows(tmp_path / "out" / "answers" / "plain.jsonl")
    assert "<|im_end|>" not in row["response"]
    assert len(row["logprobs"]["content"]) > 1
    assert "without tokens" not in printed


@pytest.mark.parametrize(("engine", "most"), [("onnx", 1e-3), ("openvino-fp32", 1e-3)])
def test_an_exported_graph_agrees(made, tmp_path, engine, most):
    for package in ("onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(package)
    ways = (f"--way=merged={made['merged']}", f"--way=exported={made['merged']}:{engine}")
    found, _ = parity(made, tmp_path / "out", *ways, "--limit", 1, "--max-new-tokens", 16)
    numbers = found["ways"]["exported"]["numbers"]
    assert (numbers["same_text"], numbers["same_tokens"]) == (1, 1)
    assert 0 < numbers["logprob_difference"] < most
    assert (tmp_path / "out" / "graphs" / "exported" / "graph-0.onnx").exists()


def test_an_adapter_is_not_exported(made, tmp_path):
    pytest.importorskip("onnxscript")
    _, printed = parity(made, tmp_path / "out", f"--way=a={made['adapter']}:onnx", f"--way=b={made['merged']}", code=1)
    assert "way a: an adapter cannot be exported; expected the folder that it was merged into" in printed


def test_a_served_model_agrees_and_one_that_died_is_named(made, plugin, tmp_path):
    port = free_port()
    serve = ["--model", made["merged"], "--external_plugins", plugin, "--torch_dtype", "float32", "--attn_impl", "sdpa"]
    url = f"http://127.0.0.1:{port}"
    words = ("--way", f"merged={made['merged']}", "--way", f"served={url}")
    with swift("deploy", *serve, "--host", "127.0.0.1", "--port", port, folder=tmp_path) as process:
        page(f"{url}/v1/models", process, tmp_path)
        found, _ = parity(made, tmp_path / "out", *words)
    numbers = found["ways"]["served"]["numbers"]
    assert (numbers["agreement"], numbers["same_text"], numbers["same_tokens"]) == (1, 1, 1)
    assert numbers["logprob_difference"] < 1e-4
    _, printed = parity(made, tmp_path / "again", *words, code=1)
    assert f"way served: {url}: does not answer" in printed
