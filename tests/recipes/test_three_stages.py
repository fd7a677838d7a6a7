"""Three stages of one adapter: which rows, from which adapter, continued after a kill, and what is refused. `swift` is a stub."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from killed_recipe import kill_often
from recipe_runner import BIN, ROOT
from swift_stub import write_command

SCRIPT = ROOT / "recipes" / "anomaly" / "qwen2_vl_lora.sh"
STAGES = ("1", "2", "3")


class Lab:
    """A folder with rows of three stages and the stub; runs the recipe on them."""

    def __init__(self, base: Path) -> None:
        self.base, self.out, self.said = base, base / "out", base / "said"
        self.path = write_command(base / "bin")
        (base / "parts").mkdir()
        for stage, count in zip(STAGES, (10, 20, 8), strict=True):
            for part, rows in (("train", count), ("val", 2)):
                lines = [json.dumps({"sample_id": f"{part}{stage}-{n}", "messages": [], "stage": int(stage)}) for n in range(rows)]
                (base / "parts" / f"{part}.{stage}.jsonl").write_text("\n".join(lines) + "\n")

    def command(self, *words: str, **variables: str) -> dict:
        own = {"PATH": os.pathsep.join(map(str, (self.path, BIN, os.environ["PATH"]))), "HOME": os.environ["HOME"]}
        own |= {"DATA": str(self.base / "parts"), "OUT": str(self.out), "STUB_LOG": str(self.said), "MODEL": "some-model", **variables}
        return {"args": ["bash", str(SCRIPT), *words], "env": own, "cwd": self.base}

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run(**self.command(*words, **variables), capture_output=True, text=True, timeout=120)

    def ran(self, *words: str, **variables: str) -> str:
        done = self.run(*words, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def calls(self) -> list[list[str]]:
        """The words of each `swift` command since the last call of this."""
        said = [json.loads(line) for line in self.said.read_text().splitlines()] if self.said.exists() else []
        self.said.unlink(missing_ok=True)
        return said

    def result(self) -> dict[str, str]:
        """Rows, last adapters and the merged model -> a hash of each."""
        patterns = ("data/*.jsonl", "stage*/checkpoint-6/adapter_model.safetensors", "merged*/*")
        files = [path for pattern in patterns for path in self.out.glob(pattern)]
        return {path.relative_to(self.out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def value(words: list[str], name: str) -> str | None:
    return words[words.index(name) + 1] if name in words else None


def test_each_stage_starts_from_the_last_and_replays(lab):
    lab.ran(REPLAY="0.25", EPOCHS="2 1 3")
    *stages, merge = lab.calls()
    assert [value(words, "--adapters") for words in (*stages, merge)] == [
        None,
        *(f"{lab.out}/stage{number}/checkpoint-6" for number in STAGES),
    ]
    assert [value(words, "--num_train_epochs") for words in stages] == ["2", "1", "3"]
    rows = [list(map(json.loads, Path(value(words, "--dataset")).read_text().splitlines())) for words in stages]
    counts = [{stage: sum(row["stage"] == stage for row in part) for stage in (1, 2, 3)} for part in rows]
    assert counts == [{1: 10, 2: 0, 3: 0}, {1: 3, 2: 20, 3: 0}, {1: 3, 2: 5, 3: 8}]
    assert all(len({row["sample_id"] for row in part}) == len(part) for part in rows)
    assert [value(words, "--val_dataset") for words in stages] == [f"{lab.base}/parts/val.{stage}.jsonl" for stage in STAGES]
    assert (lab.out / "merged/model.safetensors").read_bytes() == (lab.out / "stage3/checkpoint-6/adapter_model.safetensors").read_bytes()


def test_the_same_command_again_does_nothing(lab):
    lab.ran()
    before = lab.result()
    lab.calls()
    assert lab.ran().count("finished before") == 3
    assert lab.calls() == []
    assert lab.result() == before


def test_no_replay_and_fewer_stages(lab):
    lab.ran(REPLAY="0", STAGES="1 3")
    assert len(lab.calls()) == 3
    assert (lab.out / "data/stage3.jsonl").read_text().count('"stage": 3') == 8
    assert not (lab.out / "stage2").exists()


def test_it_goes_on_from_the_newest_complete_checkpoint(lab):
    lab.ran()
    before = lab.result()
    shutil.rmtree(lab.out / "stage3")
    shutil.rmtree(lab.out / "merged")
    shutil.rmtree(lab.out / "stage2/checkpoint-6")
    (lab.out / "stage2/checkpoint-4/trainer_state.json").unlink()
    lab.calls()
    assert "skipped" in lab.run().stderr
    second, third, _ = lab.calls()
    assert value(second, "--resume_from_checkpoint") == f"{lab.out}/stage2/checkpoint-2"
    assert value(third, "--resume_from_checkpoint") is None
    assert lab.result() == before


@pytest.mark.parametrize(
    ("words", "variables", "named"),
    [
        (("--learning_rate", "5e-5"), {}, "--learning_rate: '1e-4', now '5e-5'"),
        ((), {"SEED": "3"}, "--seed: '0', now '3'"),
        ((), {"MAX_PIXELS": "50176"}, "MAX_PIXELS: '1605632', now '50176'"),
        ((), {"MODEL": "other"}, "--model: 'some-model', now 'other'"),
    ],
)
def test_other_settings_are_refused(lab, words, variables, named):
    lab.ran()
    before = lab.result()
    done = lab.run(*words, **variables)
    assert done.returncode == 1
    assert f"error: {lab.out}/stage1 was trained with other data or settings ({named})" in done.stderr
    assert "REDO=1 trains stage 1 and those after it again" in done.stderr
    assert lab.result() == before


def test_changed_rows_are_refused_where_they_are_used_and_redone_when_asked(lab):
    lab.ran()
    before = lab.result()
    rows = lab.base / "parts/train.2.jsonl"
    rows.write_text(rows.read_text().replace("train2-3", "train2-X"))
    done = lab.run()
    assert f"error: {lab.out}/stage2 was trained with other data or settings (train.2.jsonl has changed)" in done.stderr
    lab.calls()
    lab.ran(REDO="2")
    made = [Path(value(words, "--output_dir")).name for words in lab.calls()]
    assert made == ["stage2", "stage3", "merged.partial"]
    after = lab.result()
    same = [name for name in before if before[name] == after[name]]
    assert sorted(same) == ["data/stage1.jsonl", "stage1/checkpoint-6/adapter_model.safetensors"]


def test_more_gpus_or_another_timeout_do_not_touch_finished_stages(lab):
    lab.ran(STAGES="1")
    assert "finished before" in lab.ran(CUDA_VISIBLE_DEVICES="0,1", DDP_TIMEOUT="9000", SAVE_STEPS="7")
    *_, third, _ = lab.calls()
    assert value(third, "--gradient_accumulation_steps") == "8"


def test_two_runs_at_a_time_are_refused(lab):
    lab.ran(STAGES="1")
    with (lab.out / ".lock").open("a") as file:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        done = lab.run(OVERWRITE="1")
        assert done.returncode == 1
        assert f"error: {lab.out} is in use" in done.stderr
    assert (lab.out / "stage1").exists()
    lab.ran()


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"DATA": ""}, "error: DATA is not set: Make it first: groundswift anomaly split"),
        ({"FORM": "yaml"}, "error: FORM=yaml: expected rows, csv, glm4v or phi3v"),
        ({"FORM": "csv"}, "train.1.csv: missing or empty. Expected the files of 'groundswift anomaly split'"),
        ({"STAGES": "1 4"}, "error: STAGES=1 4: expected numbers of stages"),
        ({"REDO": "x"}, "error: REDO=x: expected the number of a stage"),
    ],
)
def test_what_is_wrong_is_named(lab, variables, named):
    done = lab.run(**variables)
    assert done.returncode == 1
    assert named in done.stderr
    assert lab.calls() == []


def test_a_part_without_rows_is_named(lab):
    (lab.base / "parts/val.2.jsonl").write_text("")
    done = lab.run()
    assert done.returncode == 1
    assert f"{lab.base}/parts/val.2.jsonl: missing or empty" in done.stderr


def killed_and_continued(lab: Lab, kills: int) -> None:
    """A run that was killed at random moments ends like an undisturbed one."""
    began = time.monotonic()
    lab.ran()
    took_s, expected = time.monotonic() - began, lab.result()
    kill_often(lab.command(), lab.out, kills, took_s)
    lab.ran()
    assert lab.result() == expected


def test_a_few_kills(lab):
    killed_and_continued(lab, 5)


@pytest.mark.recipes
@pytest.mark.timeout(1800)
def test_fifty_kills(lab):
    killed_and_continued(lab, 50)
