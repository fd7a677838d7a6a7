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
            done = groundswift(package, tmp_path, *command.split()[1:], *more)
            assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_commands


def write_example(folder: Path, lines: list[str]) -> None:
    (folder / "photos").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (64, 48)).save(folder / "photos" / name)
    (folder / "boxes.tsv").write_text("".join(f"{line}\n" for line in lines))


def groundswift(package: Path, folder: Path, *words: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(package)}
    return subprocess.run([sys.executable, "-m", "groundswift.cli", *words], cwd=folder, env=environment, capture_output=True, text=True)


def convert(package: Path, folder: Path, *words: str) -> subprocess.CompletedProcess:
    """`groundswift convert tsv-boxes boxes.tsv --out x.jsonl`, which may fail."""
    return groundswift(package, folder, "convert", "tsv-boxes", "boxes.tsv", "--images", "photos", "--out", "x.jsonl", *words)


def test_the_format(run, tmp_path):
    write_example(tmp_path, ["a.png\tcat\t1\t2\t30\t40", "a.png\tdog\t5\t6\t7\t8"])
    assert "tsv-boxes" in run("groundswift convert tsv-boxes --help")
    run("groundswift convert tsv-boxes boxes.tsv")
    (row,) = map(json.loads, (tmp_path / "train.jsonl").read_text().splitlines())
    assert row["objects"] == {"ref": ["cat", "dog"], "bbox": [[1, 2, 31, 42], [5, 6, 12, 14]], "bbox_type": "real"}
    assert row["size_wh"] == [64, 48]


@pytest.mark.parametrize(
    ("line", "what", "id"),
    [
        ("a.png\tdog\t5\t6", "got ['a.png', 'dog', '5', '6']", "label-unreadable"),
        ("a.png\t \t5\t6\t7\t8", "the class is empty", "tsv-boxes-class-empty"),
    ],
    ids=["unreadable", "class-empty"],
)
def test_a_problem_of_the_format_has_its_place_and_drops_its_image(package, tmp_path, line, what, id):
    write_example(tmp_path, ["a.png\tcat\t1\t2\t30\t40", line, "", "b.png\tcat\t1\t2\t30\t40"])
    stopped = convert(package, tmp_path)
    assert stopped.returncode == 1
    assert f"boxes.tsv:2: {what}; expected " in stopped.stderr
    assert f"1  {id}: " in stopped.stderr
    assert not (tmp_path / "x.jsonl").exists()
    skipped = convert(package, tmp_path, "--on-error", "skip", "--json")
    assert skipped.returncode == 0, skipped.stderr
    (row,) = map(json.loads, (tmp_path / "x.jsonl").read_text().splitlines())
    assert row["images"][0].endswith("b.png")
    counts = json.loads(skipped.stdout)["counts"]
    assert (counts[id], counts["image-label-unreadable"]) == (1, 1)


@pytest.mark.parametrize(
    ("content", "what"),
    [(None, "cannot be read (No such file or directory)"), (b"a.png\t\xff\t1\t2\t3\t4\n", "not UTF-8 text (byte 6)")],
    ids=["missing", "not-utf8"],
)
def test_a_source_that_cannot_be_read_is_one_line(package, tmp_path, content, what):
    write_example(tmp_path, [])
    (tmp_path / "boxes.tsv").unlink() if content is None else (tmp_path / "boxes.tsv").write_bytes(content)
    done = convert(package, tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"boxes.tsv: {what}" in done.stderr


def test_the_classes_of_the_format_are_ordered_and_checked(package, tmp_path):
    write_example(tmp_path, ["a.png\tcat\t1\t2\t30\t40", "a.png\tdog\t5\t6\t7\t8"])
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    (tmp_path / "few.txt").write_text("dog\n")
    few, all_of_them = (convert(package, tmp_path, "--categories", name, "--coco-out", "gt.json") for name in ("few.txt", "classes.txt"))
    assert few.returncode == 1
    assert "few.txt: lacks 'cat', which boxes.tsv has" in few.stderr
    assert all_of_them.returncode == 0, all_of_them.stderr
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


@pytest.fixture
def result(tmp_path) -> list[dict]:
    """The row and the ground truth of the page, and rows without a partner."""
    row, counted = (json.loads(text) for language, text in BLOCKS if language == "json")
    rows = [row, {**row, "response": "None"}, {**row, "sample_id": "a"}, {**row, "sample_id": None}]
    (tmp_path / "result.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (tmp_path / "counts.jsonl").write_text("".join(json.dumps(each) + "\n" for each in (counted, {"sample_id": "9", "count": 9})))
    return rows


def test_the_metric(run, result, tmp_path):
    run("groundswift eval count-error")
    found = json.loads((tmp_path / "scored" / "metrics.json").read_text())
    assert found["count_error"] == 1
    assert {key: found["counts"][key] for key in ("missing", "doubled", "unknown")} == {"missing": 1, "doubled": 1, "unknown": 2}
    assert "Number of boxes" in (tmp_path / "scored" / "report.html").read_text()


def test_a_ground_truth_that_is_not_json_is_one_line(package, result, tmp_path):
    (tmp_path / "counts.jsonl").write_text("[1]\n")
    words = ("eval", "count-error", "result.jsonl", "--gt", "counts.jsonl", "--family", "qwen2_vl", "--out", "x")
    done = groundswift(package, tmp_path, *words)
    assert done.returncode == 1
    assert done.stderr.startswith("error: counts.jsonl:1: not a row: ")
    assert done.stderr.count("\n") == 1


def test_the_metric_of_a_coco_file(package, run, result, tmp_path):
    (tmp_path / "result.jsonl").write_text("".join(json.dumps({**result[0], "sample_id": id}) + "\n" for id in (7, 8)))
    truth = {
        "images": [{"id": id, "file_name": f"{id}.png", "width": 64, "height": 48} for id in (7, 8)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": id, "image_id": id, "category_id": 1, "bbox": [1, 2, 30, 40]} for id in (7,)],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(truth))
    run("groundswift eval good-images")
    found = json.loads((tmp_path / "scored-images" / "metrics.json").read_text())
    assert (found["good_images"], found["protocol"]["floor"]) == (0.5, 0.8)
    assert len(json.loads((tmp_path / "scored-images" / "run.json").read_text())["images"]) == 2
    run("groundswift eval good-images", "--floor", "0", "--out", "lower")
    done = groundswift(package, tmp_path, "eval", "compare", "scored-images", "lower", "--out", "compared")
    assert "differ in floor" in done.stderr


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


def test_the_recipe_is_one_that_runs_in_other_words():
    """`tests/recipes` runs the real one to its end."""
    (script,) = [text for language, text in BLOCKS if language == "bash"]
    changed = {"VL-3B": "VL-7B", ", rank 8\n": "\n", "--lora_rank 8 --lora_alpha 16": "--lora_rank 16 --lora_alpha 32"}
    for here, there in changed.items():
        assert here in script
        script = script.replace(here, there)
    assert script == (ROOT / "recipes" / "detection" / "qwen2_5_vl_lora.sh").read_text(encoding="utf-8")
