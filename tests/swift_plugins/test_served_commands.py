"""`swift app`, `swift web-ui` and `swift eval` as a user starts them: on 127.0.0.1, offline, with the embedded model and no browser."""

from __future__ import annotations

import html
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import tiny_run
from rows import read_rows
from tiny_run import written
from web_site import free_port

from groundswift import parse

MODEL = [*tiny_run.MODEL, "--torch_dtype", "float32"]
GREEDY = ["--temperature", "0", "--max_new_tokens", "100"]
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "MODELSCOPE_OFFLINE": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "SWIFT_UI_LANG": "en",
    "BROWSER": "true",  # the program that web-ui opens its page with
    "NO_PROXY": "127.0.0.1",
    "OMP_NUM_THREADS": "1",
}
SECONDS = 500  # until a command answers, on a busy machine; 15 on an idle one


def needs(package: str) -> Any:
    """The imported package, or a skip: the newest packages are tested without gradio and evalscope, whose limits hold back Pillow."""
    return pytest.importorskip(package, reason=f"{package} is not installed")


@contextmanager
def swift(*words: object, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A swift command in a process group of its own, all of which is killed in the end. Its output goes to `folder`/log.txt."""
    command = [sys.executable, "-m", "swift.cli.main", *map(str, words)]
    with open(folder / "log.txt", "wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **OFFLINE}, start_new_session=True
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # the group is gone where the command has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def log_of(folder: Path) -> str:
    return (folder / "log.txt").read_text(encoding="utf-8", errors="replace")[-3000:]


def page(url: str, process: subprocess.Popen[bytes], folder: Path) -> dict:
    """The JSON at `url`, as soon as the command serves it."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log_of(folder)
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.5)
    raise AssertionError(f"no answer from {url} in {SECONDS} s: {log_of(folder)}")


@pytest.fixture
def busy_row(toys) -> dict:
    """The first swift row with a box in it."""
    return next(row for row in read_rows(toys / "toys.jsonl") if row["objects"]["bbox"])


def question_of(row: dict) -> str:
    return row["messages"][0]["content"].replace("<image>", "")


def browser_side(history: list[dict]) -> list[dict]:
    """A chat as the page sends it back: its files are uploaded."""
    from gradio_client import handle_file

    for message in history:
        for part in message["content"]:
            if part["type"] == "file":
                part["file"] = handle_file(part["file"])
    return history


def ask(client: Any, history: list[dict], question: str) -> list[dict]:
    """The chat with one more question and the model's answer to it, as the page shows it."""
    history, _ = client.predict(history=browser_side(history), query=question, api_name="/add_text")
    return client.predict(history=browser_side(history), api_name="/partial")


def found_in(answer: str) -> set[str | None]:
    """The labels in an answer of the embedded model; `swift app` shows it escaped."""
    return {located.label for located in parse(html.unescape(answer), family="qwen2_vl").objects}


def test_swift_app_answers_two_questions_about_an_image(plugin, busy_row, tmp_path):
    needs("gradio")
    from gradio_client import Client, handle_file

    port = free_port()
    ports = ["--host", "127.0.0.1", "--port", free_port(), "--server_port", port]
    with swift("app", *MODEL, *GREEDY, "--external_plugins", plugin, *ports, folder=tmp_path) as process:
        config = page(f"http://127.0.0.1:{port}/config", process, tmp_path)
        client = Client(f"http://127.0.0.1:{port}", verbose=False)
        history = client.predict(history=[], file=handle_file(busy_row["images"][0]), api_name="/add_file")
        history = ask(client, ask(client, history, question_of(busy_row)), "And now?")
    system = [part["props"]["value"] for part in config["components"] if part["props"].get("label") == "System"]
    assert system == ["You are a helpful assistant."]
    assert [message["role"] for message in history] == ["user", "user", "assistant", "user", "assistant"]
    found = found_in(history[2]["content"][0]["text"])
    assert found
    assert found <= set(busy_row["objects"]["ref"])


def test_the_web_ui_answers(tmp_path):
    needs("gradio")
    port = free_port()
    with swift("web-ui", "--server_name", "127.0.0.1", "--server_port", port, folder=tmp_path) as process:
        config = page(f"http://127.0.0.1:{port}/config", process, tmp_path)
    assert config["title"] == "SWIFT WebUI"
    assert len(config["components"]) > 100


def test_swift_eval_scores_a_local_benchmark_to_its_end(plugin, toys, tmp_path):
    """general_vqa with Rouge: BLEU needs a download of NLTK's, and opencompass does not go together with NumPy 2."""
    needs("evalscope")
    rows = [row for row in read_rows(toys / "toys.jsonl") if row["objects"]["bbox"]][:2]
    (tmp_path / "toys").mkdir()
    written(tmp_path / "toys" / "two.jsonl", list(map(benchmark_row, rows)))
    about = {"general_vqa": {"local_path": str(tmp_path / "toys"), "subset_list": ["two"], "metric_list": ["Rouge"]}}
    options = ["--external_plugins", plugin, "--host", "127.0.0.1", "--port", free_port(), "--eval_dataset", "general_vqa"]
    options += ["--eval_dataset_args", json.dumps(about), "--eval_generation_config", json.dumps({"max_tokens": 100})]
    with swift("eval", *MODEL, *options, "--eval_output_dir", "out", "--result_path", "served.jsonl", folder=tmp_path) as process:
        assert process.wait(SECONDS) == 0, log_of(tmp_path)
    (report,) = (tmp_path / "out").rglob("reports/*/general_vqa.json")
    assert {metric["num"] for metric in json.loads(report.read_text())["metrics"]} == {2}
    (predicted,) = (tmp_path / "out").rglob("predictions/*/general_vqa_two.jsonl")
    received = [row["model_output"]["choices"][0]["message"]["content"] for row in read_rows(predicted)]
    labels = {label for row in rows for label in row["objects"]["ref"]}
    served = read_rows(tmp_path / "served.jsonl")
    assert sorted(received) == sorted(row["response"] for row in served)
    assert len(served) == 2
    assert all(set() < found_in(row["response"]) <= labels for row in served)


def benchmark_row(row: dict) -> dict:
    content = [{"type": "image_url", "image_url": {"url": row["images"][0]}}, {"type": "text", "text": question_of(row)}]
    return {"messages": [{"role": "user", "content": content}], "answer": " ".join(row["objects"]["ref"])}
