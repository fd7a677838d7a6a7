"""The folder of an evaluation is of one run, whole, whatever happens: kills, two commands at once, a full disk, files of the user."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from evaluated import call, coco_of, metrics_of, results_of, write_json

from groundswift import atomic_folder
from groundswift.atomic_write import write_whole
from groundswift.cli import main
from groundswift.errors import GroundswiftError
from groundswift.eval.artifacts import new_folder
from groundswift.eval.run_check import read_run

FILES = {"metrics.json", "run.json", "test_pred.json", "report.html", "report.md"}
IMAGES = 40


@pytest.fixture
def scene(tmp_path) -> Path:
    """Truth of 40 boxes and two result files: `right.json` finds all of them, `none.json` nothing."""
    coco = coco_of((100, 100), [(n, 1, [n, n, 20, 20]) for n in range(1, IMAGES)], range(1, IMAGES))
    write_json(tmp_path / "gt.json", coco)
    write_json(tmp_path / "right.json", results_of(coco))
    (tmp_path / "none.json").write_text("[]")
    return tmp_path


def words(scene: Path, result: str, *more: str) -> list[str]:
    paths = (str(scene / name) for name in (result, "gt.json", "out"))
    return ["coco-map", *(word for pair in zip(("--predictions", "--gt", "--out"), paths, strict=True) for word in pair), *more]


def score(scene: Path, result: str, *more: str, code: int = 0) -> str:
    return call(*words(scene, result, *more), code=code).stderr


def start(scene: Path, result: str, *more: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "groundswift.cli", "eval", *words(scene, result, *more)]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}  # Python 3.11 leaves a cut file of bytecode on a full disk
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=scene, env=env, **options)


def checked(out: Path) -> float:
    """The AP of a folder that is whole and of one run."""
    assert {path.name for path in out.iterdir()} == FILES
    predicted = json.loads((out / "test_pred.json").read_text())
    run = read_run(out)
    assert run.metrics["AP"] == (1.0 if predicted else 0.0)
    assert run.metrics["run"]["id"] in (out / "report.html").read_text()
    return run.metrics["AP"]


def leftovers(scene: Path) -> list[str]:
    return [name for name in os.listdir(scene) if name.startswith(".")]


@pytest.mark.parametrize("way", ["in one step", "in several steps", "file by file"])
def test_a_folder_is_replaced_whole(scene, monkeypatch, way):
    (scene / "out").mkdir()
    inode = (scene / "out").stat().st_ino
    if way == "in several steps":
        monkeypatch.setattr(atomic_folder, "_exchange", lambda *_: False)
    if way == "file by file":  # the working directory has to stay
        monkeypatch.chdir(scene / "out")
    score(scene, "right.json")
    assert checked(scene / "out") == 1
    score(scene, "none.json")
    assert checked(scene / "out") == 0
    score(scene, "none.json", "--no-report")
    assert {path.name for path in (scene / "out").iterdir()} == FILES - {"report.html", "report.md"}
    assert leftovers(scene) == []
    assert way != "file by file" or (scene / "out").stat().st_ino == inode


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_at_any_moment(scene, number):
    score(scene, "right.json")
    chance = random.Random(number)
    for _ in range(4):
        process = start(scene, "none.json")
        deadline = time.monotonic() + chance.uniform(0.1, 1.2)
        while process.poll() is None and time.monotonic() < deadline:
            if leftovers(scene) and chance.random() < 0.2:
                break
            time.sleep(0.002)
        process.send_signal(number)
        process.wait()
        checked(scene / "out")
    score(scene, "right.json")
    assert checked(scene / "out") == 1
    assert leftovers(scene) == [], "what a killed command left is removed by the next one"


def test_killed_between_two_files(scene, monkeypatch):
    """At every step of the writing, in this process, so that no moment is missed."""
    score(scene, "right.json")
    for moment in range(1, 6):
        reached = []

        def replace(source, target, moment=moment, reached=reached, real=os.replace):
            reached.append(target)
            if len(reached) == moment:
                raise KeyboardInterrupt
            real(source, target)

        with monkeypatch.context() as patched:
            patched.setattr("groundswift.atomic_write.os.replace", replace)
            done = CliRunner().invoke(main, ["eval", *words(scene, "none.json")])
        if len(reached) < moment:
            break
        assert done.exit_code != 0
        assert checked(scene / "out") == 1, moment
        assert leftovers(scene) == []
    assert moment == 5


@pytest.mark.process
def test_two_commands_at_once(scene):
    for _ in range(3):
        processes = [start(scene, result) for result in ("right.json", "none.json", "right.json")]
        said = [process.communicate()[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], said
        checked(scene / "out")
    assert leftovers(scene) == []


@pytest.mark.process
@pytest.mark.parametrize("bytes_left", [0, 100, 2000, 20_000])
def test_a_full_disk(scene, bytes_left):
    score(scene, "right.json")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, bytes_left))

    process = start(scene, "right.json", preexec_fn=limit)
    said = process.communicate()[1]
    assert process.returncode == 1
    assert f"{scene}/out/" in said
    assert "cannot be written (File too large)" in said
    assert ".groundswift." not in said
    assert checked(scene / "out") == 1
    assert leftovers(scene) == []


@pytest.mark.parametrize("name", ["notes.txt", "sub/", "run.json/", "link"])
def test_files_of_the_user_are_not_replaced(scene, name):
    score(scene, "right.json")
    other = scene / "out" / name
    if name.endswith("/"):
        (scene / "out" / "run.json").unlink(missing_ok=True)
        other.mkdir()
    elif name == "link":
        other.symlink_to(scene / "gt.json")
    else:
        other.write_text("mine")
    said = score(scene, "none.json", code=1)
    assert f"{scene}/out: holds {name.rstrip('/')!r}, which this command did not write" in said
    assert other.exists()
    assert metrics_of(scene / "out")["AP"] == 1


def test_a_file_of_the_user_that_comes_meanwhile_stays(scene):
    score(scene, "right.json")

    def fill():
        with new_folder(scene / "out") as folder:
            (folder / "metrics.json").write_text("new")
            (scene / "out" / "late.txt").write_text("mine")

    with pytest.raises(GroundswiftError, match=r"holds 'late\.txt'"):
        fill()
    (scene / "out" / "late.txt").unlink()
    assert checked(scene / "out") == 1


def test_a_link_to_a_folder_stays_a_link(scene):
    (scene / "real").mkdir()
    (scene / "out").symlink_to(scene / "real")
    score(scene, "right.json")
    assert checked(scene / "real") == 1
    assert (scene / "out").is_symlink()


@pytest.mark.parametrize("name", ["n" * 240, "\u00e9" * 120, "a/b/c"])
def test_long_and_deep_names(tmp_path, name):
    with new_folder(tmp_path / name) as folder:
        (folder / "metrics.json").write_text("{}")
    assert os.listdir(tmp_path / name) == ["metrics.json"]


@pytest.mark.parametrize("name", ["n" * 250, "\u732b" * 84])
def test_long_names_of_files(tmp_path, name):
    write_whole(tmp_path / name, [b"text"])
    assert (tmp_path / name).read_bytes() == b"text"


@pytest.mark.parametrize("name", ["n" * 300, "n" * 5000, "file/below"])
def test_names_that_cannot_be(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(GroundswiftError, match="cannot be written"), new_folder(tmp_path / name):
        pass
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("name", sorted(FILES))
def test_compare_refuses_a_mixed_folder(scene, name):
    score(scene, "right.json")
    (scene / "out").rename(scene / "first")
    score(scene, "none.json")
    (scene / "out" / name).write_bytes((scene / "first" / name).read_bytes())
    said = call("compare", scene / "first", scene / "out", "--out", scene / "both", code=1).stderr
    assert "out: mixes files of two runs" in said
    assert not (scene / "both").exists()


@pytest.mark.parametrize("name", ["metrics.json", "test_pred.json", "run.json"])
def test_compare_refuses_a_folder_with_a_file_missing(scene, name):
    score(scene, "right.json")
    (scene / "out" / name).unlink()
    with pytest.raises(GroundswiftError, match=rf"{name}: cannot be read"):
        read_run(scene / "out")


def test_compare_keeps_what_else_is_in_its_folder(scene):
    score(scene, "right.json")
    (scene / "both").mkdir()
    (scene / "out").rename(scene / "both" / "first")
    score(scene, "none.json")
    for _ in range(2):
        call("compare", scene / "both" / "first", scene / "out", "--out", scene / "both")
        assert sorted(os.listdir(scene / "both")) == ["first", "paired.json", "report.html", "report.md", "summary.json"]


@pytest.mark.parametrize("existing", [False, True], ids=["new folder", "files replaced one by one"])
def test_the_report_links_to_the_images_from_where_it_will_be(scene, existing):
    """It is written in another folder first, next to the final one or in it."""
    (scene / "images").mkdir()
    score(scene, "right.json", "--images", scene / "images")
    out = scene / "deep" / "both"
    out.mkdir(parents=True)
    if existing:
        (out / "kept.txt").write_text("of the user")
    call("compare", scene / "out", scene / "out", "--names", "a,b", "--images", scene / "images", "--out", out)
    assert '"images":"../images/"' in (scene / "out" / "report.html").read_text()
    assert '"images":"../../images/"' in (out / "report.html").read_text()
