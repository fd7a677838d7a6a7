"""The examples of docs/extending.md work as they are printed: a package with entry points, in processes of its own, and a recipe."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from groundswift import Located, format_answer

pytestmark = pytest.mark.process


ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
GROUP = re.compile(r'\[project\.entry-points\."([\w.]+)"\]\n(.*)', re.DOTALL)


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """The modules and entry points of the page as `pip install` leaves them."""
    site = tmp_path_factory.mktemp("site")
    info = site / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    entries = [GROUP.match(text) for language, text in BLOCKS if language == "toml"]
    (info / "entry_points.txt").write_text("".join(f"[{found[1]}]\n{found[2].replace(chr(34), '')}\n" for found in entries))
    for language, text in BLOCKS:
        if language == "python":
            (site / text.splitlines()[0].removeprefix("# ")).write_text(text, encoding="utf-8")
    return site


@pytest.fixture
def run(package, tmp_path):
    """Run the commands of the page that begin with some words, and return what the last one printed."""

    def run_commands(start: str, *more: str) -> str:
        commands = [line for language, text in BLOCKS if language == "shell" for line in text.splitlines() if line.startswith(start)]
        assert commands, start
        for command in commands:
            words = [sys.executable, "-m", "groundswift.cli", *command.split()[1:], *more]
            done = subprocess.run(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(package)}, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_commands


def write_example(folder: Path, lines: list[str]) -> None:
    (folder / "photos").mkdir()
    Image.new("RGB", (64, 48)).save(folder / "photos" / "a.png")
    (folder / "boxes.tsv").write_text("".join(f"{line}\n" for line in lines))


def test_the_format(run, tmp_path):
    write_example(tmp_path, ["a.png\tcat\t1\t2\t30\t40", "a.png\tdog\t5\t6\t7\t8"])
    assert "tsv-boxes" in run("groundswift convert tsv-boxes --help")
    run("groundswift convert tsv-boxes boxes.tsv")
    (row,) = map(json.loads, (tmp_path / "train.jsonl").read_text().splitlines())
    assert row["objects"] == {"ref": ["cat", "dog"], "bbox": [[1, 2, 31, 42], [5, 6, 12, 14]], "bbox_type": "real"}
    assert row["size_wh"] == [64, 48]


def test_a_problem_of_the_format_has_its_place(package, run, tmp_path):
    write_example(tmp_path, ["a.png\tcat\t1\t2\t30\t40", "a.png\tdog\t5\t6"])
    command = [sys.executable, "-m", "groundswift.cli", "convert", "tsv-boxes", "boxes.tsv", "--images", "photos", "--out", "x.jsonl"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(package)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "boxes.tsv:2: " in done.stderr
    assert not (tmp_path / "x.jsonl").exists()


def test_the_classes_of_the_format_are_ordered_and_checked(package, tmp_path):
    write_example(tmp_path, ["a.png\tcat\t1\t2\t30\t40", "a.png\tdog\t5\t6\t7\t8"])
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    (tmp_path / "few.txt").write_text("dog\n")
    command = [sys.executable, "-m", "groundswift.cli", "convert", "tsv-boxes", "boxes.tsv", "--images", "photos", "--out", "x.jsonl"]
    done = {
        name: subprocess.run(
            [*command, "--categories", name, "--coco-out", "gt.json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(package)},
            capture_output=True,
            text=True,
        )
        for name in ("few.txt", "classes.txt")
    }
    assert done["few.txt"].returncode == 1
    assert "few.txt: lacks 'cat', which boxes.tsv has" in done["few.txt"].stderr
    assert done["classes.txt"].returncode == 0, done["classes.txt"].stderr
    assert [each["name"] for each in json.loads((tmp_path / "gt.json").read_text())["categories"]] == ["dog", "cat"]


def test_the_families(run):
    assert "dog@221,423,569,886" in run("groundswift families acme_vl")
    (fact,) = json.loads(run("groundswift families acme_2"))
    assert fact["example"] == format_answer([Located("dog", (221, 423, 569, 886))], "qwen2_vl")


def test_the_grammar_is_parsed_as_it_is_written(package, tmp_path):
    code = (
        "from groundswift import Located, format_answer, parse\n"
        "objects = [Located('dog', (1, 2, 3, 4)), Located('cat', (5, 6, 7, 8))]\n"
        "answer = parse(format_answer(objects, 'acme_vl'), 'acme_vl')\n"
        "assert (answer.objects, answer.status) == (objects, 'ok')\n"
        "assert [parse(text, 'acme_vl').status for text in ('None', 'a cat')] == ['empty', 'unreadable']\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(package)}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_the_metric(run, tmp_path):
    text = format_answer([Located("cat", (0, 0, 9 + n, 9)) for n in range(3)], "qwen2_vl")
    rows = [{"sample_id": name, "size_wh": [64, 48], "response": text} for name in ("a", 1)]
    (tmp_path / "result.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "counts.json").write_text(json.dumps({"a": 3, "1": 4, "2": 9}))
    run("groundswift eval count-error")
    found = json.loads((tmp_path / "scored" / "metrics.json").read_text())
    assert found["count_error"] == 0.5
    assert found["counts"]["missing"] == 1
    assert "doubled" not in found["counts"], "nobody looked for them"
    assert (tmp_path / "scored" / "report.html").exists()


def test_the_recipe(tmp_path):
    (script,) = [text for language, text in BLOCKS if language == "bash"]
    recipes = tmp_path / "recipes"
    shutil.copytree(ROOT / "recipes", recipes, ignore=shutil.ignore_patterns("model", "__pycache__"))
    (path,) = re.findall(r"`recipes/(detection/\w+\.sh)`", PAGE)
    assert not (recipes / path).exists(), "a name of its own"
    (recipes / path).write_text(script)
    subprocess.run([sys.executable, str(recipes / "_inventory.py")], check=True)
    assert f"]({path}) | Qwen/Qwen2.5-VL-3B-Instruct | LoRA on the language model, rank 8 |" in (recipes / "README.md").read_text()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "DRY_RUN": "1"}
    shown = {
        word: subprocess.run(["bash", recipes / path, *word], env=environment, capture_output=True, text=True, check=True).stdout
        for word in ((), ("--help",), ("--learning_rate", "5e-5"))
    }
    (command,) = [line for line in shown[()].splitlines() if " swift sft " in line]
    assert " MAX_PIXELS=1605632 " in command
    assert " --model Qwen/Qwen2.5-VL-3B-Instruct " in command
    assert "EPOCHS" in shown[("--help",)]
    assert "--learning_rate 5e-5" in shown[("--learning_rate", "5e-5")]


def test_the_chinese_page_has_the_same_examples():
    chinese = (ROOT / "docs" / "extending_CN.md").read_text(encoding="utf-8")
    assert re.findall(r"^```(\w+)\n(.*?)^```", chinese, re.MULTILINE | re.DOTALL) == BLOCKS
