"""What `_run.sh` does for every recipe: help, dry runs, plain errors, logs with times, outputs that are never mixed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from recipe_runner import BIN, ROOT, inventory, load_script

RECIPE = "detection/qwen2_5_vl_lora.sh"
SCRIPTS = [head.path for head in inventory.read_heads()]


SEARCHED = f"{BIN}{os.pathsep}{os.environ['PATH']}"


def bash(script: Path | str, cwd: Path, *words: str, PATH: str = SEARCHED, **variables: str) -> subprocess.CompletedProcess:
    """Run a recipe, or a script of another folder, with no variable but those given."""
    command = ["bash", str(ROOT / "recipes" / script), *words]
    environment = {"PATH": PATH, "HOME": os.environ["HOME"], **variables}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_prints_head_and_variables(tmp_path, name):
    done = bash(name, tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert re.search(r"^Task +\S", done.stdout)
    assert re.search(r"^  OUT +folder of the run", done.stdout, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_dry_run_prints_commands_and_writes_nothing(tmp_path, name):
    """A variable that is not set is named, and its name is in its place."""
    done = bash(name, tmp_path, DRY_RUN="1", OUT=str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert not re.search(r"^\+ .* ''", done.stdout, re.MULTILINE), done.stdout
    unset = re.findall(r"^note: (\w+) is not set: \S", done.stderr, re.MULTILINE)
    hidden = [each for each in unset if not re.search(rf"^\+ .* {each}\b", done.stdout, re.MULTILINE)]
    assert hidden == (["IMAGE"] if "interactive" in name else [])  # which goes in by stdin
    assert len(unset) == len(done.stderr.splitlines())
    programs = "swift|megatron|groundswift|python|sbatch|deepspeed|ray|srun"
    assert re.search(rf"^\+ (\S+=\S* )*({programs})\b", done.stdout, re.MULTILINE), done.stdout
    assert list(tmp_path.iterdir()) == []
    check_merges(done.stdout)


def check_merges(printed: str) -> None:
    """Each merged model is compared with its base, before anything else reads it."""
    lines = [line.rstrip() for line in printed.splitlines() if line.startswith("+ ") and not line.startswith("+ mv ")]
    behind = [next_line for line, next_line in zip(lines, [*lines[1:], ""], strict=True) if "--merge_lora true" in line]
    assert behind == ["+ groundswift parity --files BASE MERGED"] * len(behind)


def test_a_dry_run_shows_the_whole_command_with_what_was_added(tmp_path):
    done = bash(RECIPE, tmp_path, "--learning_rate", "5e-5", "--system", "a 'b' c", DRY_RUN="1", MODEL="my model", OUT="x y")
    line = next(line for line in done.stdout.splitlines() if " sft " in line)
    assert line.startswith("+ CUDA_VISIBLE_DEVICES=0 MAX_PIXELS=1605632 MIN_PIXELS=802816 swift sft --model my\\ model ")
    assert line.rstrip().endswith(r"--learning_rate 5e-5 --system a\ \'b\'\ c")
    assert f"{tmp_path}/x\\ y/train" in line


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "error: TRAIN is not set: Make rows for swift first: groundswift convert coco"),
        ({"TRAIN": "nowhere.jsonl"}, "error: TRAIN=nowhere.jsonl: no such file or folder. Make rows for swift first"),
        ({"TRAIN": "rows.jsonl", "VAL": "rows.jsonl", "TASK": "caption"}, "error: TASK=caption: expected detection or referring"),
        ({"TRAIN": "rows.jsonl", "VAL": "rows.jsonl", "GT": "none.json"}, "error: GT=none.json: no such file or folder"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do_first(tmp_path, variables, message):
    (tmp_path / "rows.jsonl").write_text("{}\n")
    done = bash(RECIPE, tmp_path, OUT=str(tmp_path / "out"), **variables)
    assert done.returncode == 1
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["groundswift", "swift"])
def test_a_missing_command_is_named(tmp_path, missing):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "basename", "realpath", "python", "sed", "awk", "env", "grep", "groundswift", "swift"):
        found = shutil.which(name, path=SEARCHED)
        if name != missing and found:
            (tools / name).symlink_to(found)
    done = bash(RECIPE, tmp_path, PATH=str(tools), OUT=str(tmp_path / "out"))
    assert done.returncode == 1
    assert f"error: '{missing}' is not on the PATH: run 'make install'" in done.stderr


def run_sh(cwd: Path, body: str, **variables: str) -> subprocess.CompletedProcess:
    """A recipe made of a few lines, in a folder of recipes of its own."""
    folder = cwd / "recipes"
    if not folder.exists():
        shutil.copytree(ROOT / "recipes", folder, ignore=shutil.ignore_patterns("quickstart", "runs"))
    (folder / "task").mkdir(exist_ok=True)
    script = folder / "task" / "own.sh"
    script.write_text(f'#!/usr/bin/env bash\n# Task x\nsource "$(dirname "${{BASH_SOURCE[0]}}")/../_run.sh"\n{body}\n')
    return bash(script, cwd, **variables)


def test_an_earlier_run_is_refused_and_removed_only_when_asked(tmp_path):
    first = run_sh(tmp_path, 'fresh "$OUT"; touch "$OUT/old"; run echo one')
    assert first.returncode == 0, first.stderr
    out = tmp_path / "runs" / "task" / "own"  # beside recipes/, whatever the working directory
    again = run_sh(tmp_path, 'fresh "$OUT"')
    assert again.returncode == 1
    assert f"error: {out} has an earlier run. Give a new folder: OUT=..., or remove the earlier run: OVERWRITE=1" in again.stderr
    assert (out / "old").exists()
    assert run_sh(tmp_path, 'fresh "$OUT"', OVERWRITE="1").returncode == 0
    assert not (out / "old").exists()


def test_a_run_that_ended_before_its_first_command_may_begin_again(tmp_path):
    body = 'fresh "$OUT"; need_file REPO "Clone it first"; run echo one'
    assert "error: REPO is not set: Clone it first" in run_sh(tmp_path, body).stderr
    again = run_sh(tmp_path, body, REPO=str(tmp_path))
    assert again.returncode == 0, again.stderr


def test_a_folder_of_something_else_is_never_removed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("kept")
    done = run_sh(tmp_path, 'fresh "$OUT"', OUT="mine", OVERWRITE="1")
    assert done.returncode == 1
    assert "has files that are not from a run (no log.txt)" in done.stderr
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "kept"


@pytest.mark.parametrize(("verb", "said"), [("run", "ended with status 7; the end of"), ("show", "")])
def test_a_failing_command_ends_the_recipe_with_its_status_and_the_end_of_the_log(tmp_path, verb, said):
    done = run_sh(tmp_path, f"fresh \"$OUT\"; {verb} bash -c 'echo before; echo last words; exit 7'; echo never")
    assert done.returncode == 7
    assert said in done.stderr
    assert "last words" in (done.stderr if said else done.stdout)
    assert "never" not in done.stdout


def test_gpus_follow_cuda_visible_devices(tmp_path):
    body = 'gpus 4; echo "$GPUS $CUDA_VISIBLE_DEVICES"'
    assert run_sh(tmp_path, body).stdout == "4 0,1,2,3\n"
    assert run_sh(tmp_path, body, CUDA_VISIBLE_DEVICES="5,7").stdout == "2 5,7\n"
    assert run_sh(tmp_path, body, CUDA_VISIBLE_DEVICES="").stdout == "4 \n"
    assert run_sh(tmp_path, body, CUDA_VISIBLE_DEVICES="3", GPUS="2").stdout == "2 3\n"


def test_a_missing_package_is_named(tmp_path):
    done = run_sh(tmp_path, "need_package no_such_module 'groundswift[x]'")
    assert done.returncode == 1
    assert "error: the Python package 'no_such_module' is not installed: pip install 'groundswift[x]'" in done.stderr
    assert run_sh(tmp_path, "need_package json x").returncode == 0


def test_the_log_has_times_and_few_states_of_a_bar(tmp_path):
    bar = "import sys, time\nprint('begin', flush=True)\nfor i in range(200):\n    sys.stderr.write(f'\\rTrain: {i // 2}%|#| {i}/200')\n"
    (tmp_path / "work.py").write_text(bar + "sys.stderr.write('\\rTrain: 100%|##| 200/200\\n')\nprint('end')\n")
    done = run_sh(tmp_path, f'fresh "$OUT"; run {sys.executable} {tmp_path}/work.py')
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "runs" / "task" / "own" / "log.txt").read_text().splitlines()[1:]  # behind the command
    assert all(re.match(r"\d\d:\d\d:\d\d \S", line) for line in lines), lines
    bars = [line for line in lines if "%|" in line]
    assert 2 <= len(bars) <= 4
    assert "100%" in bars[-1]
    assert done.stdout.count("%|") == 1  # no terminal: the bar once, when it is done


def test_the_log_keeps_a_state_every_10_seconds(tmp_path, monkeypatch):
    log_script = load_script(ROOT / "recipes" / "_log.py")
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    log = log_script.Log(str(tmp_path / "log.txt"))
    for second in range(31):
        clock[0] = float(second)
        log.add(f"Train: {second}%|".encode())
    log.add(b"done")
    states = [line.split()[2] for line in (tmp_path / "log.txt").read_text().splitlines() if "%|" in line]
    assert states == ["0%|", "10%|", "20%|", "30%|"]


@pytest.mark.parametrize(
    ("best", "expected"),
    [(None, "checkpoint-10"), ("/elsewhere/train/checkpoint-2", "checkpoint-2"), ("/elsewhere/checkpoint-7", "checkpoint-10")],
)
def test_the_best_checkpoint_is_found_also_in_a_moved_folder(tmp_path, best, expected):
    chosen = load_script(ROOT / "recipes" / "_checkpoint.py").chosen
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps({"best_model_checkpoint": best}))
    (tmp_path / "checkpoint-11").mkdir()  # killed while it was written
    assert chosen(tmp_path) == tmp_path / expected
    assert chosen(tmp_path / "empty") is None


def test_no_variable_of_a_recipe_is_one_of_the_mechanics():
    """`_run.sh` would overwrite what a recipe or a user has set."""
    mechanics = (ROOT / "recipes" / "_run.sh").read_text()
    own = {name for name, value in re.findall(r"^\s*([A-Z_]+)=(.*)", mechanics, re.MULTILINE) if f"${{{name}" not in value} - {"OUT"}
    assert {"STEP", "RUNS", "LOG"} <= own
    taken = [
        (path.name, name)
        for path in sorted((ROOT / "recipes").rglob("*.sh"))
        for name in re.findall(r"^([A-Z_]+)=\$\{\1:-", path.read_text(), re.MULTILINE)
        if name in own
    ]
    assert taken == []


@pytest.mark.long
def test_shellcheck_is_clean():
    scripts = sorted(str(path) for path in (ROOT / "recipes").rglob("*.sh"))
    done = subprocess.run([str(BIN / "shellcheck"), *scripts], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
